//! What a fleet file names elsewhere: capabilities, scope keys, agents, providers (E2xx and kin).
//!
//! Runs after the whole tree is read, because a grant may stand before its provider.

use std::collections::{BTreeMap, BTreeSet};

use loket_kernel::{Bound, Pattern};

use super::catalog::{CapabilityFact, ScopeForm};
use super::counted;
use super::cx::Cx;
use super::flows;
use super::nearest::nearest;
use super::nodes::Tree;
use super::policy::{Restart, Strategy};
use super::spec::{
    AgentSpec, Fleet, GrantSpec, Node, Opening, Place, ProviderSpec, SupervisorSpec,
};

/// A child with its way down from the root: each supervisor's strategy and the child's index.
struct Found<'f, T> {
    spec: &'f T,
    way: Vec<(Strategy, usize)>,
    path: String,
}

/// All that stands in the tree.
#[derive(Default)]
struct Stock<'f> {
    agents: Vec<Found<'f, AgentSpec>>,
    providers: Vec<Found<'f, ProviderSpec>>,
    /// Ids of supervisors with dynamic children.
    dynamic: BTreeSet<&'f str>,
    /// Ids of everything that is addressed.
    names: BTreeSet<&'f str>,
}

/// A capability that exists, and the provider that serves it; none: built in.
struct Known {
    fact: CapabilityFact,
    provider: Option<usize>,
}

impl Known {
    fn reached_by(&self, name: &str) -> bool {
        reaches(name, &self.fact)
    }
}

/// Whether a grant of `name` reaches it; `x.*` stands for all that may come below `x`.
pub(super) fn reaches(name: &str, fact: &CapabilityFact) -> bool {
    match fact.name.strip_suffix(".*") {
        Some(stem) => covers(name, stem) || covers(stem, name),
        None => covers(name, &fact.name),
    }
}

/// Checks what `fleet` names.
pub(crate) fn check(cx: &mut Cx<'_>, fleet: &Fleet, tree: &Tree<'_>, own_operator: bool) {
    let mut stock = Stock::default();
    walk(&fleet.root, &mut Vec::new(), &fleet.root.id, false, &mut stock);
    let known = capabilities(cx, &stock, tree);
    // A provider whose configuration is refused may serve anything: do not blame its users.
    let sure = tree.served.iter().all(Option::is_some);
    let mut used = vec![false; stock.providers.len()];
    for agent in &stock.agents {
        for grant in &agent.spec.grants {
            let reached = check_grant(cx, grant, &agent.path, &known, sure);
            for provider in reached {
                used[provider] = true;
                order(cx, grant, agent, &stock.providers[provider]);
            }
            wildcards(cx, grant, &agent.path);
            targets(cx, grant, &agent.path, &stock);
        }
        let facts = known.iter().map(|known| &known.fact);
        flows::agent(cx, agent.spec, &agent.path, facts);
    }
    if own_operator {
        for grant in &fleet.operator {
            counted::no_budget(cx, grant);
            for provider in check_grant(cx, grant, "", &known, sure) {
                used[provider] = true;
            }
        }
    }
    for (provider, used) in stock.providers.iter().zip(used) {
        about_provider(cx, provider, used || provider.spec.capabilities.is_empty());
    }
    if sure {
        let agents: Vec<_> = stock.agents.iter().map(|a| (a.spec, a.path.as_str())).collect();
        let facts: Vec<_> = known.iter().map(|known| &known.fact).collect();
        counted::shared(cx, &fleet.root, &agents, &facts);
    }
    for message in &fleet.opening {
        opening(cx, message, &stock);
    }
}

fn walk<'f>(
    s: &'f SupervisorSpec,
    way: &mut Vec<(Strategy, usize)>,
    path: &str,
    in_template: bool,
    stock: &mut Stock<'f>,
) {
    let dynamic = s.strategy == Strategy::SimpleOneForOne;
    stock.names.insert(&s.id);
    if dynamic {
        stock.dynamic.insert(&s.id);
    }
    for (index, child) in s.children.iter().enumerate() {
        let path = format!("{path}/{}", child.id());
        way.push((s.strategy, index));
        match child {
            Node::Supervisor(below) => walk(below, way, &path, in_template || dynamic, stock),
            Node::Agent(spec) => stock.agents.push(Found { spec, way: way.clone(), path }),
            Node::Provider(spec) => {
                stock.providers.push(Found { spec, way: way.clone(), path });
            }
        }
        if !in_template && !dynamic {
            stock.names.insert(child.id());
        }
        way.pop();
    }
}

