//! One question over the ledger and all brains.
//!
//! The ledger's tables are there as they are. Of the brains, `kv`, `memory` and `brains` are tables with a column `agent` in front:
//! SQLite joins ten files at most, so the rows of those tables that the question names are copied into memory first, brain by brain.

use super::guard::{self, prepare};
use super::{Answer, Bounds, QueryError, Whose, answer, in_time, unreadable};
use crate::brain::BrainFiles;
use crate::wait::Deadline;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, ErrorCode, OpenFlags, params};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of what is copied from brains at most: a small machine can spare them for a question.
const COPIED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes of a page of the database in memory.
const PAGE_BYTES: usize = 4096;

/// The tables that all brains share: name, definition, and the rows of one brain.
const TABLES: [(&str, &str, &str); 3] = [
    (
        "kv",
        "CREATE TABLE kv (agent TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL)",
        "INSERT INTO main.kv SELECT ?1, key, value FROM one.kv ORDER BY key",
    ),
    (
        "memory",
        "CREATE TABLE memory (agent TEXT NOT NULL, id INTEGER NOT NULL, at_ms INTEGER NOT NULL, message TEXT NOT NULL,
                              source TEXT, meta TEXT, text TEXT NOT NULL)",
        "INSERT INTO main.memory SELECT ?1, id, at_ms, message, source, meta, text FROM one.memory ORDER BY id",
    ),
    (
        "brains",
        "CREATE TABLE brains (agent TEXT NOT NULL, life INTEGER NOT NULL, epoch INTEGER NOT NULL,
                              applied_n INTEGER NOT NULL, chain BLOB NOT NULL, pure_version INTEGER NOT NULL)",
        "INSERT INTO main.brains SELECT ?1, life, epoch, applied_n, chain, pure_version FROM one.loket",
    ),
];

/// What a question over a whole fleet is asked of.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// The data directory.
    pub data: &'a Path,
    /// The ledger's file.
    pub ledger: &'a Path,
    /// The brains of the living agents; those without a file yet are left out.
    pub brains: &'a [Whose],
    /// Only brains of agents whose name SQLite's GLOB matches; all without one.
    pub glob: Option<&'a str>,
}

/// Answers a question about the ledger and these brains. Blocks; never on a lane.
///
/// # Errors
/// [`QueryError`].
pub fn query_fleet(places: &Places<'_>, sql: &str, bounds: Bounds) -> Result<Answer, QueryError> {
    let (data, ledger) = (places.data.to_owned(), places.ledger.to_owned());
    let (brains, glob) = (places.brains.to_owned(), places.glob.map(str::to_owned));
    let sql = sql.to_owned();
    in_time(bounds.time, move || {
        let glob = glob.as_deref();
        ask_all(&Places { data: &data, ledger: &ledger, brains: &brains, glob }, &sql, bounds)
    })
}

fn ask_all(places: &Places<'_>, sql: &str, bounds: Bounds) -> Result<Answer, QueryError> {
    let &Places { data, ledger, brains, glob } = places;
    let until = Deadline::after(bounds.time);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let in_memory = Path::new(":memory:");
    let made = Connection::open_in_memory_with_flags(flags | OpenFlags::SQLITE_OPEN_CREATE);
    let made = made.and_then(|conn| make(&conn).map(|()| conn));
    let mut conn = made.map_err(|error| unreadable(in_memory, &error))?;
    attach(&conn, ledger, "ledger").map_err(|error| unreadable(ledger, &error))?;
    let named = named(&mut conn, sql).map_err(|error| QueryError::of(&error, bounds.time))?;
    if named != 0 {
        let files = BrainFiles::new(data);
        for whose in brains {
            if until.is_over() {
                return Err(QueryError::TimeOut(bounds.time));
            }
            let meant = meant(&conn, &whose.agent, glob);
            if meant.map_err(|error| unreadable(in_memory, &error))?
                && let Some(file) = whose.file(&files)?
            {
                copy(&conn, &file, &whose.agent, named).map_err(|error| copied(&file, &error))?;
            }
        }
    }
    guard::close(&mut conn, until).map_err(|error| unreadable(in_memory, &error))?;
    answer::ask(&conn, sql, bounds)
}

fn make(conn: &Connection) -> rusqlite::Result<()> {
    prepare(conn)?;
    conn.pragma_update(None, "page_size", PAGE_BYTES as i64)?;
    let pages = COPIED_BYTES_MAX / PAGE_BYTES;
    conn.query_row(&format!("PRAGMA main.max_page_count = {pages}"), [], |_| Ok(()))?;
    TABLES.iter().try_for_each(|(_, definition, _)| conn.execute_batch(definition))
}

/// Which tables of brains the question reads, a bit each. It is prepared, not run. Of a table of which no column is read, as in
/// `count(*)`, SQLite names the database only where the question does.
fn named(conn: &mut Connection, sql: &str) -> rusqlite::Result<usize> {
    let found = Arc::new(AtomicUsize::new(0));
    let noted = Arc::clone(&found);
    conn.authorizer(Some(move |asked: AuthContext<'_>| {
        if let AuthAction::Read { table_name, .. } = asked.action
            && asked.database_name.is_none_or(|name| name == "main")
            && let Some(at) = TABLES.iter().position(|(name, ..)| *name == table_name)
        {
            noted.fetch_or(1 << at, Ordering::Relaxed);
        }
        Authorization::Allow
    }))?;
    // A statement that makes no sense says so when it is asked.
    let _ = conn.prepare(sql);
    conn.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    Ok(found.load(Ordering::Relaxed))
}

fn meant(conn: &Connection, agent: &str, glob: Option<&str>) -> rusqlite::Result<bool> {
    let Some(glob) = glob else { return Ok(true) };
    conn.prepare_cached("SELECT ?1 GLOB ?2")?.query_row([agent, glob], |row| row.get(0))
}

fn copy(conn: &Connection, file: &Path, agent: &str, named: usize) -> rusqlite::Result<()> {
    attach(conn, file, "one")?;
    let rows = TABLES.iter().enumerate().filter(|(at, _)| named & (1 << at) != 0);
    let copied = rows.map(|(_, (.., sql))| sql).try_for_each(|sql| {
        conn.prepare_cached(sql)?.execute(params![agent])?;
        Ok(())
    });
    conn.flush_prepared_statement_cache();
    copied.and(conn.execute_batch("DETACH one"))
}

fn copied(file: &Path, error: &rusqlite::Error) -> QueryError {
    if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
        let help = "name fewer brains with --brains, or ask one with `loket brain AGENT query`";
        return QueryError::TooLarge {
            what: "what the brains hold",
            limit: COPIED_BYTES_MAX,
            help,
        };
    }
    unreadable(file, error)
}

/// Attaches a file that is only read, whatever its name is made of.
fn attach(conn: &Connection, file: &Path, name: &str) -> rusqlite::Result<()> {
    let mut uri = "file:".to_owned();
    for byte in file.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte))
            }
            other => uri.push_str(&format!("%{other:02x}")),
        }
    }
    uri.push_str("?mode=ro");
    conn.execute(&format!("ATTACH ?1 AS {name}"), [uri])?;
    Ok(())
}
