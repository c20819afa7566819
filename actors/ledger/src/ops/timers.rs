//! Durable timers: set with the end of a turn, fired by the writer itself (rules C8, D1, H1).
//!
//! A timer that is due becomes a message, or the result of a sleep, in the same step that takes its row away or moves it to its
//! next time: it fires once, whatever the clock or a crash does. It is never early, for the moment that it is compared with never
//! runs backwards. A full inbox puts a timer off; nothing of it is lost. Start reading at [`Engine::fire_due`].

use super::accept::{Incoming, room};
use crate::agent::Agent;
use crate::clock::Stopwatch;
use crate::codec::{self, db, un};
use crate::engine::{Engine, Fault, Op};
use loket_turn::limits::LISTED_MAX;
use loket_turn::{
    AgentName, Hash, IntentId, LedgerError, MessageId, Missed, Schedule, SetTimer, Sleep,
    TIMER_SENDER, Timer,
};
use rusqlite::{Row, params};
use std::time::Duration;

/// Timers that one step fires at most, so that requests do not wait long behind a great many.
const FIRED_AT_ONCE: usize = 256;

/// How long the writer sleeps at most while a timer waits: the wall clock may be set forward, or the machine wake up, without
/// anybody telling. A timer is late by no more than this and one commit.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the writer knows of its timers.
pub(crate) struct Timers {
    /// When the next one is due at the earliest, Unix milliseconds.
    next_ms: u64,
    /// The last one that this look has come to, by time and row.
    after: (i64, i64),
    /// Some found no room; they are looked at again after [`LOOK_EVERY`].
    put_off: bool,
    looked: Stopwatch,
    /// A simulation ends their rest itself: its steps take no time of the machine.
    by_hand: bool,
}

impl Timers {
    /// To look at once, at all of them.
    pub(crate) fn unknown() -> Self {
        let (after, looked) = ((i64::MIN, 0), Stopwatch::start());
        Self { next_ms: 0, after, put_off: false, looked, by_hand: false }
    }

    /// To look at all of them after a while: something has failed.
    pub(crate) fn again(&mut self) {
        *self = Self { put_off: true, by_hand: self.by_hand, ..Self::unknown() };
    }

    /// From now on a rest ends when it is told to.
    #[cfg(feature = "simulation")]
    pub(crate) fn rest_by_hand(&mut self) {
        self.by_hand = true;
    }

    /// The while is over.
    #[cfg(feature = "simulation")]
    pub(crate) fn end_rest(&mut self) {
        self.put_off = false;
    }

    /// To look no later than then.
    pub(crate) fn look_by(&mut self, due_ms: Option<u64>) {
        self.next_ms = due_ms.map_or(self.next_ms, |due_ms| self.next_ms.min(due_ms));
    }

    fn rests(&self) -> bool {
        self.put_off && (self.by_hand || self.looked.seconds() < LOOK_EVERY.as_secs_f64())
    }

    /// How long the writer may sleep for the sake of timers; `None`: there are none.
    pub(crate) fn patience(&self, now_ms: u64) -> Option<Duration> {
        let left = match (self.next_ms, self.rests()) {
            (u64::MAX, _) => return None,
            (_, true) => LOOK_EVERY,
            (next_ms, false) => Duration::from_millis(next_ms.saturating_sub(now_ms)),
        };
        Some(left.min(LOOK_EVERY))
    }
}

struct DueRow {
    id: i64,
    life: u64,
    key: IntentId,
    due_ms: u64,
    kind: String,
    schedule: Option<Schedule>,
    intent: Option<IntentId>,
    body: Vec<u8>,
}

/// The columns of a schedule: expression and zone in one, then the policy.
fn schedule_columns(schedule: &Schedule) -> (String, &'static str) {
    (format!("{}\n{}", schedule.expr, schedule.tz), schedule.missed.as_str())
}

