//! Turns as an operator looks at them: read only.

use super::next::{BEGIN, MESSAGE, begin_at, message_at};
use super::quarantine::RERUN_ACCEPTED;
use crate::codec::{self, db, un};
use crate::engine::{Engine, Fault, Op};
use loket_turn::{
    AgentName, LedgerError, MessageId, Record, TurnNo, TurnSeen, TurnShown, TurnStanding,
};
use rusqlite::{OptionalExtension, Row, params};

/// Turns of one answer at most: what a person scrolls through.
const PAGE_MAX: u32 = 1_000;

/// The columns of a turn in a list. A message without a turn's row waits.
const SEEN: &str = "m.n, coalesce(t.state, 0), t.parked_on IS NOT NULL, m.id, m.sender, m.kind,
     m.accepted_ms, t.ended_ms, coalesce(t.attempts, 0), coalesce(t.parks, 0),
     (SELECT count(*) FROM records r WHERE r.life = m.life AND r.n = m.n), t.ok";

/// How many columns [`SEEN`] has.
const SEEN_COLUMNS: usize = 12;

impl Engine {
    /// See [`loket_turn::Ledger::turns`].
    pub(crate) fn turns(&self, name: &AgentName, before: TurnNo, limit: u32) -> Op<Vec<TurnSeen>> {
        let life = self.life_of(name)?;
        let sql = format!(
            "SELECT {SEEN} FROM messages m LEFT JOIN turns t USING (life, n)
              WHERE m.life = ?1 AND m.n < ?2 ORDER BY m.n DESC LIMIT ?3"
        );
        let mut rows = self.conn.prepare_cached(&sql)?;
        let limit = limit.min(PAGE_MAX);
        let rows = rows.query_map(params![db(life), db(before.0), limit], |row| seen(name, row))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// See [`loket_turn::Ledger::turn`].
    pub(crate) fn turn(&self, name: &AgentName, n: TurnNo) -> Op<TurnShown> {
        let life = self.life_of(name)?;
        let columns: Vec<String> = MESSAGE.split(", ").map(|it| format!("m.{it}")).collect();
        let sql = format!(
            "SELECT {SEEN}, t.pin IS NOT NULL, t.reply, {}, {BEGIN}
               FROM messages m LEFT JOIN turns t USING (life, n) LEFT JOIN pins p ON p.id = t.pin
              WHERE m.life = ?1 AND m.n = ?2",
            columns.join(", ")
        );
        let found = self
            .conn
            .prepare_cached(&sql)?
            .query_row(params![db(life), db(n.0)], |row| {
                let at = SEEN_COLUMNS;
                let begun: bool = row.get(at)?;
                Ok(TurnShown {
                    seen: seen(name, row)?,
                    message: message_at(row, at + 2)?,
                    begin: begun.then(|| begin_at(row, at + 2 + columns.len())).transpose()?,
                    records: Vec::new(),
                    reply: codec::outcome(row.get(at - 1)?, row.get(at + 1)?)?,
                })
            })
            .optional()?;
        let Some(shown) = found else {
            let what = format!("turn {n} of {name}: it never was, or its rows are given up");
            return Err(Fault::refused(LedgerError::NotFound(what)));
        };
        let mut records = self.records(life, n)?;
        self.add_what_they_took(life, n, &mut records)?;
        Ok(TurnShown { records, ..shown })
    }

    fn add_what_they_took(&self, life: u64, n: TurnNo, records: &mut [Record]) -> Op<()> {
        let sql = "SELECT took_ms, cost FROM records WHERE life = ?1 AND n = ?2 ORDER BY call";
        let mut rows = self.conn.prepare_cached(sql)?;
        let mut rows = rows.query(params![db(life), db(n.0)])?;
        let mut records = records.iter_mut();
        while let (Some(row), Some(record)) = (rows.next()?, records.next()) {
            record.took_ms = row.get::<_, Option<i64>>(0)?.map(un);
            record.used =
                row.get::<_, Option<Vec<u8>>>(1)?.as_deref().map(codec::used).transpose()?;
        }
        Ok(())
    }

    fn life_of(&self, name: &AgentName) -> Op<u64> {
        let agent = self.book.get(name).map(|agent| agent.life);
        agent.ok_or_else(|| Fault::refused(LedgerError::NoSuchAgent(name.clone())))
    }
}

fn seen(name: &AgentName, row: &Row<'_>) -> rusqlite::Result<TurnSeen> {
    let standing = match (row.get::<_, i64>(1)?, row.get(2)?) {
        (0, true) => TurnStanding::Parked,
        (0, false) => TurnStanding::Open,
        (1 | RERUN_ACCEPTED, _) => TurnStanding::Ended,
        _ => TurnStanding::Skipped,
    };
    let small = |at| row.get::<_, i64>(at).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    Ok(TurnSeen {
        agent: name.clone(),
        n: TurnNo(un(row.get(0)?)),
        standing,
        message: MessageId(codec::array(row.get(3)?)?),
        sender: row.get::<_, String>(4)?.into(),
        kind: row.get(5)?,
        accepted_ms: un(row.get(6)?),
        ended_ms: row.get::<_, Option<i64>>(7)?.map(un),
        attempts: small(8)?,
        parks: small(9)?,
        calls: un(row.get(10)?),
        ok: row.get(11)?,
    })
}
