//! Turns whose commit waits for that of a later turn (rule D2).
//!
//! Each turn behind the first is a savepoint of the transaction that the first began, so that one that fails takes nothing of the
//! others along. The ledger has them all: whatever becomes of the transaction, catch-up runs again what it held (rule F1). Must never
//! tell a turn as durable before [`Brain::settle`] has committed it.

use super::{Brain, TurnError};
use crate::limits::HELD_TURNS_MAX;
use loket_turn::{Hash, TurnNo};

impl Brain {
    /// Ends the open turn without a commit: that comes with a later turn's, or by [`settle`](Self::settle). False, with nothing done,
    /// when this one has to be committed: the transaction holds [`HELD_TURNS_MAX`] already, or its commit begins the log anew.
    ///
    /// # Errors
    /// As [`commit`](Self::commit): the turn is rolled back.
    pub(crate) fn hold(&mut self, n: TurnNo, chain: Hash) -> Result<bool, TurnError> {
        if self.log_is_new || self.held >= HELD_TURNS_MAX {
            return Ok(false);
        }
        let held = self.try_hold(n, chain);
        if held.is_err() {
            self.roll_back();
        }
        held.map(|()| true)
    }

    fn try_hold(&mut self, n: TurnNo, chain: Hash) -> Result<(), TurnError> {
        self.may_commit(n)?;
        self.steps.unlimited();
        if self.held > 0 {
            let released = self.conn.prepare_cached("RELEASE turn").and_then(|mut s| s.execute([]));
            self.noting(released)?;
        }
        self.held += 1;
        self.turn_open = false;
        (self.applied, self.chain) = (n, chain);
        Ok(())
    }

    /// Whether turns have ended that are not committed.
    pub(crate) fn holds(&self) -> bool {
        self.held > 0
    }

    /// Commits what is held, unless a turn is open, whose end will.
    ///
    /// # Errors
    /// SQLite's: then nothing is held any more, and the brain is where its file is.
    pub(crate) fn settle(&mut self) -> rusqlite::Result<()> {
        if self.held == 0 || self.turn_open {
            return Ok(());
        }
        self.steps.unlimited();
        let done = self.write_state(self.applied, self.chain);
        if done.is_ok() {
            self.committed(self.applied, self.chain);
        } else {
            self.give_up();
        }
        self.noting(done)
    }

    /// Drops what the open turn did, if one is open (rule G1), and nothing that turns before it did.
    pub(crate) fn roll_back(&mut self) {
        self.steps.unlimited();
        if self.held == 0 || self.conn.is_autocommit() {
            // After some errors SQLite has rolled back by itself, and what was held with it.
            self.give_up();
        } else if self.turn_open {
            let undone = self.conn.execute_batch("ROLLBACK TO turn; RELEASE turn");
            if self.noting(undone).is_err() {
                self.give_up();
            }
        }
        self.turn_open = false;
        self.broken = false;
    }

    /// Rolls the transaction back with all that it holds.
    fn give_up(&mut self) {
        if !self.conn.is_autocommit() {
            let undone = self.conn.execute_batch("ROLLBACK");
            // If even that fails, the next begin does, and says why.
            let _ = self.noting(undone);
        }
        self.held = 0;
        (self.applied, self.chain) = self.in_file;
    }

    /// Notes that the file has all turns up to this one.
    pub(super) fn committed(&mut self, n: TurnNo, chain: Hash) {
        self.held = 0;
        self.log_is_new = false;
        (self.applied, self.chain) = (n, chain);
        self.in_file = (n, chain);
    }
}
