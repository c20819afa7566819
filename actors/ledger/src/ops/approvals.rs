//! Calls that wait for a person: approvals of held calls, and questions (rule H1).
//!
//! A question has an intent in the records, and its answer is that call's result. A held call has none yet: it has not left the
//! turn. Its approval lets the same call, with the same arguments, go out when the turn is run again; its denial is what the guest
//! is told then.

use super::budgets::{level, subject};
use crate::codec::{self, db, un};
use crate::engine::{Engine, Fault, Op};
use loket_turn::limits::LISTED_MAX;
use loket_turn::{
    APPROVAL_EXPIRED, Approval, ApprovalId, Ask, Asked, DENIED, Decide, Failure, Intent, IntentId,
    LedgerError, LedgerEvent, Level, Outcome, TIMER_SENDER, TurnNo, Verdict, beyond_key,
};
use rusqlite::{OptionalExtension, Row, params};

pub(super) const COLUMNS: &str = "p.id, a.name, p.n, p.capability, p.args, p.asked_ms, p.verdict, p.by_whom, \
     p.said_ms, p.reason, p.intent, p.life, p.budget, p.expires_ms, \
     p.capability = 'human.ask' AND EXISTS (SELECT 1 FROM records r WHERE r.intent = p.intent)";

pub(super) struct Found {
    pub(super) approval: Approval,
    intent: IntentId,
    life: u64,
    /// `None`: nobody has decided.
    verdict: Option<bool>,
    question: bool,
    /// The subject of the budget whose soft limit it goes beyond.
    pub(super) budget: Option<String>,
}

pub(super) fn found(row: &Row<'_>) -> rusqlite::Result<Found> {
    let verdict: Option<bool> = row.get(6)?;
    let question = row.get(14)?;
    let by: Option<String> = row.get(7)?;
    let budget: Option<String> = row.get(12)?;
    let state = match (verdict, question) {
        (None, _) => "waits",
        (Some(false), _) if by.as_deref() == Some(TIMER_SENDER) => "expired",
        (Some(false), _) => "denied",
        (Some(true), true) => "answered",
        (Some(true), false) => "approved",
    };
    Ok(Found {
        approval: Approval {
            id: ApprovalId(un(row.get(0)?)),
            agent: row.get::<_, String>(1)?.into(),
            n: TurnNo(un(row.get(2)?)),
            capability: row.get(3)?,
            args: row.get(4)?,
            budget: budget.as_deref().and_then(level),
            asked_ms: un(row.get(5)?),
            state: state.to_owned(),
            expires_ms: row.get::<_, Option<i64>>(13)?.map(un),
            by,
            said_ms: row.get::<_, Option<i64>>(8)?.map(un),
            reason: row.get(9)?,
        },
        intent: IntentId(codec::array(row.get(10)?)?),
        life: un(row.get(11)?),
        verdict,
        question,
        budget,
    })
}

/// Those that nobody has decided, of turns that are open.
const OPEN: &str = "FROM approvals p JOIN agents a USING (life)
     WHERE p.verdict IS NULL AND a.gone = 0 AND a.done_n + 1 = p.n";

impl Found {
    /// What the guest is told.
    fn denial(&self) -> Failure {
        let reason = self.approval.reason.as_deref().unwrap_or_default();
        if self.approval.by.as_deref() == Some(TIMER_SENDER) {
            return Failure::new(APPROVAL_EXPIRED, reason);
        }
        denial(reason)
    }
}

/// What was said.
pub(super) struct Said<'a> {
    pub(super) outcome: Outcome,
    pub(super) by: &'a str,
    pub(super) reason: Option<&'a str>,
    pub(super) now_ms: u64,
}

fn denial(reason: &str) -> Failure {
    let text = if reason.is_empty() { "a person said no" } else { reason };
    Failure::new(DENIED, text)
}

