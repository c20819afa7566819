//! The connection and what belongs to it: opening, the steps of a group commit, the undoing of a
//! refused request.
//!
//! A request runs inside its own savepoint; a group of requests inside one transaction. Whatever is
//! not committed is undone in the book as well, so that memory never says more than the file.

use crate::board::Board;
use crate::book::Book;
use crate::clock::Stopwatch;
use crate::codec::{self, un};
use crate::connect::connect;
use crate::dir;
use crate::mend::Mending;
use crate::metrics::Meters;
use crate::ops::timers::Timers;
use crate::options::{Durability, OpenError, Options};
use crate::schema;
use loket_turn::{Begin, IntentId, LedgerError, LedgerEvent};
use rusqlite::{Connection, ErrorCode};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How much may be written before the next look at how large the live data is, bytes: by so much it may be beyond its limit unseen,
/// and the limit is some thousand times that.
const UNMEASURED_BYTES: u64 = 4 << 20;

/// Why a request came to nothing.
pub(crate) enum Fault<E> {
    /// By the rules.
    Refused(E),
    /// By SQLite or the disk.
    Sql(rusqlite::Error),
}

/// The result of a request's work.
pub(crate) type Op<T, E = LedgerError> = Result<T, Fault<E>>;

impl<E> From<rusqlite::Error> for Fault<E> {
    fn from(why: rusqlite::Error) -> Self {
        Self::Sql(why)
    }
}

impl<E: From<LedgerError>> Fault<E> {
    /// A refusal.
    pub(crate) fn refused(why: LedgerError) -> Self {
        Self::Refused(why.into())
    }
}

/// Counts since the data directory was made, written with the group that changed them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) accepted: u64,
    pub(crate) completed: u64,
    pub(crate) letters: u64,
}

/// Begins of one configuration share a row: its number by their fields, time and seed left out.
pub(crate) type PinCache = HashMap<PinKey, i64>;
pub(crate) type PinKey = ([[u8; 32]; 3], [u64; 4]);

/// The key of a begin in [`PinCache`].
pub(crate) fn pin_key(begin: &Begin) -> PinKey {
    (
        [begin.module.0, begin.settings.0, begin.grants.0],
        [
            begin.memory_bytes,
            begin.output_bytes,
            u64::from(begin.calls_max),
            u64::from(begin.pure_version),
        ],
    )
}

/// A group that counts nothing writes the moment down when the file's is older than this, milliseconds.
const CLOCK_WITH_GROUP_MS: u64 = 1_000;

/// Everything the writer's thread owns.
pub(crate) struct Engine {
    pub(crate) conn: Connection,
    pub(crate) book: Book,
    pub(crate) board: Board,
    pub(crate) counts: Counts,
    pub(crate) durable_counts: Counts,
    pub(crate) events: Vec<LedgerEvent>,
    pub(crate) pins: PinCache,
    /// The group has a write that must be fsynced at either level (rule C2).
    pub(crate) must_sync: bool,
    pub(crate) options: Options,
    pub(crate) meters: Meters,
    /// Makes message ids unguessable; kept in the file.
    pub(crate) seed: Vec<u8>,
    pub(crate) live_bytes: u64,
    pub(crate) free_pages: u64,
    /// Pages that the log had at the latest look at the two above.
    measured_at: u32,
    pub(crate) boots: u64,
    /// The latest moment told before this start, Unix milliseconds.
    pub(crate) high_water_ms: u64,
    pub(crate) wal_pages: Arc<AtomicU32>,
    /// The latest moment seen, Unix milliseconds: it never runs backwards, across a restart neither.
    pub(crate) told_ms: u64,
    /// The latest moment that the file holds.
    kept_ms: u64,
    pub(crate) timers: Timers,
    /// There are, or were, calls that wait for a message which somebody else has sent.
    pub(crate) readers: bool,
    /// When old keys were last looked for, Unix milliseconds.
    pub(crate) pruned_ms: u64,
    pub(crate) wal: File,
    pub(crate) synchronous_full: bool,
    pub(crate) broken: Option<LedgerError>,
    pub(crate) mending: Mending,
    /// The Keyed calls that an earlier process had sent and that had no result when this one opened the file.
    pub(crate) earlier: HashSet<IntentId>,
}

