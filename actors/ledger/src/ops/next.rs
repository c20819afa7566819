//! Reading an agent's next turn, with what is kept of earlier attempts at it.

use crate::codec::{self, db, un};
use crate::engine::{Engine, Fault, Op};
use loket_turn::{
    AgentName, Begin, CallNo, EffectClass, Hash, IntentId, LedgerError, Message, MessageId,
    NextTurn, Record, Survival, TurnNo,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// The columns of a message, in the order that [`message_at`] reads.
pub(crate) const MESSAGE: &str = "id, sender, kind, accepted_ms, chain, body";

/// A message of its columns, of which the first stands at `at`.
pub(crate) fn message_at(row: &Row<'_>, at: usize) -> rusqlite::Result<Message> {
    Ok(Message {
        id: MessageId(codec::array(row.get(at)?)?),
        sender: row.get::<_, String>(at + 1)?.into(),
        kind: row.get(at + 2)?,
        accepted_ms: un(row.get(at + 3)?),
        chain: codec::names(row.get::<_, Option<Vec<u8>>>(at + 4)?.as_deref())?,
        body: row.get(at + 5)?,
    })
}

fn hash(row: &Row<'_>, at: usize) -> rusqlite::Result<Hash> {
    Ok(Hash(codec::array(row.get(at)?)?))
}

fn small(row: &Row<'_>, at: usize) -> rusqlite::Result<u32> {
    Ok(u32::try_from(row.get::<_, i64>(at)?).unwrap_or(u32::MAX))
}

/// The columns of a begin: the turn's own two, then its pin's.
pub(crate) const BEGIN: &str = "t.time_ms, t.seed, p.module, p.settings, p.grants, p.memory_bytes,
     p.output_bytes, p.calls_max, p.pure_version";

/// A begin of its columns.
pub(crate) fn begin_at(row: &Row<'_>, at: usize) -> rusqlite::Result<Begin> {
    Ok(Begin {
        time_ms: un(row.get(at)?),
        seed: row.get::<_, i64>(at + 1)?.cast_unsigned(),
        module: hash(row, at + 2)?,
        settings: hash(row, at + 3)?,
        grants: hash(row, at + 4)?,
        memory_bytes: un(row.get(at + 5)?),
        output_bytes: un(row.get(at + 6)?),
        calls_max: small(row, at + 7)?,
        pure_version: small(row, at + 8)?,
    })
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let class: String = row.get(1)?;
    let intent: Option<Vec<u8>> = row.get(3)?;
    let effect: Option<Vec<u8>> = row.get(6)?;
    Ok(Record {
        call: CallNo(small(row, 0)?),
        class: EffectClass::parse(&class).ok_or_else(|| codec::damaged("class"))?,
        capability: row.get(2)?,
        intent: intent.map(codec::array).transpose()?.map(IntentId),
        outcome: codec::outcome(row.get(4)?, row.get(7)?)?,
        stamp_ms: un(row.get(5)?),
        effect: effect.as_deref().map(codec::effect).transpose()?,
        args: row.get(8)?,
        took_ms: None,
        used: None,
    })
}

/// The records of a turn, in order, as a re-run needs them: without what they took.
pub(crate) fn records(conn: &Connection, life: u64, n: TurnNo) -> rusqlite::Result<Vec<Record>> {
    conn.prepare_cached(
        "SELECT call, class, capability, intent, ok, stamp_ms, effect, outcome, args
           FROM records WHERE life = ?1 AND n = ?2 ORDER BY call",
    )?
    .query_map(params![db(life), db(n.0)], record)?
    .collect()
}

impl Engine {
    /// See [`loket_turn::Ledger::next`].
    pub(crate) fn next_of(&mut self, name: &AgentName, incarnation: u64) -> Op<Option<NextTurn>> {
        let Some(agent) = self.book.get(name) else {
            return Err(Fault::refused(LedgerError::NoSuchAgent(name.clone())));
        };
        self.book.current(agent, incarnation).map_err(Fault::refused)?;
        let life = agent.life;
        self.next_turn(life)
    }

    /// The turn after the last one that is done, if its message is there. Places of an attempt that
    /// is over are given back.
    pub(crate) fn next_turn(&mut self, life: u64) -> Op<Option<NextTurn>> {
        let Some(agent) = self.book.life(life) else {
            return Ok(None);
        };
        if agent.waiting() == 0 {
            return Ok(None);
        }
        let (n, open_row, holds) = (agent.done + 1, agent.open_row, !agent.held().is_empty());
        if holds {
            self.hold_durable(life, TurnNo(n))?;
        }
        let sql = format!("SELECT {MESSAGE} FROM messages WHERE life = ?1 AND n = ?2");
        let message = self
            .conn
            .prepare_cached(&sql)?
            .query_row([life, n].map(db), |row| message_at(row, 0))?;
        let mut next = NextTurn {
            n: TurnNo(n),
            message,
            attempts: 0,
            begin: None,
            records: Vec::new(),
            parks: 0,
            parked_on: None,
            survival: Survival::default(),
            budgets: self.budgets_of(life, self.moment())?,
        };
        if open_row {
            self.kept(life, &mut next)?;
        }
        Ok(Some(next))
    }

    /// Adds what is kept of earlier attempts.
    fn kept(&self, life: u64, next: &mut NextTurn) -> Op<()> {
        let sql = format!(
            "SELECT t.attempts, t.parks, t.deaths, t.deaths_alone, t.pin IS NOT NULL, {BEGIN},
                    t.parked_on FROM turns t LEFT JOIN pins p ON p.id = t.pin WHERE t.life = ?1 AND t.n = ?2"
        );
        let parked =
            self.conn.prepare_cached(&sql)?.query_row([life, next.n.0].map(db), |row| {
                next.attempts = small(row, 0)?;
                next.parks = small(row, 1)?;
                next.survival = Survival { deaths: small(row, 2)?, deaths_alone: small(row, 3)? };
                if row.get(4)? {
                    next.begin = Some(begin_at(row, 5)?);
                }
                row.get::<_, Option<Vec<u8>>>(14)?.map(codec::array).transpose()
            })?;
        if next.begin.is_some() {
            next.records = self.records(life, next.n)?;
            if let Some(on) = parked.map(IntentId)
                && self.waits_on(on)?
            {
                next.parked_on = Some(on);
            }
        }
        Ok(())
    }

    /// Whether a call that a turn was parked on is still without a result or a verdict.
    fn waits_on(&self, on: IntentId) -> rusqlite::Result<bool> {
        Ok(match self.found(on)? {
            // A call that an operator lets out once more needs its turn to send it.
            Some(call) => call.outcome.is_none() && !self.may_send(call.life, on),
            None => self.is_decided(on)? == Some(false),
        })
    }

    /// See [`records`].
    pub(crate) fn records(&self, life: u64, n: TurnNo) -> rusqlite::Result<Vec<Record>> {
        records(&self.conn, life, n)
    }

    /// Failed attempts at a turn so far.
    pub(crate) fn attempts(&self, life: u64, n: u64) -> rusqlite::Result<u32> {
        let found = self
            .conn
            .prepare_cached("SELECT attempts FROM turns WHERE life = ?1 AND n = ?2")?
            .query_row([life, n].map(db), |row| small(row, 0))
            .optional()?;
        Ok(found.unwrap_or(0))
    }
}
