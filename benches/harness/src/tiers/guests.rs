//! Tier (c'): the same calls from component guests in real turns, journaled like all others.

use super::{Load, Measured, Ran};
use crate::BenchError;
use crate::bed::{Bed, SILENCE};
use crate::guest::{CALLS, order};
use crate::latencies::Latencies;
use crate::tiers::turns::{message, send};
use std::rc::Rc;

/// Guests of a bed.
pub(crate) struct Guests {
    bed: Rc<Bed>,
    payload: usize,
}

impl Guests {
    pub(crate) fn new(bed: Rc<Bed>, payload: usize) -> Self {
        Self { bed, payload }
    }
}

impl Measured for Guests {
    fn callers(&self, load: Load) -> Option<usize> {
        Some(if load == Load::One { 1 } else { self.bed.agents.len() })
    }

    /// With one guest only the calls inside its turns are timed; with many all that happens is, turns included.
    fn run(
        &mut self,
        load: Load,
        budget_ns: u64,
        latencies: Option<&mut Latencies>,
    ) -> Result<Ran, BenchError> {
        let bed = &*self.bed;
        let order = order(CALLS, self.payload);
        let agents = &bed.agents[..self.callers(load).unwrap_or(1)];
        // Many guests' calls come in turns: the time between two of them is no call's.
        let latencies = latencies.filter(|_| load == Load::One);
        bed.probe.begin(CALLS, latencies.is_some());
        let began = bed.clock.monotonic_ns();
        for agent in agents {
            send(bed, message(agent, order.clone(), began))?;
        }
        let (mut open, mut ran, mut last) = (agents.len(), Ran::default(), began);
        while open > 0 {
            let end = bed.ends.recv_timeout(SILENCE);
            let (agent, outcome, at) = end.map_err(|_| BenchError::Silent(SILENCE.as_secs()))?;
            outcome.map_err(|failure| BenchError::call(failure.to_string()))?;
            ran.made += u64::from(CALLS);
            last = at;
            match at.saturating_sub(began) < budget_ns {
                true => send(bed, message(&agent, order.clone(), at))?,
                false => open -= 1,
            }
        }
        let (spans, spent) = bed.probe.end(latencies)?;
        (ran.counted, ran.ns) = match load {
            Load::One => (spans, spent),
            Load::Many => (ran.made, last.saturating_sub(began)),
        };
        Ok(ran)
    }
}
