//! Agents that take no turns until an operator acts (rule G4): noted, shown, released. The inbox goes on accepting; nothing is
//! ever released by itself.

use super::letters::Grave;
use crate::agent::Agent;
use crate::codec::db;
use crate::engine::{Engine, Fault, Op};
use loket_turn::{
    AgentName, Blame, CallNo, Failure, Hash, LedgerError, LedgerEvent, Quarantine, Quarantined,
    Release, Released, TurnKey, TurnNo, chain_after,
};
use rusqlite::{OptionalExtension, params};

/// A turn that ended, and whose re-run is taken as it comes. See the schema's `turns.state`.
pub(crate) const RERUN_ACCEPTED: i64 = 3;

impl Engine {
    /// See [`loket_turn::Ledger::quarantine`].
    pub(crate) fn quarantine(&mut self, turn: &TurnKey, why: &Quarantine) -> Op<()> {
        let agent = self.book.get(&turn.agent).filter(|agent| agent.life == turn.life.0);
        let agent =
            agent.ok_or_else(|| Fault::refused(LedgerError::NoSuchAgent(turn.agent.clone())))?;
        self.book.current(agent, turn.incarnation).map_err(Fault::refused)?;
        let text = serde_json::to_string(why)
            .map_err(|error| Fault::refused(LedgerError::Storage(error.to_string())))?;
        let life = agent.life;
        self.conn
            .prepare_cached("UPDATE agents SET quarantine = ?2 WHERE life = ?1")?
            .execute(params![db(life), text])?;
        self.quarantined(life, true);
        self.meters.quarantined.increment(1);
        Ok(())
    }

    pub(super) fn quarantined(&mut self, life: u64, quarantined: bool) {
        if let Some(agent) = self.book.change(life) {
            agent.quarantined = quarantined;
        }
    }

    /// Why an agent is in quarantine, if it is.
    pub(crate) fn quarantine_of(&self, life: u64) -> Op<Option<Quarantine>> {
        let text: Option<Option<String>> = self
            .conn
            .prepare_cached("SELECT quarantine FROM agents WHERE life = ?1")?
            .query_row([db(life)], |row| row.get(0))
            .optional()?;
        let read = |text: String| {
            serde_json::from_str(&text)
                .map_err(|error| Fault::refused(LedgerError::Storage(error.to_string())))
        };
        text.flatten().map(read).transpose()
    }

    /// See [`loket_turn::Ledger::quarantines`].
    pub(crate) fn quarantines(&self) -> Op<Vec<Quarantined>> {
        let mut rows = self.conn.prepare_cached(
            "SELECT name FROM agents WHERE gone = 0 AND quarantine IS NOT NULL ORDER BY name",
        )?;
        let names: Vec<String> =
            rows.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        let mut all = Vec::new();
        for name in names {
            let Some(agent) = self.book.get(&name) else { continue };
            let Some(why) = self.quarantine_of(agent.life)? else { continue };
            all.push(Quarantined {
                agent: agent.name.clone(),
                ended: why.n.0 <= agent.done,
                waiting: agent.waiting(),
                effects: self.effects_done(agent.life, why.n)?,
                why,
            });
        }
        Ok(all)
    }

