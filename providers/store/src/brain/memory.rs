//! `store.brain.memory.add` and `count`. Rows are only ever appended, each with the message whose
//! turn added it.

use super::CallError;
use super::flush::flush;
use rusqlite::{Connection, params};
use serde_json::value::RawValue;

/// One item to remember.
#[derive(Debug)]
pub(crate) struct Item {
    /// The text.
    pub(crate) text: String,
    /// Where it is from.
    pub(crate) source: Option<String>,
    /// What else the guest wants to know of it, JSON.
    pub(crate) meta: Option<Box<RawValue>>,
}

/// Appends items; gives their ids, in order. `message` is the id of the message that is handled,
/// `at_ms` the turn's clock.
pub(crate) fn add(
    conn: &Connection,
    items: &[Item],
    message: &str,
    at_ms: u64,
) -> Result<Vec<i64>, CallError> {
    let mut row = conn.prepare_cached(
        "INSERT INTO memory (at_ms, message, source, meta, text) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut words =
        conn.prepare_cached("INSERT INTO memory_words (rowid, text) VALUES (?1, ?2)")?;
    let at_ms = i64::try_from(at_ms).unwrap_or(i64::MAX);
    let mut ids = Vec::with_capacity(items.len());
    for item in items {
        let meta = item.meta.as_deref().map(RawValue::get);
        let id = row.insert(params![at_ms, message, item.source, meta, item.text])?;
        words.execute(params![id, item.text])?;
        ids.push(id);
    }
    if crate::ops::is_heavy_add(items) {
        flush(conn)?;
    }
    Ok(ids)
}

/// Rows, or those of one source.
pub(crate) fn count(conn: &Connection, source: Option<&str>) -> Result<u64, CallError> {
    let count: i64 = match source {
        None => conn.prepare_cached("SELECT count(*) FROM memory")?.query_row([], |r| r.get(0))?,
        Some(source) => conn
            .prepare_cached("SELECT count(*) FROM memory WHERE source = ?1")?
            .query_row([source], |row| row.get(0))?,
    };
    Ok(u64::try_from(count).unwrap_or(0))
}
