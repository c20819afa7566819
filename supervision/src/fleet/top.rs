//! The top of the file: `Fleet(..)`, parameters, defaults, operator, opening.

use std::collections::BTreeMap;

use loket_kernel::{Bound, Capability, Pattern, Scope};

use super::bounds::{self, MAX_OPENING, MAX_TO};
use super::catalog::Catalog;
use super::common::{self, DURABILITIES};
use super::cx::{Cx, Param};
use super::fields::{Fields, head};
use super::grants;
use super::nearest::nearest;
use super::nodes::{self, Tree};
use super::reactions;
use super::secrets;
use super::slice;
use super::spec::{Defaults, Durability, Fleet, GrantSpec, Opening, Place};

/// The only version of the form.
pub(crate) const VERSION: u64 = 1;
/// Turns of each agent that are kept to be looked at, when the file does not say: what a person scrolls through.
const KEEP_TURNS: u32 = 100;

/// Reads the whole file; none when there is no fleet to speak of.
///
/// The flag says whether the file has its own `operator`.
pub(crate) fn fleet<'a, 'c>(
    cx: &mut Cx<'a>,
    body: &'a str,
    sets: &[(String, String)],
    catalog: &'c dyn Catalog,
) -> Option<(Fleet, Tree<'c>, bool)> {
    if let (Some(word), _) = slice::split(body)
        && word != "Fleet"
    {
        cx.unknown(head(body), "thing at the top of the file", word, &["Fleet"]);
        return None;
    }
    let mut fields = Fields::open(cx, body, "Fleet")?;
    let version = version(cx, &mut fields);
    let named = fields.need(cx, "name").and_then(|raw| Some((raw, cx.string(raw, "name")?)));
    let name = named.as_ref().map(|(_, name)| name.clone()).unwrap_or_default();
    let data = fields.take("data").and_then(|raw| {
        let data = cx.string(raw, "data")?;
        if data.is_empty() {
            cx.help("E005", raw, "`data` is empty", "name a folder, or leave it out: NAME.data");
        }
        Some(data)
    });
    let durability =
        fields.take("durability").and_then(|raw| cx.word(raw, "durability", &DURABILITIES));
    params(cx, &mut fields, sets);
    let defaults = fields.take("defaults").map_or_else(Defaults::default, |raw| defaults(cx, raw));
    let listen = fields.take("listen").and_then(|raw| listen(cx, raw));
    let count = |cx: &mut Cx<'a>, fields: &mut Fields<'a>, name, range| {
        fields.take(name).and_then(|raw| cx.count(raw, name, "E305", range))
    };
    let lanes = count(cx, &mut fields, "lanes", bounds::LANES);
    let slots = count(cx, &mut fields, "slots", bounds::SLOTS);
    let keep_turns = count(cx, &mut fields, "keep_turns", bounds::KEEP_TURNS);
    let quarantine = count(cx, &mut fields, "quarantine", bounds::QUARANTINE);
    let operator = fields.take("operator").map(|raw| {
        let granted = grants::grants(cx, raw);
        locked_out(cx, raw, &granted);
        granted
    });
    let own_operator = operator.is_some();
    let opening = fields.take("opening").map(|raw| opening(cx, raw)).unwrap_or_default();
    let mut tree = Tree::new(catalog, defaults.clone());
    let root = match fields.need(cx, "root") {
        Some(raw) => nodes::root(cx, &mut tree, raw),
        None => nodes::no_supervisor(cx),
    };
    if let Some((raw, name)) = &named {
        nodes::name(cx, raw, name);
        let system = catalog.system_names();
        if *name == root.id || name == "system" || system.contains(name) {
            let help = "the fleet is the top of its own tree; name it otherwise";
            cx.help("E102", raw, format!("the name \"{name}\" is borne by a child, too"), help);
        }
    }
    fields.close(cx);
    let fleet = Fleet {
        version,
        data: data.unwrap_or_else(|| format!("{name}.data")),
        name,
        durability: durability.unwrap_or(Durability::Power),
        params: cx.params.iter().map(|(name, p)| (name.clone(), p.value.clone())).collect(),
        defaults,
        listen,
        lanes,
        slots,
        keep_turns: keep_turns.unwrap_or(KEEP_TURNS),
        quarantine: quarantine.unwrap_or(reactions::QUARANTINE),
        operator: operator.unwrap_or_else(default_operator),
        opening,
        root,
    };
    Some((fleet, tree, own_operator))
}

fn version<'a>(cx: &mut Cx<'a>, fields: &mut Fields<'a>) -> u32 {
    if let Some(raw) = fields.need(cx, "version")
        && let Some(given) = cx.number(raw, "version", "E006", 0..=u64::MAX)
        && given != VERSION
    {
        let message = format!("version {given} of the fleet file is not known here");
        cx.help("E006", raw, message, "this program reads version 1");
    }
    1
}

