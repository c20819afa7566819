//! Once calls that are out: who holds them, when they are in doubt, how an operator settles them (rule C4).
//!
//! An agent has one open turn, and a turn one call without a result, so that every agent has one such call at most: they stand in
//! the book. Nothing here answers a call but an operator's word.

use crate::book::Book;
use crate::codec::{self, db, un};
use crate::engine::{Engine, Fault, Op};
use loket_turn::{
    CallNo, CallState, Doubt, DoubtId, EffectClass, Holder, IntentId, LedgerError, LedgerEvent,
    MessageId, Resolution, TurnNo,
};
use rusqlite::{Connection, OptionalExtension, params};

/// Bytes of a call's arguments that a doubt shows: all of most calls.
const ARGS_SHOWN: usize = 64 * 1024;

/// A Once call without a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OnceCall {
    pub(crate) intent: IntentId,
    /// `None`: an operator allows one more sending.
    pub(crate) holder: Option<Holder>,
    /// Its number when it is in doubt.
    pub(crate) doubt: Option<u64>,
}

impl Engine {
    /// Notes who holds a Once call, in the same step as its intent or its further sending.
    pub(crate) fn hold_once(
        &mut self,
        life: u64,
        intent: IntentId,
        holder: Option<&Holder>,
    ) -> Op<()> {
        let unknown = Holder { provider: "".into(), incarnation: 0 };
        let holder = holder.unwrap_or(&unknown);
        self.conn
            .prepare_cached(
                "UPDATE records SET held_by = ?2, held_life = ?3, doubt = 0 WHERE intent = ?1",
            )?
            .execute(params![intent.0, &*holder.provider, db(holder.incarnation)])?;
        if let Some(agent) = self.book.change(life) {
            let holder = Some(holder.clone());
            agent.once = Some(Box::new(OnceCall { intent, holder, doubt: None }));
        }
        Ok(())
    }

    /// Whether an operator has allowed the call one more sending.
    pub(crate) fn may_send(&self, life: u64, intent: IntentId) -> bool {
        let once = self.book.life(life).and_then(|agent| agent.once.as_ref());
        once.is_some_and(|once| once.intent == intent && once.holder.is_none())
    }

    /// The call has its result.
    pub(crate) fn once_no_more(&mut self, life: u64, intent: IntentId) {
        let once = self.book.life(life).and_then(|agent| agent.once.as_ref());
        if once.is_some_and(|once| once.intent == intent)
            && let Some(agent) = self.book.change(life)
        {
            agent.once = None;
        }
    }

    /// See [`loket_turn::Ledger::state_of`].
    pub(crate) fn state_of(&self, intent: IntentId) -> Op<CallState> {
        let Some(found) = self.found(intent)? else { return Ok(CallState::Absent) };
        if let Some(outcome) = found.outcome {
            return Ok(CallState::Known(outcome, found.stamp_ms));
        }
        if found.class != EffectClass::Once.as_str() {
            return Ok(CallState::Open { earlier: self.earlier.contains(&intent) });
        }
        let free = self.may_send(found.life, intent);
        Ok(if free { CallState::MaySend } else { CallState::Held })
    }

    /// See [`loket_turn::Ledger::holder_ended`].
    pub(crate) fn holder_ended(&mut self, ended: &Holder) -> Op<u64> {
        self.doubt_all(|holder| {
            holder.provider == ended.provider && holder.incarnation <= ended.incarnation
        })
    }

    /// At a start: the process before has ended, and every provider's incarnation with it.
    pub(crate) fn doubt_all(&mut self, ended: impl Fn(&Holder) -> bool) -> Op<u64> {
        let mut lost: Vec<(u64, OnceCall)> = self
            .book
            .all()
            .filter_map(|agent| Some((agent.life, agent.once.as_deref()?.clone())))
            .filter(|(_, once)| once.doubt.is_none() && once.holder.as_ref().is_some_and(&ended))
            .collect();
        // Numbered in the order of the agents' lives, whatever order the book has.
        lost.sort_by_key(|(life, _)| *life);
        let count = lost.len() as u64;
        for (life, once) in lost {
            self.put_in_doubt(life, once)?;
        }
        Ok(count)
    }

    /// See [`loket_turn::Ledger::doubt`].
    pub(crate) fn doubt_one(&mut self, intent: IntentId) -> Op<()> {
        let Some(life) = self.found(intent)?.map(|found| found.life) else { return Ok(()) };
        let once = self.book.life(life).and_then(|agent| agent.once.clone());
        match once {
            Some(once) if once.intent == intent && once.doubt.is_none() => {
                self.put_in_doubt(life, *once)
            }
            _ => Ok(()),
        }
    }

