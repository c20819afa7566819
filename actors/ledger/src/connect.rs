//! From a file to what the writer's thread works with: the connection, and all that is known by heart of it.

use crate::book::Book;
use crate::codec::un;
use crate::engine::Counts;
use crate::options::{OpenError, Options};
use crate::{dir, schema};
use loket_turn::simulation::{Mutation, broken};
use rusqlite::Connection;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Prepared statements kept: more than the engine has.
const STATEMENTS: usize = 192;

/// What a file gives that is opened.
pub(crate) struct Opened {
    pub(crate) conn: Connection,
    pub(crate) book: Book,
    pub(crate) counts: Counts,
    pub(crate) boots: u64,
    pub(crate) high_water_ms: u64,
    pub(crate) seed: Vec<u8>,
    pub(crate) wal: File,
    pub(crate) wal_pages: Arc<AtomicU32>,
}

/// Opens the file, or makes it.
pub(crate) fn connect(options: &Options) -> Result<Opened, OpenError> {
    let file = options.dir.join(dir::LEDGER_FILE);
    loket_renew::settle(&file).map_err(dir::not_renewed)?;
    if !broken(Mutation::NoStartSync) {
        dir::sync_leftovers(&options.dir)?;
    }
    let sqlite = dir::sqlite(&file);
    let mut conn = schema::open(options)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    let wal_pages = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&wal_pages);
    // In place of SQLite's own checkpoints: ours run between groups.
    conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
        seen.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }))
    .map_err(&sqlite)?;
    let sql = "SELECT accepted, completed, letters_made, boots, clock_ms FROM counters";
    let (counts, boots, high_water_ms) = conn
        .query_row(sql, [], |row| {
            let counts = Counts {
                accepted: un(row.get(0)?),
                completed: un(row.get(1)?),
                letters: un(row.get(2)?),
            };
            Ok((counts, un(row.get(3)?), un(row.get(4)?)))
        })
        .map_err(&sqlite)?;
    let seed = conn
        .query_row("SELECT value FROM meta WHERE name = 'seed'", [], |row| row.get(0))
        .map_err(&sqlite)?;
    let book = Book::rebuild(&conn).map_err(&sqlite)?;
    let path = dir::wal_path(&options.dir);
    let wal = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|source| OpenError::Io { path, source })?;
    Ok(Opened { conn, book, counts, boots, high_water_ms, seed, wal, wal_pages })
}
