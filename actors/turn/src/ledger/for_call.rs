//! What the ledger does for a call of a turn, once.

use crate::{IntentId, Outcome};
use std::fmt;

/// What its guest is told of what was done, JSON by convention; `None`: nothing was done, so that it may be asked for again.
pub type Say<T> = Box<dyn FnOnce(&T) -> Option<Vec<u8>> + Send>;

/// The call of a turn that something is done for. The ledger writes its result in the same step: sent again after a crash, or by the
/// caller's next incarnation, it finds the result, and what it asks for is not done twice (rules C3, C4). An operator has no turn.
pub struct ForCall<T> {
    /// The call's key.
    pub call: IntentId,
    /// When it was done, Unix milliseconds.
    pub now_ms: u64,
    /// How its guest is told.
    pub say: Say<T>,
}

impl<T> ForCall<T> {
    /// What its guest is told of what was done.
    pub fn said(self, done: &T) -> Option<Outcome> {
        (self.say)(done).map(Ok)
    }
}

impl<T> fmt::Debug for ForCall<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForCall").field("call", &self.call).finish_non_exhaustive()
    }
}
