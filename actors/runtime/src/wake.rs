//! How agents are woken: by name, or all of them. It holds nothing and never waits.

use crate::{Door, Place, Registry};
use std::sync::PoisonError;

impl Registry {
    /// Wakes an agent: a message waits for it. `false` when there is no such agent.
    pub fn wake(&self, agent: &str) -> bool {
        match self.find(agent).as_deref() {
            Some(Place { door: Door::Agent(bell), .. }) => {
                bell.ring();
                true
            }
            _ => false,
        }
    }

    /// Wakes every agent: what was told may not be all there is.
    pub fn wake_all(&self) {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        for place in places.values() {
            if let Door::Agent(bell) = &place.door {
                bell.ring();
            }
        }
    }
}
