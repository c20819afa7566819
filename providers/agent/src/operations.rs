//! What it serves. Classes stand here and nowhere else.

use loket_contract::{Flow, Operation, ScopeForm, ScopeKey};
use loket_turn::EffectClass;

const TO: &[ScopeKey] = &[ScopeKey { name: "to", mandatory: true, form: ScopeForm::Names }];
const UNDER: &[ScopeKey] = &[ScopeKey { name: "under", mandatory: true, form: ScopeForm::Names }];
const GROUPS: &[ScopeKey] = &[ScopeKey { name: "groups", mandatory: true, form: ScopeForm::Names }];
const CHILDREN: &[ScopeKey] =
    &[ScopeKey { name: "children", mandatory: true, form: ScopeForm::Names }];

const fn operation(
    capability: &'static str,
    class: EffectClass,
    scope: &'static [ScopeKey],
    summary: &'static str,
) -> Operation {
    Operation { capability, class, scope, flow: Flow::NONE, tokens: false, summary }
}

/// What the agent provider serves.
pub const OPERATIONS: &[Operation] = &[
    operation("agent.send", EffectClass::Staged, TO, "a message, sent with the end of the turn"),
    operation("agent.call", EffectClass::Keyed, TO, "a message, and its answer"),
    operation("agent.spawn", EffectClass::Staged, UNDER, "start a dynamic child"),
    operation("agent.stop", EffectClass::Staged, UNDER, "end a dynamic child"),
    operation("agent.list", EffectClass::Observe, UNDER, "the dynamic children of a supervisor"),
    operation("agent.whereis", EffectClass::Observe, TO, "who is under a name"),
    operation("agent.monitor", EffectClass::Staged, TO, "be told once of an agent's end"),
    operation("agent.demonitor", EffectClass::Staged, &[], "end a monitor of one's own"),
    operation("agent.monitors", EffectClass::Observe, TO, "the monitors by and of an agent"),
    operation("agent.group.join", EffectClass::Staged, GROUPS, "become a member of a group"),
    operation("agent.group.leave", EffectClass::Staged, GROUPS, "leave a group"),
    operation("agent.group.members", EffectClass::Observe, GROUPS, "who is in a group"),
    operation("agent.group.list", EffectClass::Observe, GROUPS, "the groups and their sizes"),
    operation("agent.group.send", EffectClass::Staged, GROUPS, "a message to each member"),
    operation("agent.kill", EffectClass::Keyed, CHILDREN, "crash a child on purpose"),
    operation("agent.child.terminate", EffectClass::Keyed, CHILDREN, "stop a child in order"),
    operation("agent.child.restart", EffectClass::Keyed, CHILDREN, "start a child that is stopped"),
    operation("agent.tree", EffectClass::Observe, &[], "the supervision tree as it stands"),
    operation("agent.status", EffectClass::Observe, &[], "what was accepted, completed, lost"),
    operation("agent.history", EffectClass::Observe, &[], "what supervisors reported"),
    operation("agent.letters.list", EffectClass::Observe, &[], "the dead letters"),
    operation("agent.letters.show", EffectClass::Observe, &[], "one dead letter"),
    operation("agent.letters.retry", EffectClass::Keyed, &[], "a new message of a dead letter"),
    operation("agent.letters.drop", EffectClass::Keyed, &[], "forget a dead letter"),
    operation("agent.turns.list", EffectClass::Observe, &[], "an agent's turns, newest first"),
    operation("agent.turns.show", EffectClass::Observe, &[], "one turn, with its calls"),
    operation("agent.brain.snapshots", EffectClass::Observe, &[], "the snapshots of a brain"),
    operation("agent.brain.snapshot", EffectClass::Keyed, &[], "take a snapshot of a brain"),
    operation("agent.brain.switch", EffectClass::Keyed, &[], "another file in a brain's place"),
    operation("agent.doubt.list", EffectClass::Observe, &[], "Once calls in doubt"),
    operation("agent.doubt.show", EffectClass::Observe, &[], "one call in doubt"),
    operation("agent.doubt.resolve", EffectClass::Keyed, &[], "what a call in doubt came to"),
    operation("agent.quarantine.list", EffectClass::Observe, &[], "agents in quarantine"),
    operation("agent.quarantine.show", EffectClass::Observe, &[], "one agent in quarantine"),
    operation("agent.quarantine.resolve", EffectClass::Keyed, &[], "the way out of a quarantine"),
    operation("agent.reload", EffectClass::Keyed, &[], "apply a changed fleet file"),
    operation("agent.approvals.list", EffectClass::Observe, &[], "what waits for a person"),
    operation("agent.approvals.show", EffectClass::Observe, &[], "one held call or question"),
    operation("agent.approvals.approve", EffectClass::Keyed, &[], "let a held call go on"),
    operation("agent.approvals.deny", EffectClass::Keyed, &[], "refuse a held call or question"),
    operation("agent.approvals.answer", EffectClass::Keyed, &[], "answer a question"),
    operation("agent.timers.list", EffectClass::Observe, &[], "the timers of an agent, or of all"),
    operation("agent.timers.cancel", EffectClass::Keyed, &[], "take a timer back"),
    operation(
        "agent.budgets.list",
        EffectClass::Observe,
        &[],
        "the budgets of an agent, or of all",
    ),
    operation("human.ask", EffectClass::Keyed, &[], "a question to a person, and the answer"),
    operation("agent.shutdown", EffectClass::Keyed, &[], "stop the fleet in order"),
];
