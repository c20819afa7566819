//! What a question may do: read. Refused while a statement is prepared, before anything of it runs.

use crate::limits::BUSY_MS;
use crate::wait::Deadline;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use std::time::Duration;

/// Bytes of one value: the largest module that a ledger keeps is half of it.
pub(super) const VALUE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Steps of SQLite's machine between two looks at the clock: less than a millisecond.
const STEPS_PER_LOOK: i32 = 10_000;

/// Terms of one compound SELECT, and arguments of one function: a person writes tens.
const TERMS_MAX: i32 = 100;

/// Pragmas that full-text search itself asks for, and those that describe a table.
const PRAGMAS: [&str; 4] = ["data_version", "table_info", "table_xinfo", "table_list"];

/// Functions that reach out of the file, or into the process.
const NO_FUNCTIONS: [&str; 3] = ["load_extension", "fts3_tokenizer", "fts5"];

/// Sets what every connection of a question needs. A question never checkpoints a log, not with its close either.
pub(super) fn prepare(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.busy_timeout(Duration::from_millis(BUSY_MS))?;
    conn.set_limit(Limit::SQLITE_LIMIT_LENGTH, i32::try_from(VALUE_BYTES_MAX).unwrap_or(i32::MAX))?;
    conn.set_limit(Limit::SQLITE_LIMIT_COMPOUND_SELECT, TERMS_MAX)?;
    conn.set_limit(Limit::SQLITE_LIMIT_FUNCTION_ARG, TERMS_MAX)?;
    Ok(())
}

/// From here on the connection reads only, and only until `until`.
pub(super) fn close(conn: &mut Connection, until: Deadline) -> rusqlite::Result<()> {
    conn.pragma_update(None, "query_only", true)?;
    conn.progress_handler(STEPS_PER_LOOK, Some(move || until.is_over()))?;
    conn.authorizer(Some(|asked: AuthContext<'_>| verdict(&asked.action)))
}

fn verdict(action: &AuthAction<'_>) -> Authorization {
    let allowed = match action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => true,
        AuthAction::Function { function_name } => {
            !NO_FUNCTIONS.iter().any(|no| function_name.eq_ignore_ascii_case(no))
        }
        AuthAction::Pragma { pragma_name, .. } => {
            PRAGMAS.iter().any(|known| pragma_name.eq_ignore_ascii_case(known))
        }
        _ => false,
    };
    if allowed { Authorization::Allow } else { Authorization::Deny }
}
