//! The tree: supervisors, providers and agents, one group of fields after the other.
//!
//! Reads and checks what one child says by itself. What takes more than one child to see is in
//! `otp.rs` and `refs.rs`. Start reading at [`root`].

use std::collections::BTreeMap;

use super::catalog::{CapabilityFact, Catalog, ModuleFact};
use super::common::{self, AUTO_SHUTDOWNS, RESTARTS, STRATEGIES};
use super::cx::Cx;
use super::fields::{Fields, head};
use super::grants;
use super::nearest::nearest;
use super::secrets;
use super::slice;
use super::spec::{
    AgentSpec, AutoShutdown, Defaults, Node, ProviderSpec, Restart, Shutdown, Strategy,
    SupervisorSpec,
};

/// Deepest nesting of supervisors: beyond, nobody can say who escalates to whom.
const MAX_DEPTH: usize = 16;
/// Longest id, in characters: it becomes a part of names, paths and metrics.
const MAX_ID: usize = 64;
/// Most restarts within the period: the machine keeps each one's instant.
const MAX_INTENSITY: u32 = 100_000;
/// Most dynamic children of one supervisor.
const MAX_CHILDREN: u32 = 10_000_000;
/// Names that the fleet's own supervisors bear.
const RESERVED: [&str; 2] = ["root", "system"];

/// What reading the tree needs and learns.
pub(crate) struct Tree<'c> {
    /// The world outside.
    pub(crate) catalog: &'c dyn Catalog,
    /// What workers fall back to.
    pub(crate) defaults: Defaults,
    /// What each provider serves, in the order of the file; none where its config is refused.
    pub(crate) served: Vec<Option<Vec<CapabilityFact>>>,
    kinds: Vec<String>,
    modules: BTreeMap<String, ModuleFact>,
}

impl<'c> Tree<'c> {
    pub(crate) fn new(catalog: &'c dyn Catalog, defaults: Defaults) -> Self {
        let kinds = catalog.provider_kinds();
        Self {
            catalog,
            defaults,
            served: Vec::new(),
            kinds,
            modules: BTreeMap::new(),
        }
    }
}

/// Reads the root, which is a supervisor.
pub(crate) fn root<'a>(cx: &mut Cx<'a>, tree: &mut Tree<'_>, raw: &'a str) -> SupervisorSpec {
    match slice::split(raw) {
        (Some("Supervisor") | None, _) => supervisor(cx, tree, raw, 0),
        (Some(word), _) => {
            let help = "write root: Supervisor(id: \"root\", children: [..])";
            let message = format!("the root is a `Supervisor`, not `{word}`");
            cx.help("E005", head(raw), message, help);
            empty_supervisor()
        }
    }
}

/// What stands in for a supervisor that could not be read.
pub(crate) fn empty_supervisor() -> SupervisorSpec {
    SupervisorSpec {
        id: String::new(),
        strategy: Strategy::default(),
        intensity: 1,
        period_ms: 5_000,
        auto_shutdown: AutoShutdown::default(),
        max_children: None,
        restart: Restart::default(),
        shutdown: Shutdown::Infinity,
        significant: false,
        backoff: None,
        children: Vec::new(),
        place: super::spec::Place::default(),
    }
}

fn node<'a>(cx: &mut Cx<'a>, tree: &mut Tree<'_>, raw: &'a str, depth: usize) -> Option<Node> {
    match slice::split(raw) {
        (Some("Supervisor"), _) if depth >= MAX_DEPTH => {
            let message = format!("supervisors are nested deeper than {MAX_DEPTH}");
            cx.help("E007", head(raw), message, "flatten the tree");
            None
        }
        (Some("Supervisor"), _) => Some(Node::Supervisor(supervisor(cx, tree, raw, depth))),
        (Some("Provider"), _) => provider(cx, tree, raw).map(Node::Provider),
        (Some("Agent"), _) => agent(cx, tree, raw).map(Node::Agent),
        (Some(word), _) => {
            cx.unknown(
                head(raw),
                "kind of child",
                word,
                &["Supervisor", "Provider", "Agent"],
            );
            None
        }
        (None, _) => {
            let help = "write Supervisor(..), Provider(..) or Agent(..)";
            cx.help("E005", head(raw), "a child has a kind", help);
            None
        }
    }
}

