//! What is harmless alone and dangerous together (W426): an agent that reads what is private and what a stranger wrote, and can
//! send out. Whoever writes what it reads can have it send out what others must not see.

use super::catalog::{CapabilityFact, Flow};
use super::cx::Cx;
use super::refs::{covers, reaches};
use super::spec::{AgentSpec, GrantSpec};

/// Warns of one agent; `facts` are all capabilities of the fleet.
pub(super) fn agent<'f>(
    cx: &mut Cx<'_>,
    agent: &AgentSpec,
    path: &str,
    facts: impl Iterator<Item = &'f CapabilityFact> + Clone,
) {
    let granted = |wanted: &dyn Fn(&GrantSpec, &CapabilityFact) -> bool| {
        agent.grants.iter().find_map(|grant| {
            let mut reached = facts.clone().filter(|fact| reaches(grant.cap.as_str(), fact));
            reached.find(|fact| wanted(grant, fact)).map(|fact| fact.name.clone())
        })
    };
    let reads = |part: fn(Flow) -> bool| granted(&|_, fact| part(fact.flow));
    let out = granted(&|grant, fact| fact.flow.out && !is_asked(grant, fact));
    let (Some(private), Some(foreign), Some(out)) =
        (reads(|flow| flow.private), reads(|flow| flow.foreign), out)
    else {
        return;
    };
    let at = cx.field(agent.place, "grants");
    let message = format!(
        "it reads what is private (`{private}`) and what strangers write (`{foreign}`), and can send out (`{out}`)"
    );
    let help = "let one agent read and another send, or put what sends under `approve`".to_owned();
    cx.report("W426", at, Some(path.to_owned()), message, help);
}

/// Whether a person looks at every call of it: no way out then.
fn is_asked(grant: &GrantSpec, fact: &CapabilityFact) -> bool {
    let all = fact.name.strip_suffix(".*").unwrap_or(&fact.name);
    grant.approve.iter().any(|rule| covers(rule.as_str(), all))
}
