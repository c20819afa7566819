//! Brains that are not needed for a while: their turn is parked, or they were opened only to be brought up (rule H1).
//!
//! Most waits are short, so the newest stay open for some time. One that is used meanwhile is not among them any more. Start reading
//! at [`Inner::release`].

use super::Inner;
use super::jobs::Job;
use crate::limits::RELEASED_OPEN_MS;
use loket_turn::AgentName;
use std::collections::VecDeque;
use std::sync::Arc;

/// See the module's head.
pub(super) struct Released {
    /// All wait equally long, so this is the order of time.
    queue: VecDeque<Entry>,
    /// How many stay open.
    max: usize,
}

struct Entry {
    agent: AgentName,
    /// The slot's `used` of that moment.
    used: u64,
    /// Until when it stays open, monotonic milliseconds.
    until_ms: u64,
}

impl Released {
    pub(super) fn new(max: usize) -> Self {
        Self { queue: VecDeque::new(), max }
    }

    /// When the first of them is closed.
    pub(super) fn next(&self) -> Option<u64> {
        self.queue.front().map(|entry| entry.until_ms)
    }
}

impl Inner {
    /// Notes that a brain is not needed for a while; gives the job of closing the one that was released first when too many of
    /// these are open.
    pub(super) fn release(&mut self, agent: &AgentName) -> Option<Job> {
        let used = self.slots.get(agent)?.used;
        let until_ms = self.tools.clock.monotonic_ms() + RELEASED_OPEN_MS;
        self.released.queue.push_back(Entry { agent: Arc::clone(agent), used, until_ms });
        // The one before is waited for already.
        if self.released.queue.len() == 1 {
            self.timers.wake();
        }
        if self.released.queue.len() <= self.released.max {
            return None;
        }
        let first = self.released.queue.pop_front()?;
        self.let_go(&first)
    }

    /// One that was released long enough ago.
    pub(super) fn released_until(&mut self, now: u64) -> Option<(AgentName, Option<Job>)> {
        let entry = self.released.queue.pop_front_if(|entry| entry.until_ms <= now)?;
        let job = self.let_go(&entry);
        Some((entry.agent, job))
    }

    /// One that was used since is not released any more, or stands in the queue once more.
    fn let_go(&mut self, entry: &Entry) -> Option<Job> {
        let slot = self.slots.get_mut(&entry.agent).filter(|slot| slot.used == entry.used)?;
        slot.let_go = true;
        slot.at_rest(&entry.agent)
    }
}
