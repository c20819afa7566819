//! `store.brain.kv.*`: values by key. Values are kept as the JSON text the guest gave, so that no
//! number loses a digit.

use super::CallError;
use crate::limits::LIST_BYTES_MAX;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::value::RawValue;

/// One entry of a list.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// The value.
    pub(crate) value: Box<RawValue>,
}

/// The JSON text of a stored value.
pub(crate) fn raw(text: String) -> rusqlite::Result<Box<RawValue>> {
    RawValue::from_string(text).map_err(|error| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(0, kind, Box::new(error))
    })
}

/// The value of a key.
pub(crate) fn get(conn: &Connection, key: &str) -> Result<Option<Box<RawValue>>, CallError> {
    let mut select = conn.prepare_cached("SELECT value FROM kv WHERE key = ?1")?;
    let found = select.query_row([key], |row| row.get(0).and_then(raw)).optional()?;
    Ok(found)
}

/// Sets the value of a key.
pub(crate) fn put(conn: &Connection, key: &str, value: &RawValue) -> Result<(), CallError> {
    let sql = "INSERT INTO kv (key, value) VALUES (?1, ?2)
               ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    conn.prepare_cached(sql)?.execute(params![key, value.get()])?;
    Ok(())
}

/// Removes a key; tells whether it was there.
pub(crate) fn delete(conn: &Connection, key: &str) -> Result<bool, CallError> {
    let removed = conn.prepare_cached("DELETE FROM kv WHERE key = ?1")?.execute([key])?;
    Ok(removed > 0)
}

/// Entries whose keys begin with `prefix` and stand after `after`, in key order, and whether more
/// follow.
pub(crate) fn list(
    conn: &Connection,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<Entry>, bool), CallError> {
    // Keys are compared as bytes, so those of a prefix stand together and the first other one ends
    // the walk.
    let (sql, from) = match after {
        Some(after) if after >= prefix => {
            ("SELECT key, value FROM kv WHERE key > ?1 ORDER BY key", after)
        }
        _ => ("SELECT key, value FROM kv WHERE key >= ?1 ORDER BY key", prefix),
    };
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query([from])?;
    let (mut entries, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let key: String = row.get(0)?;
        if !key.starts_with(prefix) {
            break;
        }
        let value = raw(row.get(1)?)?;
        bytes += key.len() + value.get().len();
        if entries.len() == limit || (bytes > LIST_BYTES_MAX && !entries.is_empty()) {
            return Ok((entries, true));
        }
        entries.push(Entry { key, value });
    }
    Ok((entries, false))
}