impl Engine {
    /// See [`loket_turn::Ledger::ask`].
    pub(crate) fn ask(&mut self, ask: &Ask) -> Op<Asked> {
        let agent = self.fenced(&ask.turn).map_err(Fault::refused)?;
        let (life, n) = (agent.life, ask.turn.n);
        // A person may act on it: all that led to it must be as it was (rule C2).
        self.must_sync = true;
        self.write_begin(life, n, agent.open_row, ask.begin.as_ref())?;
        self.write_records(life, n, &ask.records)?;
        self.count(life, n, &ask.counted)?;
        if let Some(known) = self.one("intent = ?1", ask.intent.0)? {
            let same =
                known.approval.capability == ask.capability && known.approval.args == ask.args;
            match known.verdict {
                None if same => return Ok(Asked::Waits { id: known.approval.id }),
                Some(false) if same => {
                    return Ok(Asked::Denied(known.denial()));
                }
                // The approval of the call that asks the question is not its answer.
                Some(true) if same && !known.question => return Ok(Asked::Approved),
                _ => {
                    let sql = "DELETE FROM approvals WHERE intent = ?1";
                    self.conn.prepare_cached(sql)?.execute([ask.intent.0])?;
                }
            }
        }
        if let Some(beyond) = &ask.beyond
            && self.is_lifted(life, beyond)?
        {
            return Ok(Asked::Approved);
        }
        let expires_ms = self.expiry_of(life, ask)?;
        self.conn
            .prepare_cached(
                "INSERT INTO approvals(intent, life, n, capability, asked_ms, args, budget,
                     expires_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                ask.intent.0,
                db(life),
                db(n.0),
                ask.capability,
                db(ask.now_ms),
                ask.args,
                ask.beyond.as_ref().map(|beyond| subject(life, beyond)),
                expires_ms.map(db),
            ])?;
        let id = ApprovalId(un(self.conn.last_insert_rowid()));
        self.timers.look_by(expires_ms);
        Ok(Asked::Waits { id })
    }

    /// See [`loket_turn::Ledger::decide`].
    pub(crate) fn decide(&mut self, decide: &Decide) -> Op<Approval> {
        let id = decide.id;
        let known = self.numbered(id)?;
        let not_so = |why: String| Err(Fault::refused(LedgerError::NotSo(why)));
        if known.verdict.is_some() {
            let Approval { state, by, .. } = &known.approval;
            let by = by.as_deref().unwrap_or("somebody");
            return not_so(format!("number {id} was {state} by {by} already", id = id.0));
        }
        if decide.by == known.approval.agent {
            return not_so(format!("{} does not decide its own calls", decide.by));
        }
        if !self.is_open(&known) {
            return not_so(format!("the turn that asked number {} is over", id.0));
        }
        let outcome: Outcome = match (&decide.verdict, known.question) {
            (Verdict::Approve, true) => {
                return not_so(format!("number {0} is a question: loket answer {0} TEXT", id.0));
            }
            (Verdict::Answer(_), false) => {
                return not_so(format!(
                    "number {0} asks for a yes or no: loket approvals approve {0}",
                    id.0
                ));
            }
            (Verdict::Approve, false) => Ok(Vec::new()),
            (Verdict::Answer(text), true) => Ok(text.clone().into_bytes()),
            (Verdict::Deny(reason), _) => Err(denial(reason)),
        };
        let reason = match &decide.verdict {
            Verdict::Deny(reason) => Some(&**reason),
            _ => None,
        };
        self.must_sync = true;
        let said = Said { outcome, by: &decide.by, reason, now_ms: decide.now_ms };
        self.say(&known, &said)?;
        if let Some(budget) = known.budget.as_deref().filter(|_| said.outcome.is_ok()) {
            self.lift(&known, budget, &said)?;
        }
        Ok(self.numbered(id)?.approval)
    }

    /// Writes a verdict, and tells who waits for it.
    pub(super) fn say(&mut self, known: &Found, said: &Said<'_>) -> Op<()> {
        let Said { outcome, by, reason, now_ms } = said;
        self.conn
            .prepare_cached(
                "UPDATE approvals SET verdict = ?2, by_whom = ?3, said_ms = ?4, reason = ?5
                  WHERE id = ?1",
            )?
            .execute(params![db(known.approval.id.0), outcome.is_ok(), by, db(*now_ms), reason])?;
        if known.question {
            if let Some(written) = self.write_result(known.intent, outcome, None, *now_ms)?
                && written.first
            {
                self.tell(&written, known.intent);
            }
            return Ok(());
        }
        // From here on the turn waits for nobody: once the call has left, only its next run can send it again (rule C4).
        self.conn
            .prepare_cached(
                "UPDATE turns SET parked_on = NULL WHERE life = ?1 AND n = ?2 AND parked_on = ?3",
            )?
            .execute(params![db(known.life), db(known.approval.n.0), known.intent.0])?;
        self.events.push(LedgerEvent::Result {
            agent: known.approval.agent.clone(),
            intent: known.intent,
            outcome: outcome.clone(),
            stamp_ms: *now_ms,
        });
        Ok(())
    }

    /// Lets a budget be spent to its limits until its window ends. Whoever waits for that goes on.
    fn lift(&mut self, known: &Found, budget: &str, said: &Said<'_>) -> Op<()> {
        let now_ms = self.now();
        self.next_window(budget, now_ms, known.approval.n)?;
        self.conn
            .prepare_cached("UPDATE budgets SET lifted = 1 WHERE subject = ?1")?
            .execute([budget])?;
        let sql = format!(
            "SELECT {COLUMNS} FROM approvals p JOIN agents a USING (life)
              WHERE p.budget = ?1 AND p.verdict IS NULL AND a.gone = 0"
        );
        let waiting: Vec<Found> = self
            .conn
            .prepare_cached(&sql)?
            .query_map([budget], found)?
            .collect::<rusqlite::Result<_>>()?;
        for other in waiting {
            if self.is_open(&other) {
                self.say(&other, said)?;
            }
        }
        Ok(())
    }

    /// Whether a person has let this very call go beyond the soft limit of a level.
    pub(crate) fn may_go_beyond(&self, intent: &Intent, level: &Level) -> rusqlite::Result<bool> {
        let known = self.one("intent = ?1", beyond_key(intent.id, level).0)?;
        Ok(known.is_some_and(|known| {
            let Approval { capability, args, .. } = &known.approval;
            known.verdict == Some(true) && *capability == intent.capability && *args == intent.args
        }))
    }

    /// Whether a budget may be spent to its limits, or is none any more.
    fn is_lifted(&self, life: u64, level: &Level) -> rusqlite::Result<bool> {
        let all = self.budgets_of(life, self.moment())?;
        let known = all.iter().find(|budget| budget.level == *level);
        Ok(known.is_none_or(|budget| {
            budget.lifted || budget.lines.iter().all(|line| line.soft.is_none())
        }))
    }

    /// How many wait for a person.
    pub(super) fn approvals_open(&self) -> rusqlite::Result<u64> {
        let sql = format!("SELECT count(*) {OPEN}");
        self.conn.prepare_cached(&sql)?.query_row([], |row| row.get(0).map(un))
    }

    /// See [`loket_turn::Ledger::approvals`].
    pub(crate) fn approvals(&self) -> Op<Vec<Approval>> {
        let sql = format!("SELECT {COLUMNS} {OPEN} ORDER BY p.id LIMIT ?1");
        let mut rows = self.conn.prepare_cached(&sql)?;
        let rows = rows.query_map([LISTED_MAX as i64], found)?;
        Ok(rows.map(|row| Ok(row?.approval)).collect::<rusqlite::Result<_>>()?)
    }

    /// See [`loket_turn::Ledger::approval`].
    pub(crate) fn approval(&self, id: ApprovalId) -> Op<Approval> {
        Ok(self.numbered(id)?.approval)
    }

    /// Whether the call of an intent waits for a person; `Some(true)`: it is decided.
    pub(crate) fn is_decided(&self, intent: IntentId) -> rusqlite::Result<Option<bool>> {
        self.conn
            .prepare_cached("SELECT verdict IS NOT NULL FROM approvals WHERE intent = ?1")?
            .query_row([intent.0], |row| row.get(0))
            .optional()
    }

    fn numbered(&self, id: ApprovalId) -> Op<Found> {
        let none = || Fault::refused(LedgerError::NotFound(format!("approval {}", id.0)));
        self.one("id = ?1", db(id.0))?.ok_or_else(none)
    }

    fn one(&self, which: &str, key: impl rusqlite::ToSql) -> rusqlite::Result<Option<Found>> {
        let sql =
            format!("SELECT {COLUMNS} FROM approvals p JOIN agents a USING (life) WHERE p.{which}");
        self.conn.prepare_cached(&sql)?.query_row([key], found).optional()
    }

    pub(super) fn is_open(&self, known: &Found) -> bool {
        let agent = self.book.life(known.life);
        agent.is_some_and(|agent| agent.done + 1 == known.approval.n.0)
    }
}
