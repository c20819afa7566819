//! What a loss of power leaves before any brain was synced: their files are gone, and the ledger, which was synced with each
//! group, knows of none on the disk. It changes the data of a fleet that is stopped, with plain SQLite.

use crate::{Result, USAGE};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::path::PathBuf;

pub(crate) fn run(mut words: impl Iterator<Item = String>) -> Result<Value> {
    let (Some(data), None) = (words.next().map(PathBuf::from), words.next()) else {
        return Err(USAGE.into());
    };
    let ledger = Connection::open_with_flags(
        data.join("ledger.db"),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE,
    )?;
    let behind = ledger.execute("UPDATE agents SET durable_n = 0 WHERE gone = 0", [])?;
    std::fs::remove_dir_all(data.join("brains"))?;
    Ok(json!({"scenario": "behind", "agents": behind, "ok": behind > 0}))
}
