//! Turns that wait in a brain for the commit of a later one (rule D2), and who sees to it that it comes.
//!
//! A turn waits only if its agent has the next one at hand. That one's end commits both; if it does not come, or comes to no end, the
//! roll back or a timer does. Start reading at [`Inner::hold`].

use super::Inner;
use super::slot::Place;
use super::step::{Answer, state, turn_error};
use crate::limits::HELD_MS;
use crate::metrics;
use loket_turn::{AgentName, Hash, TurnNo};
use std::sync::Arc;

impl Inner {
    /// Ends a turn without a commit of its own; `None`, with nothing done, when it is to be committed.
    pub(super) fn hold(
        &mut self,
        agent: &AgentName,
        incarnation: u64,
        (n, chain): (TurnNo, Hash),
    ) -> Option<Answer> {
        let now = self.tools.clock.monotonic_ms();
        let slot = self.slots.get_mut(agent)?;
        let since = slot.held_since.unwrap_or(now);
        let Place::Here(brain) = &mut slot.place else { return None };
        let may = brain.turn_open() && incarnation == slot.past.incarnation;
        if !may || now.saturating_sub(since) >= HELD_MS {
            return None;
        }
        match brain.hold(n, chain) {
            Ok(false) => return None,
            Ok(true) => {}
            Err(error) => return Some(Err(turn_error(agent, &error))),
        }
        let answer = state(brain);
        if slot.held_since.replace(since).is_none() {
            self.timers.hold(since.saturating_add(HELD_MS), agent);
        }
        metrics::held();
        metrics::committed();
        self.note_commit(agent);
        Some(Ok(answer))
    }

    /// Commits what a brain holds, unless it is in a turn, whose end will.
    pub(super) fn settle(&mut self, agent: &AgentName) {
        let Some(slot) = self.slots.get_mut(agent) else { return };
        let Place::Here(brain) = &mut slot.place else { return };
        if let Err(error) = brain.settle() {
            tracing::warn!(%agent, "turns that the brain held are run again: {error}");
        }
        if !brain.holds() {
            slot.held_since = None;
        }
        if brain.is_suspect() {
            slot.place = Place::Closed;
        }
    }

    /// Commits what has waited for its time.
    pub(super) fn settle_due(&mut self) {
        let now = self.tools.clock.monotonic_ms();
        while let Some(agent) = self.timers.held_until(now) {
            // It may have been committed meanwhile, and hold others since a shorter time.
            let due = |since: u64| since.saturating_add(HELD_MS) <= now;
            if self.slots.get(&agent).and_then(|slot| slot.held_since).is_some_and(due) {
                self.settle(&Arc::clone(&agent));
            }
        }
    }
}
