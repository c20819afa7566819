//! The operator: settles doubts one way or the other, retries dead letters, looks at quarantines.

use crate::rng::Rng;
use crate::run::Simulation;
use crate::world::{Shared, lock};
use loket_ledger::SqliteLedger;
use loket_turn::{Ledger, Release, Resolution};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

/// What the operator knows.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// It is looking at this moment.
    pub(crate) busy: bool,
    /// What it found to do when it last looked.
    pub(crate) open: usize,
    retried: BTreeSet<u64>,
    lost: BTreeSet<String>,
}

impl Desk {
    /// Whether only a restore could bring this agent back.
    pub(crate) fn lost(&self, agent: &str) -> bool {
        self.lost.contains(agent)
    }
}

/// The operator looks at one thing.
pub(crate) fn act(simulation: &mut Simulation) {
    let desk = Rc::clone(&simulation.desk);
    let Some(process) = &simulation.process else { return };
    if std::mem::replace(&mut desk.borrow_mut().busy, true) {
        return;
    }
    let (ledger, world) = (Arc::clone(&process.ledger), Arc::clone(&simulation.world));
    let (rng, ahead) = (Rng::new(simulation.rng.number()), simulation.may_be_ahead());
    let registry = Arc::clone(process.runtime.node().registry());
    process.exec.spawn(async move {
        let open = look(&ledger, &world, &desk, rng, ahead, &|agent| {
            registry.wake(agent);
        })
        .await;
        let mut desk = desk.borrow_mut();
        (desk.busy, desk.open) = (false, open);
    });
}

async fn look(
    ledger: &SqliteLedger,
    world: &Shared,
    desk: &RefCell<Desk>,
    mut rng: Rng,
    may_be_ahead: bool,
    wake: &dyn Fn(&str),
) -> usize {
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
        let _ = ledger.resolve_doubt(doubt.id, resolution).await;
    }
    for quarantined in ledger.quarantines().await.unwrap_or_default() {
        let (agent, cause) = (quarantined.agent.to_string(), quarantined.why.cause.clone());
        if cause == "ahead" && may_be_ahead {
            desk.borrow_mut().lost.insert(agent);
            continue;
        }
        if !lock(world).tainted {
            let reason = &quarantined.why.reason;
            lock(world).violation(format!("{agent} is in quarantine ({cause}): {reason}"));
            return open;
        }
        open += 1;
        let released = ledger.release_quarantine(quarantined.agent.clone(), Release::Skip, true);
        if released.await.is_ok() {
            wake(&agent);
        }
    }
    for letter in ledger.letters().await.unwrap_or_default() {
        // Not again and again: a poisoned message never ends.
        let first = desk.borrow_mut().retried.insert(letter.id.0);
        if first && letter.id.0 <= 2 && rng.percent(50) {
            let _ = ledger.retry_letter(letter.id, true).await;
        }
    }
    open
}