impl Engine {
    /// Opens or makes the file. The lock is held by the caller.
    pub(crate) fn open(options: Options) -> Result<Self, OpenError> {
        let opened = connect(&options)?;
        let mut engine = Self {
            conn: opened.conn,
            book: opened.book,
            board: Board::default(),
            counts: opened.counts,
            durable_counts: opened.counts,
            events: Vec::new(),
            pins: PinCache::new(),
            must_sync: false,
            meters: Meters::new(),
            seed: opened.seed,
            live_bytes: 0,
            free_pages: 0,
            measured_at: 0,
            boots: opened.boots,
            high_water_ms: opened.high_water_ms,
            wal_pages: opened.wal_pages,
            told_ms: opened.high_water_ms,
            kept_ms: opened.high_water_ms,
            timers: Timers::unknown(),
            readers: true,
            pruned_ms: 0,
            wal: opened.wal,
            synchronous_full: true,
            broken: None,
            mending: Mending::Nothing,
            earlier: HashSet::new(),
            options,
        };
        engine.board.replace(&engine.book);
        engine.measure();
        // Looked for in vain with each end if this cannot be read.
        let sql = "SELECT EXISTS (SELECT 1 FROM readers)";
        engine.earlier = open_calls(&engine.conn).map_err(dir::sqlite(&engine.options.dir))?;
        engine.readers = engine.conn.query_row(sql, [], |row| row.get(0)).unwrap_or(true);
        Ok(engine)
    }

    /// Begins a group.
    pub(crate) fn begin(&mut self) {
        self.must_sync = false;
        self.broken = None;
        let full = self.options.durability == Durability::Power;
        let begun = self.synchronous(full).and_then(|()| self.run("BEGIN IMMEDIATE"));
        if let Err(why) = begun {
            self.fault(&why, true);
        }
    }

    /// Ends a group: after `Ok` everything in it is durable by the fleet's level; after `Err`
    /// nothing of it is acknowledged.
    pub(crate) fn commit(&mut self) -> Result<(), LedgerError> {
        if self.broken.is_none() {
            let committed = self.write_counts().and_then(|()| self.run("COMMIT"));
            if let Err(why) = committed {
                self.fault(&why, true);
            }
        }
        if self.broken.is_none() && self.must_sync && !self.synchronous_full {
            self.sync_wal();
        }
        let Some(why) = self.broken.take() else {
            self.settle();
            return Ok(());
        };
        self.meters.faults.increment(1);
        tracing::error!(code = why.code(), "a group of the ledger came to nothing: {why}");
        if !self.conn.is_autocommit() && self.run("ROLLBACK").is_err() {
            self.needs(Mending::Reopen);
        }
        self.book.back_to(0);
        self.events.clear();
        self.pins.clear();
        self.timers.again();
        self.kept_ms = 0;
        self.counts = self.durable_counts;
        Err(why)
    }

    fn settle(&mut self) {
        let (now, before) = (self.counts, self.durable_counts);
        self.meters.accepted.increment(now.accepted - before.accepted);
        self.meters.completed.increment(now.completed - before.completed);
        self.meters.letters.increment(now.letters - before.letters);
        self.durable_counts = now;
        self.board.follow(&self.book);
        self.book.settle();
        self.measure_soon();
    }

    /// The node's moment, Unix milliseconds: never less than any seen before, in an earlier process neither.
    pub(crate) fn now(&mut self) -> u64 {
        self.told_ms = self.moment();
        self.told_ms
    }

    /// Whether the moment in the file is older than the latest one by this much.
    pub(crate) fn clock_is_old(&mut self, by_ms: u64) -> bool {
        self.now().saturating_sub(self.kept_ms) >= by_ms
    }

    /// Writes down the latest moment. It counts as kept at once: undone, it is written again soon.
    pub(crate) fn write_clock(&mut self) -> rusqlite::Result<()> {
        let now_ms = self.now();
        self.conn
            .prepare_cached("UPDATE counters SET clock_ms = max(clock_ms, ?1)")?
            .execute([crate::codec::db(now_ms)])?;
        self.kept_ms = now_ms;
        Ok(())
    }

    fn write_counts(&mut self) -> rusqlite::Result<()> {
        if self.counts == self.durable_counts {
            // A moment that a guest or a timer saw comes with a count or a record; a second more or less is no matter.
            return if self.clock_is_old(CLOCK_WITH_GROUP_MS) {
                self.write_clock()
            } else {
                Ok(())
            };
        }
        let now_ms = self.now();
        let Counts { accepted, completed, letters } = self.counts;
        self.conn
            .prepare_cached(
                "UPDATE counters SET accepted = ?1, completed = ?2, letters_made = ?3, \
                 clock_ms = max(clock_ms, ?4)",
            )?
            .execute([accepted, completed, letters, now_ms].map(crate::codec::db))?;
        self.kept_ms = now_ms;
        Ok(())
    }

    /// Rule C2 at `Process`: one fsync of the log makes this group and all before it durable.
    fn sync_wal(&mut self) {
        let watch = Stopwatch::start();
        if let Err(why) = self.wal.sync_data() {
            self.broken = Some(LedgerError::Storage(format!("fsync of the log: {why}")));
            self.needs(Mending::Renew);
        }
        self.meters.fsync.record(watch.seconds());
    }

