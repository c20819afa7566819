//! Where a supervisor's signals are read: by its own task on the system arbiter, or by the cell of a child that has just started or
//! ended, on the child's lane.
//!
//! One reads at a time, in the order of arrival; who finds another one reading leaves, and whoever reads looks once more when it is
//! done. Nobody waits for the lock while the supervisor lives, so that no lane keeps the system arbiter. A panic of the actor ends
//! it as a panic of its own task does. Start reading at [`Signals::attend`].

use super::Actor;
use crate::panic::guard;
use crate::signals::{Signal, Signals};
use loket_supervision::machine::{Blame, Exit};
use std::sync::atomic::{Ordering, fence};
use std::sync::{MutexGuard, TryLockError};

/// Signals that are handled before the system arbiter's other tasks get their turn.
const AT_HOME_MAX: usize = 64;

/// Signals that a lane handles: the start or end of one child and the starts that follow from it. A crowd's are the
/// system arbiter's, for guests wait meanwhile.
const AWAY_MAX: usize = 8;

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// The supervisor's own task.
    Home,
    /// A lane. What callers ask for is not its: that may be a whole fleet.
    Lane,
}

/// How the actor is left.
pub(super) enum After {
    /// It is over.
    Ended(Exit),
    /// There may be more to read.
    More,
    /// Nothing waits; the next timer, monotonic milliseconds.
    Idle(Option<u64>),
}

/// The actor is reached through its signals until this is dropped.
pub(super) struct Desk(Signals);

impl Desk {
    pub(super) fn of(signals: &Signals, actor: Actor) -> Self {
        *crate::lock(signals.desk()) = Some(Box::new(actor));
        Self(signals.clone())
    }
}

impl Drop for Desk {
    /// What a lane has begun to read it reads to its end: some signals at most.
    fn drop(&mut self) {
        let actor = crate::lock(self.0.desk()).take();
        // Without the lock: it ends its children.
        drop(actor);
    }
}

impl Signals {
    /// Reads on the system arbiter.
    pub(super) fn attend_at_home(&self) -> After {
        let Some(mut desk) = self.desk_at_home() else { return After::Idle(None) };
        let Some(actor) = desk.as_mut() else { return After::Idle(None) };
        let after = actor.read(Reader::Home);
        actor.sleeps_until = match &after {
            After::Idle(next) => next.unwrap_or(u64::MAX),
            _ => 0,
        };
        after
    }

    /// Reads where a child has just started or ended, unless somebody reads already. What is left is the system arbiter's.
    pub(crate) fn attend(&self) {
        let is_done = match self.try_desk().as_mut().and_then(|desk| desk.as_mut()) {
            Some(actor) => match actor.read(Reader::Lane) {
                After::Idle(next) => next.is_none_or(|next| next >= actor.sleeps_until),
                _ => false,
            },
            None => false,
        };
        // The lock is free again: what came meanwhile is seen here, or by whoever sent it. The fence is the other half of the one
        // in `desk_at_home`: either this one sees that home waits, or home sees the lock free.
        fence(Ordering::SeqCst);
        if self.home_waits().swap(false, Ordering::SeqCst) || !is_done || !self.is_empty() {
            self.wake();
        }
    }

    /// `None`: another one reads, and wakes the home task when it is done.
    fn desk_at_home(&self) -> Option<MutexGuard<'_, Option<Box<Actor>>>> {
        self.try_desk().or_else(|| {
            self.home_waits().store(true, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            // It may be done, and have looked, in between.
            self.try_desk()
        })
    }

    fn try_desk(&self) -> Option<MutexGuard<'_, Option<Box<Actor>>>> {
        match self.desk().try_lock() {
            Ok(desk) => Some(desk),
            Err(TryLockError::Poisoned(desk)) => Some(desk.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Reader {
    fn most(self) -> usize {
        match self {
            Self::Home => AT_HOME_MAX,
            Self::Lane => AWAY_MAX,
        }
    }

    fn wanted(self) -> fn(&mut Signal) -> bool {
        match self {
            Self::Home => |_| true,
            Self::Lane => |signal| matches!(signal, Signal::Machine(_)),
        }
    }
}

impl Actor {
    fn read(&mut self, reader: Reader) -> After {
        match guard(Blame::Host, || self.read_batch(reader)) {
            Ok(after) => after,
            Err(exit) => {
                // Whoever comes before its own task does, reads no more.
                self.ended = Some(exit.clone());
                After::Ended(exit)
            }
        }
    }

    fn read_batch(&mut self, reader: Reader) -> After {
        let mut more = true;
        for _ in 0..reader.most() {
            if let Some(exit) = &self.ended {
                return After::Ended(exit.clone());
            }
            self.post_due_timers();
            let Some(signal) = self.signals.pop_if(reader.wanted()) else {
                more = false;
                break;
            };
            self.handle(signal);
        }
        if let Some(exit) = &self.ended {
            return After::Ended(exit.clone());
        }
        self.close_idle();
        // What is left of a batch has told of itself already, and tells of itself no more.
        match more {
            true => After::More,
            false => After::Idle(self.timers.keys().next().map(|(at, _)| *at)),
        }
    }
}
