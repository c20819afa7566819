//! Budgets as rows: a row a unit, read and set. What calls charge to them is in [`super::charges`].
//!
//! Nothing here is looked at for an agent that has no budget and no supervisor with one. Start reading at [`subject`].

use crate::codec::{db, un};
use crate::engine::{Engine, Fault, Op};
use loket_turn::limits::LISTED_MAX;
use loket_turn::{AgentName, Allowance, Budget, LedgerError, Level, Line, Terms, Unit};
use rusqlite::{Connection, Row, params};
use std::sync::Arc;

/// Whose rows they are: `LIFE:CAPABILITY` for a grant, `LIFE:` for an agent's messages, `@SUPERVISOR` for all agents below one.
pub(super) fn subject(life: u64, level: &Level) -> String {
    match level {
        Level::Grant { capability } => format!("{life}:{capability}"),
        Level::Message => format!("{life}:"),
        Level::Supervisor { supervisor } => format!("@{supervisor}"),
    }
}

/// The level that a subject names.
pub(super) fn level(subject: &str) -> Option<Level> {
    if let Some(supervisor) = subject.strip_prefix('@') {
        return Some(Level::supervisor(supervisor));
    }
    let (_, capability) = subject.split_once(':')?;
    Some(if capability.is_empty() { Level::Message } else { Level::grant(capability) })
}

/// The subjects of a life: from the first, up to but without the second. `;` is the character after the colon.
fn of_life(life: u64) -> (String, String) {
    (format!("{life}:"), format!("{life};"))
}

/// The subject of one supervisor, likewise: no character of an id is as small as a space.
fn of_supervisor(id: &str) -> (String, String) {
    (format!("@{id}"), format!("@{id} "))
}

/// Those of all supervisors: `A` is the character after the `@`.
fn of_supervisors() -> (String, String) {
    ("@".to_owned(), "A".to_owned())
}

/// One row.
struct Unitary {
    level: Level,
    line: Line,
    per_ms: Option<u64>,
    since_ms: u64,
    lifted: bool,
}

fn unitary(row: &Row<'_>) -> rusqlite::Result<Option<Unitary>> {
    let (subject, unit): (String, String) = (row.get(0)?, row.get(1)?);
    let (Some(level), Some(unit)) = (level(&subject), Unit::parse(&unit)) else {
        return Ok(None);
    };
    let [limit, spent, reserved] = [un(row.get(2)?), un(row.get(5)?), un(row.get(6)?)];
    Ok(Some(Unitary {
        level,
        line: Line { unit, limit, soft: row.get::<_, Option<i64>>(7)?.map(un), spent, reserved },
        per_ms: row.get::<_, Option<i64>>(3)?.map(un),
        since_ms: un(row.get(4)?),
        lifted: row.get(8)?,
    }))
}

/// The budgets of these subjects as their rows say, in the window that each was last written in.
fn rows_of(conn: &Connection, (from, to): &(String, String)) -> rusqlite::Result<Vec<Budget>> {
    let mut rows = conn.prepare_cached(
        "SELECT subject, unit, hard, period_ms, since_ms, spent, reserved, soft, lifted
           FROM budgets WHERE subject >= ?1 AND subject < ?2 ORDER BY subject, unit",
    )?;
    let mut all: Vec<Budget> = Vec::new();
    for row in rows.query_map([from, to], unitary)? {
        let Some(Unitary { level, line, per_ms, since_ms, lifted }) = row? else { continue };
        match all.last_mut().filter(|last| last.level == level) {
            Some(last) => last.lines.push(line),
            None => {
                let lines = vec![line];
                let (agent, under) = (None, None);
                all.push(Budget { level, agent, under, lines, per_ms, since_ms, lifted });
            }
        }
    }
    Ok(all)
}

