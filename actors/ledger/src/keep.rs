//! How long ended turns are kept (rule E6). A turn can be run again from a state of the brain before it only: what is kept reaches back
//! to such a state, a snapshot's or the beginning.
//!
//! Must never fill the ledger: one that is half full keeps what the fleet file says and no more. Start
//! reading at [`Engine::kept_from`].

use crate::agent::Agent;
use crate::codec::{db, un};
use crate::engine::Engine;
use rusqlite::{Connection, params};

impl Engine {
    /// The last turn of a life that may be given up, when its brain has those up to `durable` on the disk.
    pub(crate) fn kept_from(&self, life: u64, swept: u64, durable: u64) -> rusqlite::Result<u64> {
        let kept = self.options.keep_turns;
        let window = durable.saturating_sub(kept);
        let full = self.live_bytes >= self.options.size_limit_bytes / 2;
        if kept == 0 || window <= swept || full {
            return Ok(window);
        }
        Ok(match newest(&self.conn, life, window)? {
            Some(snapshot) => snapshot,
            // From the beginning, as long as nothing of it is gone.
            None if swept == 0 => 0,
            None => window,
        })
    }
}

/// Whether a snapshot is due, now that a brain has all turns up to `n` on the disk.
pub(crate) fn lapses(
    conn: &Connection,
    agent: &Agent,
    n: u64,
    kept: u64,
) -> rusqlite::Result<bool> {
    let since = match newest(conn, agent.life, n)? {
        Some(snapshot) => snapshot,
        None if agent.swept == 0 => 0,
        None => return Ok(true),
    };
    Ok(n.saturating_sub(since) >= kept)
}

/// The newest snapshot of a life up to this turn, of any epoch: an epoch begins with one, and no later turn is an earlier epoch's.
fn newest(conn: &Connection, life: u64, most: u64) -> rusqlite::Result<Option<u64>> {
    let sql = "SELECT max(n) FROM snapshots WHERE life = ?1 AND n <= ?2";
    let n: Option<i64> =
        conn.prepare_cached(sql)?.query_row(params![db(life), db(most)], |row| row.get(0))?;
    Ok(n.map(un))
}
