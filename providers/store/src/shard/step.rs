//! One step for one brain: what is done on the lane at once, and what needs a store thread.

use super::jobs::{Closing, Job, When};
use super::slot::{Place, Slot, Work};
use super::{Call, Inner};
use crate::brain::{Brain, OpenError, Owner, TurnError};
use crate::limits::CLOSED_BESIDE_MAX;
use crate::metrics;
use loket_runtime::{BrainAction, BrainError, BrainRequest, BrainState};
use loket_turn::simulation::{Mutation, broken};
use loket_turn::{AgentName, Epoch, Life, Outcome, TurnNo};
use std::sync::Arc;
use tokio::sync::oneshot;

pub(super) type Answer = Result<BrainState, BrainError>;

impl Inner {
    /// Does one piece of work; gives the job that it takes, the brain already out.
    pub(super) fn step(&mut self, agent: &AgentName, work: Work) -> Option<Job> {
        match work {
            Work::Brain(request) => self.brain(agent, request),
            Work::Call(call, reply) => self.call(agent, call, reply),
        }
    }

    fn call(
        &mut self,
        agent: &AgentName,
        call: Call,
        reply: oneshot::Sender<Outcome>,
    ) -> Option<Job> {
        let slot = self.slots.get_mut(agent)?;
        // Nobody hears the answer: its turn was killed.
        if reply.is_closed() {
            return None;
        }
        if !call.op.is_heavy() {
            let _ = reply.send(slot.run(call));
            return None;
        }
        if let Err(failure) = slot.brain_for(&call) {
            let _ = reply.send(Err(failure));
            return None;
        }
        let brain = slot.take()?;
        Some(Job::Call { brain, call, reply })
    }

    fn brain(&mut self, agent: &AgentName, request: BrainRequest) -> Option<Job> {
        let slot = self.slots.get_mut(agent)?;
        if request.incarnation < slot.past.incarnation {
            let _ = request.reply.send(Err(BrainError::Fenced(Arc::clone(agent))));
            return None;
        }
        match request.what.clone() {
            BrainAction::Begin { life, epoch } => {
                slot.past.incarnation = request.incarnation;
                self.begin(agent, life, epoch, request)
            }
            BrainAction::Commit { n, chain, more } => {
                if more && let Some(answer) = self.hold(agent, request.incarnation, (n, chain)) {
                    let _ = request.reply.send(answer);
                    return None;
                }
                let slot = self.slots.get_mut(agent)?;
                if request.incarnation == slot.past.incarnation && slot.commit_syncs() {
                    let brain = slot.take()?;
                    return Some(Job::Commit { brain, n, chain, request });
                }
                let answer =
                    with_turn(agent, slot, request.incarnation, |brain| brain.commit(n, chain));
                self.committed(agent, answer.is_ok(), n);
                let _ = request.reply.send(answer);
                None
            }
            BrainAction::RollBack => {
                let answer = roll_back(agent, slot, request.incarnation);
                if answer.is_ok() {
                    self.settle(agent);
                }
                let _ = request.reply.send(answer);
                None
            }
            BrainAction::Release => {
                let answer = roll_back(agent, slot, request.incarnation);
                let undone = answer.is_ok();
                if undone {
                    self.settle(agent);
                }
                let _ = request.reply.send(answer);
                if undone { self.release(agent) } else { None }
            }
        }
    }

    fn begin(
        &mut self,
        agent: &AgentName,
        life: Life,
        epoch: Epoch,
        request: BrainRequest,
    ) -> Option<Job> {
        let slot = self.slots.get_mut(agent)?;
        slot.let_go = false;
        let owner = Owner { agent: Arc::clone(agent), life, epoch };
        let mut closing = None;
        if let Place::Here(brain) = &mut slot.place {
            if *brain.owner() == owner {
                let begun = brain.begin(false);
                let answer = match begun {
                    Ok(()) => Ok(state(brain)),
                    Err(error) => {
                        // Whatever it was, the next one begins with a fresh connection.
                        slot.place = Place::Closed;
                        Err(turn_error(agent, &error))
                    }
                };
                let _ = request.reply.send(answer);
                return None;
            }
            brain.roll_back();
            closing = slot.closing().map(|closing| (closing, When::Before));
        }
        if closing.is_none() && self.slots.len() > self.bound {
            closing = self.least_used().map(|closing| (closing, self.when()));
            if closing.is_none() {
                let reason = format!("all {} brains that may be open are in a turn", self.bound);
                let agent = Arc::clone(agent);
                let _ = request.reply.send(Err(BrainError::Environment { agent, reason }));
                return None;
            }
        }
        self.slots.get_mut(agent)?.place = Place::Out;
        Some(Job::Open { owner, closing, request })
    }

