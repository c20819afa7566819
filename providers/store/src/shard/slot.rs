//! One agent's place in a shard.

use super::jobs::{Closing, Job};
use super::{Call, Past, no_turn};
use crate::brain::Brain;
use crate::limits::COMMITS_BEFORE_DURABLE;
use crate::ops::environment;
use loket_runtime::BrainRequest;
use loket_turn::{AgentName, Outcome};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Where the brain is.
pub(super) enum Place {
    /// Not open.
    Closed,
    /// On the lane.
    Here(Box<Brain>),
    /// On a store thread.
    Out,
}

/// What waits for a brain.
pub(super) enum Work {
    /// The host's.
    Brain(BrainRequest),
    /// A guest's.
    Call(Call, oneshot::Sender<Outcome>),
}

/// Commits that are not known to be on disk (rule E6).
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    pub(super) commits: u32,
    /// When the first of them was made, monotonic milliseconds.
    pub(super) since: Option<u64>,
    /// Their time has come: as soon as no turn is open.
    pub(super) due: bool,
}

/// One agent's place.
pub(super) struct Slot {
    pub(super) past: Past,
    pub(super) place: Place,
    pub(super) waiting: VecDeque<Work>,
    /// When it was used last, in uses of the shard.
    pub(super) used: u64,
    pub(super) unsynced: Unsynced,
    /// Since when its brain holds turns that are not committed, monotonic milliseconds.
    pub(super) held_since: Option<u64>,
    /// Closed as soon as it is idle: it is not needed for a while.
    pub(super) let_go: bool,
}

impl Slot {
    pub(super) fn closed(past: Past) -> Self {
        Self {
            past,
            place: Place::Closed,
            waiting: VecDeque::new(),
            used: 0,
            unsynced: Unsynced::default(),
            held_since: None,
            let_go: false,
        }
    }

    pub(super) fn is_here(&self) -> bool {
        matches!(self.place, Place::Here(_))
    }

    /// Whether the brain could be closed now.
    pub(super) fn is_idle(&self) -> bool {
        matches!(&self.place, Place::Here(brain) if !brain.turn_open()) && self.waiting.is_empty()
    }

    /// Whether the commit of the open turn waits for the disk.
    pub(super) fn commit_syncs(&self) -> bool {
        matches!(&self.place, Place::Here(brain) if brain.turn_open() && brain.log_is_new())
    }

    /// Takes the brain out; `None` leaves the place as it is.
    pub(super) fn take(&mut self) -> Option<Box<Brain>> {
        match std::mem::replace(&mut self.place, Place::Out) {
            Place::Here(brain) => Some(brain),
            other => {
                self.place = other;
                None
            }
        }
    }

    /// Takes the brain out to be closed.
    pub(super) fn closing(&mut self) -> Option<Closing> {
        let behind = self.unsynced.since.is_some();
        self.take().map(|brain| Closing { brain, behind })
    }

    /// What is to be done with the brain while no turn is open; it is taken out for that.
    pub(super) fn at_rest(&mut self, agent: &AgentName) -> Option<Job> {
        if !self.is_idle() {
            return None;
        }
        let agent = Arc::clone(agent);
        if self.let_go {
            return self.closing().map(|closing| Job::Close { agent, closing });
        }
        let due = self.unsynced.due || self.unsynced.commits >= COMMITS_BEFORE_DURABLE;
        let brain = if due { self.take() } else { None };
        brain.map(|brain| Job::Durable { agent, brain })
    }

    /// The brain, if this call may use it; otherwise why not.
    pub(super) fn brain_for(&mut self, call: &Call) -> Result<&mut Brain, loket_turn::Failure> {
        let current = call.incarnation == self.past.incarnation;
        match &mut self.place {
            Place::Here(brain) if brain.turn_open() && current => {
                if brain.owner().life != call.life {
                    return Err(environment(format!("{} has begun another life", call.agent)));
                }
                if brain.is_broken() {
                    return Err(environment("an earlier call of the turn was not answered"));
                }
                Ok(brain)
            }
            _ => Err(no_turn(&call.agent)),
        }
    }

    /// Runs a light call on the lane.
    pub(super) fn run(&mut self, call: Call) -> Outcome {
        let brain = self.brain_for(&call)?;
        call.op.run(brain, call.now)
    }
}
