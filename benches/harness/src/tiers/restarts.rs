//! `restart`: an agent traps, and its next life handles the next message.

use super::turns::{ended, message};
use super::{Load, Measured, Ran, one_by_one};
use crate::BenchError;
use crate::bed::{Bed, SILENCE};
use crate::guest::{TRAP, WRITE};
use crate::latencies::Latencies;
use futures_executor::block_on;
use loket_turn::Ledger;

/// An agent that traps as often as it is told.
pub(crate) struct Restarts {
    bed: Bed,
}

impl Restarts {
    pub(crate) fn new(bed: Bed) -> Self {
        // Nobody wakes for the trapped one.
        bed.ends.together(2);
        Self { bed }
    }

    /// From the end of a trapped message, in the ledger, to the end of the one behind it.
    fn one(&self) -> Result<u64, BenchError> {
        let bed = &self.bed;
        let agent = &bed.agents[0];
        let now_ms = bed.clock.now().0;
        let both = [TRAP, WRITE].map(|body| message(agent, body.to_vec(), now_ms));
        // Both are on their way before either is waited for, so that the second is there when the first ends.
        for accepted in both.map(|message| bed.ledger.accept(message)) {
            block_on(accepted).map_err(|error| BenchError::turn(error.to_string()))?;
        }
        let end = bed.ends.recv_timeout(SILENCE);
        let (_, trapped, at) = end.map_err(|_| BenchError::Silent(SILENCE.as_secs()))?;
        if trapped.is_ok() {
            return Err(BenchError::turn("the guest was to trap and did not"));
        }
        let (_, after) = ended(bed)?;
        Ok(after.saturating_sub(at))
    }
}

impl Measured for Restarts {
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
        let began = clock.monotonic_ns();
        let in_time = |_: &Ran| clock.monotonic_ns().saturating_sub(began) < budget_ns;
        one_by_one(latencies, in_time, || self.one())
    }
}
