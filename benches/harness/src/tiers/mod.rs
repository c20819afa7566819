//! The tiers: each runs its part of the path for a while and says how often.

mod activations;
mod agents;
mod calls;
mod guests;
mod host;
mod recovery;
mod restarts;
mod spawns;
mod starts;
mod turns;

pub(crate) use activations::Activations;
pub(crate) use agents::{Agents, in_parallel};
pub(crate) use calls::Calls;
pub(crate) use guests::Guests;
pub(crate) use host::HostCalls;
pub(crate) use recovery::Recovery;
pub(crate) use restarts::Restarts;
pub(crate) use spawns::Spawns;
pub(crate) use starts::Starts;
pub(crate) use turns::Turns;

use crate::BenchError;
use crate::latencies::Latencies;

/// How many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// One at a time.
    One,
    /// As many as the options say.
    Many,
}

/// What came of a while.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ran {
    /// Calls or turns that are in `ns`.
    pub(crate) counted: u64,
    /// What they took together.
    pub(crate) ns: u64,
    /// All that were made, those that only warm up among them.
    pub(crate) made: u64,
}

/// A part of the path that can be run.
pub(crate) trait Measured {
    /// How many at once under this load; `None`: not measured under it.
    fn callers(&self, load: Load) -> Option<usize>;

    /// Processor time so far of the process that does the work.
    fn cpu_ns(&self) -> u64 {
        crate::machine::cpu_ns()
    }

    /// Runs it for about so long, nanoseconds; times of single ones go to `latencies`.
    fn run(
        &mut self,
        load: Load,
        budget_ns: u64,
        latencies: Option<&mut Latencies>,
    ) -> Result<Ran, BenchError>;
}

/// Makes single ones, one after the other, at least one, as long as `goes_on` says so of what was made.
fn one_by_one(
    mut latencies: Option<&mut Latencies>,
    goes_on: impl Fn(&Ran) -> bool,
    mut one: impl FnMut() -> Result<u64, BenchError>,
) -> Result<Ran, BenchError> {
    let mut ran = Ran::default();
    while ran.made == 0 || goes_on(&ran) {
        let took = one()?;
        if let Some(latencies) = latencies.as_deref_mut() {
            latencies.push(took);
        }
        (ran.made, ran.ns) = (ran.made + 1, ran.ns + took);
    }
    ran.counted = ran.made;
    Ok(ran)
}
