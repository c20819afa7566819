//! What a failed turn's incarnation hands over to the next: the state as the ledger had it right behind the failed attempt.
//!
//! The next incarnation begins its turn with it while its own take-over is on the way to the ledger. The writer does one after the
//! other, so that whatever the turn writes comes behind the take-over and is refused if that was (rules C4, J4): because the agent
//! stands otherwise by now, on another brain for example (rule E7). Nothing of the failed turn itself is handed over: no instance, no
//! record, no open transaction of the brain. Only a message that begins anew is (rule G2), with the same module, settings and grants,
//! and without budgets; everybody else asks and waits. Start reading at [`Agent::hand_over`], then [`Agent::go_on_from`].

use super::begin::Pinned;
use super::body::Next;
use super::metrics;
use super::turn::Agent;
use loket_turn::{
    AgentName, AgentState, BrainStanding, FailVerdict, Hash, LedgerError, NextTurn, Pending, TurnNo,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Agents between two incarnations that something is handed over for at a time. Beyond it all are forgotten, and ask the ledger.
const HELD_MAX: usize = 256;

/// Largest message that is handed over, bytes: 16 MiB for all of them. Reading a larger one again is what takes its time anyway.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What is handed over, by agent. A clone is the same.
#[derive(Clone, Default)]
pub struct Handovers(Arc<Mutex<HashMap<AgentName, Handover>>>);

/// See the module head.
pub(super) struct Handover {
    /// Whose failed turn it was.
    incarnation: u64,
    /// How the ledger has left the agent.
    from: BrainStanding,
    durable: TurnNo,
    /// What the ledger has already of module, settings and grants.
    pinned: [Hash; 3],
    next: NextTurn,
}

/// The ledger's word on a take-over, still to come.
pub(super) type Opening = Pending<Result<AgentState, LedgerError>>;

/// A turn to begin with, and its take-over.
pub(super) struct HandedOver {
    pub(super) turn: NextTurn,
    pub(super) opening: Opening,
}

impl Handovers {
    fn all(&self) -> MutexGuard<'_, HashMap<AgentName, Handover>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, agent: &AgentName, handover: Handover) {
        let mut all = self.all();
        if all.len() >= HELD_MAX {
            all.clear();
        }
        all.insert(Arc::clone(agent), handover);
    }

    /// What is there for an agent; it is there once.
    pub(super) fn take(&self, agent: &str) -> Option<Handover> {
        self.all().remove(agent)
    }
}

impl Pinned {
    fn hashes(&self) -> [Hash; 3] {
        [self.module.hash, self.settings_hash, self.grants_hash]
    }
}

impl Agent {
    /// Leaves the turn that follows a failed one to the next incarnation, if it may begin it without asking.
    pub(super) fn hand_over(&self, failed: TurnNo, verdict: &FailVerdict, next: NextTurn) {
        let (done, chain) = match verdict {
            FailVerdict::Retry { .. } => (self.done, self.chain),
            FailVerdict::Letter { .. } => (failed, self.chain_if_skipped(failed)),
        };
        let anew = next.begin.is_none() && next.records.is_empty() && next.parked_on.is_none();
        let plain = next.budgets.is_empty() && self.own.is_unbudgeted();
        let small = next.message.body.len() <= BODY_BYTES_MAX;
        if self.unsure || !anew || !plain || !small || next.n.0 != done.0 + 1 {
            return;
        }
        let handover = Handover {
            incarnation: self.brain.incarnation,
            from: BrainStanding {
                agent: self.own.name.clone(),
                life: self.life,
                epoch: self.epoch,
                done,
                chain,
                open: None,
            },
            durable: self.durable,
            pinned: self.present.hashes(),
            next,
        };
        self.services.handovers.leave(&self.own.name, handover);
    }

    /// Takes over in the ledger without waiting for its word, which is waited for at the turn's end, and begins with what was handed
    /// over; `None`: it is not for this incarnation.
    pub(super) fn go_on_from(&mut self, handover: Handover) -> Option<Next> {
        let follows = handover.incarnation + 1 == self.brain.incarnation;
        let same = handover.pinned == self.present.hashes() && self.own.is_unbudgeted();
        if !follows || !same {
            return None;
        }
        let BrainStanding { life, epoch, done, chain, .. } = handover.from;
        let opening = self.services.ledger.open_from(handover.from, self.brain.incarnation);
        (self.life, self.epoch) = (life, epoch);
        (self.done, self.durable, self.chain) = (done, handover.durable, chain);
        metrics::handed_over();
        Some(Next::HandedOver(Box::new(HandedOver { turn: handover.next, opening })))
    }
}