    /// See [`loket_turn::Ledger::release_quarantine`]: one transaction.
    pub(crate) fn release_quarantine(
        &mut self,
        name: &AgentName,
        how: Release,
        confirmed: bool,
    ) -> Op<Released> {
        let Some(agent) = self.book.get(name).cloned() else {
            return Err(Fault::refused(LedgerError::NoSuchAgent(name.clone())));
        };
        let Some(why) = self.quarantine_of(agent.life)? else {
            let what = format!("a quarantine of {name}");
            return Err(Fault::refused(LedgerError::NotFound(what)));
        };
        let open = why.n.0 > agent.done;
        let released = match how {
            Release::Skip if why.cause == "corrupt" => Released::Impossible {
                reason: "the brain's file is damaged, so no turn can be run, skipped or not: put a good copy \
                         in its place, then --accept-rerun looks at it again"
                    .to_owned(),
            },
            Release::Skip | Release::AcceptRerun if why.cause == "ahead" => Released::Impossible {
                reason: "the brain has turns that the ledger has lost, so no other can be run on it: --restore makes it \
                         anew where the ledger ends"
                    .to_owned(),
            },
            Release::Skip if open => self.skip_open(&agent, &why)?,
            Release::Skip => self.mark_ended(&agent, why.n, 2)?,
            Release::AcceptRerun if why.cause == "corrupt" => Released::Done { letter: None },
            Release::AcceptRerun if open => self.rerun_open(&agent, &why, confirmed)?,
            Release::AcceptRerun if why.call.is_some() => Released::Impossible {
                reason: "the re-run of an ended turn made another call than its record has, and nothing is sent \
                         to bring a brain up: --skip leaves the brain without that turn"
                    .to_owned(),
            },
            Release::AcceptRerun => self.mark_ended(&agent, why.n, RERUN_ACCEPTED)?,
            other => Released::Impossible { reason: format!("{other:?} is unknown here") },
        };
        if matches!(released, Released::Done { .. }) {
            self.conn
                .prepare_cached("UPDATE agents SET quarantine = NULL WHERE life = ?1")?
                .execute([db(agent.life)])?;
            self.quarantined(agent.life, false);
            self.events.push(LedgerEvent::Arrived { agent: name.clone() });
        }
        Ok(released)
    }

    /// The message becomes a dead letter, with all that its turn has done.
    fn skip_open(&mut self, agent: &Agent, why: &Quarantine) -> Op<Released> {
        let (life, n, now_ms) = (agent.life, why.n, (self.options.clock)());
        let attempts = self.attempts(life, n.0)?;
        let grave = Grave {
            cause: "quarantined",
            blame: Blame::Guest,
            reason: &why.reason,
            backtrace: "",
            attempts,
            at_ms: now_ms,
            effects: self.effects_done(life, n)?,
        };
        let letter = self.bury(agent, n, &grave)?;
        let chain = chain_after(agent.chain, n, Hash::default());
        self.skip_turn(life, n, attempts, chain, now_ms)?;
        let text = format!(
            "the message was skipped by an operator ({}: {}) and is dead letter {letter} of {}",
            why.cause, why.reason, agent.name
        );
        self.finished(agent, n, &Err(Failure::new("dead_letter", text)), now_ms)?;
        Ok(Released::Done { letter: Some(letter) })
    }

    /// The records that the re-run does not agree with go, and what they say was done may be done again.
    fn rerun_open(&mut self, agent: &Agent, why: &Quarantine, confirmed: bool) -> Op<Released> {
        let (life, n) = (agent.life, why.n);
        let from = why.call.unwrap_or(CallNo(0));
        let effects = self.effects_from(life, n, from)?;
        if !effects.is_empty() && !confirmed {
            return Ok(Released::NeedsConfirmation { effects });
        }
        self.settle_turn(life, n, from.0)?;
        self.conn
            .prepare_cached("DELETE FROM records WHERE life = ?1 AND n = ?2 AND call >= ?3")?
            .execute(params![db(life), db(n.0), from.0])?;
        // What was said of calls whose records are gone: they are asked anew.
        self.conn
            .prepare_cached(
                "DELETE FROM approvals WHERE life = ?1 AND n = ?2 AND intent NOT IN
                     (SELECT intent FROM records WHERE life = ?1 AND n = ?2 AND intent IS NOT NULL)",
            )?
            .execute([life, n.0].map(db))?;
        self.conn
            .prepare_cached(
                "UPDATE turns SET deaths = 0, deaths_alone = 0, pin =
                    CASE WHEN EXISTS (SELECT 1 FROM records WHERE life = ?1 AND n = ?2)
                    THEN pin END WHERE life = ?1 AND n = ?2",
            )?
            .execute([life, n.0].map(db))?;
        if let Some(agent) = self.book.change(life) {
            (agent.once, agent.waits) = (None, None);
        }
        self.hold_durable(life, n)?;
        Ok(Released::Done { letter: None })
    }

    fn mark_ended(&mut self, agent: &Agent, n: TurnNo, state: i64) -> Op<Released> {
        self.conn
            .prepare_cached(
                "UPDATE turns SET state = ?3 WHERE life = ?1 AND n = ?2 AND state IN (1, 3)",
            )?
            .execute(params![db(agent.life), db(n.0), state])?;
        Ok(Released::Done { letter: None })
    }
}
