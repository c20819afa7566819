//! Who may make files of brains: one of each agent at a time, for two at once would write the same ones, and a few of all.

use loket_turn::AgentName;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore, SemaphorePermit};

/// Brains that are copied at once. Each has a thread of its own that mostly waits for the disk: more would not be faster.
pub const COPIED_AT_ONCE_MAX: usize = 4;

/// See the module head.
#[derive(Debug)]
pub struct Copying {
    agents: std::sync::Mutex<HashMap<AgentName, Arc<Mutex<()>>>>,
    room: Semaphore,
}

impl Default for Copying {
    fn default() -> Self {
        Self { agents: std::sync::Mutex::default(), room: Semaphore::new(COPIED_AT_ONCE_MAX) }
    }
}

/// The right to make files of one agent's brain, until it is dropped.
#[derive(Debug)]
pub struct Alone<'a> {
    _agent: OwnedMutexGuard<()>,
    // None: nobody closes the semaphore.
    _room: Option<SemaphorePermit<'a>>,
}

impl Copying {
    /// Waits for its turn.
    pub async fn of(&self, agent: &AgentName) -> Alone<'_> {
        let lock = {
            let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody holds or waits for.
            agents.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(agents.entry(agent.clone()).or_default())
        };
        let agent = lock.lock_owned().await;
        Alone { _agent: agent, _room: self.room.acquire().await.ok() }
    }
}