    fn put_in_doubt(&mut self, life: u64, once: OnceCall) -> Op<()> {
        let number = self.next_doubt()?;
        self.conn
            .prepare_cached(
                "UPDATE records SET doubt = ?2, held_by = coalesce(held_by, '') WHERE intent = ?1",
            )?
            .execute(params![once.intent.0, db(number)])?;
        let nobody = Holder { provider: "".into(), incarnation: 0 };
        let holder = Some(once.holder.unwrap_or(nobody));
        self.meters.doubts.increment(1);
        if let Some(agent) = self.book.change(life) {
            tracing::error!(
                agent = %agent.name, doubt = number,
                "a call is in doubt: its provider ended without an answer; see `loket doubt show {number}`"
            );
            agent.once = Some(Box::new(OnceCall { holder, doubt: Some(number), ..once }));
        }
        Ok(())
    }

    /// Numbers are never given twice, so that an operator's word never meets another call.
    fn next_doubt(&self) -> rusqlite::Result<u64> {
        let last: Option<Vec<u8>> = self
            .conn
            .prepare_cached("SELECT value FROM meta WHERE name = 'doubts'")?
            .query_row([], |row| row.get(0))
            .optional()?;
        let last = last.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
        let number = last + 1;
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO meta(name, value) VALUES ('doubts', ?1)")?
            .execute([number.to_le_bytes().as_slice()])?;
        Ok(number)
    }

    /// See [`loket_turn::Ledger::doubts`].
    pub(crate) fn doubts(&self) -> Op<Vec<Doubt>> {
        let calls = self.book.all().filter_map(|agent| {
            let once = agent.once.as_ref()?;
            Some((agent.name.clone(), once.intent, once.doubt?))
        });
        let mut doubts = calls
            .map(|(agent, intent, number)| {
                let sql = "SELECT r.n, r.call, r.capability, r.args, r.held_by, r.stamp_ms, m.id
                             FROM records r JOIN messages m USING (life, n) WHERE r.intent = ?1";
                self.conn.prepare_cached(sql)?.query_row([intent.0], |row| {
                    let args: Vec<u8> = row.get(3)?;
                    let args = String::from_utf8_lossy(&args).into_owned();
                    let held_by: Option<String> = row.get(4)?;
                    Ok(Doubt {
                        id: DoubtId(number),
                        agent: agent.clone(),
                        n: TurnNo(un(row.get(0)?)),
                        call: CallNo(row.get(1)?),
                        capability: row.get(2)?,
                        args: args[..args.floor_char_boundary(ARGS_SHOWN)].to_owned(),
                        held_by: held_by.filter(|name| !name.is_empty()).map(Into::into),
                        sent_ms: un(row.get(5)?),
                        message: MessageId(codec::array(row.get(6)?)?),
                        intent,
                    })
                })
            })
            .collect::<rusqlite::Result<Vec<_>>>()?;
        doubts.sort_by_key(|doubt| doubt.id);
        Ok(doubts)
    }

    /// See [`loket_turn::Ledger::resolve_doubt`].
    pub(crate) fn resolve_doubt(&mut self, id: DoubtId, how: &Resolution) -> Op<()> {
        let found = self.book.all().find_map(|agent| {
            let once = agent.once.clone().filter(|once| once.doubt == Some(id.0))?;
            Some((agent.life, agent.name.clone(), once))
        });
        let Some((life, agent, once)) = found else {
            return Err(Fault::refused(LedgerError::NotFound(format!("doubt {}", id.0))));
        };
        let intent = once.intent;
        match how {
            Resolution::Is(outcome) => {
                let now_ms = (self.options.clock)();
                if let Some(written) = self.write_result(intent, outcome, None, now_ms)? {
                    self.tell(&written, intent);
                }
            }
            Resolution::Retry => {
                self.must_sync = true;
                self.conn
                    .prepare_cached(
                        "UPDATE records SET held_by = NULL, held_life = NULL, doubt = 0
                          WHERE intent = ?1",
                    )?
                    .execute([intent.0])?;
                if let Some(agent) = self.book.change(life) {
                    agent.once = Some(Box::new(OnceCall { intent, holder: None, doubt: None }));
                }
                self.events.push(LedgerEvent::Resend { agent, intent });
            }
            other => tracing::error!(?other, "a resolution that this ledger does not know"),
        }
        Ok(())
    }
}

impl Book {
    /// Finds again which Once calls are out: those of open turns without a result.
    pub(crate) fn once_calls(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let mut rows = conn.prepare(
            "SELECT r.life, r.intent, r.held_by, r.held_life, r.doubt
               FROM turns t JOIN records r ON r.life = t.life AND r.n = t.n
              WHERE t.state = 0 AND r.class = 'once' AND r.ok IS NULL AND r.intent IS NOT NULL",
        )?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let held_by: Option<String> = row.get(2)?;
            let incarnation = un(row.get::<_, Option<i64>>(3)?.unwrap_or(0));
            let holder = held_by.map(|name| Holder { provider: name.into(), incarnation });
            let doubt = Some(un(row.get(4)?)).filter(|number| *number > 0);
            let intent = IntentId(codec::array(row.get(1)?)?);
            if let Some(agent) = self.change(un(row.get(0)?)) {
                agent.once = Some(Box::new(OnceCall { intent, holder, doubt }));
            }
        }
        Ok(())
    }
}