    /// When a brain is closed that has to make room.
    pub(super) fn when(&mut self) -> When {
        if self.beside >= CLOSED_BESIDE_MAX {
            return When::Before;
        }
        self.beside += 1;
        When::Beside
    }

    /// Takes the brain out that was not used for the longest time and has no turn open.
    fn least_used(&mut self) -> Option<Closing> {
        let idle = self.slots.iter().filter(|(_, slot)| slot.is_idle());
        let agent = idle.min_by_key(|(_, slot)| slot.used).map(|(agent, _)| Arc::clone(agent))?;
        let slot = self.slots.get_mut(&agent)?;
        let closing = slot.closing();
        slot.place = Place::Closed;
        self.forget_closed(&agent);
        closing
    }

    /// What follows from a commit: `done`, or refused. The brain is back.
    pub(super) fn committed(&mut self, agent: &AgentName, done: bool, n: TurnNo) {
        let Some(slot) = self.slots.get_mut(agent) else { return };
        if !done && matches!(&slot.place, Place::Here(brain) if brain.is_suspect()) {
            slot.place = Place::Closed;
        }
        if done {
            slot.held_since = None;
            metrics::committed();
            self.note_commit(agent);
            if broken(Mutation::PurgeEarly) {
                let slot = self.slots.get(agent);
                if let Some(Place::Here(brain)) = slot.map(|slot| &slot.place) {
                    let life = brain.owner().life;
                    drop((self.tools.report)(Arc::clone(agent), life, n));
                }
            }
        }
    }
}

/// Runs the end of a turn on the brain, if this incarnation has one open.
fn with_turn(
    agent: &AgentName,
    slot: &mut Slot,
    incarnation: u64,
    end: impl FnOnce(&mut Brain) -> Result<(), TurnError>,
) -> Answer {
    match &mut slot.place {
        Place::Here(brain) if brain.turn_open() && incarnation == slot.past.incarnation => {
            end(brain).map_err(|error| turn_error(agent, &error))?;
            Ok(state(brain))
        }
        _ => Err(BrainError::NoTurn(Arc::clone(agent))),
    }
}

fn roll_back(agent: &AgentName, slot: &mut Slot, incarnation: u64) -> Answer {
    with_turn(agent, slot, incarnation, |brain| {
        brain.roll_back();
        Ok(())
    })
}

/// How far a brain is, in the host's words.
pub(super) fn state(brain: &Brain) -> BrainState {
    let (applied, chain) = brain.state();
    BrainState { applied, chain }
}

/// An error of a turn in the host's words.
pub(super) fn turn_error(agent: &AgentName, error: &TurnError) -> BrainError {
    let (agent, reason) = (Arc::clone(agent), error.to_string());
    match error {
        TurnError::NoTurn => BrainError::NoTurn(agent),
        TurnError::Damaged(_) | TurnError::Applied { .. } => BrainError::Corrupt { agent, reason },
        TurnError::Sqlite(error)
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) =>
        {
            BrainError::Held(agent)
        }
        TurnError::Broken | TurnError::Sqlite(_) => BrainError::Environment { agent, reason },
    }
}

/// An error of opening in the host's words.
pub(super) fn open_error(agent: &AgentName, error: &OpenError) -> BrainError {
    let (agent, reason) = (Arc::clone(agent), format!("{}: {error}", error.code()));
    if error.may_pass() {
        BrainError::Environment { agent, reason }
    } else {
        BrainError::Corrupt { agent, reason }
    }
}
