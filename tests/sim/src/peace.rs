//! The end of a run: no more faults, everything must come to its end, and what is left is checked.
//!
//! Start reading at [`Simulation::settle`].

use crate::guest::AGENTS;
use crate::operator;
use crate::oracle::Brain;
use crate::run::Simulation;
use crate::world::lock;
use loket_ledger::Durability;
use loket_store::keep::Keeper;
use loket_turn::{Epoch, Life};

/// Steps in peace until everything must have come to its end.
const PEACE_STEPS: usize = 60_000;

impl Simulation {
    /// No more faults: everything comes to its end.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        let (mut quiet, mut rests) = (0, 0);
        for _ in 0..PEACE_STEPS {
            if self.broken() {
                return Ok(());
            }
            self.steps += 1;
            let Some(process) = &mut self.process else { return Ok(()) };
            let polled = process.exec.step(&mut self.rng);
            let moved = polled.is_some() || process.steps.step(64) || process.jobs.step();
            self.trace.note(format!("peace {polled:?} {moved}"));
            if !moved {
                // Whoever moves again at each tick, a timer for a full inbox for example, must not keep the others from their turn.
                (quiet, rests) = (quiet + 1, rests + 1);
                if lock(&self.world).requests() > 0 {
                    lock(&self.world).step(&mut self.rng);
                } else if rests % 3 == 0 {
                    operator::act(self);
                } else if rests % 3 == 1 {
                    self.all_clients();
                } else {
                    process.steps.upkeep();
                    process.clock.advance(700);
                }
            } else if !self.is_idle() {
                quiet = 0;
            }
            self.after()?;
            // Long enough for every backoff, sleep and background pass.
            if quiet > 90 && self.is_over() {
                return Ok(());
            }
            if quiet > 900 {
                break;
            }
        }
        let text = self.unfinished();
        lock(&self.world).violation(format!("no quiescence: {text}"));
        Ok(())
    }

    fn all_clients(&mut self) {
        for _ in 0..2 * self.clients.len() {
            self.client();
        }
    }

    /// Whether what moves is only the operator looking around.
    fn is_idle(&self) -> bool {
        self.is_over()
    }

    fn is_over(&self) -> bool {
        self.unfinished().is_empty()
    }

    /// What has not come to its end, in words.
    fn unfinished(&self) -> String {
        let Some(process) = &self.process else { return String::new() };
        let desk = self.desk.borrow();
        for (at, client) in self.clients.iter().enumerate() {
            if client.borrow().accepted.is_none() {
                return format!("client {at} is not served");
            }
        }
        for agent in AGENTS {
            let depth = process.steps.depth(agent);
            if depth.is_some_and(|(waiting, _, _)| waiting > 0) {
                let (used, waiting) = (process.slots.used(), process.slots.waiting());
                return format!(
                    "messages wait in the inbox of {agent}; {used} slots are used, {waiting} wait for one"
                );
            }
        }
        if desk.open > 0 {
            return format!("{} things wait for the operator", desk.open);
        }
        String::new()
    }

    /// Nothing accepted is lost.
    pub(crate) fn check(&mut self) {
        if lock(&self.world).tainted {
            return;
        }
        let lossy = self.power_lost && self.plan.durability == Durability::Process;
        for client in &self.clients {
            let accepted = client.borrow().accepted.clone();
            if let Some(id) = accepted.filter(|id| !lossy && !self.oracle.is_over(id)) {
                lock(&self.world).violation(format!("accepted message {id} is lost"));
            }
        }
        let now_ms = self.process.as_ref().map(|process| process.clock.now().0);
        for (id, how) in self.oracle.sent() {
            if !self.oracle.is_over(&id) {
                let text =
                    format!("message {id} of an ended turn is lost ({how}; it is {now_ms:?})");
                lock(&self.world).violation(text);
            }
        }
    }

    /// An orderly stop: no brain is behind, and each holds what the serial execution gives (rule E4).
    pub(crate) fn close(&mut self) -> Result<(), String> {
        let Some(process) = &mut self.process else { return Ok(()) };
        self.stopping = true;
        process.runtime.control().stop(false);
        for _ in 0..PEACE_STEPS {
            let moved = process.exec.step(&mut self.rng).is_some()
                || process.steps.step(64)
                || process.jobs.step();
            if !moved {
                if process.runtime.wait_at_most(0).is_some() {
                    break;
                }
                process.clock.advance(100);
            }
        }
        if process.runtime.wait_at_most(0).is_none() {
            lock(&self.world).violation("an orderly stop does not come to its end");
            return Ok(());
        }
        self.after()?;
        let root = self.disk.root();
        self.process = None;
        for (at, agent) in AGENTS.iter().enumerate() {
            let life = at as u64 + 1;
            let (done, brain) = self.oracle.brain(agent);
            let file = Keeper::new(&root).brain(Life(life), Epoch(self.oracle.epoch(agent)));
            if lock(&self.world).tainted || done == 0 {
                continue;
            }
            match read_brain(&file) {
                // Of who was not asked since: its next turn finds it (rule F3).
                Ok((n, _)) if n > done && self.may_be_ahead() => {}
                Ok((n, _)) if n != done => lock(&self.world)
                    .violation(format!("the brain of {agent} has turn {n} of {done} after a clean stop")),
                Ok((_, there)) if there != brain => lock(&self.world).violation(format!(
                    "the brain of {agent} is not that of the serial execution: {there:?}, not {brain:?}"
                )),
                Ok(_) => {}
                Err(why) => lock(&self.world).violation(format!("the brain of {agent}: {why}")),
            }
        }
        Ok(())
    }
}

fn read_brain(file: &std::path::Path) -> Result<(u64, Brain), rusqlite::Error> {
    let conn = rusqlite::Connection::open(file)?;
    let n: i64 = conn.query_row("SELECT applied_n FROM loket", [], |row| row.get(0))?;
    let mut rows = conn.prepare("SELECT key, value FROM kv")?;
    let all = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((n.cast_unsigned(), all.collect::<Result<_, _>>()?))
}
