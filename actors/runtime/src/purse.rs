//! The budgets of a turn, as its driver and the wrappers of its calls share them, and what it tells other turns of its node.
//!
//! It decides nothing: what may be spent says [`Purse`].

use loket_turn::{Budget, Purse, Together};
use std::sync::{Arc, Mutex, PoisonError};

/// See the module head. Locked for moments only, the turn's first and then the node's.
#[derive(Debug)]
pub struct TurnPurse {
    purse: Mutex<Purse>,
    /// What the turns of the node spend together; `None`: nobody else draws on what this one does.
    together: Option<Arc<Mutex<Together>>>,
}

impl TurnPurse {
    /// With these budgets; `None` when there are none. `together`: the node's.
    pub fn new(budgets: Vec<Budget>, together: &Arc<Mutex<Together>>) -> Option<Arc<Self>> {
        let purse = Purse::new(budgets)?;
        let together = purse.is_shared().then(|| Arc::clone(together));
        if let Some(together) = &together {
            purse.tell(&mut together.lock().unwrap_or_else(PoisonError::into_inner));
        }
        Some(Arc::new(Self { purse: Mutex::new(purse), together }))
    }

    /// Does something with it.
    pub fn with<T>(&self, act: impl FnOnce(&mut Purse, Option<&mut Together>) -> T) -> T {
        let mut purse = self.purse.lock().unwrap_or_else(PoisonError::into_inner);
        let together = self.together.as_ref();
        let mut all = together.map(|all| all.lock().unwrap_or_else(PoisonError::into_inner));
        act(&mut purse, all.as_deref_mut())
    }
}

impl Drop for TurnPurse {
    /// What the turn counted and nobody has written is not spent.
    fn drop(&mut self) {
        self.with(|purse, all| all.map(|all| purse.give_back(all)));
    }
}
