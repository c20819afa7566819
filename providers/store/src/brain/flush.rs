//! The index collects new words in memory; a commit writes them. After much work on a store thread
//! they are written there, so that the commit on the lane is short.

use super::CallError;
use rusqlite::Connection;

/// Writes the words that the index holds in memory, within the open turn.
pub(super) fn flush(conn: &Connection) -> Result<(), CallError> {
    conn.prepare_cached("INSERT INTO memory_words (memory_words) VALUES ('flush')")?.execute([])?;
    Ok(())
}
