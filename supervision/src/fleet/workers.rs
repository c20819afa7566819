//! The leaves of the tree: providers, whose configuration their own kind reads, and agents.

use std::collections::BTreeMap;

use super::budgets;
use super::catalog::{CapabilityFact, ModuleFact};
use super::common;
use super::cx::Cx;
use super::fields::{Fields, head};
use super::grants;
use super::nearest::nearest;
use super::nodes::{Tree, id, significant};
use super::secrets;
use super::slice;
use super::spec::{AgentSpec, ProviderSpec};

/// Reads `Provider(..)`.
pub(crate) fn provider<'a>(
    cx: &mut Cx<'a>,
    tree: &mut Tree<'_>,
    raw: &'a str,
) -> Option<ProviderSpec> {
    let place = cx.place(head(raw));
    let mut fields = Fields::open(cx, raw, "Provider")?;
    let id = id(cx, &mut fields, false);
    cx.enter(&id);
    let (kind, config, facts) = match fields.need(cx, "use") {
        Some(raw) => used(cx, tree, raw),
        None => (String::new(), String::new(), None),
    };
    let names = facts.iter().flatten().map(|fact| fact.name.clone()).collect();
    tree.served.push(facts);
    let significant = significant(cx, &mut fields);
    let shared = common::shared(cx, &mut fields, &tree.defaults, common::For::Provider);
    let restarts = common::restarts(cx, &mut fields);
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
        restarts,
        watchdog: shared.watchdog,
        rules: shared.rules,
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
        cx.help("E005", head(raw), "`use` names a kind of provider", "such as use: Llm(..)");
        return (String::new(), String::new(), None);
    };
    if !tree.kinds.iter().any(|known| known == kind) {
        let known = tree.kinds.iter().map(String::as_str);
        let help = nearest(kind, known).map_or_else(
            || format!("known: {}", tree.kinds.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        cx.help("E201", head(raw), format!("there is no provider of kind `{kind}`"), help);
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
            let help = format!("docs/fleet-file.md has what `{kind}` takes");
            cx.report("E209", place, None, message, help);
            None
        }
    };
    (kind.to_owned(), given.to_owned(), facts)
}

/// Reads `Agent(..)`.
pub(crate) fn agent<'a>(cx: &mut Cx<'a>, tree: &mut Tree<'_>, raw: &'a str) -> Option<AgentSpec> {
    let place = cx.place(head(raw));
    let mut fields = Fields::open(cx, raw, "Agent")?;
    let id = id(cx, &mut fields, false);
    cx.enter(&id);
    let module = fields.need(cx, "module").map(|raw| module(cx, tree, raw)).unwrap_or_default();
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
    let granted = fields.take("grants").map(|raw| grants::grants(cx, raw)).unwrap_or_default();
    let per_message =
        fields.take("per_message").and_then(|raw| budgets::message(cx, raw)).map(Box::new);
    let significant = significant(cx, &mut fields);
    let every_ms = fields.take("every").and_then(|raw| {
        let every = cx.duration(raw, "every");
        if every == Some(0) {
            let message = "`every` is 0: the agent would do nothing but tick";
            cx.help("E305", raw, message, "for example \"1m\"; leave it out for no tick");
        }
        every
    });
    let shared = common::shared(cx, &mut fields, &tree.defaults, common::For::Agent);
    let restarts = common::restarts(cx, &mut fields);
    fields.close(cx);
    cx.leave();
    Some(AgentSpec {
        id,
        module,
        settings,
        grants: granted,
        per_message,
        draws_on: Vec::new(),
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
        pause_max_ms: shared.pause_max_ms,
        restarts,
        watchdog: shared.watchdog,
        rules: shared.rules,
        place,
    })
}

fn module<'a>(cx: &mut Cx<'a>, tree: &mut Tree<'_>, raw: &'a str) -> String {
    let Some(name) = cx.string(raw, "module") else {
        return String::new();
    };
    let catalog = tree.catalog;
    let fact = tree.modules.entry(name.clone()).or_insert_with(|| catalog.module(&name));
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
