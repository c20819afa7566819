//! Looking a brain's file through before it is used (rule E5).
//!
//! SQLite notices a page that makes no sense when it reads that page, and a turn may be over before it does. So a file that was not
//! closed well is read as a whole when it is opened. Whether it was closed well is told by its log: a good close empties it, and
//! everything that is done with the file afterwards fills it again; and by its length. Blocks: for store threads. Must never write to
//! the file.

use super::OpenError;
use rusqlite::Connection;
use std::io;
use std::path::Path;

/// Bytes of a page: SQLite's default, which brains are made with.
const PAGE_BYTES: u64 = 4096;

/// Whether nothing happened to the file after its last good close, as far as can be told without reading it: its log is empty, or
/// not there, and no page is cut. SQLite misses only that page; that whole ones are missing, it says.
///
/// Never opens the file: closing it again would drop the locks of a connection that a stuck thread has.
pub(super) fn was_closed_well(file: &Path) -> io::Result<bool> {
    match file.with_extension("db-wal").metadata() {
        Ok(log) if log.len() > 0 => return Ok(false),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    Ok(file.metadata()?.len().is_multiple_of(PAGE_BYTES))
}

/// Reads the whole file: that every page makes sense, that indexes name the rows there are, that the index of words is whole.
pub(super) fn look_through(conn: &Connection) -> Result<(), OpenError> {
    crate::metrics::checked();
    let found: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    match found.as_str() {
        "ok" => Ok(()),
        _ => Err(OpenError::Damaged(found)),
    }
}

/// Empties the log of a file that has everything: the mark of a good close. A log that stays only means one more look.
pub(super) fn mark_closed_well(conn: &Connection) {
    let done = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    if let Err(error) = done {
        tracing::debug!("the log of a brain was not emptied: {error}");
    }
}
