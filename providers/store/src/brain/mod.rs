//! One agent's brain: an SQLite file, its open connection, the turn in it.
//!
//! What is computed here is a function of the file and the call's arguments alone: no SQL here may
//! ask for wall time, random numbers or rowids that can come back (rule E2);
//! [`PURE_VERSION`](crate::PURE_VERSION) is raised whenever a result could change. A brain is used
//! by one thread at a time and travels with the job. Start reading at
//! [`Brain::open`].

mod changes;
mod check;
mod error;
pub(crate) mod files;
mod flush;
pub(crate) mod forget;
mod held;
pub(crate) mod kv;
pub(crate) mod memory;
pub(crate) mod query;
pub(crate) mod schema;
pub(crate) mod search;
mod steps;
#[cfg(test)]
mod tests;

pub use changes::Change;
pub(crate) use error::{CallError, OpenError, is_damage, too_large};
pub(crate) use files::BrainFiles;

use crate::limits::{BUSY_MS, STEPS_MAX};
use loket_turn::{AgentName, Epoch, Hash, Life, TurnNo};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::time::Duration;
use steps::Steps;

/// Whose brain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The agent.
    pub(crate) agent: AgentName,
    /// Its life (rule E3).
    pub(crate) life: Life,
    /// The epoch of its file (rule E7).
    pub(crate) epoch: Epoch,
}

/// An open brain.
#[derive(Debug)]
pub(crate) struct Brain {
    conn: Connection,
    steps: Steps,
    steps_max: u64,
    owner: Owner,
    applied: TurnNo,
    chain: Hash,
    /// The same of the last commit.
    in_file: (TurnNo, Hash),
    /// Turns of the open transaction that have ended, see [`held`].
    held: u32,
    turn_open: bool,
    /// A call of the open turn had no answer: the transaction may be gone, so it never commits.
    broken: bool,
    /// The log holds nothing that the file lacks: the next commit begins it anew, and fsyncs for that.
    log_is_new: bool,
    damage: Option<String>,
    files: BrainFiles,
}

/// Why a turn could not be begun or committed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TurnError {
    /// No transaction is open.
    #[error("no turn is open")]
    NoTurn,
    /// A call of the turn had no answer (rule C6).
    #[error("a call of the turn was not answered")]
    Broken,
    /// The turn is in the brain already: committing it again would be a second effect.
    #[error("turn {n} is not after turn {applied}, which the brain has applied")]
    Applied {
        /// Asked for.
        n: TurnNo,
        /// In the brain.
        applied: TurnNo,
    },
    /// The file is damaged.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// SQLite refused.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
}

impl Brain {
    /// Opens the brain of a life, or makes an empty one. Blocks: for store threads.
    pub(crate) fn open(files: &BrainFiles, owner: Owner) -> Result<Self, OpenError> {
        let (life, epoch) = (owner.life, owner.epoch);
        Self::try_open(files, owner).inspect_err(|error| {
            if error.is_failed_sync() {
                files.suspect(life, epoch);
            }
        })
    }

    fn try_open(files: &BrainFiles, owner: Owner) -> Result<Self, OpenError> {
        files.mend(owner.life, owner.epoch)?;
        files.ensure(owner.life, owner.epoch)?;
        let closed_well = check::was_closed_well(&files.path(owner.life, owner.epoch))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut conn = Connection::open_with_flags(files.path(owner.life, owner.epoch), flags)?;
        conn.busy_timeout(Duration::from_millis(BUSY_MS))?;
        schema::check(&conn)?;
        schema::configure(&conn)?;
        if !closed_well {
            check::look_through(&conn)?;
        }
        let (applied, chain, claimed) = claim(&conn, &owner)?;
        let steps = Steps::watch(&mut conn)?;
        crate::metrics::opened();
        Ok(Self {
            conn,
            steps,
            steps_max: STEPS_MAX,
            owner,
            applied,
            chain,
            in_file: (applied, chain),
            held: 0,
            turn_open: false,
            broken: false,
            log_is_new: closed_well && !claimed,
            damage: None,
            files: files.clone(),
        })
    }

    /// Whose it is.
    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The last turn applied, and the chain hash after it.
    pub(crate) fn state(&self) -> (TurnNo, Hash) {
        (self.applied, self.chain)
    }

    /// Whether the log holds nothing that the file lacks. SQLite begins it anew with the next commit then, and fsyncs its head
    /// even at `NORMAL`: that commit is for a store thread.
    pub(crate) fn log_is_new(&self) -> bool {
        self.log_is_new
    }

    /// Whether an fsync of the file failed: it must be closed, and is renewed when it is opened again (rule J2).
    pub(crate) fn is_suspect(&self) -> bool {
        self.files.is_suspect(self.owner.life, self.owner.epoch)
    }

    /// Whether a turn's transaction is open.
    pub(crate) fn turn_open(&self) -> bool {
        self.turn_open
    }

    /// Begins a turn; an open one is rolled back. `patient`: waits for another connection's lock,
    /// for store threads only.
    pub(crate) fn begin(&mut self, patient: bool) -> Result<(), TurnError> {
        self.roll_back();
        if let Some(reason) = &self.damage {
            return Err(TurnError::Damaged(reason.clone()));
        }
        self.steps.unlimited();
        let wait = if patient { BUSY_MS } else { 0 };
        self.conn.busy_timeout(Duration::from_millis(wait))?;
        let sql = if self.held > 0 { "SAVEPOINT turn" } else { "BEGIN IMMEDIATE" };
        let begun = self.conn.prepare_cached(sql).and_then(|mut s| s.execute([]));
        self.noting(begun)?;
        self.turn_open = true;
        Ok(())
    }