/// The lives that have budgets, or calls that are charged to one.
pub(crate) fn lives(conn: &Connection) -> rusqlite::Result<Vec<u64>> {
    let mut rows = conn.prepare(
        "SELECT CAST(substr(subject, 1, instr(subject, ':') - 1) AS INTEGER) FROM budgets
          WHERE subject < '@'
         UNION
         SELECT r.life FROM charges c JOIN records r ON r.intent = c.intent",
    )?;
    let lives = rows.query_map([], |row| Ok(un(row.get(0)?)))?;
    lives.collect()
}

impl Engine {
    /// [`Self::now`], for who only looks.
    pub(crate) fn moment(&self) -> u64 {
        self.told_ms.max((self.options.clock)())
    }

    /// The budgets that a life's open turn draws on, as they stand at this moment: its own, then those of the supervisors above,
    /// the nearest first. No query for one that has none.
    pub(crate) fn budgets_of(&self, life: u64, now_ms: u64) -> rusqlite::Result<Vec<Budget>> {
        let mut all = self.standing_of(life, now_ms)?;
        let n = self.book.life(life).map_or(0, |agent| agent.done + 1);
        for budget in all.iter_mut().filter(|budget| budget.level == Level::Message) {
            if budget.since_ms != n {
                (budget.since_ms, budget.lifted) = (n, false);
                budget.lines.iter_mut().for_each(|line| (line.spent, line.reserved) = (0, 0));
            }
        }
        Ok(all)
    }

    /// The same, with the last message's standing until the next one spends something.
    fn standing_of(&self, life: u64, now_ms: u64) -> rusqlite::Result<Vec<Budget>> {
        let Some(agent) = self.book.life(life).filter(|agent| agent.has_budgets) else {
            return Ok(Vec::new());
        };
        let mut all = rows_of(&self.conn, &of_life(life))?;
        for budget in &mut all {
            (budget.agent, budget.under) = (Some(agent.name.clone()), agent.above.first().cloned());
        }
        for id in agent.above.iter() {
            all.extend(rows_of(&self.conn, &of_supervisor(id))?);
        }
        for budget in &mut all {
            self.told(budget, now_ms);
        }
        Ok(all)
    }

    /// Adds what no row says.
    fn told(&self, budget: &mut Budget, now_ms: u64) {
        if let Level::Supervisor { supervisor } = &budget.level {
            budget.under = self.book.allowances.get(supervisor).cloned().flatten();
        }
        budget.move_on(now_ms);
    }

