//! Whose ledger it is. A fleet's file says which agents there are, and who is not in it is removed: on another fleet's ledger that
//! would be all of them.

use crate::engine::{Engine, Op};
use crate::{FleetName, LEDGER_FILE, OpenError, Options};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};
use std::path::Path;

/// The row of `meta` with the fleet's name.
const FLEET: &str = "fleet";

/// Refuses a ledger that another fleet has written; to be asked before anything is. One without a name is anybody's: it is new, or of
/// an earlier version.
pub(crate) fn check(options: &Options) -> Result<(), OpenError> {
    let Some(FleetName { name, renamed: false }) = &options.fleet else { return Ok(()) };
    match said(&options.dir).filter(|found| found != name) {
        Some(found) => {
            let (dir, asked) = (options.dir.clone(), name.clone());
            Err(OpenError::OtherFleet { dir, found, asked })
        }
        None => Ok(()),
    }
}

/// The name in a ledger. Of one that cannot be read the opening tells why.
fn said(dir: &Path) -> Option<String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(dir.join(LEDGER_FILE), flags).ok()?;
    // What an earlier process left is not moved into the file either.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).ok()?;
    let sql = "SELECT value FROM meta WHERE name = ?1";
    let name: Vec<u8> = conn.query_row(sql, [FLEET], |row| row.get(0)).ok()?;
    Some(String::from_utf8_lossy(&name).into_owned())
}

/// Notes the name.
pub(crate) fn note(engine: &Engine) -> Op<()> {
    let Some(FleetName { name, .. }) = &engine.options.fleet else { return Ok(()) };
    let sql = "INSERT INTO meta(name, value) VALUES (?1, ?2)
               ON CONFLICT(name) DO UPDATE SET value = excluded.value";
    engine.conn.execute(sql, params![FLEET, name.as_bytes()])?;
    Ok(())
}
