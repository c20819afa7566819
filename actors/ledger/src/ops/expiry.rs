//! What is decided by itself when its time has come (rule H1): an approval that nobody gave is denied, and a call that waits at the
//! soft limit of a budget goes on with that budget's next window.
//!
//! It happens in the step of the writer that fires timers, on the same clock: once, whatever the clock or a crash does, since the row
//! that says until when is the row that takes the verdict. Start reading at [`Engine::expire_due`].

use super::approvals::{COLUMNS, Found, Said, found};
use crate::codec::{db, un};
use crate::engine::{Engine, Op};
use loket_turn::{APPROVAL_EXPIRED, Ask, Failure, TIMER_SENDER};
use rusqlite::params;

/// Approvals that one step decides at most, so that requests do not wait long behind a great many.
const DECIDED_AT_ONCE: usize = 256;

/// What a call is told that nobody decided about.
const NOBODY: &str = "nobody has approved it in the time that its grant gives (approve_within)";

impl Engine {
    /// Until when a call waits: as long as it may, and at the soft limit of a budget until that is full again.
    pub(super) fn expiry_of(&self, life: u64, ask: &Ask) -> rusqlite::Result<Option<u64>> {
        let Some(beyond) = &ask.beyond else { return Ok(ask.expires_ms) };
        let all = self.budgets_of(life, self.moment())?;
        let full_ms = all.iter().find(|it| it.level == *beyond).and_then(|it| it.ends_ms());
        Ok([ask.expires_ms, full_ms].into_iter().flatten().min())
    }

    /// Decides what is due, the oldest first, in a bounded step. Gives when the next one is due.
    pub(super) fn expire_due(&mut self, now_ms: u64) -> Op<Option<u64>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM approvals p JOIN agents a USING (life)
              WHERE p.verdict IS NULL AND p.expires_ms <= ?1 ORDER BY p.expires_ms, p.id LIMIT ?2"
        );
        let due: Vec<Found> = self
            .conn
            .prepare_cached(&sql)?
            .query_map(params![db(now_ms), DECIDED_AT_ONCE as i64], found)?
            .collect::<rusqlite::Result<_>>()?;
        for known in &due {
            self.expire(known, now_ms)?;
        }
        let next: Option<i64> = self
            .conn
            .prepare_cached(
                "SELECT min(expires_ms) FROM approvals
                  WHERE verdict IS NULL AND expires_ms IS NOT NULL",
            )?
            .query_row([], |row| row.get(0))?;
        Ok(next.map(un))
    }

    fn expire(&mut self, known: &Found, now_ms: u64) -> Op<()> {
        if !self.is_open(known) {
            // Its turn was given up: nobody waits, and it is not looked at again.
            self.conn
                .prepare_cached("UPDATE approvals SET expires_ms = NULL WHERE id = ?1")?
                .execute([db(known.approval.id.0)])?;
            return Ok(());
        }
        let full_again = match &known.budget {
            Some(budget) => self.is_full_again(budget, known.approval.asked_ms, now_ms)?,
            None => false,
        };
        let by = TIMER_SENDER;
        let said = if full_again {
            Said { outcome: Ok(Vec::new()), by, reason: None, now_ms }
        } else {
            self.meters.approvals_expired.increment(1);
            let outcome = Err(Failure::new(APPROVAL_EXPIRED, NOBODY));
            Said { outcome, by, reason: Some(NOBODY), now_ms }
        };
        self.must_sync = true;
        self.say(known, &said)
    }

    /// Whether a window of a budget has begun since then, or none is counted any more.
    fn is_full_again(&self, budget: &str, asked_ms: u64, now_ms: u64) -> rusqlite::Result<bool> {
        let waits = self
            .conn
            .prepare_cached(
                "SELECT 1 FROM budgets WHERE subject = ?1 AND (period_ms IS NULL
                    OR (since_ms <= ?2 AND ?3 - since_ms < period_ms))",
            )?
            .exists(params![budget, db(asked_ms), db(now_ms)])?;
        Ok(!waits)
    }
}
