//! The reports of supervisors, kept in a file of their own beside the ledger: bounded, queried, and never in the way.
//!
//! They are for people. So they are kept without waiting for the disk (they survive the process; the last ones may be lost with
//! the machine), a full queue drops them, counted, and a file that cannot be used is no reason not to run. It never knows what a
//! report means: that is a text. Start reading at [`HistoryFile`].

use crate::metrics::HISTORY_DROPPED;
use rusqlite::{Connection, OpenFlags, params};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// The file's name in the data directory.
pub const HISTORY_FILE: &str = "history.db";

/// Reports that are kept, the latest: months of a fleet that is well, a day of one that crashes once a second; about 40 MB.
pub const HISTORY_ROWS_MAX: u64 = 100_000;

/// Reports that one question gets at most: what fits an answer, and more than anybody reads.
pub const HISTORY_ANSWER_ROWS_MAX: usize = 10_000;

/// Reports and questions that wait for the thread: all the restarts of ten thousand agents at once. Tokio's queue takes room as it
/// fills, and nearly always nothing waits.
const QUEUE: usize = 32_768;

/// Reports of one transaction.
const BATCH: usize = 512;

/// Reports over the bound before the oldest are deleted: not one by one.
const SLACK: u64 = 1_000;

/// Kibibytes of page cache: reports are written in their order, and read by people.
const CACHE_KIB: i64 = 256;

/// Version of the file's form: its `user_version`.
const FORMAT: u32 = 1;

/// One report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRecord {
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// Whose supervisor.
    pub supervisor: String,
    /// About whom.
    pub child: String,
    /// About what: OTP's word.
    pub context: String,
    /// The whole report, as whoever keeps it writes it.
    pub body: String,
}

/// What is asked of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Reports about this child, or of it as a supervisor; `None`: all.
    pub child: Option<String>,
    /// The latest so many; at most [`HISTORY_ANSWER_ROWS_MAX`].
    pub limit: usize,
}

/// Reports with the run of the process each is of, in the order they came; or why there are none.
pub type HistoryAnswer = Result<Vec<(u64, HistoryRecord)>, String>;

/// What the thread is asked.
enum Ask {
    Keep(HistoryRecord),
    Read(HistoryQuery, oneshot::Sender<HistoryAnswer>),
}

