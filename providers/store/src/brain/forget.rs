//! `store.brain.memory.forget`: rows and their words are gone; their ids never come back (rule E2).

use super::flush::flush;
use super::{CallError, too_large};
use crate::limits::FORGET_ROWS_MAX;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeSet;

/// Forgets the rows with these ids, or of this source; of both, when both are given. Tells how many
/// there were.
pub(crate) fn forget(
    conn: &Connection,
    ids: Option<&[i64]>,
    source: Option<&str>,
) -> Result<u64, CallError> {
    let doomed = match (ids, source) {
        (Some(ids), source) => of_ids(conn, ids, source)?,
        (None, Some(source)) => of_source(conn, source)?,
        (None, None) => Vec::new(),
    };
    let mut text = conn.prepare_cached("SELECT text FROM memory WHERE id = ?1")?;
    // The index keeps no text: it must be told the words that it is to drop.
    let mut words = conn.prepare_cached(
        "INSERT INTO memory_words (memory_words, rowid, text) VALUES ('delete', ?1, ?2)",
    )?;
    let mut row = conn.prepare_cached("DELETE FROM memory WHERE id = ?1")?;
    for id in &doomed {
        let text: String = text.query_row([id], |row| row.get(0))?;
        words.execute(params![id, text])?;
        row.execute([id])?;
    }
    flush(conn)?;
    Ok(doomed.len() as u64)
}

fn of_ids(conn: &Connection, ids: &[i64], source: Option<&str>) -> Result<Vec<i64>, CallError> {
    let mut select = conn.prepare_cached("SELECT source FROM memory WHERE id = ?1")?;
    let mut found = Vec::new();
    for id in ids.iter().copied().collect::<BTreeSet<_>>() {
        let row = select.query_row([id], |row| row.get::<_, Option<String>>(0)).optional()?;
        if row.is_some_and(|of| source.is_none() || of.as_deref() == source) {
            found.push(id);
        }
    }
    Ok(found)
}

fn of_source(conn: &Connection, source: &str) -> Result<Vec<i64>, CallError> {
    let rows = super::memory::count(conn, Some(source))?;
    let rows = usize::try_from(rows).unwrap_or(usize::MAX);
    if rows > FORGET_ROWS_MAX {
        let mut failure = too_large("the source", rows, FORGET_ROWS_MAX, "rows");
        failure.message.push_str(" in one call: forget it by ids");
        return Err(failure.into());
    }
    let mut select = conn.prepare_cached("SELECT id FROM memory WHERE source = ?1 ORDER BY id")?;
    let ids = select.query_map([source], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(ids)
}