/// All capabilities there are; reports those that two providers serve.
fn capabilities(cx: &mut Cx<'_>, stock: &Stock<'_>, tree: &Tree<'_>) -> Vec<Known> {
    let built_in = tree.catalog.builtin_capabilities().into_iter();
    let mut all: Vec<Known> = built_in.map(|fact| Known { fact, provider: None }).collect();
    let mut first: BTreeMap<String, String> =
        all.iter().map(|k| (k.fact.name.clone(), "the fleet itself".to_owned())).collect();
    for (index, (provider, served)) in stock.providers.iter().zip(&tree.served).enumerate() {
        let mut told = false;
        for fact in served.iter().flatten() {
            if let Some(other) = first.get(&fact.name) {
                if !told {
                    let message = format!("`{}` is already served by {other}", fact.name);
                    let help = "a call must have one way to go; keep one of the two".to_owned();
                    let at = cx.field(provider.spec.place, "use");
                    cx.report("E214", at, Some(provider.path.clone()), message, help);
                    told = true;
                }
                continue;
            }
            first.insert(fact.name.clone(), provider.path.clone());
            all.push(Known { fact: fact.clone(), provider: Some(index) });
        }
    }
    all
}

/// Checks one grant against what exists; gives the providers it reaches.
fn check_grant(
    cx: &mut Cx<'_>,
    grant: &GrantSpec,
    path: &str,
    known: &[Known],
    sure: bool,
) -> Vec<usize> {
    for name in std::iter::once(&grant.cap).chain(&grant.approve) {
        if sure && !known.iter().any(|k| k.reached_by(name.as_str())) {
            let field = if *name == grant.cap { "cap" } else { "approve" };
            let at = cx.field(grant.place, field);
            let near = nearest(name.as_str(), known.iter().map(|k| k.fact.name.as_str()));
            let help = near.map_or_else(
                || "no provider of this fleet serves it, nor anything below it".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            let message = format!("there is no capability `{name}` in this fleet");
            cx.report("E203", at, Some(path.to_owned()), message, help);
        }
    }
    let reached: Vec<&Known> = known.iter().filter(|k| k.reached_by(grant.cap.as_str())).collect();
    if !reached.is_empty() {
        scope_keys(cx, grant, path, &reached);
        mandatory_keys(cx, grant, path, &reached);
        if sure && let Some(budget) = grant.budget {
            let facts: Vec<_> = reached.iter().map(|known| &known.fact).collect();
            let what = format!("`{}`", grant.cap);
            counted::check(cx, (grant.place, "budget"), budget, Some(path), (&what, &facts));
        }
    }
    let mut providers: Vec<usize> = reached.iter().filter_map(|k| k.provider).collect();
    providers.dedup();
    providers
}

/// Keys that the grant gives: known, and of the right form.
fn scope_keys(cx: &mut Cx<'_>, grant: &GrantSpec, path: &str, reached: &[&Known]) {
    let keys = || reached.iter().flat_map(|k| &k.fact.scope_keys);
    for (key, bound) in bounds(grant) {
        let at = key_place(cx, grant, key);
        let form = match bound {
            Bound::Names(_) => ScopeForm::Names,
            Bound::AtMost(_) => ScopeForm::AtMost,
        };
        let Some(fact) = keys().find(|k| k.name == key) else {
            let near = nearest(key, keys().map(|k| k.name.as_str()));
            let known: Vec<&str> = keys().map(|k| k.name.as_str()).collect();
            let help = match near {
                Some(near) => format!("did you mean \"{near}\"?"),
                None if known.is_empty() => "it has no scope keys".to_owned(),
                None => format!("it knows: {}", known.join(", ")),
            };
            let message = format!("`{}` knows no scope key \"{key}\"", grant.cap);
            cx.report("E205", at, Some(path.to_owned()), message, help);
            continue;
        };
        if fact.form != form {
            let want = match fact.form {
                ScopeForm::Names => "a list of names",
                ScopeForm::AtMost => "an upper bound, a whole number",
            };
            let message = format!("the scope key \"{key}\" of `{}` is {want}", grant.cap);
            let help = match fact.form {
                ScopeForm::Names => format!("write \"{key}\": [\"name\", \"prefix/*\"]"),
                ScopeForm::AtMost => format!("write \"{key}\": 1000, or whatever the bound is"),
            };
            cx.report("E205", at, Some(path.to_owned()), message, help);
        }
    }
}

/// Keys that the grant must give.
fn mandatory_keys(cx: &mut Cx<'_>, grant: &GrantSpec, path: &str, reached: &[&Known]) {
    let mut told: Vec<&str> = Vec::new();
    for known in reached {
        for key in known.fact.scope_keys.iter().filter(|key| key.mandatory) {
            if !grant.scope.unrestricted(&key.name) || told.contains(&key.name.as_str()) {
                continue;
            }
            told.push(&key.name);
            let at = cx.field(grant.place, "cap");
            let example = match key.form {
                ScopeForm::Names => "[\"..\"]",
                ScopeForm::AtMost => "100",
            };
            let message = format!("`{}` needs the scope key \"{}\"", known.fact.name, key.name);
            let help = format!(
                "(cap: \"{}\", scope: {{ \"{}\": {example} }}), or grant less than `{}`",
                grant.cap, key.name, grant.cap
            );
            cx.report("E205", at, Some(path.to_owned()), message, help);
        }
    }
}

fn bounds(grant: &GrantSpec) -> impl Iterator<Item = (&str, &Bound)> {
    grant.scope.keys().filter_map(|key| Some((key, grant.scope.get(key)?)))
}

/// Whether a grant of `name` covers `capability`, part by part.
pub(super) fn covers(name: &str, capability: &str) -> bool {
    capability.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn key_place(cx: &Cx<'_>, grant: &GrantSpec, key: &str) -> Place {
    cx.field(grant.place, &format!("\"{key}\""))
}

/// A provider must stand before those who need it, where order is kept, and must always be there.
fn order(
    cx: &mut Cx<'_>,
    grant: &GrantSpec,
    agent: &Found<'_, AgentSpec>,
    provider: &Found<'_, ProviderSpec>,
) {
    let apart = agent.way.iter().zip(&provider.way).find(|(a, p)| a.1 != p.1);
    let late = apart.is_some_and(|(a, p)| a.0 == Strategy::RestForOne && p.1 > a.1);
    if late {
        let at = cx.field(grant.place, "cap");
        let message = format!("`{}` is served by {}, which starts later", grant.cap, provider.path);
        let help = "put the provider before the agent: RestForOne restarts what comes after".into();
        cx.report("E212", at, Some(agent.path.clone()), message, help);
    }
}

/// A pattern `*` in an agent's scope.
fn wildcards(cx: &mut Cx<'_>, grant: &GrantSpec, path: &str) {
    for (key, bound) in bounds(grant) {
        let Bound::Names(names) = bound else {
            continue;
        };
        if names.iter().any(|name| name.as_str() == "*") {
            let at = key_place(cx, grant, key);
            let message = format!("the scope \"{key}\" of `{}` is everything", grant.cap);
            let help = "name what the agent needs".to_owned();
            cx.report("W419", at, Some(path.to_owned()), message, help);
        }
    }
}

/// Names of agents in the scopes of `agent` and `chaos`: a misspelt one allows nothing.
fn targets(cx: &mut Cx<'_>, grant: &GrantSpec, path: &str, stock: &Stock<'_>) {
    if !covers("agent", grant.cap.as_str()) && !covers("chaos", grant.cap.as_str()) {
        return;
    }
    for (key, bound) in bounds(grant) {
        let (Bound::Names(names), "to" | "under" | "children") = (bound, key) else {
            continue;
        };
        let names = names.iter().map(Pattern::as_str);
        for name in names.filter(|name| *name != "*" && !addressed(name, stock)) {
            let at = key_place(cx, grant, key);
            let help = who(name, stock);
            let message = format!("\"{key}\" names \"{name}\", which this fleet does not have");
            cx.report("W429", at, Some(path.to_owned()), message, help);
        }
    }
}

/// Whether a static child, or a child-to-be of a SimpleOneForOne, bears the name.
fn addressed(name: &str, stock: &Stock<'_>) -> bool {
    match name.split_once('/') {
        Some((supervisor, "*")) => stock.names.contains(supervisor),
        Some((supervisor, _)) => stock.dynamic.contains(supervisor),
        None => stock.names.contains(name),
    }
}

fn who(name: &str, stock: &Stock<'_>) -> String {
    let near = nearest(name, stock.names.iter().copied());
    near.map_or_else(
        || "a static child is named by its id, a dynamic one `SUPERVISOR/NAME`".to_owned(),
        |near| format!("did you mean \"{near}\"?"),
    )
}

fn about_provider(cx: &mut Cx<'_>, provider: &Found<'_, ProviderSpec>, used: bool) {
    let (place, path) = (cx.field(provider.spec.place, "id"), Some(provider.path.clone()));
    if !used {
        let help = "grant something that it serves, or leave it out".to_owned();
        let message = "no grant of this fleet reaches this provider".to_owned();
        cx.report("W414", place, path.clone(), message, help);
    }
    if provider.way.iter().any(|(strategy, _)| *strategy == Strategy::SimpleOneForOne) {
        let help = "a provider is a static child: its capabilities exist once".to_owned();
        let message = "a provider in a template of dynamic children".to_owned();
        cx.report("E213", place, path.clone(), message, help);
    }
    if provider.spec.restart != Restart::Permanent {
        let help = "leave `restart` out: once it is gone every call to it is refused".to_owned();
        let at = cx.field(provider.spec.place, "restart");
        cx.report("W428", at, path, "a provider that is not Permanent".to_owned(), help);
    }
}

fn opening(cx: &mut Cx<'_>, message: &Opening, stock: &Stock<'_>) {
    let is_agent = stock.agents.iter().any(|a| {
        a.spec.id == message.to && !a.way.iter().any(|(s, _)| *s == Strategy::SimpleOneForOne)
    });
    if is_agent || message.to.is_empty() {
        return;
    }
    let agents = stock.agents.iter().map(|a| a.spec.id.as_str());
    let help = nearest(&message.to, agents).filter(|near| *near != message.to).map_or_else(
        || "dynamic children do not exist yet when the fleet first runs".to_owned(),
        |near| format!("did you mean \"{near}\"?"),
    );
    let at = cx.field(message.place, "to");
    let text = format!("no static agent bears the name \"{}\"", message.to);
    cx.report("E215", at, None, text, help);
}
