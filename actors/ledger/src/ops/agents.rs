//! Who there is: enrolment, removal, dynamic children, taking over as a new incarnation (rules A4,
//! A6, E3, J4).

use super::letters::Grave;
use crate::agent::Agent;
use crate::codec::{db, un};
use crate::engine::{Engine, Fault, Op};
use loket_turn::{
    AgentName, AgentState, Blame, BrainStanding, DynamicChild, Enrol, Enrolled, Epoch, Failure,
    Hash, LedgerError, LedgerEvent, Life, Removed, TurnNo,
};
use rusqlite::params;

/// Messages that the inbox of a child holds at most until its supervisor has enrolled it with its
/// own bounds.
pub(crate) const INBOX_ROWS: u64 = 256;

/// Bytes likewise: as many messages of the size of a page of text, with room for some large ones.
pub(crate) const INBOX_BYTES: u64 = 16 * 1024 * 1024;

impl Engine {
    /// See [`loket_turn::Ledger::enrol`].
    pub(crate) fn enrol(&mut self, agents: &[Enrol]) -> Op<Vec<Enrolled>> {
        agents.iter().map(|enrol| self.enrol_one(enrol)).collect()
    }

    pub(crate) fn enrol_one(&mut self, enrol: &Enrol) -> Op<Enrolled> {
        let (rows, bytes) = (enrol.inbox_rows, enrol.inbox_bytes);
        let known = self.book.get(&enrol.agent).map(|agent| {
            let same = agent.rows_max == rows && agent.bytes_max == bytes;
            (agent.life, same)
        });
        let life = match known {
            Some((life, same)) => {
                if !same {
                    self.conn
                        .prepare_cached(
                            "UPDATE agents SET inbox_rows = ?2, inbox_bytes = ?3 WHERE life = ?1",
                        )?
                        .execute([life, rows, bytes].map(db))?;
                    if let Some(agent) = self.book.change(life) {
                        (agent.rows_max, agent.bytes_max) = (rows, bytes);
                    }
                }
                life
            }
            None => self.mint_life(&enrol.agent, rows, bytes)?,
        };
        if let Some(child) = &enrol.dynamic {
            self.conn
                .prepare_cached(
                    "INSERT OR REPLACE INTO children(life, under, settings) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![db(life), &*child.under, child.settings])?;
        }
        let agent = self
            .book
            .life(life)
            .ok_or_else(|| Fault::refused(LedgerError::NoSuchAgent(enrol.agent.clone())))?;
        Ok(Enrolled {
            agent: agent.name.clone(),
            life: Life(life),
            incarnation: agent.incarnation,
            waiting: agent.waiting(),
        })
    }

    /// See [`loket_turn::Ledger::rebound`].
    pub(crate) fn rebound(&mut self, agent: &AgentName, rows: u64, bytes: u64) -> Op<Enrolled> {
        if self.book.get(agent).is_none() {
            return Err(Fault::refused(LedgerError::NoSuchAgent(agent.clone())));
        }
        let (agent, inbox_rows, inbox_bytes) = (agent.clone(), rows, bytes);
        self.enrol_one(&Enrol { agent, inbox_rows, inbox_bytes, dynamic: None })
    }

    fn mint_life(&mut self, name: &AgentName, rows: u64, bytes: u64) -> Op<u64> {
        let chain = Hash::default();
        self.conn
            .prepare_cached(
                "INSERT INTO agents(name, chain, inbox_rows, inbox_bytes) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![&**name, chain.0, db(rows), db(bytes)])?;
        let life = un(self.conn.last_insert_rowid());
        self.book.insert(Agent {
            name: name.clone(),
            life,
            incarnation: 0,
            running: false,
            epoch: Epoch(0),
            taken: Epoch(0),
            done: 0,
            last: 0,
            chain,
            waiting_bytes: 0,
            rows_max: rows,
            bytes_max: bytes,
            open_row: false,
            durable: 0,
            quarantined: false,
            has_budgets: false,
            above: Default::default(),
            swept: 0,
            places: None,
            waits: None,
            once: None,
        });
        Ok(life)
    }

    /// See [`loket_turn::Ledger::remove`]: one transaction (rule A4).
    pub(crate) fn remove(&mut self, name: &AgentName, reason: &str) -> Op<Removed> {
        let now_ms = (self.options.clock)();
        self.remove_at(name, reason, now_ms)
    }

    pub(crate) fn remove_at(&mut self, name: &AgentName, reason: &str, now_ms: u64) -> Op<Removed> {
        let Some(agent) = self.book.get(name).cloned() else {
            return Err(Fault::refused(LedgerError::NoSuchAgent(name.clone())));
        };
        let gone = Err(Failure::new("down", format!("{name} is gone: {reason}")));
        for n in agent.done + 1..=agent.last {
            let first = n == agent.done + 1;
            let attempts = if first { self.attempts(agent.life, n)? } else { 0 };
            let grave = Grave {
                cause: "removed",
                blame: Blame::Config,
                reason,
                backtrace: "",
                attempts,
                at_ms: now_ms,
                effects: self.effects_done(agent.life, TurnNo(n))?,
            };
            self.bury(&agent, TurnNo(n), &grave)?;
            self.finished(&agent, TurnNo(n), &gone, now_ms)?;
        }
        self.book.hold(agent.life, Vec::new());
        self.unwatch(&agent, reason, now_ms)?;
        for sql in [
            "UPDATE agents SET gone = 1 WHERE life = ?1",
            "DELETE FROM members WHERE life = ?1",
            "DELETE FROM timers WHERE life = ?1",
            "DELETE FROM approvals WHERE life = ?1",
            "DELETE FROM epochs WHERE life = ?1",
            "DELETE FROM snapshots WHERE life = ?1",
        ] {
            self.conn.prepare_cached(sql)?.execute([db(agent.life)])?;
        }
        let dynamic = self
            .conn
            .prepare_cached("DELETE FROM children WHERE life = ?1")?
            .execute([db(agent.life)])?;
        if dynamic > 0 {
            self.events.push(LedgerEvent::Stopped(vec![name.clone()]));
        }
        self.forget_budgets(agent.life)?;
        self.book.remove(agent.life);
        self.book.sweep.push_back(agent.life);
        Ok(Removed { letters: agent.waiting() })
    }

    /// See [`loket_turn::Ledger::dynamic_children`].
    pub(crate) fn dynamic_children(&self) -> Op<Vec<DynamicChild>> {
        let mut rows = self.conn.prepare_cached(
            "SELECT a.name, c.under, c.settings FROM children c JOIN agents a USING (life)
              WHERE a.gone = 0 ORDER BY c.life",
        )?;
        let children = rows.query_map([], |row| {
            Ok(DynamicChild {
                agent: row.get::<_, String>(0)?.into(),
                under: row.get::<_, String>(1)?.into(),
                settings: row.get(2)?,
            })
        })?;
        Ok(children.collect::<Result<_, _>>()?)
    }

    /// See [`loket_turn::Ledger::open_from`].
    pub(crate) fn open_from(&mut self, from: &BrainStanding, incarnation: u64) -> Op<AgentState> {
        // Whoever was removed meanwhile stands nowhere; the next asking tells so.
        let stands = match self.book.get(&from.agent) {
            Some(agent) => !agent.quarantined && self.brain_standing(&from.agent)? == *from,
            None => false,
        };
        if !stands {
            let agent = from.agent.clone();
            return Err(Fault::refused(LedgerError::Switched { agent }));
        }
        self.open_agent(&from.agent, incarnation)
    }

    /// See [`loket_turn::Ledger::open`].
    pub(crate) fn open_agent(&mut self, name: &AgentName, incarnation: u64) -> Op<AgentState> {
        let Some(agent) = self.book.get(name).cloned() else {
            return Err(Fault::refused(LedgerError::NoSuchAgent(name.clone())));
        };
        if incarnation < agent.incarnation {
            let agent = name.clone();
            return Err(Fault::refused(LedgerError::Fenced { agent }));
        }
        if incarnation > agent.incarnation {
            self.conn
                .prepare_cached("UPDATE agents SET incarnation = ?2 WHERE life = ?1")?
                .execute([agent.life, incarnation].map(db))?;
            if let Some(agent) = self.book.change(agent.life) {
                agent.incarnation = incarnation;
            }
        }
        if agent.taken != agent.epoch
            && let Some(agent) = self.book.change(agent.life)
        {
            agent.taken = agent.epoch;
        }
        self.took_over(&agent, incarnation)?;
        Ok(AgentState {
            life: Life(agent.life),
            epoch: agent.epoch,
            done: TurnNo(agent.done),
            chain: agent.chain,
            durable: TurnNo(agent.durable),
            quarantine: self.quarantine_of(agent.life)?,
            has_budgets: agent.has_budgets,
            next: self.next_turn(agent.life)?,
        })
    }
}
