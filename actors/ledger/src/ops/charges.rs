//! What calls charge to budgets: at every level that they draw on, or at none.
//!
//! A charge is written with its call's intent and goes with its result, each in one step with what it belongs to (rules C2, C4):
//! a crash between them leaves it as it was, and a second sending under the same key finds the intent and charges nothing. What is
//! charged where is a row for each level, so that a result settles all that its intent has reserved, whatever the fleet file says by
//! then. Start reading at [`Engine::reserve_charge`].

use super::budgets::{level, subject};
use crate::codec::{db, un};
use crate::engine::{Engine, Op};
use loket_turn::{
    Amounts, Budget, Charge, Counted, Intent, IntentId, LedgerError, Level, Outcome, Short, TurnNo,
    Unit, Used,
};
use rusqlite::params;

/// Whether a call with this charge draws on a budget of its agent or of a supervisor above.
fn draws_on(charge: &Charge, level: &Level) -> bool {
    match level {
        Level::Grant { capability } => charge.grant.as_ref() == Some(capability),
        Level::Message | Level::Supervisor { .. } => true,
    }
}

/// What becomes of a call by its budgets.
pub(crate) enum Judged {
    /// It is made.
    Made,
    /// This budget does not suffice.
    Spent(Box<Budget>, Short),
    /// It goes beyond the soft limit of this one, and nobody has allowed that.
    Beyond(Level),
}

impl Engine {
    /// Brings the rows of one budget into the window of this moment, or of this turn.
    pub(super) fn next_window(
        &self,
        subject: &str,
        now_ms: u64,
        n: TurnNo,
    ) -> rusqlite::Result<()> {
        if level(subject) != Some(Level::Message) {
            self.conn
                .prepare_cached(
                    "UPDATE budgets SET spent = 0, lifted = 0,
                         since_ms = since_ms + (?2 - since_ms) / period_ms * period_ms
                      WHERE subject = ?1 AND period_ms > 0 AND ?2 - since_ms >= period_ms",
                )?
                .execute(params![subject, db(now_ms)])?;
            return Ok(());
        }
        let moved = self
            .conn
            .prepare_cached(
                "UPDATE budgets SET spent = 0, reserved = 0, lifted = 0, since_ms = ?2
                  WHERE subject = ?1 AND since_ms <> ?2",
            )?
            .execute(params![subject, db(n.0)])?;
        if moved > 0 {
            // What an earlier message still owes is not this one's.
            self.conn
                .prepare_cached(
                    "DELETE FROM charges
                      WHERE budget IN (SELECT id FROM budgets WHERE subject = ?1)",
                )?
                .execute([subject])?;
        }
        Ok(())
    }

    /// Adds to one row. A sum beyond what the file can hold stays there: more than any limit.
    fn add(&self, subject: &str, unit: Unit, spent: u64) -> rusqlite::Result<()> {
        if spent == 0 {
            return Ok(());
        }
        self.conn
            .prepare_cached(
                "UPDATE budgets SET spent = min(spent, ?4 - ?3) + ?3
                  WHERE subject = ?1 AND unit = ?2",
            )?
            .execute(params![subject, unit.as_str(), db(spent), i64::MAX])?;
        Ok(())
    }

    /// Writes what a turn has counted, with its end, its next intent, its question or its failure.
    pub(crate) fn count(&mut self, life: u64, n: TurnNo, counted: &[Counted]) -> Op<()> {
        if counted.is_empty() {
            return Ok(());
        }
        let now_ms = self.now();
        let standing = self.budgets_of(life, now_ms)?;
        for Counted { level, since_ms, spent } in counted {
            let known = standing.iter().find(|budget| budget.level == *level);
            if known.is_none_or(|budget| budget.since_ms != *since_ms) {
                continue;
            }
            let subject = subject(life, level);
            self.next_window(&subject, now_ms, n)?;
            for unit in Unit::ALL {
                self.add(&subject, unit, spent.of(unit))?;
            }
        }
        Ok(())
    }

    /// Whether a call is made: by what each budget has left, and then by their soft limits. What the turn has counted and is not
    /// written yet counts as well.
    pub(crate) fn judge(
        &mut self,
        life: u64,
        intent: &Intent,
        charge: &Charge,
        counted: &[Counted],
    ) -> Op<Judged> {
        let now_ms = self.now();
        // A budget that was taken out of the fleet file is not there: its incarnation is about to be told.
        let mut standing = self.budgets_of(life, now_ms)?;
        standing.retain(|budget| draws_on(charge, &budget.level));
        for budget in &mut standing {
            let unwritten = counted
                .iter()
                .filter(|it| it.level == budget.level && it.since_ms == budget.since_ms);
            let unwritten: Vec<Amounts> = unwritten.map(|it| it.spent).collect();
            for line in &mut budget.lines {
                for spent in &unwritten {
                    line.spent = line.spent.saturating_add(spent.of(line.unit));
                }
            }
        }
        for budget in &standing {
            if let Err(short) = budget.afford(&charge.wants) {
                return Ok(Judged::Spent(Box::new(budget.clone()), short));
            }
        }
        for budget in &standing {
            if budget.afford_unasked(&charge.wants).is_err()
                && !self.may_go_beyond(intent, &budget.level)?
            {
                return Ok(Judged::Beyond(budget.level.clone()));
            }
        }
        Ok(Judged::Made)
    }