    /// Commits the open turn with "N applied" inside (rule D2). On an error the turn is rolled
    /// back.
    pub(crate) fn commit(&mut self, n: TurnNo, chain: Hash) -> Result<(), TurnError> {
        let committed = self.try_commit(n, chain);
        if committed.is_err() {
            self.roll_back();
        }
        committed
    }

    fn try_commit(&mut self, n: TurnNo, chain: Hash) -> Result<(), TurnError> {
        self.may_commit(n)?;
        self.steps.unlimited();
        // What is held is committed with it: a commit releases all savepoints.
        let done = self.write_state(n, chain);
        self.noting(done)?;
        self.turn_open = false;
        self.committed(n, chain);
        Ok(())
    }

    fn may_commit(&self, n: TurnNo) -> Result<(), TurnError> {
        if !self.turn_open {
            return Err(TurnError::NoTurn);
        }
        // SQLite ends a transaction by itself after some errors; what followed would have been
        // written at once.
        if self.broken || self.conn.is_autocommit() {
            return Err(TurnError::Broken);
        }
        if n <= self.applied {
            let applied = self.applied;
            return Err(TurnError::Applied { n, applied });
        }
        Ok(())
    }

    fn write_state(&self, n: TurnNo, chain: Hash) -> rusqlite::Result<()> {
        let sql = "UPDATE loket SET applied_n = ?1, chain = ?2, pure_version = ?3";
        let row = params![n.0.cast_signed(), chain.0, crate::PURE_VERSION];
        self.conn.prepare_cached(sql)?.execute(row)?;
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    /// Runs a call within the open turn, with a call's budget of steps.
    pub(crate) fn call<T>(
        &mut self,
        run: impl FnOnce(&Connection) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        self.steps.allow(self.steps_max);
        let done = run(&self.conn);
        if let Err(CallError::Sqlite(error)) = &done {
            self.broken = true;
            if is_damage(error) {
                self.damage = Some(error.to_string());
            }
        }
        done
    }

    /// Whether a call of the open turn was left without an answer.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Brings all that is committed to the disk, fsynced (rule E6). Blocks: for store threads.
    /// Tells up to which turn; `None` when another connection was in the way.
    pub(crate) fn make_durable(&mut self) -> rusqlite::Result<Option<TurnNo>> {
        self.settle()?;
        self.steps.unlimited();
        // With NORMAL, SQLite syncs the log before and the file after it has copied the one into
        // the other.
        let sql = "PRAGMA wal_checkpoint(PASSIVE)";
        let done = self.conn.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let (busy, log, done): (i64, i64, i64) = self.noting(done)?;
        let all = busy == 0 && log == done;
        self.log_is_new |= all;
        Ok(all.then_some(self.applied))
    }

    /// The last step of a good close, after [`make_durable`](Self::make_durable): the next opening need not look the file through
    /// (rule E5). Blocks: for store threads.
    pub(crate) fn close_well(self) {
        let file = self.files.path(self.owner.life, self.owner.epoch);
        let is_marked = check::was_closed_well(&file).unwrap_or(false);
        if !is_marked && !self.is_suspect() && self.damage.is_none() {
            check::mark_closed_well(&self.conn);
        }
    }

    fn noting<T>(&mut self, done: rusqlite::Result<T>) -> rusqlite::Result<T> {
        if let Err(error) = &done {
            if is_damage(error) {
                self.damage = Some(error.to_string());
            }
            if loket_renew::is_failed_sync(error) {
                self.files.suspect(self.owner.life, self.owner.epoch);
            }
        }
        done
    }
}

impl Drop for Brain {
    fn drop(&mut self) {
        crate::metrics::closed();
    }
}

/// Reads whose file it is and how far; an empty one becomes this life's (rule E3), and whether it did is told.
fn claim(conn: &Connection, owner: &Owner) -> Result<(TurnNo, Hash, bool), OpenError> {
    let row = conn
        .query_row("SELECT life, epoch, applied_n, chain FROM loket", [], |row| {
            let chain: [u8; 32] = row.get(3)?;
            let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
            Ok((number(0)?, number(1)?, number(2)?, chain))
        })
        .optional()?;
    let Some((life, epoch, applied, chain)) = row else {
        let sql = "INSERT INTO loket (one, life, epoch, applied_n, chain, pure_version)
                   VALUES (1, ?1, ?2, 0, ?3, ?4)";
        let (life, epoch) = (owner.life.0.cast_signed(), owner.epoch.0.cast_signed());
        conn.execute(sql, params![life, epoch, Hash::default().0, crate::PURE_VERSION])?;
        return Ok((TurnNo(0), Hash::default(), true));
    };
    if life != owner.life.0 {
        let (found, wanted) = (Life(life), owner.life);
        return Err(OpenError::OtherLife { found, wanted });
    }
    if epoch != owner.epoch.0 {
        let (found, wanted) = (Epoch(epoch), owner.epoch);
        return Err(OpenError::OtherEpoch { found, wanted });
    }
    Ok((TurnNo(applied), Hash(chain), false))
}
