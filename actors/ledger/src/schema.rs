//! Opening the file: pragmas, the check of its format, the making of a new one.

use crate::dir;
use crate::migrate;
use crate::options::{OpenError, Options};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::io::Read;
use std::path::Path;

/// The format this version writes: `user_version`.
pub const FORMAT: u32 = migrate::LAST;

/// The format that a new file is made in; [`migrate`] takes it on from there.
const FIRST: u32 = 1;

/// Marks the file as ours for `file(1)` and for us: "LKET".
pub const APPLICATION_ID: i32 = 0x4C4B_4554;

/// Bytes of a page: SQLite's default, and the file system's.
pub(crate) const PAGE_BYTES: u64 = 4096;

/// Kibibytes of page cache: the inboxes and open turns of a busy fleet stay in memory.
const CACHE_KIB: i64 = 32 * 1024;

/// Bytes to which a log is cut back once it is checkpointed: a burst's log does not stay.
const LOG_KEPT_BYTES: i64 = 64 * 1024 * 1024;

/// Opens or makes the file.
pub(crate) fn open(options: &Options) -> Result<Connection, OpenError> {
    let file = options.dir.join(dir::LEDGER_FILE);
    let sqlite = dir::sqlite(&file);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(&file, flags).map_err(&sqlite)?;
    let found: u32 =
        conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(&sqlite)?;
    if found > FORMAT {
        return Err(OpenError::Newer { file, found, known: FORMAT });
    }
    let application: i32 =
        conn.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(&sqlite)?;
    let objects: i64 = conn
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(&sqlite)?;
    if application != APPLICATION_ID && objects > 0 {
        return Err(OpenError::NotALedger { file });
    }
    if found == 0 && options.must_be_there {
        // A database without anything in it, as it is when its log alone is lost before the first checkpoint.
        return Err(OpenError::Lost { file });
    }
    if found == 0 {
        // Only here: on a file that is there already this writes, and a full disk must not keep it
        // from being opened (rule J3).
        conn.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(&sqlite)?;
        conn.pragma_update(None, "page_size", PAGE_BYTES as i64).map_err(&sqlite)?;
    }
    let mode = configure(&conn, options).map_err(&sqlite)?;
    if mode != "wal" {
        return Err(OpenError::Sqlite {
            file,
            reason: format!("the file stays in mode {mode}, without a log"),
        });
    }
    if found == 0 {
        make(&conn).map_err(&sqlite)?;
    }
    migrate::migrate(&conn, found.max(FIRST)).map_err(&sqlite)?;
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, private)
        .map_err(|source| OpenError::Io { path: file.clone(), source })?;
    dir::sync(Path::new(&options.dir))?;
    Ok(conn)
}

/// Sets what a connection needs. Gives the journal mode that SQLite came to.
fn configure(conn: &Connection, options: &Options) -> rusqlite::Result<String> {
    // No checkpoint in a close: after a failed fsync the file is not touched again.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Otherwise statements with LIMIT or a range are prepared anew whenever another value is bound.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let mode = loket_renew::switch_to_log(conn)?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
    conn.pragma_update(None, "journal_size_limit", LOG_KEPT_BYTES)?;
    if let Some(bytes) = options.hard_limit_bytes {
        let pages = i64::try_from(bytes / PAGE_BYTES).unwrap_or(i64::MAX).max(1);
        conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    }
    Ok(mode)
}

/// One transaction: a crash leaves an empty file or a whole one.
fn make(conn: &Connection) -> rusqlite::Result<()> {
    let mut seed = [0; 32];
    if let Some(chance) = loket_turn::simulation::chance() {
        seed[..8].copy_from_slice(&chance.to_le_bytes());
    } else if let Ok(mut random) = std::fs::File::open("/dev/urandom") {
        // Ids stay unique without it; they are then no longer hard to guess.
        let _ = random.read_exact(&mut seed);
    }
    conn.execute_batch("BEGIN IMMEDIATE")?;
    conn.execute_batch(include_str!("schema.sql"))?;
    conn.execute("INSERT INTO meta(name, value) VALUES ('seed', ?1)", [seed.as_slice()])?;
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    conn.pragma_update(None, "user_version", FIRST)?;
    conn.execute_batch("COMMIT")
}

/// The version of the SQLite that is compiled in.
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}