fn supervisor<'a>(
    cx: &mut Cx<'a>,
    tree: &mut Tree<'_>,
    raw: &'a str,
    depth: usize,
) -> SupervisorSpec {
    let mut out = empty_supervisor();
    out.place = cx.place(head(raw));
    let Some(mut fields) = Fields::open(cx, raw, "Supervisor") else {
        return out;
    };
    out.id = id(cx, &mut fields, depth == 0);
    cx.enter(&out.id);
    if let Some(raw) = fields.take("strategy") {
        out.strategy = cx.word(raw, "strategy", &STRATEGIES).unwrap_or_default();
    }
    if let Some(raw) = fields.take("intensity") {
        out.intensity = cx
            .count(raw, "intensity", "E005", 0..=MAX_INTENSITY)
            .unwrap_or(1);
    }
    if let Some(raw) = fields.take("period") {
        out.period_ms = cx.duration(raw, "period").unwrap_or(5_000);
        if out.period_ms == 0 {
            cx.help(
                "E104",
                raw,
                "`period` is 0",
                "no restart would ever be counted; try \"5s\"",
            );
        }
    }
    if let Some(raw) = fields.take("auto_shutdown") {
        out.auto_shutdown = cx
            .word(raw, "auto_shutdown", &AUTO_SHUTDOWNS)
            .unwrap_or_default();
    }
    if let Some(raw) = fields.take("max_children") {
        out.max_children = cx.count(raw, "max_children", "E112", 1..=MAX_CHILDREN);
    }
    if let Some(raw) = fields.take("restart") {
        out.restart = cx.word(raw, "restart", &RESTARTS).unwrap_or_default();
    }
    if let Some(raw) = fields.take("shutdown") {
        out.shutdown = common::shutdown(cx, raw).unwrap_or(Shutdown::Infinity);
    }
    out.significant = significant(cx, &mut fields);
    out.backoff = common::backoff_field(cx, &mut fields, None);
    if let Some(raw) = fields.take("children") {
        for child in cx.list(raw, "children") {
            out.children.extend(node(cx, tree, child, depth + 1));
        }
    }
    fields.close(cx);
    cx.leave();
    out
}

fn provider<'a>(cx: &mut Cx<'a>, tree: &mut Tree<'_>, raw: &'a str) -> Option<ProviderSpec> {
    let place = cx.place(head(raw));
    let mut fields = Fields::open(cx, raw, "Provider")?;
    let id = id(cx, &mut fields, false);
    cx.enter(&id);
    let (kind, config, facts) = match fields.need(cx, "use") {
        Some(raw) => used(cx, tree, raw),
        None => (String::new(), String::new(), None),
    };
    let names = facts
        .iter()
        .flatten()
        .map(|fact| fact.name.clone())
        .collect();
    tree.served.push(facts);
    let significant = significant(cx, &mut fields);
    let shared = common::shared(cx, &mut fields, &tree.defaults, common::For::Provider);
    fields.close(cx);
    cx.leave();
    Some(ProviderSpec {
        id,
        kind,
        config,
        capabilities: names,
        restart: shared.restart,
        shutdown: shared.shutdown,
        significant,
        backoff: shared.backoff,
        mailbox: shared.mailbox,
        start_timeout_ms: shared.start_timeout_ms,
        place,
    })
}