    /// See [`loket_turn::Ledger::budgets`].
    pub(crate) fn budgets(&self, agent: Option<&AgentName>) -> Op<Vec<Budget>> {
        let now_ms = self.moment();
        let mut all = Vec::new();
        match agent {
            Some(name) => match self.book.get(name) {
                Some(agent) => all.extend(self.standing_of(agent.life, now_ms)?),
                None => return Err(Fault::refused(LedgerError::NoSuchAgent(name.clone()))),
            },
            None => {
                all.extend(rows_of(&self.conn, &of_supervisors())?);
                all.iter_mut().for_each(|budget| self.told(budget, now_ms));
                let mut lives: Vec<_> = self.book.all().filter(|agent| agent.has_budgets).collect();
                lives.sort_by(|a, b| a.name.cmp(&b.name));
                for agent in lives.into_iter().take(LISTED_MAX) {
                    let own = self.standing_of(agent.life, now_ms)?.into_iter();
                    all.extend(own.filter(|budget| budget.agent.is_some()));
                }
            }
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
        above: &Arc<[Arc<str>]>,
    ) -> Op<Vec<Budget>> {
        let Some(agent) = self.book.get(name) else {
            return Err(Fault::refused(LedgerError::NoSuchAgent(name.clone())));
        };
        self.book.current(agent, incarnation).map_err(Fault::refused)?;
        let (life, n, now_ms) = (agent.life, agent.done + 1, self.now());
        self.drop_others(life, &of_life(life), terms)?;
        for term in terms {
            let since = if term.level == Level::Message { n } else { now_ms };
            self.set_terms(life, term, since)?;
        }
        let owes = self.owes(life)?;
        if let Some(agent) = self.book.change(life) {
            agent.has_budgets = owes || !terms.is_empty() || !above.is_empty();
            agent.above = Arc::clone(above);
        }
        Ok(self.budgets_of(life, now_ms)?)
    }

    /// See [`loket_turn::Ledger::set_allowances`].
    pub(crate) fn set_allowances(&mut self, all: &[Allowance]) -> Op<()> {
        let now_ms = self.now();
        let terms: Vec<Terms> = all.iter().map(|one| one.terms.clone()).collect();
        self.drop_others(0, &of_supervisors(), &terms)?;
        for term in &terms {
            self.set_terms(0, term, now_ms)?;
        }
        let known = all.iter().filter_map(|one| match &one.terms.level {
            Level::Supervisor { supervisor } => Some((supervisor.clone(), one.under.clone())),
            Level::Grant { .. } | Level::Message => None,
        });
        self.book.allowances = known.collect();
        Ok(())
    }

    /// Writes the rows of one budget; what is spent of it stays spent.
    fn set_terms(&self, life: u64, term: &Terms, since: u64) -> rusqlite::Result<()> {
        let subject = subject(life, &term.level);
        for (unit, limit) in &term.limits {
            self.conn
                .prepare_cached(
                    "INSERT INTO budgets(subject, unit, hard, period_ms, since_ms, spent, reserved,
                         soft)
                     VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, ?6)
                     ON CONFLICT(subject, unit) DO UPDATE
                        SET hard = ?3, period_ms = ?4, soft = ?6
                      WHERE (hard, period_ms, soft) IS NOT (?3, ?4, ?6)",
                )?
                .execute(params![
                    subject,
                    unit.as_str(),
                    db(*limit),
                    term.per_ms.map(db),
                    db(since),
                    term.soft_of(*unit).map(db),
                ])?;
        }
        // A unit that was added to a budget counts in the window that the budget is in, and is as free as the others.
        self.conn
            .prepare_cached(
                "UPDATE budgets
                    SET (since_ms, lifted) = (SELECT min(since_ms), max(lifted) FROM budgets
                                               WHERE subject = ?1)
                  WHERE subject = ?1
                    AND (since_ms, lifted) <> (SELECT min(since_ms), max(lifted) FROM budgets
                                                WHERE subject = ?1)",
            )?
            .execute([subject])?;
        Ok(())
    }

    /// Rows that the fleet file does not name any more go, with what is reserved of them.
    fn drop_others(
        &self,
        life: u64,
        (from, to): &(String, String),
        terms: &[Terms],
    ) -> rusqlite::Result<()> {
        let mut rows = self.conn.prepare_cached(
            "SELECT id, subject, unit FROM budgets WHERE subject >= ?1 AND subject < ?2",
        )?;
        let found = rows.query_map([from, to], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })?;
        for row in found.collect::<rusqlite::Result<Vec<_>>>()? {
            let (id, of, unit) = row;
            let named = terms.iter().any(|term| {
                subject(life, &term.level) == of
                    && term.limits.iter().any(|(limited, _)| limited.as_str() == unit)
            });
            if !named {
                self.conn.prepare_cached("DELETE FROM charges WHERE budget = ?1")?.execute([id])?;
                self.conn.prepare_cached("DELETE FROM budgets WHERE id = ?1")?.execute([id])?;
            }
        }
        Ok(())
    }

    /// Forgets the budgets of a life that is gone. What its calls that are out have reserved of a supervisor's is spent.
    pub(crate) fn forget_budgets(&mut self, life: u64) -> Op<()> {
        if !self.book.life(life).is_some_and(|agent| agent.has_budgets) {
            return Ok(());
        }
        self.settle_life(life)?;
        let (from, to) = of_life(life);
        self.conn
            .prepare_cached("DELETE FROM budgets WHERE subject >= ?1 AND subject < ?2")?
            .execute([from, to])?;
        Ok(())
    }
}
