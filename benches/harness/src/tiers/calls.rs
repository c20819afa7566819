//! Tiers (c) and (d): native callers through kernel actors and provider actors.

use super::{Load, Measured, Ran};
use crate::BenchError;
use crate::bed::{Bed, SILENCE};
use crate::caller::Job;
use crate::latencies::Latencies;
use std::rc::Rc;

/// Callers of a bed.
pub(crate) struct Calls {
    bed: Rc<Bed>,
    payload: usize,
    /// Whether it is measured with one caller, too.
    alone: bool,
}

impl Calls {
    pub(crate) fn new(bed: Rc<Bed>, payload: usize, alone: bool) -> Self {
        Self { bed, payload, alone }
    }
}

impl Measured for Calls {
    fn callers(&self, load: Load) -> Option<usize> {
        match load {
            Load::One => self.alone.then_some(1),
            Load::Many => Some(self.bed.desks.len()),
        }
    }

    fn run(
        &mut self,
        load: Load,
        budget_ns: u64,
        mut latencies: Option<&mut Latencies>,
    ) -> Result<Ran, BenchError> {
        let callers = self.callers(load).unwrap_or(0);
        let (done, told) = crossbeam_channel::bounded(callers);
        let until_ns = self.bed.clock.monotonic_ns().saturating_add(budget_ns);
        for (desk, from) in self.bed.desks.iter().zip(&self.bed.callers).take(callers) {
            let latencies = latencies.is_some().then(Latencies::new).transpose()?;
            let (from, payload, done) = (*from, self.payload, done.clone());
            let job = Job { from, until_ns, payload, latencies, done };
            desk.send(job).map_err(|rejected| BenchError::call(rejected.error.to_string()))?;
        }
        let (mut first, mut last, mut ran) = (u64::MAX, 0, Ran::default());
        for _ in 0..callers {
            let called = told.recv_timeout(SILENCE);
            let called = called.map_err(|_| BenchError::Silent(SILENCE.as_secs()))?;
            let called = called.map_err(BenchError::call)?;
            ran.made += called.calls;
            first = first.min(called.began_ns);
            last = last.max(called.ended_ns);
            if let (Some(all), Some(own)) = (latencies.as_deref_mut(), &called.latencies) {
                all.add(own);
            }
        }
        (ran.counted, ran.ns) = (ran.made, last.saturating_sub(first));
        Ok(ran)
    }
}
