//! `activation`: a message for an agent that sleeps: no instance, its brain closed, its file in the page cache.
//!
//! There are a quarter more agents than brains that may be open, and they are asked one after the other, so that whoever is asked
//! was put to sleep by those asked since. The store counts the brains that it opens: a message that found its brain open is no
//! activation.

use super::turns::{ended, message, send};
use super::{Load, Measured, Ran, one_by_one};
use crate::bed::Bed;
use crate::guest::WRITE;
use crate::latencies::Latencies;
use crate::{BenchError, Counter, Counts, Options};
use loket_store::limits::OPEN_BRAINS_MIN;
use loket_store::open_brains_max;

/// One agent of so many sleeps: who is asked was closed so many messages ago.
const ONE_SLEEPS_OF: usize = 5;

/// Agents that are asked in turns.
pub(crate) struct Activations {
    bed: Bed,
    next: usize,
    counts: Option<Counts>,
}

impl Activations {
    /// How many agents there are, and how many brains may be open.
    pub(crate) fn crowd(options: &Options) -> (usize, usize) {
        let least = OPEN_BRAINS_MIN + OPEN_BRAINS_MIN / (ONE_SLEEPS_OF - 1);
        let agents = usize::try_from(options.sleeping).unwrap_or(usize::MAX).max(least);
        (agents, (agents - agents / ONE_SLEEPS_OF).min(open_brains_max()))
    }

    /// Everybody has a brain when it returns, and those to be asked next sleep.
    pub(crate) fn new(bed: Bed, options: &Options) -> Result<Self, BenchError> {
        let mut all = Self { bed, next: 0, counts: options.counts.clone() };
        (0..all.bed.agents.len()).try_for_each(|_| all.one().map(drop))?;
        Ok(all)
    }

    /// From before the message is accepted to its end, in the ledger.
    fn one(&mut self) -> Result<u64, BenchError> {
        let bed = &self.bed;
        let agent = &bed.agents[self.next];
        self.next = (self.next + 1) % bed.agents.len();
        let began = bed.clock.monotonic_ns();
        send(bed, message(agent, WRITE.to_vec(), 0))?;
        let (_, at) = ended(bed)?;
        Ok(at.saturating_sub(began))
    }

    fn opened(&self) -> Option<u64> {
        self.counts.as_ref().map(|counts| counts(Counter::Opened, ""))
    }
}

impl Measured for Activations {
    fn callers(&self, load: Load) -> Option<usize> {
        (load == Load::One).then_some(1)
    }

    fn run(
        &mut self,
        _: Load,
        budget_ns: u64,
        latencies: Option<&mut Latencies>,
    ) -> Result<Ran, BenchError> {
        let clock = self.bed.clock.clone();
        let (before, began) = (self.opened(), clock.monotonic_ns());
        let in_time = |_: &Ran| clock.monotonic_ns().saturating_sub(began) < budget_ns;
        let ran = one_by_one(latencies, in_time, || self.one())?;
        let opened = self.opened().zip(before).map(|(after, before)| after.saturating_sub(before));
        match opened {
            Some(opened) if opened != ran.made => {
                let text = format!("{} messages were handled, {opened} brains opened", ran.made);
                Err(BenchError::turn(text))
            }
            _ => Ok(ran),
        }
    }
}
