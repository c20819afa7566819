//! The operator: settles doubts one way or the other, decides approvals, retries dead letters, looks at quarantines.

use crate::guest::AGENTS;
use crate::rewind::{Bench, Known};
use crate::rng::Rng;
use crate::run::Simulation;
use crate::world::{Shared, lock};
use loket_ledger::SqliteLedger;
use loket_turn::{Decide, Ledger, Release, Resolution, TurnNo, TurnSeen, TurnStanding, Verdict};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

/// What the operator knows.
#[derive(Debug)]
pub(crate) struct Desk {
    /// Approvals of a hundred that it gives.
    approves: usize,
    /// It is looking at this moment.
    pub(crate) busy: bool,
    /// What it found to do when it last looked.
    pub(crate) open: usize,
    retried: BTreeSet<u64>,
}

impl Desk {
    /// Of an operator who is the stricter, the more the guests lean (see [`Rng::leaning`]).
    pub(crate) fn new(held: usize) -> Self {
        let approves = 60_usize.saturating_sub(held / 2);
        Self { approves, busy: false, open: 0, retried: BTreeSet::new() }
    }
}

/// The operator looks at one thing.
pub(crate) fn act(simulation: &mut Simulation) {
    if !simulation.is_up() {
        return;
    }
    let desk = Rc::clone(&simulation.desk);
    let known: Vec<Known> =
        AGENTS.iter().map(|agent| simulation.oracle.known_of(agent, &mut simulation.rng)).collect();
    let Some(bench) = Bench::of(simulation) else { return };
    let Some(process) = &simulation.process else { return };
    if std::mem::replace(&mut desk.borrow_mut().busy, true) {
        return;
    }
    let (ledger, world) = (Arc::clone(&process.ledger), Arc::clone(&simulation.world));
    let clock = process.clock.clone();
    let (rng, ahead) = (Rng::new(simulation.rng.number()), simulation.may_be_ahead());
    let registry = Arc::clone(process.runtime.node().registry());
    process.exec.spawn(async move {
        let wake = |agent: &str| {
            registry.wake(agent);
        };
        let mut open = look(&ledger, &world, &desk, rng, &|| clock.now().0).await;
        open += free(&ledger, &world, ahead.then_some((&bench, &*known)), &wake).await;
        let mut desk = desk.borrow_mut();
        (desk.busy, desk.open) = (false, open);
    });
}

async fn look(
    ledger: &SqliteLedger,
    world: &Shared,
    desk: &RefCell<Desk>,
    mut rng: Rng,
    now_ms: &dyn Fn() -> u64,
) -> usize {
    for agent in AGENTS {
        let turns =
            ledger.turns(agent.into(), TurnNo(u64::MAX >> 1), 1 + rng.below(3) as u32).await;
        let over =
            |turn: &TurnSeen| matches!(turn.standing, TurnStanding::Ended | TurnStanding::Skipped);
        if let Some(turn) = turns.unwrap_or_default().into_iter().find(over) {
            lock(world).shown.insert(agent, turn.n.0);
        }
    }
    let mut open = 0;
    for doubt in ledger.doubts().await.unwrap_or_default() {
        open += 1;
        let resolution = if rng.percent(50) {
            Resolution::Is(Ok(br#"{"id":0}"#.to_vec()))
        } else {
            lock(world).approve(&doubt.intent.to_string());
            Resolution::Retry
        };
        lock(world).notes.push(format!("operator {:?} {resolution:?}", doubt.intent));
        let _ = ledger.resolve_doubt(doubt.id, resolution, None).await;
    }
    for approval in ledger.approvals().await.unwrap_or_default() {
        open += 1;
        let approves = desk.borrow().approves;
        let verdict = match rng.percent(approves) {
            true => Verdict::Approve,
            false => Verdict::Deny("simulated".to_owned()),
        };
        lock(world).notes.push(format!("operator {} {verdict:?}", approval.id.0));
        let decide = Decide { id: approval.id, verdict, by: "@operator".into(), now_ms: now_ms() };
        let _ = ledger.decide(decide, None).await;
    }
    for letter in ledger.letters().await.unwrap_or_default() {
        // Not again and again: a poisoned message never ends.
        let first = desk.borrow_mut().retried.insert(letter.id.0);
        if first && letter.id.0 <= 2 && rng.percent(50) {
            let _ = ledger.retry_letter(letter.id, true, None).await;
        }
    }
    open
}

/// Brings agents out of quarantine. `restore`: brains may be ahead, and with what they are restored.
async fn free(
    ledger: &SqliteLedger,
    world: &Shared,
    restore: Option<(&Bench, &[Known])>,
    wake: &dyn Fn(&str),
) -> usize {
    let mut open = 0;
    for quarantined in ledger.quarantines().await.unwrap_or_default() {
        let (agent, cause) = (quarantined.agent.to_string(), quarantined.why.cause.clone());
        let known = AGENTS.iter().position(|name| *name == agent);
        if cause == "ahead"
            && let Some((bench, all)) = restore
            && let Some(known) = known.and_then(|at| all.get(at))
        {
            open += 1;
            bench.restore(&agent, known).await;
            continue;
        }
        if !lock(world).tainted {
            let reason = &quarantined.why.reason;
            lock(world).violation(format!("{agent} is in quarantine ({cause}): {reason}"));
            return open;
        }
        open += 1;
        let released =
            ledger.release_quarantine(quarantined.agent.clone(), Release::Skip, true, None);
        if released.await.is_ok() {
            wake(&agent);
        }
    }
    open
}
