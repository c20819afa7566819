//! The start of a process on the data directory: counted, deaths of open turns counted (rule B2),
//! bytes that nobody needs forgotten (rule E6).

use crate::codec::db;
use crate::engine::{Engine, Op};
use crate::open_turns::Leftover;
use loket_turn::simulation::{Mutation, broken};
use rusqlite::params;

impl Engine {
    /// Runs before the first request. `leftovers` are the turns that were open when the last
    /// process ended.
    pub(crate) fn start(&mut self, leftovers: &[Leftover]) -> Op<()> {
        // Only the last process's: a crash between this step and the new file must not count twice.
        let last = self.boots;
        for left in leftovers.iter().filter(|left| left.boot == last) {
            let open = self
                .book
                .life(left.life.0)
                .is_some_and(|agent| agent.done + 1 == left.n.0 && left.n.0 <= agent.last);
            if open {
                self.conn
                    .prepare_cached(
                        "INSERT INTO turns(life, n, state, deaths, deaths_alone)
                         VALUES (?1, ?2, 0, ?3, ?4) ON CONFLICT(life, n) DO UPDATE
                         SET deaths = deaths + ?3, deaths_alone = deaths_alone + ?4",
                    )?
                    .execute(params![
                        db(left.life.0),
                        db(left.n.0),
                        i64::from(!left.alone),
                        i64::from(left.alone)
                    ])?;
                self.row_is_open(left.life.0);
                if broken(Mutation::KillCounts) {
                    let sql = "UPDATE turns SET attempts = attempts + 1 WHERE life = ?1 AND n = ?2";
                    self.conn.execute(sql, [left.life.0, left.n.0].map(db))?;
                }
            }
        }
        self.doubt_all(|_| true)?;
        self.conn.execute("UPDATE counters SET boots = boots + 1", [])?;
        self.boots += 1;
        // Nobody has pinned anything yet, so what no kept turn names can go.
        self.conn.execute_batch(
            "DELETE FROM pins WHERE id NOT IN (SELECT pin FROM turns WHERE pin IS NOT NULL);
             DELETE FROM blobs WHERE hash NOT IN (SELECT module FROM pins UNION
                SELECT settings FROM pins UNION SELECT grants FROM pins);",
        )?;
        Ok(())
    }
}
