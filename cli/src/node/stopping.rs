//! Dynamic children that the ledger has removed and whose end in the tree is under way. A child may be spawned again under the name
//! meanwhile: it is another one, which must neither go with the old one nor be forgotten because the name is still taken.

use loket_turn::AgentName;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// By name; whether one of that name was to be started meanwhile.
#[derive(Debug, Default)]
pub(super) struct Stopping(Mutex<HashMap<AgentName, Under>>);

#[derive(Debug, Default)]
struct Under {
    /// One may be removed, spawned and removed again before the first has ended.
    stops: u32,
    wanted: bool,
}

impl Stopping {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<AgentName, Under>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The ledger has removed it.
    pub(super) fn begin(&self, child: &AgentName) {
        self.with(|all| all.entry(child.clone()).or_default().stops += 1);
    }

    /// Whether its end is under way: its removal is done already.
    pub(super) fn holds(&self, child: &str) -> bool {
        self.with(|all| all.contains_key(child))
    }

    /// One of that name is to be started once the old one has ended; `false`: none is ending.
    pub(super) fn start_after(&self, child: &str) -> bool {
        self.with(|all| all.get_mut(child).map(|under| under.wanted = true).is_some())
    }

    /// The old one has ended; whether one of its name is to be started.
    pub(super) fn end(&self, child: &str) -> bool {
        self.with(|all| {
            let Some(under) = all.get_mut(child) else { return false };
            under.stops -= 1;
            if under.stops > 0 {
                return false;
            }
            all.remove(child).is_some_and(|under| under.wanted)
        })
    }
}
