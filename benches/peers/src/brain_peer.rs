//! What a durable turn would cost without a shared log: many brains, each a SQLite file of its own, committed and synced turn by
//! turn by two threads.
//!
//! No message is accepted, no guest runs and nothing is recorded: only the turn's own write.

use crate::Measured;
use crate::load::Load;
use rusqlite::{Connection, params};
use std::path::Path;
use std::time::Instant;

/// Brains, as many as `benches/compare.sh` has agents.
const BRAINS: usize = 256;

const THREADS: usize = 2;

/// Bytes of a value.
const VALUE: [u8; 64] = [7; 64];

const SCHEMA: &str = "
    CREATE TABLE kv(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE turns(n INTEGER PRIMARY KEY, chain BLOB NOT NULL);";

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open(path)?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.execute_batch(SCHEMA)?;
    Ok(conn)
}

/// A turn: its write, and the row that says it was made.
fn turn(conn: &mut Connection, n: u32) -> rusqlite::Result<()> {
    let turn = conn.transaction()?;
    turn.prepare_cached("INSERT OR REPLACE INTO kv(key, value) VALUES ('k', ?1)")?
        .execute([&VALUE[..]])?;
    turn.prepare_cached("INSERT OR REPLACE INTO turns(n, chain) VALUES (?1, ?2)")?
        .execute(params![n % 64, &VALUE[..32]])?;
    turn.commit()
}

/// Turns have no callers: the load's number is not looked at.
pub(crate) fn two_threads(load: Load) -> Measured {
    // In the working directory, where `loket bench` has its folder, too: /tmp may be memory.
    let folder = tempfile::Builder::new().prefix(".loket-peers-").tempdir_in(".");
    let folder = folder.map_err(|error| error.to_string())?;
    let brain = |n: usize| open(&folder.path().join(format!("{n}.db")));
    let brains = (0..BRAINS).map(brain).collect::<rusqlite::Result<Vec<_>>>();
    let mut brains = brains.map_err(|error| error.to_string())?;
    let began = Instant::now();
    let until = began + load.time;
    let mut threads = Vec::new();
    for _ in 0..THREADS {
        let mut own = brains.split_off(brains.len() - BRAINS / THREADS);
        threads.push(std::thread::spawn(move || -> rusqlite::Result<u32> {
            let mut turns = 0;
            while turns == 0 || Instant::now() < until {
                let at = turns as usize % own.len();
                turn(&mut own[at], turns)?;
                turns += 1;
            }
            Ok(turns)
        }));
    }
    let mut all = 0;
    for thread in threads {
        let turns = thread.join().map_err(|_| "a thread panicked".to_owned())?;
        all += turns.map_err(|error| error.to_string())?;
    }
    Ok(began.elapsed().as_nanos() as f64 / f64::from(all))
}