    /// Runs one request in its own savepoint: a refusal or failure takes back only its own changes.
    pub(crate) fn request<T, E: From<LedgerError>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Op<T, E>,
    ) -> Result<T, E> {
        if let Some(why) = &self.broken {
            return Err(why.clone().into());
        }
        let mark = (self.book.mark(), self.events.len(), self.counts);
        let done =
            self.run("SAVEPOINT request").map_err(Fault::from).and_then(|()| work(self)).and_then(
                |value| {
                    self.run("RELEASE request")?;
                    Ok(value)
                },
            );
        let fault = match done {
            Ok(value) => return Ok(value),
            Err(fault) => fault,
        };
        self.book.back_to(mark.0);
        self.events.truncate(mark.1);
        self.counts = mark.2;
        self.pins.clear();
        let back = if self.conn.is_autocommit() {
            Ok(())
        } else {
            self.run("ROLLBACK TO request").and_then(|()| self.run("RELEASE request"))
        };
        if let Err(why) = &back {
            self.fault(why, true);
        }
        match fault {
            Fault::Refused(why) => Err(why),
            Fault::Sql(why) => Err(self.fault(&why, false).into()),
        }
    }

    /// Notes an SQLite error: what it means for its request, for the group, for the connection.
    pub(crate) fn fault(&mut self, why: &rusqlite::Error, whole_group: bool) -> LedgerError {
        let code = why.sqlite_error_code();
        let error = match code {
            Some(ErrorCode::DiskFull) => LedgerError::DiskFull(why.to_string()),
            _ => LedgerError::Storage(why.to_string()),
        };
        let unknown = matches!(
            code,
            Some(
                ErrorCode::SystemIoFailure
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::CannotOpen
                    | ErrorCode::FileLockingProtocolFailed
            )
        );
        if loket_renew::is_failed_sync(why) {
            self.needs(Mending::Renew);
        } else if unknown {
            self.needs(Mending::Reopen);
        }
        if whole_group || unknown || self.conn.is_autocommit() {
            self.broken.get_or_insert_with(|| error.clone());
        }
        error
    }

    pub(crate) fn run(&self, sql: &str) -> rusqlite::Result<()> {
        self.conn.prepare_cached(sql)?.raw_execute().map(|_| ())
    }

    /// Sets whether a commit waits for the disk. Only between transactions.
    pub(crate) fn synchronous(&mut self, full: bool) -> rusqlite::Result<()> {
        if self.synchronous_full != full {
            let level = if full { "FULL" } else { "NORMAL" };
            self.conn.pragma_update(None, "synchronous", level)?;
            self.synchronous_full = full;
        }
        Ok(())
    }

    /// Looks once as much was written that the limit could be near (rule A5): each look costs SQLite a transaction of its own and
    /// two statements that it prepares anew.
    fn measure_soon(&mut self) {
        let pages = self.wal_pages.load(Ordering::Relaxed);
        let written = u64::from(pages.abs_diff(self.measured_at)) * schema::PAGE_BYTES;
        let limit = self.options.size_limit_bytes;
        if written >= UNMEASURED_BYTES || self.live_bytes.saturating_add(UNMEASURED_BYTES) >= limit
        {
            self.measure();
        }
    }

    /// Notes how large the live data is (rule A5). A failure leaves the last figure.
    pub(crate) fn measure(&mut self) {
        self.measured_at = self.wal_pages.load(Ordering::Relaxed);
        if let Ok((live_bytes, free_pages)) = self.size() {
            (self.live_bytes, self.free_pages) = (live_bytes, free_pages);
            self.meters.bytes.set(live_bytes as f64);
        }
    }

    /// Bytes of the pages in use, and pages that are free.
    pub(crate) fn size(&self) -> rusqlite::Result<(u64, u64)> {
        let pragma = |sql: &str| self.conn.prepare_cached(sql)?.query_row([], |row| row.get(0));
        let (pages, free) =
            (un(pragma("PRAGMA page_count")?), un(pragma("PRAGMA freelist_count")?));
        Ok((pages.saturating_sub(free) * schema::PAGE_BYTES, free))
    }
}

/// Keyed calls of open turns without a result.
fn open_calls(conn: &Connection) -> rusqlite::Result<HashSet<IntentId>> {
    let sql = "SELECT r.intent FROM turns t JOIN records r ON r.life = t.life AND r.n = t.n
                WHERE t.state = 0 AND r.class = 'keyed' AND r.ok IS NULL AND r.intent IS NOT NULL";
    let mut rows = conn.prepare(sql)?;
    let rows = rows.query_map([], |row| Ok(IntentId(codec::array(row.get(0)?)?)))?;
    rows.collect()
}
