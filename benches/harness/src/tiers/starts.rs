//! `start`: a fleet that has run before, from the exec of the binary until its supervisors say that all children are up.
//!
//! Modules are compiled, and agents are known to the ledger, from an earlier start: what is measured is what an operator waits for
//! who starts a fleet again.

use super::{Load, Measured, Ran, one_by_one};
use crate::fleet::{Since, Site, standing};
use crate::latencies::Latencies;
use crate::{BenchError, Options};

/// What the tree says of a child that is up.
const UP: &str = "running";

/// A fleet that is started and stopped.
pub(crate) struct Starts {
    site: Site,
    agents: u32,
    /// Processor time of those that were stopped.
    stopped_ns: u64,
}

impl Starts {
    pub(crate) fn new(options: &Options) -> Result<Self, BenchError> {
        let agents = options.starting.max(1);
        let site = Site::new(options, &standing(agents), None)?;
        let mut starts = Self { site, agents, stopped_ns: 0 };
        // The first compiles, and makes the data directory.
        starts.one()?;
        Ok(starts)
    }

    /// One start, nanoseconds. That everybody is up is looked at afterwards.
    fn one(&mut self) -> Result<u64, BenchError> {
        let began = Since::now();
        let fleet = self.site.start()?;
        let took = began.ns();
        let children = fleet.children()?;
        let agents = children.iter().filter(|(name, _)| name.starts_with("agent-"));
        let up = agents.filter(|(_, child)| child.state == UP).count();
        if up != self.agents as usize {
            return Err(BenchError::fleet(format!("{up} of {} agents are up", self.agents)));
        }
        self.stopped_ns += fleet.cpu_ns();
        fleet.stop()?;
        Ok(took)
    }
}

impl Measured for Starts {
    fn callers(&self, load: Load) -> Option<usize> {
        (load == Load::One).then_some(1)
    }

    fn cpu_ns(&self) -> u64 {
        self.stopped_ns
    }

    fn run(
        &mut self,
        _: Load,
        budget_ns: u64,
        latencies: Option<&mut Latencies>,
    ) -> Result<Ran, BenchError> {
        one_by_one(latencies, |ran| ran.ns < budget_ns, || self.one())
    }
}
