//! `spawn`: dynamic children, each from the order to spawn it to the answer to its first message.

use super::{Load, Measured, Ran, in_parallel};
use crate::fleet::{
    Connection, Running, SPAWNED_MAX, Since, Site, connections, spawning, terminate,
};
use crate::latencies::Latencies;
use crate::{BenchError, Options};
use std::sync::Mutex;

/// Agents that spawn others at the same time, at most: one turn each is what there is of them.
const SPAWNERS: usize = 16;

/// Agents that spawn.
pub(crate) struct Spawns {
    fleet: Running,
    spawners: Vec<Connection>,
    last: usize,
    _site: Site,
}

impl Spawns {
    pub(crate) fn new(options: &Options) -> Result<Self, BenchError> {
        let count = options.callers.clamp(1, SPAWNERS);
        let site = Site::new(options, &spawning(count), None)?;
        let fleet = site.start()?;
        let spawners = connections(&fleet, count)?;
        Ok(Self { fleet, spawners, last: 0, _site: site })
    }
}

impl Measured for Spawns {
    fn callers(&self, load: Load) -> Option<usize> {
        Some(if load == Load::One { 1 } else { self.spawners.len() })
    }

    fn cpu_ns(&self) -> u64 {
        self.fleet.cpu_ns()
    }

    fn run(
        &mut self,
        load: Load,
        budget_ns: u64,
        latencies: Option<&mut Latencies>,
    ) -> Result<Ran, BenchError> {
        let first = self.last;
        let spawners = if load == Load::One { &mut self.spawners[..1] } else { &mut self.spawners };
        let began = Since::now();
        // Each has names of its own, and no more than it may have at once.
        let (count, most) = (spawners.len(), SPAWNED_MAX / spawners.len());
        let all = Mutex::new(latencies);
        let spawned = in_parallel(spawners, |spawner, connection| {
            let mut made = 0;
            while made == 0 || (made < most && began.ns() < budget_ns) {
                let name = format!("n{}", first + made * count + spawner);
                let at = Since::now();
                spawn(connection, spawner, &name)?;
                let took = at.ns();
                if let Ok(mut all) = all.lock()
                    && let Some(latencies) = all.as_deref_mut()
                {
                    latencies.push(took);
                }
                made += 1;
            }
            Ok(made)
        })?;
        let ns = began.ns();
        in_parallel(spawners, |spawner, connection| {
            // So that their places are free.
            let mut names = (0..spawned[spawner]).map(|n| first + n * count + spawner);
            names.try_for_each(|n| terminate(connection, &format!("pool/n{n}")))
        })?;
        self.last = first + spawned.iter().max().map_or(0, |most| most * count);
        let made = spawned.into_iter().map(|made| made as u64).sum();
        Ok(Ran { counted: made, ns, made })
    }
}

/// Has it spawned, and asks it something.
fn spawn(connection: &mut Connection, spawner: usize, name: &str) -> Result<(), BenchError> {
    let order = format!("call agent.spawn {{\"under\":\"pool\",\"name\":\"{name}\"}}");
    connection.answered(&format!("spawner-{spawner}"), &order)?;
    match connection.answered(&format!("pool/{name}"), "there?")? {
        answer if answer == "there?" => Ok(()),
        answer => Err(BenchError::fleet(format!("pool/{name} answered {answer}"))),
    }
}