/// Reads `use: Kind(..)`: kind, configuration, and what the provider would serve.
fn used<'a>(
    cx: &mut Cx<'a>,
    tree: &mut Tree<'_>,
    raw: &'a str,
) -> (String, String, Option<Vec<CapabilityFact>>) {
    let (Some(kind), config) = slice::split(raw) else {
        cx.help(
            "E005",
            head(raw),
            "`use` names a kind of provider",
            "such as use: Llm(..)",
        );
        return (String::new(), String::new(), None);
    };
    if !tree.kinds.iter().any(|known| known == kind) {
        let known = tree.kinds.iter().map(String::as_str);
        let help = nearest(kind, known).map_or_else(
            || format!("known: {}", tree.kinds.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        cx.help(
            "E201",
            head(raw),
            format!("there is no provider of kind `{kind}`"),
            help,
        );
        return (kind.to_owned(), config.to_owned(), None);
    }
    secrets::look(cx, config);
    let given = if config.is_empty() { "()" } else { config };
    let facts = match tree.catalog.check_provider(kind, given) {
        Ok(facts) => Some(facts.capabilities),
        Err(error) => {
            let base = cx.place(if config.is_empty() { head(raw) } else { config });
            let place = match error.offset.filter(|at| *at < config.len()) {
                Some(at) => cx.place_at(base.offset + at, 1),
                None => cx.place(head(raw)),
            };
            let message = format!("`{kind}` refuses its configuration: {}", error.message);
            cx.report("E209", place, None, message, None);
            None
        }
    };
    (kind.to_owned(), given.to_owned(), facts)
}

fn agent<'a>(cx: &mut Cx<'a>, tree: &mut Tree<'_>, raw: &'a str) -> Option<AgentSpec> {
    let place = cx.place(head(raw));
    let mut fields = Fields::open(cx, raw, "Agent")?;
    let id = id(cx, &mut fields, false);
    cx.enter(&id);
    let module = fields
        .need(cx, "module")
        .map(|raw| module(cx, tree, raw))
        .unwrap_or_default();
    let mut settings = BTreeMap::new();
    if let Some(raw) = fields.take("settings") {
        secrets::look(cx, raw);
        for (key, _, value) in cx.entries(raw, "settings") {
            let text = match cx.json(value, "settings") {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            settings.insert(key, text);
        }
    }
    let granted = fields
        .take("grants")
        .map(|raw| grants::grants(cx, raw))
        .unwrap_or_default();
    let significant = significant(cx, &mut fields);
    let every_ms = fields.take("every").and_then(|raw| {
        let every = cx.duration(raw, "every");
        if every == Some(0) {
            cx.say(
                "E305",
                raw,
                "`every` is 0: the agent would do nothing but tick",
            );
        }
        every
    });
    let shared = common::shared(cx, &mut fields, &tree.defaults, common::For::Agent);
    fields.close(cx);
    cx.leave();
    Some(AgentSpec {
        id,
        module,
        settings,
        grants: granted,
        restart: shared.restart,
        shutdown: shared.shutdown,
        significant,
        backoff: shared.backoff,
        limits: shared.limits,
        mailbox: shared.mailbox,
        inbox_bytes: shared.inbox_bytes,
        max_attempts: shared.max_attempts,
        charge: shared.charge,
        every_ms,
        park_after_ms: shared.park_after_ms,
        place,
    })
}

fn module<'a>(cx: &mut Cx<'a>, tree: &mut Tree<'_>, raw: &'a str) -> String {
    let Some(name) = cx.string(raw, "module") else {
        return String::new();
    };
    let catalog = tree.catalog;
    let fact = tree
        .modules
        .entry(name.clone())
        .or_insert_with(|| catalog.module(&name));
    match fact {
        ModuleFact::Ok => {}
        ModuleFact::Missing(why) => {
            let message = format!("the module \"{name}\" cannot be read: {why}");
            let help = "a path is relative to the fleet file; `builtin:NAME` is a built-in one";
            cx.help("E202", raw, message, help);
        }
        ModuleFact::Invalid { code, message } => {
            let message = format!("\"{name}\" is no module that can run here: {message}");
            cx.help("E202", raw, message, format!("the host says `{code}`"));
        }
    }
    name
}

fn significant<'a>(cx: &mut Cx<'a>, fields: &mut Fields<'a>) -> bool {
    fields
        .take("significant")
        .and_then(|raw| cx.flag(raw, "significant"))
        .unwrap_or_default()
}

/// The field `id`; only the root may leave it out, or bear a reserved name.
fn id<'a>(cx: &mut Cx<'a>, fields: &mut Fields<'a>, is_root: bool) -> String {
    let raw = if is_root {
        fields.take("id")
    } else {
        fields.need(cx, "id")
    };
    let Some(raw) = raw else {
        return if is_root {
            "root".to_owned()
        } else {
            String::new()
        };
    };
    let Some(id) = cx.string(raw, "id") else {
        return String::new();
    };
    name(cx, raw, &id);
    if RESERVED.contains(&id.as_str()) && !(is_root && id == "root") {
        let help = "`root` is the root supervisor, `system` the fleet's own";
        cx.help("E103", raw, format!("the id \"{id}\" is reserved"), help);
    }
    id
}

/// Reports a name that is not well formed.
pub(crate) fn name(cx: &mut Cx<'_>, raw: &str, name: &str) {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if name.is_empty() || name.len() > MAX_ID || !name.bytes().all(good) {
        let help = format!("1 to {MAX_ID} of a-z, 0-9, `_` and `-`");
        cx.help(
            "E103",
            raw,
            format!("\"{name}\" is not well formed as a name"),
            help,
        );
    }
}
