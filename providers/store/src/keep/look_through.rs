//! Whether a file may become a brain: it comes from outside, and what a brain answers must be a function of what it holds alone.

use super::KeepError;
use crate::brain::schema;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// That the file has a brain's format, exactly a brain's tables with nothing beside them, and no damage that SQLite finds.
pub(super) fn whole(file: &Path) -> Result<(), KeepError> {
    let sqlite = || KeepError::sqlite(file);
    let no = |reason: String| KeepError::NotWhole { file: file.to_owned(), reason };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(file, flags).map_err(sqlite())?;
    let guard = DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA;
    conn.set_db_config(guard, false).map_err(sqlite())?;
    schema::check(&conn).map_err(|error| KeepError::open(file, &error))?;
    let fresh = Connection::open_in_memory().map_err(sqlite())?;
    schema::define(&fresh).map_err(|error| KeepError::open(file, &error))?;
    let (found, wanted) = (objects(&conn).map_err(sqlite())?, objects(&fresh).map_err(sqlite())?);
    if let Some(odd) = found.iter().find(|it| !wanted.contains(it)) {
        return Err(no(format!("it holds what no brain does: {odd}")));
    }
    if found.len() != wanted.len() {
        return Err(no("it lacks some of a brain's tables".to_owned()));
    }
    let said: String =
        conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(sqlite())?;
    if said != "ok" {
        return Err(no(format!("it is damaged: {said}")));
    }
    let rows: i64 =
        conn.query_row("SELECT count(*) FROM loket", [], |row| row.get(0)).map_err(sqlite())?;
    if rows != 1 {
        return Err(no("it does not say whose brain it is".to_owned()));
    }
    Ok(())
}

/// All that a schema defines, in one order.
fn objects(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql =
        "SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_schema ORDER BY 1";
    let mut rows = conn.prepare(sql)?;
    rows.query_map([], |row| row.get(0))?.collect()
}
