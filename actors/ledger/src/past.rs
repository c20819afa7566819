//! Reading a ledger's file beside its writer, or when no process has it: for operators. Never writes.

use crate::codec::{self, db, un};
use crate::dir::LEDGER_FILE;
use crate::ops::brains::snapshots;
use crate::ops::history;
use crate::options::OpenError;
use crate::schema::{APPLICATION_ID, FORMAT};
use loket_turn::{AgentName, EndedTurn, Epoch, Hash, Life, Outcome, Snapshot, TurnNo};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a reader waits for a lock, milliseconds: only a start that recovers the log holds one.
const BUSY_MS: u64 = 2_000;

/// A living agent, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Living {
    /// Its name.
    pub agent: AgentName,
    /// Its life (rule E3).
    pub life: Life,
    /// The epoch of its brain (rule E7).
    pub epoch: Epoch,
    /// The last turn that ended or was skipped.
    pub done: TurnNo,
    /// The chain hash after it.
    pub chain: Hash,
    /// The last turn that its brain is known to have on the disk (rule E6); 0: none yet.
    pub durable: TurnNo,
}

/// When an epoch began: with the turn after this one (rule E7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochSeen {
    /// Which.
    pub epoch: Epoch,
    /// The last turn before it.
    pub from: TurnNo,
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// Why.
    pub reason: String,
}

/// A ledger's file, to be read only. A fleet may be running on it.
pub struct Past {
    conn: Connection,
    file: PathBuf,
}

/// The living agents of a data directory, by name.
///
/// # Errors
/// As [`Past::open`] and [`Past::living`].
pub fn living(dir: &Path) -> Result<Vec<Living>, OpenError> {
    Past::open(dir)?.living()
}

impl Past {
    /// Opens the ledger of a data directory.
    ///
    /// # Errors
    /// [`OpenError`]: no ledger, one of a newer version, an unreadable file.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let (conn, file) = open(dir)?;
        Ok(Self { conn, file })
    }

    /// The living agents, by name.
    ///
    /// # Errors
    /// [`OpenError::Sqlite`], as all that read.
    pub fn living(&self) -> Result<Vec<Living>, OpenError> {
        let sql = "SELECT name, life, epoch, done_n, chain, durable_n FROM agents WHERE gone = 0 ORDER BY name";
        self.read(|conn| {
            let mut rows = conn.prepare(sql)?;
            let rows = rows.query_map([], living_at)?;
            rows.collect()
        })
    }

    /// The epochs of a life after its first, in order.
    ///
    /// # Errors
    /// See [`living`](Self::living).
    pub fn epochs(&self, life: Life) -> Result<Vec<EpochSeen>, OpenError> {
        let sql = "SELECT epoch, from_n, at_ms, reason FROM epochs WHERE life = ?1 ORDER BY epoch";
        self.read(|conn| {
            let mut rows = conn.prepare_cached(sql)?;
            let rows = rows.query_map([db(life.0)], |row| {
                Ok(EpochSeen {
                    epoch: Epoch(un(row.get(0)?)),
                    from: TurnNo(un(row.get(1)?)),
                    at_ms: un(row.get(2)?),
                    reason: row.get(3)?,
                })
            })?;
            rows.collect()
        })
    }

    /// The snapshots of a life's brain, oldest first.
    ///
    /// # Errors
    /// See [`living`](Self::living).
    pub fn snapshots(&self, life: Life) -> Result<Vec<Snapshot>, OpenError> {
        self.read(|conn| snapshots(conn, life.0))
    }

    /// A page of the turns after `after` and up to `to` that have ended or were skipped, in order. `to` is no later than the last
    /// turn that is done.
    ///
    /// # Errors
    /// See [`living`](Self::living).
    pub fn ended(
        &self,
        life: Life,
        after: TurnNo,
        to: TurnNo,
    ) -> Result<Vec<EndedTurn>, OpenError> {
        self.read(|conn| history::ended(conn, life.0, after, to))
    }

    /// Agents with ended turns that another pure version than this has run and that their brains do not have for sure, each with the
    /// last such turn (rule E4).
    ///
    /// # Errors
    /// See [`living`](Self::living).
    pub fn of_other_rules(&self, version: u32) -> Result<Vec<(Living, TurnNo)>, OpenError> {
        let sql = "SELECT a.name, a.life, a.epoch, a.done_n, a.chain, max(t.n)
                     FROM agents a JOIN turns t ON t.life = a.life AND t.n > a.durable_n
                     JOIN pins p ON p.id = t.pin
                    WHERE a.gone = 0 AND t.state IN (1, 3) AND p.pure_version <> ?1
                    GROUP BY a.life ORDER BY a.name";
        self.read(|conn| {
            let mut rows = conn.prepare(sql)?;
            let rows =
                rows.query_map([version], |row| Ok((living_at(row)?, TurnNo(un(row.get(5)?)))))?;
            rows.collect()
        })
    }

    /// What a turn answered, if its row is there.
    ///
    /// # Errors
    /// See [`living`](Self::living).
    pub fn reply(&self, life: Life, n: TurnNo) -> Result<Option<Outcome>, OpenError> {
        let sql = "SELECT ok, reply FROM turns WHERE life = ?1 AND n = ?2";
        self.read(|conn| {
            let mut row = conn.prepare_cached(sql)?;
            let found = row
                .query_row([db(life.0), db(n.0)], |row| codec::outcome(row.get(0)?, row.get(1)?));
            Ok(found.optional()?.flatten())
        })
    }

    /// The bytes that the ledger keeps under a hash.
    ///
    /// # Errors
    /// See [`living`](Self::living).
    pub fn pinned(&self, hash: Hash) -> Result<Option<Vec<u8>>, OpenError> {
        self.read(|conn| {
            let mut row = conn.prepare_cached("SELECT bytes FROM blobs WHERE hash = ?1")?;
            row.query_row([hash.0], |row| row.get(0)).optional()
        })
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, OpenError> {
        read(&self.conn).map_err(|error| OpenError::Sqlite {
            file: self.file.clone(),
            reason: error.to_string(),
        })
    }
}

fn living_at(row: &Row<'_>) -> rusqlite::Result<Living> {
    Ok(Living {
        agent: row.get::<_, String>(0)?.into(),
        life: Life(un(row.get(1)?)),
        epoch: Epoch(un(row.get(2)?)),
        done: TurnNo(un(row.get(3)?)),
        chain: Hash(codec::array(row.get(4)?)?),
        durable: TurnNo(un(row.get(5)?)),
    })
}

/// Opens the file to read it only.
fn open(dir: &Path) -> Result<(Connection, PathBuf), OpenError> {
    let file = dir.join(LEDGER_FILE);
    if let Err(source) = std::fs::metadata(&file) {
        return Err(OpenError::Io { path: file, source });
    }
    let sqlite =
        |why: rusqlite::Error| OpenError::Sqlite { file: file.clone(), reason: why.to_string() };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(&file, flags).map_err(sqlite)?;
    // A reader never checkpoints, not with its close either.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(sqlite)?;
    conn.busy_timeout(Duration::from_millis(BUSY_MS)).map_err(sqlite)?;
    let pragma = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if pragma("application_id").map_err(sqlite)? != i64::from(APPLICATION_ID) {
        return Err(OpenError::NotALedger { file });
    }
    let found = u32::try_from(pragma("user_version").map_err(sqlite)?).unwrap_or(u32::MAX);
    if found > FORMAT {
        return Err(OpenError::Newer { file, found, known: FORMAT });
    }
    Ok((conn, file))
}