/// Reads `params` and applies `--set` to them.
fn params<'a>(cx: &mut Cx<'a>, fields: &mut Fields<'a>, sets: &[(String, String)]) {
    let raw = fields.take("params");
    if let Some(raw) = raw {
        secrets::look(cx, raw);
    }
    let mut all = BTreeMap::new();
    for (key, at, raw) in raw.map(|raw| cx.entries(raw, "params")).unwrap_or_default() {
        if let Some(value) = cx.string(raw, "a parameter") {
            all.insert(key, Param { value, at, used: false });
        }
    }
    for (name, value) in sets {
        if let Some(slot) = all.get_mut(name) {
            slot.value.clone_from(value);
            continue;
        }
        let near = nearest(name, all.keys().map(String::as_str));
        let help = near.map_or_else(
            || format!("the file's parameters: {:?}", all.keys().collect::<Vec<_>>()),
            |near| format!("did you mean \"{near}\"?"),
        );
        let message = format!("--set names no parameter of this file: \"{name}\"");
        cx.help("E009", raw.map_or("", head), message, help);
    }
    cx.params = all;
}

fn defaults<'a>(cx: &mut Cx<'a>, raw: &'a str) -> Defaults {
    let built_in = Defaults::default();
    let Some(mut fields) = Fields::open(cx, raw, "defaults") else {
        return built_in;
    };
    let out = common::shared(cx, &mut fields, &built_in, common::For::Both);
    fields.close(cx);
    out
}

fn listen(cx: &mut Cx<'_>, raw: &str) -> Option<String> {
    let text = cx.string(raw, "listen")?;
    if text.parse::<std::net::SocketAddr>().is_err() {
        let help = "an address and a port, such as \"127.0.0.1:7878\"";
        cx.help("E005", raw, format!("\"{text}\" is no address to listen at"), help);
    }
    Some(text)
}

fn opening<'a>(cx: &mut Cx<'a>, raw: &'a str) -> Vec<Opening> {
    let items = cx.list(raw, "opening");
    if items.len() > MAX_OPENING {
        let help = "an opening is a few words; send the rest with `loket send`";
        cx.help("E305", head(raw), format!("more than {MAX_OPENING} opening messages"), help);
    }
    let mut all = Vec::new();
    for item in items.into_iter().take(MAX_OPENING) {
        let Some(mut fields) = Fields::open(cx, item, "opening") else {
            continue;
        };
        let to = fields.need(cx, "to").and_then(|raw| {
            let to = cx.string(raw, "to")?;
            if to.is_empty() || to.len() > MAX_TO {
                let help = format!("an agent's id, or SUPERVISOR/NAME; at most {MAX_TO} bytes");
                cx.help("E103", raw, "`to` is empty or too long", help);
            }
            Some(to)
        });
        let kind = fields.take("kind").and_then(|raw| cx.string(raw, "kind"));
        let body = fields.need(cx, "body").map(|raw| cx.json(raw, "body"));
        let title = fields.take("title").and_then(|raw| cx.string(raw, "title"));
        fields.close(cx);
        all.push(Opening {
            to: to.unwrap_or_default(),
            kind: kind.unwrap_or_else(|| "message".to_owned()),
            body: body.unwrap_or_default(),
            title,
            place: cx.place(item),
        });
    }
    all
}

/// What the commands need that look at a fleet and stop it.
const OPERATOR_NEEDS: [&str; 3] = ["agent.status", "agent.tree", "agent.shutdown"];

/// Own grants of the operator replace the default, so that one which only adds something takes all else away.
fn locked_out<'a>(cx: &mut Cx<'a>, raw: &'a str, granted: &[GrantSpec]) {
    let covered = |needed: &&str| granted.iter().any(|grant| grant.cap.covers(needed));
    let Some(lacking) = OPERATOR_NEEDS.iter().find(|needed| !covered(needed)) else { return };
    let help = "add what it is by default: (cap: \"agent\", scope: { \"to\": [\"*\"], \"under\": [\"*\"], \
                \"children\": [\"*\"], \"groups\": [\"*\"] })";
    cx.help("W433", raw, format!("the operator has no grant for {lacking}"), help);
}

/// Everything of `agent`, everywhere: who holds the control socket owns the fleet.
fn default_operator() -> Vec<GrantSpec> {
    let (Ok(cap), Ok(all)) = (Capability::parse("agent"), Pattern::parse("*")) else {
        return Vec::new();
    };
    let mut scope = Scope::new();
    for key in ["to", "under", "children", "groups"] {
        scope.insert(key, Bound::Names(vec![all.clone()]));
    }
    let (budget, approve, expires_ms) = (None, Vec::new(), None);
    let (approve_within_ms, place) = (None, Place::default());
    vec![GrantSpec { cap, scope, budget, approve, approve_within_ms, expires_ms, place }]
}
