//! The background pass that brings brains to the disk, so that they do not pin the ledger (rule
//! E6), and closes those that are not needed. Driven by commits and one timer, never by looking around.

use super::slot::Slot;
use super::{Inner, advance, jobs};
use crate::limits::DURABLE_AFTER_MS;
use loket_turn::AgentName;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use tokio::sync::Notify;

/// When which brain is due. All wait equally long, so the queue is in the order of time.
#[derive(Default)]
pub(super) struct Timers {
    /// Monotonic milliseconds. At most one entry for each time that a brain went from clean to
    /// dirty within [`DURABLE_AFTER_MS`].
    queue: VecDeque<(u64, AgentName)>,
    /// Brains that hold turns, and when these are committed at the latest; they all wait equally long, too.
    held: VecDeque<(u64, AgentName)>,
    changed: Rc<Notify>,
}

impl Timers {
    /// The next moment at which something is to be done.
    fn next(&self) -> Option<u64> {
        let at = |queue: &VecDeque<(u64, AgentName)>| queue.front().map(|(at, _)| *at);
        at(&self.queue).into_iter().chain(at(&self.held)).min()
    }

    /// What is to be done next has changed.
    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    pub(super) fn hold(&mut self, until: u64, agent: &AgentName) {
        self.held.push_back((until, Arc::clone(agent)));
        // The one before is waited for already.
        if self.held.len() == 1 {
            self.changed.notify_one();
        }
    }

    /// One whose time is over.
    pub(super) fn held_until(&mut self, now: u64) -> Option<AgentName> {
        self.held.pop_front_if(|(at, _)| *at <= now).map(|(_, agent)| agent)
    }
}

impl Inner {
    /// Notes a commit that is not on disk.
    pub(super) fn note_commit(&mut self, agent: &AgentName) {
        if let Some(slot) = self.slots.get_mut(agent) {
            slot.unsynced.commits += 1;
        }
        self.note_unsynced(agent);
    }

    /// Notes that the brain's file may be behind its log, or the ledger behind the file.
    pub(super) fn note_unsynced(&mut self, agent: &AgentName) {
        let Some(slot) = self.slots.get_mut(agent) else { return };
        if slot.unsynced.since.is_some() {
            return;
        }
        let now = self.tools.clock.monotonic_ms();
        slot.unsynced.since = Some(now);
        self.timers.queue.push_back((now + DURABLE_AFTER_MS, Arc::clone(agent)));
        self.timers.changed.notify_one();
    }

    /// Brains whose time has come.
    fn due(&mut self) -> Vec<AgentName> {
        let now = self.tools.clock.monotonic_ms();
        let mut due = Vec::new();
        while let Some((_, agent)) = self.timers.queue.pop_front_if(|(at, _)| *at <= now) {
            // It may have been made durable meanwhile, and be dirty again since a shorter time.
            let old = |slot: &Slot| {
                slot.unsynced.since.is_some_and(|since| since + DURABLE_AFTER_MS <= now)
            };
            if let Some(slot) = self.slots.get_mut(&agent)
                && old(slot)
            {
                slot.unsynced.due = true;
                due.push(agent);
            }
        }
        due
    }
}

/// Closes the brains that nobody has needed for long enough.
fn close_released(shard: &Rc<RefCell<Inner>>) {
    let now = shard.borrow().tools.clock.monotonic_ms();
    loop {
        let Some((agent, job)) = shard.borrow_mut().released_until(now) else { return };
        if let Some(job) = job {
            jobs::start(shard, &agent, job);
        }
    }
}

/// The shard's timer: ends with the shard.
pub(super) async fn sweep(shard: Weak<RefCell<Inner>>) {
    loop {
        let Some(inner) = shard.upgrade() else { return };
        let (next, changed, clock) = {
            let inner = inner.borrow();
            let next = inner.timers.next().into_iter().chain(inner.released.next()).min();
            (next, Rc::clone(&inner.timers.changed), inner.tools.clock.clone())
        };
        // Whoever waits must not keep the shard alive.
        drop(inner);
        match next {
            None => changed.notified().await,
            Some(at) => tokio::select! {
                () = changed.notified() => {}
                () = clock.sleep_until(at) => {}
            },
        }
        let Some(inner) = shard.upgrade() else { return };
        inner.borrow_mut().settle_due();
        close_released(&inner);
        let due = inner.borrow_mut().due();
        for agent in due {
            advance(&inner, &agent);
        }
    }
}
