//! Looking: what an operator asks for, in a transaction that writes nothing.
//!
//! A group of writes may come to nothing, for want of space for example, and takes with it all that is in it.
//! Who only looks must not be refused for that (rule J3). Start reading at [`Engine::begin_look`].

use crate::engine::Engine;
use loket_turn::LedgerError;

impl Engine {
    /// Begins to look. Only between groups.
    pub(crate) fn begin_look(&mut self) {
        self.broken = None;
        if let Err(why) = self.run("BEGIN DEFERRED") {
            self.fault(&why, true);
        }
    }

    /// Ends it: after `Err` what was seen may be wrong, and is not told.
    pub(crate) fn end_look(&mut self) -> Result<(), LedgerError> {
        if !self.conn.is_autocommit()
            && let Err(why) = self.run("COMMIT")
        {
            self.fault(&why, true);
        }
        if !self.conn.is_autocommit() && self.run("ROLLBACK").is_err() {
            self.needs(crate::mend::Mending::Reopen);
        }
        self.broken.take().map_or(Ok(()), Err)
    }
}
