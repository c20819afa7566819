//! Which supervisors take dynamic children.

use loket_turn::AgentName;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// The SimpleOneForOne supervisors of the fleet, by name, with the bound on their children. A reload replaces them.
#[derive(Debug, Default)]
pub struct Pools(RwLock<HashMap<AgentName, Option<u32>>>);

impl Pools {
    /// These.
    pub fn new(pools: HashMap<AgentName, Option<u32>>) -> Self {
        Self(RwLock::new(pools))
    }

    /// These from now on.
    pub fn replace(&self, pools: HashMap<AgentName, Option<u32>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = pools;
    }

    /// The bound of a supervisor that there is.
    pub(crate) fn bound(&self, name: &str) -> Option<Option<u32>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }
}
