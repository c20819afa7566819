//! Budgets of agents: a row a unit, what calls that are out have reserved, and what was counted without a call's intent.
//!
//! A charge is written with its call's intent and goes with its result, each in one step with what it belongs to (rules C2, C4):
//! a crash between them leaves it as it was, and a second sending under the same key finds the intent and charges nothing. Nothing
//! here is looked at for an agent that has no budget. Start reading at [`Engine::reserve_charge`].

use crate::codec::{db, un};
use crate::engine::{Engine, Fault, Op};
use loket_turn::limits::LISTED_MAX;
use loket_turn::{
    AgentName, Amounts, Budget, Charge, Counted, IntentId, LedgerError, Line, Outcome, Short,
    Terms, TurnNo, Unit, Used,
};
use rusqlite::{Connection, Row, params};
use std::sync::Arc;

/// A budget is the rows of one subject, `LIFE:CAPABILITY`: a text, so that budgets of others than agents need no new table.
fn subject(life: u64, capability: &str) -> String {
    format!("{life}:{capability}")
}

/// All rows of the life `?1`: those between `LIFE:` and `LIFE;`, the character after the colon.
const OF_LIFE: &str = "subject >= ?1 || ':' AND subject < ?1 || ';'";

/// One row.
struct Unitary {
    capability: Arc<str>,
    line: Line,
    per_ms: Option<u64>,
    since_ms: u64,
}

fn unitary(row: &Row<'_>) -> rusqlite::Result<Option<Unitary>> {
    let (subject, unit): (String, String) = (row.get(0)?, row.get(1)?);
    let (Some((_, capability)), Some(unit)) = (subject.split_once(':'), Unit::parse(&unit)) else {
        return Ok(None);
    };
    let [limit, spent, reserved] = [un(row.get(2)?), un(row.get(5)?), un(row.get(6)?)];
    Ok(Some(Unitary {
        capability: capability.into(),
        line: Line { unit, limit, spent, reserved },
        per_ms: row.get::<_, Option<i64>>(3)?.map(un),
        since_ms: un(row.get(4)?),
    }))
}

/// The budgets of a life as its rows say, by capability, in the window that each was last written in.
fn rows_of(conn: &Connection, agent: &AgentName, life: u64) -> rusqlite::Result<Vec<Budget>> {
    let sql = format!(
        "SELECT subject, unit, hard, period_ms, since_ms, spent, reserved FROM budgets
          WHERE {OF_LIFE} ORDER BY subject, unit"
    );
    let mut rows = conn.prepare_cached(&sql)?;
    let mut all: Vec<Budget> = Vec::new();
    for row in rows.query_map([db(life)], unitary)? {
        let Some(Unitary { capability, line, per_ms, since_ms }) = row? else { continue };
        match all.last_mut().filter(|last| last.capability == capability) {
            Some(last) => last.lines.push(line),
            None => {
                let agent = agent.clone();
                all.push(Budget { agent, capability, lines: vec![line], per_ms, since_ms });
            }
        }
    }
    Ok(all)
}

/// The lives that have budgets.
pub(crate) fn lives(conn: &Connection) -> rusqlite::Result<Vec<u64>> {
    let sql =
        "SELECT DISTINCT CAST(substr(subject, 1, instr(subject, ':') - 1) AS INTEGER) FROM budgets";
    let mut rows = conn.prepare(sql)?;
    let lives = rows.query_map([], |row| Ok(un(row.get(0)?)))?;
    lives.collect()
}

impl Engine {
    /// [`Self::now`], for who only looks.
    pub(crate) fn moment(&self) -> u64 {
        self.told_ms.max((self.options.clock)())
    }

    /// The budgets of a life as they stand at this moment; no query for one that has none.
    pub(crate) fn budgets_of(&self, life: u64, now_ms: u64) -> rusqlite::Result<Vec<Budget>> {
        let Some(agent) = self.book.life(life).filter(|agent| agent.has_budgets) else {
            return Ok(Vec::new());
        };
        let mut all = rows_of(&self.conn, &agent.name, life)?;
        for budget in &mut all {
            budget.move_on(now_ms);
        }
        Ok(all)
    }