    /// Charges a call, in the step that writes its intent, at each level: itself and its arguments are spent, its tokens and money
    /// reserved.
    pub(crate) fn reserve_charge(
        &mut self,
        life: u64,
        n: TurnNo,
        intent: IntentId,
        charge: &Charge,
    ) -> Op<()> {
        let now_ms = self.now();
        let wants = &charge.wants;
        let standing = self.budgets_of(life, now_ms)?;
        for budget in standing.iter().filter(|budget| draws_on(charge, &budget.level)) {
            let subject = subject(life, &budget.level);
            self.next_window(&subject, now_ms, n)?;
            self.add(&subject, Unit::Calls, wants.calls)?;
            self.add(&subject, Unit::Bytes, wants.bytes)?;
            // The bytes of the answer are added with it: nothing is reserved for them, and the row says whose they are.
            let reserved =
                [(Unit::Tokens, wants.tokens), (Unit::Money, wants.money), (Unit::Bytes, 0)];
            for (unit, reserved) in reserved {
                self.reserve_unit(intent, &subject, unit, reserved)?;
            }
        }
        Ok(())
    }

    fn reserve_unit(
        &self,
        intent: IntentId,
        subject: &str,
        unit: Unit,
        reserved: u64,
    ) -> rusqlite::Result<()> {
        let reserved = db(reserved);
        self.conn
            .prepare_cached(
                "INSERT INTO charges(intent, budget, amount)
                 SELECT ?4, id, ?3 FROM budgets WHERE subject = ?1 AND unit = ?2",
            )?
            .execute(params![subject, unit.as_str(), reserved, intent.0])?;
        self.conn
            .prepare_cached(
                "UPDATE budgets SET reserved = reserved + ?3 WHERE subject = ?1 AND unit = ?2",
            )?
            .execute(params![subject, unit.as_str(), reserved])?;
        Ok(())
    }

    /// Settles a call's charges with its result, at every level. `used`: what its provider says that it used; when nobody knows, all
    /// that was reserved is spent.
    pub(crate) fn settle_charges<E>(
        &mut self,
        life: u64,
        intent: IntentId,
        outcome: Option<&Outcome>,
        used: Option<Used>,
    ) -> Op<(), E> {
        let Some(agent) = self.book.life(life).filter(|agent| agent.has_budgets) else {
            return Ok(());
        };
        let n = TurnNo(agent.done + 1);
        let charges: Vec<(i64, u64, String, String)> = self
            .conn
            .prepare_cached(
                "SELECT b.id, c.amount, b.subject, b.unit
                   FROM charges c JOIN budgets b ON b.id = c.budget
                  WHERE c.intent = ?1",
            )?
            .query_map([intent.0], |row| {
                Ok((row.get(0)?, un(row.get(1)?), row.get(2)?, row.get(3)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        if charges.is_empty() {
            return Ok(());
        }
        let now_ms = self.now();
        for (budget, reserved, subject, unit) in charges {
            if level(&subject) != Some(Level::Message) {
                self.next_window(&subject, now_ms, n)?;
            }
            let spent = match Unit::parse(&unit) {
                Some(unit @ (Unit::Tokens | Unit::Money)) => {
                    used.map_or(reserved, |it| it.of(unit))
                }
                _ => outcome.and_then(|it| it.as_ref().ok()).map_or(0, |bytes| bytes.len() as u64),
            };
            self.conn
                .prepare_cached(
                    "UPDATE budgets SET reserved = max(reserved - ?2, 0),
                         spent = min(spent, ?4 - ?3) + ?3
                      WHERE id = ?1",
                )?
                .execute(params![budget, db(reserved), db(spent), i64::MAX])?;
        }
        self.conn.prepare_cached("DELETE FROM charges WHERE intent = ?1")?.execute([intent.0])?;
        Ok(())
    }

    /// Settles what calls of a turn, from this one on, have reserved and nobody will tell of any more: it is spent.
    pub(crate) fn settle_turn(&mut self, life: u64, n: TurnNo, from: u32) -> Op<()> {
        if !self.book.life(life).is_some_and(|agent| agent.has_budgets) {
            return Ok(());
        }
        let open: Vec<IntentId> = self
            .conn
            .prepare_cached(
                "SELECT intent FROM records
                  WHERE life = ?1 AND n = ?2 AND call >= ?3
                    AND intent IN (SELECT intent FROM charges)",
            )?
            .query_map(params![db(life), db(n.0), from], |row| {
                crate::codec::array(row.get(0)?).map(IntentId)
            })?
            .collect::<rusqlite::Result<_>>()?;
        for intent in open {
            self.settle_charges::<LedgerError>(life, intent, None, None)?;
        }
        Ok(())
    }

    /// The same for all turns of a life.
    pub(super) fn settle_life(&mut self, life: u64) -> Op<()> {
        let turns: Vec<u64> = self
            .conn
            .prepare_cached(
                "SELECT DISTINCT r.n FROM charges c CROSS JOIN records r ON r.intent = c.intent
                  WHERE r.life = ?1",
            )?
            .query_map([db(life)], |row| row.get(0).map(un))?
            .collect::<rusqlite::Result<_>>()?;
        for n in turns {
            self.settle_turn(life, TurnNo(n), 0)?;
        }
        Ok(())
    }

    /// Whether calls of this life have reserved something that nobody has told of.
    pub(super) fn owes(&self, life: u64) -> rusqlite::Result<bool> {
        self.conn
            .prepare_cached(
                "SELECT 1 FROM charges c CROSS JOIN records r ON r.intent = c.intent
                  WHERE r.life = ?1",
            )?
            .exists([db(life)])
    }
}
