//! The end of a turn: one step that is the commit point (rule D1).

use super::accept::{Incoming, digest, idem_row};
use super::agents::{INBOX_BYTES, INBOX_ROWS};
use crate::agent::Agent;
use crate::codec::{self, db, un};
use crate::engine::{Engine, Fault, Op};
use loket_turn::{
    DynamicChild, Effect, End, Enrol, Hash, IntentId, LedgerEvent, MessageId, NextTurn, Outcome,
    TurnNo,
};
use rusqlite::params;

impl Engine {
    /// See [`loket_turn::Ledger::end`].
    pub(crate) fn end(&mut self, end: &End) -> Op<Option<NextTurn>> {
        let agent = self.fenced(&end.turn).map_err(Fault::refused)?;
        let (life, n) = (agent.life, end.turn.n);
        self.write_records(life, n, &end.records)?;
        self.count(life, n, &end.counted)?;
        self.write_end(&agent, end)?;
        self.book.hold(life, Vec::new());
        self.advance(life, n, end.chain)?;
        self.counts.completed += 1;
        self.finished(&agent, n, &end.reply, end.now_ms)?;
        for effect in &end.effects {
            self.apply(&agent, effect, end.now_ms)?;
        }
        self.next_turn(life)
    }

    fn write_end(&mut self, agent: &Agent, end: &End) -> Op<()> {
        let (life, n) = (agent.life, end.turn.n);
        let (ok, reply) = codec::outcome_columns(&end.reply);
        if agent.open_row {
            self.write_begin(life, n, true, end.begin.as_ref())?;
            self.conn
                .prepare_cached(
                    "UPDATE turns SET state = 1, parked_on = NULL, hash = ?3, chain = ?4,
                         ended_ms = ?5, ok = ?6, reply = ?7 WHERE life = ?1 AND n = ?2",
                )?
                .execute(params![
                    db(life),
                    db(n.0),
                    end.hash.0,
                    end.chain.0,
                    db(end.now_ms),
                    ok,
                    reply
                ])?;
            return Ok(());
        }
        let begin = end.begin.as_ref().ok_or_else(|| {
            let what = format!("the begin of turn {n}");
            Fault::refused(loket_turn::LedgerError::NotFound(what))
        })?;
        let pin = self.pin_of(begin)?;
        self.conn
            .prepare_cached(
                "INSERT INTO turns(life, n, state, pin, time_ms, seed, hash, chain, ended_ms, ok,
                     reply) VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                db(life),
                db(n.0),
                pin,
                db(begin.time_ms),
                begin.seed.cast_signed(),
                end.hash.0,
                end.chain.0,
                db(end.now_ms),
                ok,
                reply
            ])?;
        Ok(())
    }

    /// Moves an agent past turn `n`, ended or skipped.
    pub(crate) fn advance(&mut self, life: u64, n: TurnNo, chain: Hash) -> Op<()> {
        self.conn
            .prepare_cached("UPDATE agents SET done_n = ?2, chain = ?3 WHERE life = ?1")?
            .execute(params![db(life), db(n.0), chain.0])?;
        if let Some(agent) = self.book.change(life) {
            agent.done = n.0;
            agent.chain = chain;
            agent.open_row = false;
            agent.waits = None;
            agent.once = None;
        }
        Ok(())
    }

    /// Tells everyone who waits for a message's outcome: its dedupe rows, the caller's record, the
    /// node (rules A2, I1).
    pub(crate) fn finished(
        &mut self,
        agent: &Agent,
        n: TurnNo,
        outcome: &Outcome,
        now_ms: u64,
    ) -> Op<()> {
        let (id, derived, idem, intent, bytes) = self
            .conn
            .prepare_cached(
                "SELECT id, derived, idem, reply_intent, length(body)
                   FROM messages WHERE life = ?1 AND n = ?2",
            )?
            .query_row([agent.life, n.0].map(db), |row| {
                let id = MessageId(codec::array(row.get(0)?)?);
                let intent: Option<Vec<u8>> = row.get(3)?;
                let intent = intent.map(codec::array).transpose()?.map(IntentId);
                let idem: Option<Vec<u8>> = row.get(2)?;
                Ok((id, row.get::<_, bool>(1)?, idem, intent, un(row.get(4)?)))
            })?;
        if let Some(agent) = self.book.change(agent.life) {
            agent.waiting_bytes = agent.waiting_bytes.saturating_sub(bytes);
        }
        let derived = derived.then(|| super::accept::derived_row(id));
        for row in derived.iter().chain(&idem) {
            let (ok, bytes) = codec::outcome_columns(outcome);
            self.conn
                .prepare_cached("UPDATE dedupe SET ok = ?2, outcome = ?3 WHERE key = ?1")?
                .execute(params![row, ok, bytes])?;
        }
        let others = if self.readers { self.readers_of(id)? } else { Vec::new() };
        for intent in others {
            if let Some(written) = self.write_result(intent, outcome, None, now_ms)?
                && written.first
            {
                self.tell(&written, intent);
            }
        }
        if let Some(intent) = intent
            && let Some(written) = self.write_result(intent, outcome, None, now_ms)?
            && written.first
        {
            self.tell(&written, intent);
        }
        self.events.push(LedgerEvent::Finished {
            agent: agent.name.clone(),
            message: id,
            outcome: outcome.clone(),
        });
        Ok(())
    }

    /// Whoever else waits for this message; they are forgotten.
    fn readers_of(&self, id: MessageId) -> rusqlite::Result<Vec<IntentId>> {
        let mut found =
            self.conn.prepare_cached("SELECT intent FROM readers WHERE message = ?1")?;
        let found = found.query_map([id.0], |row| codec::array(row.get(0)?).map(IntentId))?;
        let found: Vec<IntentId> = found.collect::<rusqlite::Result<_>>()?;
        if !found.is_empty() {
            self.conn.prepare_cached("DELETE FROM readers WHERE message = ?1")?.execute([id.0])?;
        }
        Ok(found)
    }

    /// Carries out one staged effect. It never fails for a reason that lies with the receiver: what
    /// cannot be delivered becomes a dead letter (rules A3, A4).
    fn apply(&mut self, agent: &Agent, effect: &Effect, now_ms: u64) -> Op<()> {
        match effect {
            Effect::Send { .. } => self.send(agent, effect, now_ms),
            Effect::Spawn { under, agent: name, settings } => {
                // Another turn was first: the child is there, as was asked.
                if self.book.get(name).is_some() {
                    return Ok(());
                }
                let child = DynamicChild {
                    agent: name.clone(),
                    under: under.clone(),
                    settings: settings.clone(),
                };
                self.enrol_one(&Enrol {
                    agent: name.clone(),
                    inbox_rows: INBOX_ROWS,
                    inbox_bytes: INBOX_BYTES,
                    dynamic: Some(child.clone()),
                })?;
                self.events.push(LedgerEvent::Spawned(vec![child]));
                Ok(())
            }
            Effect::Stop { agent: name } => {
                if self.book.get(name).is_some() {
                    let reason = format!("stopped by {}", agent.name);
                    self.remove_at(name, &reason, now_ms)?;
                }
                Ok(())
            }
            Effect::SendAll { .. } => self.send_all(agent, effect, now_ms),
            Effect::Monitor { id, agent: target, until } => {
                self.monitor(agent, *id, target, *until, now_ms)
            }
            Effect::Demonitor { id } => self.demonitor(agent, *id),
            Effect::SetTimer(timer) => self.set_timer(agent, timer),
            Effect::CancelTimer { id } => self.unset_timer(agent, *id),
            Effect::Join { group } => self.join(agent, group),
            Effect::Leave { group } => self.leave(agent, group),
            other => {
                tracing::error!(?other, "an effect that this ledger does not know");
                Ok(())
            }
        }
    }

    fn send(&mut self, agent: &Agent, effect: &Effect, now_ms: u64) -> Op<()> {
        let Effect::Send { id, to, kind, body, key } = effect else {
            return Ok(());
        };
        let idem = key.as_deref().map(|key| idem_row(&agent.name, to, key));
        let known = match &idem {
            Some(row) => self.dedupe(row, digest(kind, body))?,
            None => None,
        };
        let message = Incoming {
            sender: &agent.name,
            kind,
            body,
            chain: &[],
            reply_to: None,
            id: Some(*id),
            derived: false,
            idem,
            now_ms,
        };
        match (known, self.book.get(to).map(|to| to.life)) {
            (Some(known), _) if known.same => Ok(()),
            (Some(_), _) => {
                let reason = "its idempotency key was used before with another message";
                self.bury_unsent(to, &message, "key_reused", reason)
            }
            (None, Some(life)) => self.deliver(life, &message).map(|_| ()),
            (None, None) => {
                let reason = "its receiver was gone when the sender's turn ended";
                self.bury_unsent(to, &message, "no_such_agent", reason)
            }
        }
    }
}