    /// See [`loket_turn::Ledger::budgets`].
    pub(crate) fn budgets(&self, agent: Option<&AgentName>) -> Op<Vec<Budget>> {
        let now_ms = self.moment();
        let lives: Vec<u64> = match agent {
            Some(name) => match self.book.get(name) {
                Some(agent) => vec![agent.life],
                None => return Err(Fault::refused(LedgerError::NoSuchAgent(name.clone()))),
            },
            None => {
                let mut all: Vec<_> = self.book.all().filter(|agent| agent.has_budgets).collect();
                all.sort_by(|a, b| a.name.cmp(&b.name));
                all.into_iter().map(|agent| agent.life).take(LISTED_MAX).collect()
            }
        };
        let mut all = Vec::new();
        for life in lives {
            all.extend(self.budgets_of(life, now_ms)?);
        }
        all.truncate(LISTED_MAX);
        Ok(all)
    }

    /// See [`loket_turn::Ledger::set_budgets`].
    pub(crate) fn set_budgets(
        &mut self,
        name: &AgentName,
        incarnation: u64,
        terms: &[Terms],
    ) -> Op<Vec<Budget>> {
        let Some(agent) = self.book.get(name) else {
            return Err(Fault::refused(LedgerError::NoSuchAgent(name.clone())));
        };
        self.book.current(agent, incarnation).map_err(Fault::refused)?;
        let (life, now_ms) = (agent.life, self.now());
        self.drop_others(life, terms)?;
        for term in terms {
            for (unit, limit) in &term.limits {
                self.conn
                    .prepare_cached(
                        "INSERT INTO budgets(subject, unit, hard, period_ms, since_ms, spent,
                             reserved)
                         VALUES (?1, ?2, ?3, ?4, ?5, 0, 0)
                         ON CONFLICT(subject, unit) DO UPDATE SET hard = ?3, period_ms = ?4
                          WHERE (hard, period_ms) IS NOT (?3, ?4)",
                    )?
                    .execute(params![
                        subject(life, &term.capability),
                        unit.as_str(),
                        db(*limit),
                        term.per_ms.map(db),
                        db(now_ms),
                    ])?;
            }
        }
        if let Some(agent) = self.book.change(life) {
            agent.has_budgets = !terms.is_empty();
        }
        self.align(life, terms)?;
        Ok(self.budgets_of(life, now_ms)?)
    }

    /// A unit that was added to a budget counts in the window that the budget is in.
    fn align(&self, life: u64, terms: &[Terms]) -> rusqlite::Result<()> {
        for term in terms {
            let sql = "UPDATE budgets
                          SET since_ms = (SELECT min(since_ms) FROM budgets WHERE subject = ?1)
                        WHERE subject = ?1
                          AND since_ms <> (SELECT min(since_ms) FROM budgets WHERE subject = ?1)";
            self.conn.prepare_cached(sql)?.execute([subject(life, &term.capability)])?;
        }
        Ok(())
    }

    /// Rows that the fleet file does not name any more go, with what is reserved of them.
    fn drop_others(&self, life: u64, terms: &[Terms]) -> rusqlite::Result<()> {
        let sql = format!("SELECT id, subject, unit FROM budgets WHERE {OF_LIFE}");
        let mut rows = self.conn.prepare_cached(&sql)?;
        let found = rows.query_map([db(life)], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })?;
        for row in found.collect::<rusqlite::Result<Vec<_>>>()? {
            let (id, of, unit) = row;
            let named = terms.iter().any(|term| {
                subject(life, &term.capability) == of
                    && term.limits.iter().any(|(limited, _)| limited.as_str() == unit)
            });
            if !named {
                self.conn.prepare_cached("DELETE FROM charges WHERE budget = ?1")?.execute([id])?;
                self.conn.prepare_cached("DELETE FROM budgets WHERE id = ?1")?.execute([id])?;
            }
        }
        Ok(())
    }

    /// Brings the rows of one budget into the window of this moment.
    fn next_window(&self, life: u64, capability: &str, now_ms: u64) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached(
                "UPDATE budgets SET spent = 0,
                     since_ms = since_ms + (?2 - since_ms) / period_ms * period_ms
                  WHERE subject = ?1 AND period_ms > 0 AND ?2 - since_ms >= period_ms",
            )?
            .execute(params![subject(life, capability), db(now_ms)])?;
        Ok(())
    }

    /// Adds to one row. A sum beyond what the file can hold stays there: more than any limit.
    fn add(&self, life: u64, capability: &str, unit: Unit, spent: u64) -> rusqlite::Result<()> {
        if spent == 0 {
            return Ok(());
        }
        self.conn
            .prepare_cached(
                "UPDATE budgets SET spent = min(spent, ?4 - ?3) + ?3
                  WHERE subject = ?1 AND unit = ?2",
            )?
            .execute(params![subject(life, capability), unit.as_str(), db(spent), i64::MAX])?;
        Ok(())
    }

    /// Writes what a turn has counted, with its end, its next intent, its question or its failure.
    pub(crate) fn count(&mut self, life: u64, counted: &[Counted]) -> Op<()> {
        if counted.is_empty() {
            return Ok(());
        }
        let now_ms = self.now();
        let standing = self.budgets_of(life, now_ms)?;
        for Counted { capability, since_ms, spent } in counted {
            let known = standing.iter().find(|budget| budget.capability == *capability);
            if known.is_none_or(|budget| budget.since_ms != *since_ms) {
                continue;
            }
            self.next_window(life, capability, now_ms)?;
            for unit in Unit::ALL {
                self.add(life, capability, unit, spent.of(unit))?;
            }
        }
        Ok(())
    }

    /// What a call lacks of its budget, if it does. What the turn has counted and is not written yet counts as well.
    pub(crate) fn short(
        &mut self,
        life: u64,
        charge: &Charge,
        counted: &[Counted],
    ) -> Op<Option<(Box<Budget>, Short)>> {
        let now_ms = self.now();
        let standing = self.budgets_of(life, now_ms)?;
        let Some(mut budget) = standing.into_iter().find(|b| b.capability == charge.capability)
        else {
            // Its budget was taken out of the fleet file, and its incarnation is about to be told.
            return Ok(None);
        };
        let unwritten = counted
            .iter()
            .filter(|it| it.capability == budget.capability && it.since_ms == budget.since_ms);
        let unwritten: Vec<Amounts> = unwritten.map(|it| it.spent).collect();
        for line in &mut budget.lines {
            for spent in &unwritten {
                line.spent = line.spent.saturating_add(spent.of(line.unit));
            }
        }
        match budget.afford(&charge.wants) {
            Ok(()) => Ok(None),
            Err(short) => Ok(Some((Box::new(budget), short))),
        }
    }

    /// Charges a call, in the step that writes its intent: itself and its arguments are spent, its tokens and money reserved.
    pub(crate) fn reserve_charge(
        &mut self,
        life: u64,
        intent: IntentId,
        charge: &Charge,
    ) -> Op<()> {
        let now_ms = self.now();
        let Charge { capability, wants } = charge;
        self.next_window(life, capability, now_ms)?;
        self.add(life, capability, Unit::Calls, wants.calls)?;
        self.add(life, capability, Unit::Bytes, wants.bytes)?;
        // The bytes of the answer are added with it: nothing is reserved for them, and the row says whose they are.
        let reserved = [(Unit::Tokens, wants.tokens), (Unit::Money, wants.money), (Unit::Bytes, 0)];
        for (unit, reserved) in reserved {
            let (subject, reserved) = (subject(life, capability), db(reserved));
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
        }
        Ok(())
    }

    /// Settles a call's charges with its result. `used`: what its provider says that it used; when nobody knows, all that was
    /// reserved is spent.
    pub(crate) fn settle_charges<E>(
        &mut self,
        life: u64,
        intent: IntentId,
        outcome: Option<&Outcome>,
        used: Option<Used>,
    ) -> Op<(), E> {
        if !self.book.life(life).is_some_and(|agent| agent.has_budgets) {
            return Ok(());
        }
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
            let Some((_, capability)) = subject.split_once(':') else { continue };
            self.next_window(life, capability, now_ms)?;
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

    /// Forgets the budgets of a life that is gone.
    pub(crate) fn forget_budgets(&self, life: u64) -> rusqlite::Result<()> {
        if !self.book.life(life).is_some_and(|agent| agent.has_budgets) {
            return Ok(());
        }
        for sql in [
            format!("DELETE FROM charges WHERE budget IN (SELECT id FROM budgets WHERE {OF_LIFE})"),
            format!("DELETE FROM budgets WHERE {OF_LIFE}"),
        ] {
            self.conn.prepare_cached(&sql)?.execute([db(life)])?;
        }
        Ok(())
    }
}
