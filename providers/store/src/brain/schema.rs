//! The format of a brain file, version 1. A change of it needs another `user_version` and a
//! migration.

use super::OpenError;
use rusqlite::Connection;
use rusqlite::config::DbConfig;

/// `application_id` of a brain: "LKBR".
const APPLICATION_ID: i64 = 0x4c4b_4252;

/// `user_version`: the newest format that this loket reads.
pub(crate) const FORMAT: i64 = 1;

/// Cache of one open brain, KiB: thousands of them are open.
const CACHE_KIB: i64 = 64;

/// Prepared statements kept per open brain: all that the operations use.
const STATEMENTS: usize = 24;

/// `memory.at_ms` stands before the long columns, so that ranking never reads their overflow pages.
/// AUTOINCREMENT: an id that was forgotten never comes back (rule E2). The index keeps no text of
/// its own, and few new words in memory: writing them is part of a commit on the lane.
const SCHEMA: &str = "
CREATE TABLE loket (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    life         INTEGER NOT NULL,
    epoch        INTEGER NOT NULL,
    applied_n    INTEGER NOT NULL,
    chain        BLOB NOT NULL,
    pure_version INTEGER NOT NULL
) STRICT;
CREATE TABLE kv (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE memory (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms   INTEGER NOT NULL,
    message TEXT NOT NULL,
    source  TEXT,
    meta    TEXT,
    text    TEXT NOT NULL
) STRICT;
CREATE INDEX memory_by_source ON memory (source) WHERE source IS NOT NULL;
CREATE VIRTUAL TABLE memory_words USING fts5 (
    text, content = 'memory', content_rowid = 'id',
    tokenize = 'porter unicode61 remove_diacritics 2'
);
INSERT INTO memory_words (memory_words, rank) VALUES ('hashsize', 65536);
";

/// Writes the schema into an empty file, with its log.
pub(crate) fn create(conn: &Connection) -> Result<(), OpenError> {
    loket_renew::switch_to_log(conn)?;
    define(conn)
}

/// Writes the schema.
pub(crate) fn define(conn: &Connection) -> Result<(), OpenError> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    conn.execute_batch(SCHEMA)?;
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    conn.pragma_update(None, "user_version", FORMAT)?;
    conn.execute_batch("COMMIT")?;
    Ok(())
}

/// Sets what a connection needs (rule E1): slim, and no checkpoint behind the lane's back.
pub(crate) fn configure(conn: &Connection) -> Result<(), OpenError> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
    conn.pragma_update_and_check(None, "mmap_size", 0, |_| Ok(()))?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    let mode = loket_renew::switch_to_log(conn)?;
    if mode != "wal" {
        // The switch did not come to pass: the disk's doing, not the file's.
        return Err(std::io::Error::other(format!("the file stays in mode {mode}")).into());
    }
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    conn.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    Ok(())
}

/// Whether the file is a brain of a format that is known here.
pub(crate) fn check(conn: &Connection) -> Result<(), OpenError> {
    let application: i64 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if application != APPLICATION_ID {
        return Err(OpenError::NotABrain);
    }
    let found: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > FORMAT {
        return Err(OpenError::Newer { found, known: FORMAT });
    }
    if found != FORMAT {
        return Err(OpenError::NotABrain);
    }
    Ok(())
}