fn schedule_at(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Schedule>> {
    let (text, missed): (Option<String>, Option<String>) = (row.get(at)?, row.get(at + 1)?);
    let Some(text) = text else { return Ok(None) };
    let (expr, tz) = text.split_once('\n').ok_or_else(|| codec::damaged("schedule"))?;
    let missed = missed.as_deref().and_then(Missed::parse);
    let missed = missed.ok_or_else(|| codec::damaged("schedule"))?;
    Ok(Some(Schedule { expr: expr.to_owned(), tz: tz.to_owned(), missed }))
}

fn due_row(row: &Row<'_>) -> rusqlite::Result<DueRow> {
    let intent: Option<Vec<u8>> = row.get(7)?;
    Ok(DueRow {
        id: row.get(0)?,
        life: un(row.get(1)?),
        key: IntentId(codec::array(row.get(2)?)?),
        due_ms: un(row.get(3)?),
        kind: row.get(4)?,
        schedule: schedule_at(row, 5)?,
        intent: intent.map(codec::array).transpose()?.map(IntentId),
        body: row.get(8)?,
    })
}

impl Engine {
    /// The end of a turn sets a timer.
    pub(crate) fn set_timer(&mut self, agent: &Agent, timer: &SetTimer) -> Op<()> {
        let SetTimer { id, due_ms, kind, body, schedule } = timer;
        let (text, missed) = schedule.as_ref().map(schedule_columns).unzip();
        self.conn
            .prepare_cached(
                "INSERT OR IGNORE INTO timers(life, key, due_ms, kind, schedule, missed, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![db(agent.life), id.0, db(*due_ms), kind, text, missed, body])?;
        self.timers.look_by(Some(*due_ms));
        Ok(())
    }

    /// The end of a turn takes one of its agent's timers back.
    pub(crate) fn unset_timer(&mut self, agent: &Agent, id: IntentId) -> Op<()> {
        self.conn
            .prepare_cached("DELETE FROM timers WHERE key = ?1 AND life = ?2 AND intent IS NULL")?
            .execute(params![id.0, db(agent.life)])?;
        Ok(())
    }

    /// See [`loket_turn::Ledger::sleep`].
    pub(crate) fn sleep(&mut self, sleep: &Sleep) -> Op<()> {
        let life = self.fenced(&sleep.turn).map_err(Fault::refused)?.life;
        self.conn
            .prepare_cached(
                "INSERT OR IGNORE INTO timers(life, key, due_ms, kind, intent, body)
                 VALUES (?1, ?2, ?3, '', ?2, x'')",
            )?
            .execute(params![db(life), sleep.intent.0, db(sleep.due_ms)])?;
        self.timers.look_by(Some(sleep.due_ms));
        Ok(())
    }

    /// See [`loket_turn::Ledger::cancel_timer`].
    pub(crate) fn cancel_timer(&mut self, id: IntentId) -> Op<bool> {
        let gone = self
            .conn
            .prepare_cached("DELETE FROM timers WHERE key = ?1 AND intent IS NULL")?
            .execute([id.0])?;
        Ok(gone > 0)
    }

    /// See [`loket_turn::Ledger::timers`].
    pub(crate) fn timers(&self, agent: Option<&AgentName>) -> Op<Vec<Timer>> {
        let life = match agent {
            Some(name) => {
                let known = self.book.get(name).map(|agent| agent.life);
                let none = || Fault::refused(LedgerError::NoSuchAgent(name.clone()));
                Some(db(known.ok_or_else(none)?))
            }
            None => None,
        };
        let mut rows = self.conn.prepare_cached(
            "SELECT t.key, a.name, t.due_ms, t.kind, t.schedule, t.missed, t.intent IS NOT NULL
               FROM timers t JOIN agents a ON a.life = t.life
              WHERE ?1 IS NULL OR t.life = ?1 ORDER BY t.due_ms, t.id LIMIT ?2",
        )?;
        let rows = rows.query_map(params![life, LISTED_MAX as i64], |row| {
            Ok(Timer {
                id: IntentId(codec::array(row.get(0)?)?),
                agent: row.get::<_, String>(1)?.into(),
                due_ms: un(row.get(2)?),
                kind: row.get(3)?,
                schedule: schedule_at(row, 4)?,
                sleeps: row.get(6)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether a timer may be due.
    pub(crate) fn is_timer_due(&mut self) -> bool {
        self.timers.next_ms <= self.now() && !self.timers.rests()
    }

    /// Fires what is due, the oldest first, in a bounded step.
    pub(crate) fn fire_due(&mut self) -> Op<()> {
        let now_ms = self.now();
        let due: Vec<DueRow> = self
            .conn
            .prepare_cached(
                "SELECT id, life, key, due_ms, kind, schedule, missed, intent, body FROM timers
                  WHERE due_ms <= ?1 AND (due_ms, id) > (?2, ?3) ORDER BY due_ms, id LIMIT ?4",
            )?
            .query_map(
                params![db(now_ms), self.timers.after.0, self.timers.after.1, FIRED_AT_ONCE as i64],
                due_row,
            )?
            .collect::<Result<_, _>>()?;
        if self.timers.after.0 == i64::MIN {
            self.timers.put_off = false;
        }
        for row in &due {
            if !self.fire(row, now_ms)? {
                self.timers.put_off = true;
            }
        }
        let expires_ms = self.expire_due(now_ms)?;
        if let Some(last) = due.get(FIRED_AT_ONCE - 1) {
            self.timers.after = (db(last.due_ms), last.id);
            return Ok(());
        }
        let next: Option<i64> = self
            .conn
            .prepare_cached("SELECT min(due_ms) FROM timers")?
            .query_row([], |row| row.get(0))?;
        self.timers.after = (i64::MIN, 0);
        self.timers.next_ms = next.map_or(u64::MAX, un);
        self.timers.look_by(expires_ms);
        self.timers.looked = Stopwatch::start();
        Ok(())
    }

    /// One timer; `false` when it has to wait for room.
    fn fire(&mut self, row: &DueRow, now_ms: u64) -> Op<bool> {
        if let Some(intent) = row.intent {
            let slept = Ok(format!("{{\"ms\":{now_ms}}}").into_bytes());
            if let Some(written) = self.write_result(intent, &slept, None, now_ms)?
                && written.first
            {
                self.tell(&written, intent);
            }
            return self.move_on(row, None, now_ms);
        }
        let Some(agent) = self.book.life(row.life).cloned() else {
            return self.move_on(row, None, now_ms);
        };
        let (tells, next_ms) = match &row.schedule {
            None => (true, None),
            Some(schedule) => match schedule.due(row.due_ms, now_ms) {
                Ok(due) => (due.tells, due.next_ms),
                Err(why) => {
                    tracing::error!(agent = %agent.name, timer = %row.key, "a timer is dropped: {why}");
                    (false, None)
                }
            },
        };
        // A timer that is over frees what it takes; a repeated one makes the ledger grow (rule A5).
        let refused = next_ms.is_some() && self.under_limit().is_err();
        if tells && (refused || room(&agent, row.body.len() as u64).is_err()) {
            self.meters.timers_put_off.increment(1);
            return Ok(false);
        }
        if tells {
            let message = Incoming {
                sender: TIMER_SENDER,
                kind: &row.kind,
                body: &row.body,
                chain: &[],
                reply_to: None,
                id: Some(message_id(row)),
                derived: false,
                idem: None,
                now_ms,
            };
            self.deliver::<LedgerError>(row.life, &message)?;
        }
        self.move_on(row, next_ms, now_ms)
    }

    /// Takes the row away, or moves it to its next time.
    fn move_on(&mut self, row: &DueRow, next_ms: Option<u64>, now_ms: u64) -> Op<bool> {
        match next_ms {
            Some(next_ms) => self
                .conn
                .prepare_cached("UPDATE timers SET due_ms = ?2 WHERE id = ?1")?
                .execute([row.id, db(next_ms)])?,
            None => {
                self.conn.prepare_cached("DELETE FROM timers WHERE id = ?1")?.execute([row.id])?
            }
        };
        self.meters.timer_late.record(now_ms.saturating_sub(row.due_ms) as f64 / 1_000.0);
        Ok(true)
    }
}

/// The message of a timer's time: another for each time.
fn message_id(row: &DueRow) -> MessageId {
    let mut fields = b"timer".to_vec();
    fields.extend_from_slice(&row.key.0);
    fields.extend_from_slice(&row.due_ms.to_le_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&Hash::of(&fields).0[..16]);
    MessageId(id)
}
