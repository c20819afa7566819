//! Whether what a budget bounds is ever counted (E216). Start reading at [`check`].

use super::catalog::CapabilityFact;
use super::cx::Cx;
use super::refs::reaches;
use super::spec::{AgentSpec, BudgetSpec, GrantSpec, Node, Place, SupervisorSpec};

/// A budget of tokens where none are used, and one of money where a model has no price, would never be spent. `reached`: what may
/// draw on it, in words, and its facts.
pub(super) fn check(
    cx: &mut Cx<'_>,
    (place, field): (Place, &str),
    budget: BudgetSpec,
    path: Option<&str>,
    (what, reached): (&str, &[&CapabilityFact]),
) {
    let (message, help) = if reached.iter().any(|fact| fact.tokens) {
        if budget.money.is_none() || reached.iter().any(|fact| fact.priced) {
            return;
        }
        let message = format!("a model behind {what} has no price");
        (message, "give each model its `price`, or bound `tokens`, `calls` or `bytes`")
    } else if budget.tokens.is_some() || budget.money.is_some() {
        (format!("nothing in {what} uses tokens"), "bound its `calls` or `bytes`")
    } else {
        return;
    };
    let at = cx.field(place, field);
    cx.report("E216", at, path.map(str::to_owned), message, help.to_owned());
}

/// The operator has no turns, and so nothing that counts.
pub(super) fn no_budget(cx: &mut Cx<'_>, grant: &GrantSpec) {
    if grant.budget.is_some() {
        let at = cx.field(grant.place, "budget");
        let help = "leave it out, or bound the agents' own grants".to_owned();
        let message = "budgets are counted for agents, not for the operator".to_owned();
        cx.report("E216", at, None, message, help);
    }
}

/// Budgets that more than one grant draws on: of messages, and of supervisors.
pub(super) fn shared(
    cx: &mut Cx<'_>,
    root: &SupervisorSpec,
    agents: &[(&AgentSpec, &str)],
    known: &[&CapabilityFact],
) {
    for &(agent, path) in agents {
        if let Some(budget) = &agent.per_message {
            let facts = granted(&[agent], known);
            check(cx, (agent.place, "per_message"), **budget, Some(path), ("its grants", &facts));
        }
    }
    supervisor(cx, root, &root.id, agents, known);
}

fn supervisor(
    cx: &mut Cx<'_>,
    it: &SupervisorSpec,
    path: &str,
    agents: &[(&AgentSpec, &str)],
    known: &[&CapabilityFact],
) {
    if let Some(budget) = it.budget {
        let below: Vec<_> = agents
            .iter()
            .map(|(agent, _)| *agent)
            .filter(|agent| agent.draws_on.contains(&it.id))
            .collect();
        if below.is_empty() {
            let at = cx.field(it.place, "budget");
            let message = "no agent below it spends anything".to_owned();
            let help = "put it on a supervisor that has agents below".to_owned();
            cx.report("E216", at, Some(path.to_owned()), message, help);
        } else {
            let facts = granted(&below, known);
            let what = ("the grants below it", &*facts);
            check(cx, (it.place, "budget"), budget, Some(path), what);
        }
    }
    for child in &it.children {
        if let Node::Supervisor(below) = child {
            supervisor(cx, below, &format!("{path}/{}", below.id), agents, known);
        }
    }
}

/// The facts of all that these agents are granted.
fn granted<'f>(agents: &[&AgentSpec], known: &[&'f CapabilityFact]) -> Vec<&'f CapabilityFact> {
    let all = |fact: &&&CapabilityFact| {
        let grants = || agents.iter().flat_map(|agent| &agent.grants);
        grants().any(|grant| reaches(grant.cap.as_str(), fact))
    };
    known.iter().filter(all).copied().collect()
}
