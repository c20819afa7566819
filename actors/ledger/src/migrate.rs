//! Bringing an older file to the format of this version: one step a format, each in its own transaction, so that a crash leaves
//! the file in one format or the next.
//!
//! A step only adds what an older file lacks; what it holds stays as it is. A new file is made in format 1 and takes the same
//! steps, so that there is one way only. Start reading at [`STEPS`].

use rusqlite::Connection;

/// The steps, the first from format 1 to format 2. The last one's format is [`FORMAT`](crate::FORMAT).
const STEPS: [&str; 5] = [
    include_str!("format-2.sql"),
    include_str!("format-3.sql"),
    include_str!("format-4.sql"),
    include_str!("format-5.sql"),
    include_str!("format-6.sql"),
];

/// The format that the steps lead to.
pub(crate) const LAST: u32 = 1 + STEPS.len() as u32;

/// Takes the steps that a file of format `found` lacks.
pub(crate) fn migrate(conn: &Connection, found: u32) -> rusqlite::Result<()> {
    for (format, step) in (2..).zip(STEPS) {
        if found >= format {
            continue;
        }
        conn.execute_batch("BEGIN IMMEDIATE")?;
        let taken = conn
            .execute_batch(step)
            .and_then(|()| conn.pragma_update(None, "user_version", format))
            .and_then(|()| conn.execute_batch("COMMIT"));
        if let Err(why) = taken {
            // The first failure is the one to tell.
            let _ = conn.execute_batch("ROLLBACK");
            return Err(why);
        }
        tracing::debug!(format, "the ledger's file has a newer format now");
    }
    Ok(())
}
