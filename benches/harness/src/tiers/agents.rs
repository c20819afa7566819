//! `agents`: messages from agent to agent, each accepted, handled in a turn of its own, and answered.

use super::{Load, Measured, Ran};
use crate::fleet::{CALLER, CALLS, Connection, Running, Since, Site, caller, connections, pairs};
use crate::latencies::Latencies;
use crate::{BenchError, Options};

/// What each message says.
const BODY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Pairs of agents.
pub(crate) struct Agents {
    fleet: Running,
    callers: Vec<Connection>,
    _site: Site,
}

impl Agents {
    pub(crate) fn new(options: &Options) -> Result<Self, BenchError> {
        let count = options.callers.max(1);
        let site = Site::new(options, &pairs(count), Some((CALLER, &caller())))?;
        let fleet = site.start()?;
        let callers = connections(&fleet, count)?;
        Ok(Self { fleet, callers, _site: site })
    }
}

impl Measured for Agents {
    fn callers(&self, load: Load) -> Option<usize> {
        Some(if load == Load::One { 1 } else { self.callers.len() })
    }

    fn cpu_ns(&self) -> u64 {
        self.fleet.cpu_ns()
    }

    /// Single messages have no times: a guest has no clock.
    fn run(
        &mut self,
        load: Load,
        budget_ns: u64,
        _: Option<&mut Latencies>,
    ) -> Result<Ran, BenchError> {
        let callers = if load == Load::One { &mut self.callers[..1] } else { &mut self.callers };
        let began = Since::now();
        let turns = in_parallel(callers, |pair, connection| {
            let order = format!("{{\"to\":\"callee-{pair}\",\"body\":\"{BODY}\"}}");
            let mut turns = 0;
            while turns == 0 || began.ns() < budget_ns {
                let answer = connection.answered(&format!("caller-{pair}"), &order)?;
                if answer != BODY {
                    return Err(BenchError::call(format!("the answer was {answer}")));
                }
                turns += 1;
            }
            Ok(turns)
        })?;
        let made = turns.into_iter().sum::<u64>() * u64::from(CALLS);
        let ns = began.ns();
        Ok(Ran { counted: made, ns, made })
    }
}

/// Does the same on each connection, each on a thread of its own.
pub(crate) fn in_parallel<T: Send>(
    connections: &mut [Connection],
    work: impl Fn(usize, &mut Connection) -> Result<T, BenchError> + Sync,
) -> Result<Vec<T>, BenchError> {
    std::thread::scope(|scope| {
        let started: Vec<_> = connections
            .iter_mut()
            .enumerate()
            .map(|(index, connection)| {
                let work = &work;
                scope.spawn(move || work(index, connection))
            })
            .collect();
        let ended = started.into_iter().map(|thread| match thread.join() {
            Ok(ended) => ended,
            Err(_) => Err(BenchError::setup("a thread of the benchmark panicked")),
        });
        ended.collect()
    })
}
