//! The writer step by step, for a simulation: between any two steps the process may end. Only in builds with the feature
//! `simulation`.
//!
//! It takes requests, commits and answers as the writer's thread does, with the same functions; only the loop around them is the
//! simulation's. Dropping it is the death of the process: nothing is committed or answered. Start reading at [`Steps::step`].

use crate::codec::{db, un};
use crate::engine::{Engine, Fault};
use crate::ledger::Events;
use crate::writer::{self, Closing, Job, Order};
use crate::{dir, upkeep};
use loket_turn::{AgentName, EndedTurn, Hash, LedgerError, LetterSummary, TurnNo};

/// Where the writer is in a group.
enum At {
    /// Between groups.
    Rest,
    /// The group's requests have run; nothing is committed.
    Ran,
    /// The group is committed, or failed; nobody was told.
    Committed(Result<(), LedgerError>),
}

/// The writer. See the module head.
pub struct Steps {
    engine: Engine,
    closing: Closing,
    events: Events,
    jobs: Vec<Box<dyn Job>>,
    looks: Vec<Box<dyn Job>>,
    at: At,
    /// Rows that the start has changed.
    of_start: u64,
    _lock: dir::Lock,
}

impl Steps {
    pub(crate) fn new(
        mut engine: Engine,
        closing: Closing,
        events: Events,
        lock: dir::Lock,
    ) -> Self {
        engine.timers.rest_by_hand();
        let of_start = engine.conn.total_changes();
        Self {
            engine,
            of_start,
            closing,
            events,
            jobs: Vec::new(),
            looks: Vec::new(),
            at: At::Rest,
            _lock: lock,
        }
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.closing.0.from.len()
    }

    /// Whether a group is under way.
    pub fn is_amid(&self) -> bool {
        !matches!(self.at, At::Rest)
    }

    /// Whether a row was changed since the start. Until then no group has had anything to bring to the disk, nor what was read with it.
    pub fn has_written(&self) -> bool {
        self.engine.conn.total_changes() > self.of_start
    }

    /// When the next timer may be due, milliseconds from now; `None`: there is none.
    pub fn timers_in(&mut self) -> Option<u64> {
        let now_ms = self.engine.now();
        let patience = self.engine.timers.patience(now_ms)?;
        Some(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX))
    }

    /// The turns of an agent after `after` that have ended, as the file has them between two groups; for whoever checks them.
    ///
    /// # Errors
    /// In words.
    pub fn ended_after(&self, agent: &AgentName, after: TurnNo) -> Result<Vec<EndedTurn>, String> {
        self.engine.ended_after(agent, after).map_err(said)
    }

    /// The last turn of an agent that has ended, and the chain hash after it; `None`: there is no such agent.
    pub fn done(&self, agent: &str) -> Option<(TurnNo, Hash)> {
        self.engine.book.get(agent).map(|agent| (TurnNo(agent.done), agent.chain))
    }

    /// The epoch of an agent's brain; `None`: there is no such agent.
    pub fn epoch(&self, agent: &str) -> Option<u64> {
        self.engine.book.get(agent).map(|agent| agent.epoch.0)
    }

    /// The epochs of an agent's brain after the first, and the last turn that had ended when each began (rule E7).
    ///
    /// # Errors
    /// In words.
    pub fn epochs(&self, agent: &str) -> Result<Vec<(u64, TurnNo)>, String> {
        let Some(agent) = self.engine.book.get(agent) else { return Ok(Vec::new()) };
        let sql = "SELECT epoch, from_n FROM epochs WHERE life = ?1 ORDER BY epoch";
        let rows = || {
            let mut rows = self.engine.conn.prepare_cached(sql)?;
            let rows = rows.query_map([db(agent.life)], |row| {
                Ok((un(row.get(0)?), TurnNo(un(row.get(1)?))))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        rows().map_err(|why| why.to_string())
    }

    /// How many messages wait in an inbox and are reserved there, and its bound.
    pub fn depth(&self, agent: &str) -> Option<(u64, u64, u64)> {
        let agent = self.engine.book.get(agent)?;
        Some((agent.waiting(), agent.reserved().0, agent.rows_max))
    }

    /// The dead letters, as the file has them between two groups.
    ///
    /// # Errors
    /// In words.
    pub fn letters(&self) -> Result<Vec<LetterSummary>, String> {
        self.engine.letters().map_err(said)
    }

    /// One step: the requests of a group run (`group` at most), or it is committed, or all are answered. `false`: there was nothing
    /// to do.
    pub fn step(&mut self, group: usize) -> bool {
        match std::mem::replace(&mut self.at, At::Rest) {
            At::Rest => {
                while self.jobs.len() + self.looks.len() < group.clamp(1, writer::GROUP) {
                    match self.closing.0.from.try_recv() {
                        Ok(Order::Run(job)) => self.jobs.push(job),
                        Ok(Order::Look(job)) => self.looks.push(job),
                        Ok(Order::Stop) | Err(_) => break,
                    }
                }
                self.jobs.extend(writer::fire(&mut self.engine));
                if self.jobs.is_empty() {
                    return self.look();
                }
                if writer::take(&mut self.engine, &mut self.jobs) {
                    self.at = At::Ran;
                }
            }
            At::Ran => self.at = At::Committed(self.engine.commit()),
            At::Committed(verdict) => {
                writer::settle(&mut self.engine, &mut self.jobs, &self.events, &verdict);
                self.look();
            }
        }
        true
    }

    /// Answers who only looks, after the group that came with it; `false`: nobody does.
    fn look(&mut self) -> bool {
        let any = !self.looks.is_empty();
        if any {
            writer::look(&mut self.engine, &mut self.looks);
        }
        any
    }

    /// One step of upkeep, between groups; `false`: there was nothing to do. Timers that found no room are looked at once more.
    pub fn upkeep(&mut self) -> bool {
        self.engine.timers.end_rest();
        !self.is_amid() && !self.engine.is_broken() && upkeep::idle_step(&mut self.engine)
    }
}

fn said(fault: Fault<LedgerError>) -> String {
    match fault {
        Fault::Refused(why) => why.to_string(),
        Fault::Sql(why) => why.to_string(),
    }
}
