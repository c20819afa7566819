//! Calls of an open turn: begin, records, intents, results, parking, pinned bytes (rules B1, C2,
//! C4, H1).

use super::charges::Judged;
use crate::codec::{self, db, un};
use crate::engine::{Engine, Fault, Op, pin_key};
use loket_turn::simulation::{Mutation, broken};
use loket_turn::{
    Begin, EffectClass, Hash, IntentId, IntentWrite, IntentWritten, LedgerError, LedgerEvent,
    Outcome, Record, ResultWrite, TurnKey, TurnNo, Used,
};
use rusqlite::{OptionalExtension, params};

/// How many pins are known by heart: a fleet has as many as it has configurations.
const PINS_CACHED: usize = 4096;

/// A result as the ledger has it now.
pub(crate) struct Written {
    pub(crate) life: u64,
    pub(crate) outcome: Outcome,
    pub(crate) stamp_ms: u64,
    /// This write was the first.
    pub(crate) first: bool,
}

pub(crate) struct Found {
    pub(crate) life: u64,
    pub(crate) class: String,
    capability: String,
    args: Vec<u8>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) stamp_ms: u64,
}

impl Engine {
    /// The fence, counted when it refuses.
    pub(crate) fn fenced(&self, turn: &TurnKey) -> Result<crate::agent::Agent, LedgerError> {
        let agent = self.book.fence(turn).cloned();
        if let Err(LedgerError::Fenced { .. }) = &agent {
            self.meters.fenced.increment(1);
        }
        agent
    }