/// The file, with the thread that alone writes it.
#[derive(Debug)]
pub struct HistoryFile {
    /// Nothing once it was stopped.
    asks: Mutex<Option<mpsc::Sender<Ask>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl HistoryFile {
    /// Opens or makes the file in a data directory; this run of the process is one more than the last one in it. One that cannot
    /// be used is told in the log; reports are then kept in memory for this run.
    ///
    /// # Errors
    /// When there is no thread.
    pub fn open(dir: &Path) -> std::io::Result<Self> {
        let file = dir.join(HISTORY_FILE);
        let opened = open(&file).or_else(|error| {
            tracing::warn!(file = %file.display(), "reports are not kept beyond this run: {error}");
            Connection::open_in_memory().and_then(|conn| prepare(conn).map(|conn| (conn, 1)))
        });
        let (asks, asked) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name("history".to_owned());
        let thread = thread.spawn(move || match opened {
            Ok((conn, boot)) => serve(&conn, boot, asked),
            Err(error) => tracing::error!("reports are not kept: {error}"),
        })?;
        Ok(Self { asks: Mutex::new(Some(asks)), thread: Mutex::new(Some(thread)) })
    }

    /// Keeps a report. Never waits.
    pub fn keep(&self, record: HistoryRecord) {
        if !self.ask(Ask::Keep(record)) {
            metrics::counter!(HISTORY_DROPPED).increment(1);
        }
    }

    /// The latest reports; everything kept before is seen.
    ///
    /// # Errors
    /// In words, why they cannot be read.
    pub async fn read(&self, query: HistoryQuery) -> HistoryAnswer {
        let (reply, answer) = oneshot::channel();
        if !self.ask(Ask::Read(query, reply)) {
            return Err("too much waits to be kept; ask again".to_owned());
        }
        answer.await.unwrap_or_else(|_| Err("reports are not kept any more".to_owned()))
    }

    /// Whether it will be done.
    fn ask(&self, ask: Ask) -> bool {
        let asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        asks.as_ref().is_some_and(|asks| asks.try_send(ask).is_ok())
    }

    /// Writes what waits and ends the thread.
    pub fn stop(&self) {
        drop(self.asks.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for HistoryFile {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The latest reports of a data directory that no fleet runs on.
///
/// # Errors
/// In words, why they cannot be read.
pub fn read_history(dir: &Path, query: &HistoryQuery) -> HistoryAnswer {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(dir.join(HISTORY_FILE), flags);
    conn.and_then(|conn| rows(&conn, query)).map_err(|error| error.to_string())
}

/// SQLite's integers are signed; none of ours is ever so large.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn open(file: &Path) -> rusqlite::Result<(Connection, i64)> {
    let conn = prepare(Connection::open(file)?)?;
    let boot: i64 =
        conn.query_row("SELECT coalesce(max(boot), 0) + 1 FROM report", [], |row| row.get(0))?;
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    if let Err(error) = std::fs::set_permissions(file, private) {
        tracing::warn!(file = %file.display(), "others may read the reports: {error}");
    }
    Ok((conn, boot))
}

fn prepare(conn: Connection) -> rusqlite::Result<Connection> {
    let found: u32 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > FORMAT {
        let newer = format!("it is of a newer form ({found}) than this version knows ({FORMAT})");
        return Err(rusqlite::Error::ToSqlConversionFailure(newer.into()));
    }
    conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
    if found == 0 {
        conn.execute_batch(
            "BEGIN IMMEDIATE;
             CREATE TABLE report(
                 number INTEGER PRIMARY KEY, boot INTEGER NOT NULL, at_ms INTEGER NOT NULL,
                 supervisor TEXT NOT NULL, child TEXT NOT NULL, context TEXT NOT NULL, body TEXT NOT NULL
             ) STRICT;
             CREATE INDEX report_child ON report(child, number);
             CREATE INDEX report_supervisor ON report(supervisor, number);
             PRAGMA user_version = 1;
             COMMIT",
        )?;
    }
    Ok(conn)
}

/// Until nobody can ask any more, and nothing waits.
fn serve(conn: &Connection, boot: i64, mut asked: mpsc::Receiver<Ask>) {
    let count = conn.query_row("SELECT count(*) FROM report", [], |row| row.get(0));
    let mut left = unsigned(count.unwrap_or(0));
    while let Some(first) = asked.blocking_recv() {
        let mut batch = Vec::new();
        let mut next = Some(first);
        while let Some(ask) = next.take() {
            match ask {
                Ask::Keep(record) => batch.push(record),
                Ask::Read(query, reply) => {
                    write(conn, boot, &mut batch, &mut left);
                    let _ = reply.send(rows(conn, &query).map_err(|error| error.to_string()));
                }
            }
            if batch.len() < BATCH {
                next = asked.try_recv().ok();
            }
        }
        write(conn, boot, &mut batch, &mut left);
    }
}

/// Writes a batch and keeps the bound. What cannot be written is dropped, counted and told.
fn write(conn: &Connection, boot: i64, batch: &mut Vec<HistoryRecord>, left: &mut u64) {
    let records = std::mem::take(batch);
    if records.is_empty() {
        return;
    }
    let count = records.len() as u64;
    let written = insert(conn, boot, &records).and_then(|()| {
        *left += count;
        if *left > HISTORY_ROWS_MAX + SLACK {
            let oldest = "DELETE FROM report WHERE number <= (SELECT max(number) FROM report) - ?1";
            *left -= conn.execute(oldest, [signed(HISTORY_ROWS_MAX)])? as u64;
        }
        Ok(())
    });
    if let Err(error) = written {
        metrics::counter!(HISTORY_DROPPED).increment(count);
        tracing::warn!(reports = count, "reports were not kept: {error}");
        let _ = conn.execute_batch("ROLLBACK");
    }
}

fn insert(conn: &Connection, boot: i64, records: &[HistoryRecord]) -> rusqlite::Result<()> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO report(boot, at_ms, supervisor, child, context, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for r in records {
        insert.execute(params![boot, signed(r.at_ms), r.supervisor, r.child, r.context, r.body])?;
    }
    conn.execute_batch("COMMIT")
}

fn rows(conn: &Connection, query: &HistoryQuery) -> rusqlite::Result<Vec<(u64, HistoryRecord)>> {
    let mut select = conn.prepare_cached(
        "SELECT boot, at_ms, supervisor, child, context, body FROM (
             SELECT * FROM report WHERE ?1 IS NULL OR child = ?1 OR supervisor = ?1
             ORDER BY number DESC LIMIT ?2
         ) ORDER BY number",
    )?;
    let limit = query.limit.min(HISTORY_ANSWER_ROWS_MAX);
    let found = select.query_map(params![query.child, signed(limit as u64)], |row| {
        Ok((
            unsigned(row.get(0)?),
            HistoryRecord {
                at_ms: unsigned(row.get(1)?),
                supervisor: row.get(2)?,
                child: row.get(3)?,
                context: row.get(4)?,
                body: row.get(5)?,
            },
        ))
    })?;
    found.collect()
}
