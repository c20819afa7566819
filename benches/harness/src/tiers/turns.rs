//! Tier (e): durable turns: message, fresh instance of a Rust component, one write to the brain, end.

use super::{Load, Measured, Ran};
use crate::BenchError;
use crate::bed::{Bed, SILENCE};
use crate::guest::WRITE;
use crate::latencies::Latencies;
use futures_executor::block_on;
use loket_turn::{Accept, AcceptError, Accepted, Ledger, Pending};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

/// Messages that an agent has waiting while many are measured, so that a turn's end finds the next one.
const AHEAD: usize = 2;

/// Agents with durable turns.
pub(crate) struct Turns {
    bed: Rc<Bed>,
}

impl Turns {
    pub(crate) fn new(bed: Rc<Bed>) -> Self {
        Self { bed }
    }
}

/// A message for an agent.
pub(crate) fn message(agent: &Arc<str>, body: Vec<u8>, now_ms: u64) -> Accept {
    Accept {
        to: Arc::clone(agent),
        sender: "@operator".into(),
        kind: "message".to_owned(),
        body,
        key: None,
        id: None,
        reply_to: None,
        chain: Vec::new(),
        unless_waiting: false,
        now_ms,
    }
}

/// Has a message accepted, and waits until it is.
pub(crate) fn send(bed: &Bed, message: Accept) -> Result<(), BenchError> {
    let message = Accept { now_ms: bed.clock.now().0, ..message };
    match block_on(bed.ledger.accept(message)) {
        Ok(_) => Ok(()),
        Err(error) => Err(BenchError::turn(error.to_string())),
    }
}

/// Waits for the end of the next message: whose it was, and when it ended.
pub(crate) fn ended(bed: &Bed) -> Result<(Arc<str>, u64), BenchError> {
    let end = bed.ends.recv_timeout(SILENCE);
    let (agent, outcome, at) = end.map_err(|_| BenchError::Silent(SILENCE.as_secs()))?;
    outcome.map_err(|failure| BenchError::turn(failure.to_string()))?;
    Ok((agent, at))
}

impl Measured for Turns {
    fn callers(&self, load: Load) -> Option<usize> {
        Some(if load == Load::One { 1 } else { self.bed.agents.len() })
    }

    fn run(
        &mut self,
        load: Load,
        budget_ns: u64,
        latencies: Option<&mut Latencies>,
    ) -> Result<Ran, BenchError> {
        match load {
            Load::One => self.one(budget_ns, latencies),
            Load::Many => self.many(budget_ns, latencies),
        }
    }
}

impl Turns {
    /// From the accept of a message to its end, one after the other.
    fn one(
        &self,
        budget_ns: u64,
        mut latencies: Option<&mut Latencies>,
    ) -> Result<Ran, BenchError> {
        let bed = &*self.bed;
        let began = bed.clock.monotonic_ns();
        let (mut ran, mut now) = (Ran::default(), began);
        while now.saturating_sub(began) < budget_ns {
            send(bed, message(&bed.agents[0], WRITE.to_vec(), 0))?;
            ended(bed)?;
            let after = bed.clock.monotonic_ns();
            if let Some(latencies) = latencies.as_deref_mut() {
                latencies.push(after.saturating_sub(now));
            }
            (ran.made, now) = (ran.made + 1, after);
        }
        (ran.counted, ran.ns) = (ran.made, now.saturating_sub(began));
        Ok(ran)
    }

    /// All agents at once, each with messages waiting.
    fn many(
        &self,
        budget_ns: u64,
        mut latencies: Option<&mut Latencies>,
    ) -> Result<Ran, BenchError> {
        let bed = &*self.bed;
        let mut mail = Mail::new(bed);
        let began = bed.clock.monotonic_ns();
        for _ in 0..AHEAD {
            for agent in &bed.agents {
                mail.send(agent)?;
            }
        }
        let (mut open, mut ran, mut last) = (AHEAD * bed.agents.len(), Ran::default(), began);
        while open > 0 {
            let (agent, at) = ended(bed)?;
            if let (Some(latencies), Some(sent)) = (latencies.as_deref_mut(), mail.sent(&agent)) {
                latencies.push(at.saturating_sub(sent));
            }
            (ran.made, last) = (ran.made + 1, at);
            match at.saturating_sub(began) < budget_ns {
                true => mail.send(&agent)?,
                false => open -= 1,
            }
        }
        mail.settle()?;
        (ran.counted, ran.ns) = (ran.made, last.saturating_sub(began));
        Ok(ran)
    }
}

/// Messages under way to many agents; none is waited for one by one.
struct Mail<'b> {
    bed: &'b Bed,
    /// When each agent's waiting messages were sent, oldest first.
    times: HashMap<Arc<str>, VecDeque<u64>>,
    /// Not known to be accepted yet.
    accepting: VecDeque<Pending<Result<Accepted, AcceptError>>>,
}

impl<'b> Mail<'b> {
    fn new(bed: &'b Bed) -> Self {
        Self { bed, times: HashMap::new(), accepting: VecDeque::new() }
    }

    fn send(&mut self, agent: &Arc<str>) -> Result<(), BenchError> {
        let times = self.times.entry(Arc::clone(agent)).or_default();
        times.push_back(self.bed.clock.monotonic_ns());
        let now_ms = self.bed.clock.now().0;
        self.accepting.push_back(self.bed.ledger.accept(message(agent, WRITE.to_vec(), now_ms)));
        // A message has ended for each but the last few: what was sent before it is accepted by now.
        if self.accepting.len() > 2 * AHEAD * self.bed.agents.len() {
            self.take()?;
        }
        Ok(())
    }

    fn take(&mut self) -> Result<(), BenchError> {
        match self.accepting.pop_front().map(block_on) {
            Some(Err(error)) => Err(BenchError::turn(error.to_string())),
            _ => Ok(()),
        }
    }

    fn sent(&mut self, agent: &str) -> Option<u64> {
        self.times.get_mut(agent)?.pop_front()
    }

    fn settle(mut self) -> Result<(), BenchError> {
        while !self.accepting.is_empty() {
            self.take()?;
        }
        Ok(())
    }
}