    /// See [`loket_turn::Ledger::intent`].
    pub(crate) fn intent(&mut self, write: &IntentWrite) -> Op<IntentWritten> {
        let agent = self.caller(&write.turn).map_err(Fault::refused)?;
        // Whatever is answered, what it says is on the disk (rule C2).
        self.must_sync = !broken(Mutation::IntentUnsynced);
        let intent = &write.intent;
        if let Some(found) = self.found(intent.id)? {
            let same = broken(Mutation::IntentNoArgs)
                || (found.capability == intent.capability
                    && found.args == intent.args
                    && found.class == intent.class.as_str());
            if !same {
                return Err(Fault::refused(LedgerError::OtherArgs(intent.id)));
            }
            return match found.outcome {
                Some(outcome) => Ok(IntentWritten::Known { outcome, stamp_ms: found.stamp_ms }),
                None if self.may_send(agent.life, intent.id) => {
                    if broken(Mutation::DoubtForgotten) {
                        return Ok(IntentWritten::Fresh);
                    }
                    self.hold_once(agent.life, intent.id, write.holder.as_ref())?;
                    Ok(IntentWritten::Fresh)
                }
                None => Ok(IntentWritten::Again),
            };
        }
        let (life, n) = (agent.life, write.turn.n);
        if let Some(charge) = &write.charge {
            match self.judge(life, intent, charge, &write.counted)? {
                Judged::Made => {}
                Judged::Spent(budget, short) => return Ok(IntentWritten::Spent { budget, short }),
                Judged::Beyond(level) => return Ok(IntentWritten::Beyond(level)),
            }
        }
        self.write_begin(life, n, agent.open_row, write.begin.as_ref())?;
        self.write_records(life, n, &write.records)?;
        self.count(life, n, &write.counted)?;
        if let Some(charge) = &write.charge {
            self.reserve_charge(life, n, intent.id, charge)?;
        }
        self.conn
            .prepare_cached(
                "INSERT INTO records(life, n, call, class, capability, intent, stamp_ms, args)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                db(life),
                db(n.0),
                intent.call.0,
                intent.class.as_str(),
                intent.capability,
                intent.id.0,
                db(write.now_ms),
                intent.args,
            ])?;
        if intent.class == EffectClass::Once {
            self.hold_once(life, intent.id, write.holder.as_ref())?;
        }
        Ok(IntentWritten::Fresh)
    }

    /// Whose intent it is: the fence.
    fn caller(&self, turn: &TurnKey) -> Result<crate::agent::Agent, LedgerError> {
        if broken(Mutation::NoFence) || broken(Mutation::FenceInWrapper) {
            let incarnation = self.book.get(&turn.agent).map_or(0, |agent| agent.incarnation);
            return self.fenced(&TurnKey { incarnation, ..turn.clone() });
        }
        self.fenced(turn)
    }

    /// What the ledger has of an intent.
    pub(crate) fn found(&self, intent: IntentId) -> rusqlite::Result<Option<Found>> {
        self.conn
            .prepare_cached(
                "SELECT class, capability, args, ok, outcome, stamp_ms, life
                   FROM records WHERE intent = ?1",
            )?
            .query_row([intent.0], |row| {
                Ok(Found {
                    class: row.get(0)?,
                    capability: row.get(1)?,
                    args: row.get(2)?,
                    outcome: codec::outcome(row.get(3)?, row.get(4)?)?,
                    stamp_ms: un(row.get(5)?),
                    life: un(row.get(6)?),
                })
            })
            .optional()
    }

    /// Makes sure that the turn has a durable begin: the first one written stays (rule B1).
    pub(crate) fn write_begin(
        &mut self,
        life: u64,
        n: TurnNo,
        open_row: bool,
        begin: Option<&Begin>,
    ) -> Op<()> {
        let begun = open_row
            && self
                .conn
                .prepare_cached("SELECT pin IS NOT NULL FROM turns WHERE life = ?1 AND n = ?2")?
                .query_row([life, n.0].map(db), |row| row.get(0))
                .optional()?
                .unwrap_or(false);
        if begun {
            return Ok(());
        }
        let begin = begin.ok_or_else(|| {
            Fault::refused(LedgerError::NotFound(format!("the begin of turn {n}")))
        })?;
        let pin = self.pin_of(begin)?;
        self.conn
            .prepare_cached(
                "INSERT INTO turns(life, n, state, pin, time_ms, seed)
                 VALUES (?1, ?2, 0, ?3, ?4, ?5)
                 ON CONFLICT(life, n) DO UPDATE SET pin = ?3, time_ms = ?4, seed = ?5",
            )?
            .execute(params![
                db(life),
                db(n.0),
                pin,
                db(begin.time_ms),
                begin.seed.cast_signed()
            ])?;
        self.row_is_open(life);
        Ok(())
    }

    /// Notes that the open turn has a row.
    pub(crate) fn row_is_open(&mut self, life: u64) {
        if self.book.life(life).is_some_and(|agent| !agent.open_row)
            && let Some(agent) = self.book.change(life)
        {
            agent.open_row = true;
        }
    }

    /// The row that a begin shares with others of its configuration. What it names must have been
    /// pinned: without the module's bytes the turn could not be re-run.
    pub(crate) fn pin_of(&mut self, begin: &Begin) -> Op<i64> {
        let key = pin_key(begin);
        if let Some(pin) = self.pins.get(&key) {
            return Ok(*pin);
        }
        for hash in key.0 {
            let there =
                self.conn.prepare_cached("SELECT 1 FROM blobs WHERE hash = ?1")?.exists([hash])?;
            if !there {
                let what = format!("the bytes of {}, never pinned", Hash(hash));
                return Err(Fault::refused(LedgerError::NotFound(what)));
            }
        }
        let ([module, settings, grants], numbers) = key;
        let [memory, output, calls, version] = numbers.map(db);
        let values = params![module, settings, grants, memory, output, calls, version];
        self.conn
            .prepare_cached(
                "INSERT OR IGNORE INTO pins(module, settings, grants, memory_bytes, output_bytes,
                     calls_max, pure_version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(values)?;
        let pin = self
            .conn
            .prepare_cached(
                "SELECT id FROM pins WHERE module = ?1 AND settings = ?2 AND grants = ?3
                    AND memory_bytes = ?4 AND output_bytes = ?5 AND calls_max = ?6
                    AND pure_version = ?7",
            )?
            .query_row(values, |row| row.get(0))?;
        if self.pins.len() >= PINS_CACHED {
            self.pins.clear();
        }
        self.pins.insert(key, pin);
        Ok(pin)
    }

    /// Writes records of a turn. One that is there already stays: the first durable outcome counts
    /// (rule C4).
    pub(crate) fn write_records(&mut self, life: u64, n: TurnNo, records: &[Record]) -> Op<()> {
        for record in records {
            let columns = record.outcome.as_ref().map(codec::outcome_columns);
            let (ok, outcome) = columns.unzip();
            let effect = record.effect.as_ref().and_then(codec::effect_bytes);
            let written = self
                .conn
                .prepare_cached(
                    "INSERT INTO records(life, n, call, class, capability, intent, ok, stamp_ms,
                         effect, outcome, args, took_ms)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
                     ON CONFLICT(life, n, call) DO UPDATE
                        SET ok = excluded.ok, outcome = excluded.outcome,
                            stamp_ms = excluded.stamp_ms
                      WHERE (records.ok IS NULL AND records.class <> 'once') OR (records.ok IS excluded.ok
                        AND records.outcome IS excluded.outcome)",
                )?
                .execute(params![
                    db(life),
                    db(n.0),
                    record.call.0,
                    record.class.as_str(),
                    record.capability,
                    record.intent.map(|id| id.0),
                    ok,
                    db(record.stamp_ms),
                    effect,
                    outcome,
                    record.args,
                    record.took_ms.map(db),
                ])?;
            if written == 0 {
                return Err(Fault::refused(match record.intent {
                    Some(intent) => LedgerError::OtherOutcome(intent),
                    None => LedgerError::NotFound(format!("the place of call {}", record.call)),
                }));
            }
            // A failure that only the driver saw: what the provider used, it did not say.
            if let (Some(intent), Some(outcome)) = (record.intent, &record.outcome) {
                self.settle_charges(life, intent, Some(outcome), None)?;
            }
        }
        Ok(())
    }

    /// Writes a result under its intent; a later one is kept beside the first (rule C4). `None`: no
    /// such intent (any more).
    pub(crate) fn write_result<E>(
        &mut self,
        intent: IntentId,
        outcome: &Outcome,
        used: Option<Used>,
        stamp_ms: u64,
    ) -> Op<Option<Written>, E> {
        let found = self
            .conn
            .prepare_cached(
                "SELECT life, class, ok, outcome, stamp_ms FROM records WHERE intent = ?1",
            )?
            .query_row([intent.0], |row| {
                let class: String = row.get(1)?;
                let outcome = codec::outcome(row.get(2)?, row.get(3)?)?;
                Ok((un(row.get(0)?), class, outcome, un(row.get(4)?)))
            })
            .optional()?;
        let Some((life, class, before, before_ms)) = found else {
            return Ok(None);
        };
        self.must_sync |= class == EffectClass::Once.as_str() && !broken(Mutation::ResultEarly);
        let (ok, bytes) = codec::outcome_columns(outcome);
        let first = before.is_none();
        if first {
            // Until now the row's time is that of the intent.
            self.conn
                .prepare_cached(
                    "UPDATE records SET ok = ?2, outcome = ?3, stamp_ms = ?4, doubt = 0, cost = ?5,
                         took_ms = max(?4 - stamp_ms, 0)
                      WHERE intent = ?1",
                )?
                .execute(params![intent.0, ok, bytes, db(stamp_ms), used.map(codec::used_bytes)])?;
            self.settle_charges(life, intent, Some(outcome), used)?;
            self.waits_no_more(life, intent);
            self.once_no_more(life, intent);
        } else {
            self.conn
                .prepare_cached(
                    "UPDATE records SET late_ok = ?2, late_outcome = ?3, late_ms = ?4
                      WHERE intent = ?1 AND late_ok IS NULL AND (ok, outcome) IS NOT (?2, ?3)",
                )?
                .execute(params![intent.0, ok, bytes, db(stamp_ms)])?;
        }
        let (outcome, stamp_ms) = match before {
            Some(outcome) => (outcome, before_ms),
            None => (outcome.clone(), stamp_ms),
        };
        Ok(Some(Written { life, outcome, stamp_ms, first }))
    }

    /// See [`loket_turn::Ledger::result`]. No fence: a late answer is still the answer.
    pub(crate) fn result(&mut self, write: &ResultWrite) -> Op<(Outcome, u64)> {
        let ResultWrite { intent, outcome, used, stamp_ms } = write;
        let Some(written) = self.write_result(*intent, outcome, *used, *stamp_ms)? else {
            let what = format!("call {}", write.intent);
            return Err(Fault::refused(LedgerError::NotFound(what)));
        };
        if written.first {
            self.tell(&written, write.intent);
        }
        Ok((written.outcome, written.stamp_ms))
    }

    /// Tells the node that a call has its result.
    pub(crate) fn tell(&mut self, written: &Written, intent: IntentId) {
        if let Some(caller) = self.book.life(written.life) {
            self.events.push(LedgerEvent::Result {
                agent: caller.name.clone(),
                intent,
                outcome: written.outcome.clone(),
                stamp_ms: written.stamp_ms,
            });
        }
    }

    /// See [`loket_turn::Ledger::result_of`].
    pub(crate) fn result_of(&self, intent: IntentId) -> Op<Option<(Outcome, u64)>> {
        let found = self.found(intent)?;
        Ok(found.and_then(|found| Some((found.outcome?, found.stamp_ms))))
    }

    /// See [`loket_turn::Ledger::park`].
    pub(crate) fn park(&mut self, turn: &TurnKey, on: IntentId) -> Op<Option<Outcome>> {
        let agent = self.fenced(turn).map_err(Fault::refused)?;
        match (self.found(on)?, self.is_decided(on)?) {
            (Some(found), _) if found.outcome.is_some() => return Ok(found.outcome),
            // A held call is decided: it goes on, or is told why not, when the turn is run again.
            (None, Some(true)) => return Ok(Some(Ok(Vec::new()))),
            (Some(_), _) | (None, Some(false)) => {}
            (None, None) => {
                let what = format!("call {on}");
                return Err(Fault::refused(LedgerError::NotFound(what)));
            }
        }
        self.conn
            .prepare_cached(
                "UPDATE turns SET parks = parks + (parked_on IS NOT ?3), parked_on = ?3
                  WHERE life = ?1 AND n = ?2",
            )?
            .execute(params![db(agent.life), db(turn.n.0), on.0])?;
        self.hold_durable(agent.life, turn.n)?;
        Ok(None)
    }

    /// See [`loket_turn::Ledger::pin`].
    pub(crate) fn pin(&mut self, hash: Hash, bytes: &[u8]) -> Op<()> {
        self.conn
            .prepare_cached("INSERT OR IGNORE INTO blobs(hash, bytes) VALUES (?1, ?2)")?
            .execute(params![hash.0, bytes])?;
        Ok(())
    }

    /// See [`loket_turn::Ledger::pinned`].
    pub(crate) fn pinned(&self, hash: Hash) -> Op<Option<Vec<u8>>> {
        let found = self
            .conn
            .prepare_cached("SELECT bytes FROM blobs WHERE hash = ?1")?
            .query_row([hash.0], |row| row.get(0))
            .optional()?;
        Ok(found)
    }
}
