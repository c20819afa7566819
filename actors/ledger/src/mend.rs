//! Mending: what the engine does about its file after a failure (rules J2, J3).
//!
//! What is broken is never written to. Start reading at [`Engine::mend`].

use crate::connect::connect;
use crate::dir;
use crate::engine::Engine;
use crate::options::OpenError;
use loket_turn::LedgerEvent;
use rusqlite::Connection;

/// What the file needs before it is used again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mending {
    #[default]
    Nothing,
    /// Its state is unknown: read it again.
    Reopen,
    /// An fsync failed: it is never extended again (rule J2).
    Renew,
}

impl Engine {
    /// Notes what the file needs before it is used again; the most drastic remedy counts.
    pub(crate) fn needs(&mut self, mending: Mending) {
        self.mending = self.mending.max(mending);
    }

    /// Notes that an fsync outside a group may have failed (rule J2).
    pub(crate) fn upkeep_failed(&mut self, why: &rusqlite::Error) {
        if loket_renew::is_failed_sync(why) {
            self.needs(Mending::Renew);
        }
    }

    /// Whether the file must be mended before it is used again.
    pub(crate) fn is_broken(&self) -> bool {
        self.mending != Mending::Nothing
    }

    /// After a failure that leaves the file's state unknown, opens it anew and derives the book
    /// from it; after a failed fsync in a new file (rule J2).
    ///
    /// # Errors
    /// The file cannot be opened: nothing works until a later try succeeds.
    pub(crate) fn mend(&mut self) -> Result<(), OpenError> {
        if !self.is_broken() {
            return Ok(());
        }
        tracing::warn!("the ledger's file is opened anew");
        // The old connection goes first: its close must not touch what the new one has read.
        if let Ok(memory) = Connection::open_in_memory() {
            drop(std::mem::replace(&mut self.conn, memory));
        }
        if self.mending == Mending::Renew {
            let file = self.options.dir.join(dir::LEDGER_FILE);
            loket_renew::renew(&file).map_err(dir::not_renewed)?;
            self.meters.renewed.increment(1);
            self.mending = Mending::Reopen;
        }
        let opened = connect(&self.options).inspect_err(|why| {
            // Also when it is the new file: it is no better than the old one was.
            if matches!(why, OpenError::Sync { .. }) {
                self.mending = Mending::Renew;
            }
        })?;
        self.conn = opened.conn;
        let older = std::mem::replace(&mut self.book, opened.book);
        self.book.running_as_in(&older);
        self.board.replace(&self.book);
        self.counts = opened.counts;
        self.durable_counts = opened.counts;
        self.wal = opened.wal;
        self.wal_pages = opened.wal_pages;
        self.pins.clear();
        self.timers.again();
        self.synchronous_full = true;
        self.mending = Mending::Nothing;
        self.measure();
        self.events.push(LedgerEvent::Reopened);
        Ok(())
    }
}
