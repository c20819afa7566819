//! `recovery`: the process is killed while turns are open; until their answers are there, from the next process.
//!
//! Each turn waits for the answer of an agent that the operator has terminated: so it is open for certain when the process dies, and
//! ends once the next one has brought both agents up, and has run the turn again against its records.

use super::{Load, Measured, Ran, in_parallel, one_by_one};
use crate::bed::SILENCE;
use crate::fleet::{Running, Since, Site, connections, look_again, recoverable, terminate};
use crate::latencies::Latencies;
use crate::{BenchError, Options};
use serde_json::{Value, json};

/// Messages of one open turn: its own, and the one whose answer it waits for.
const MESSAGES: u64 = 2;

/// Pairs of agents that are killed while one waits for the other.
pub(crate) struct Recovery {
    fleet: Option<Running>,
    site: Site,
    pairs: usize,
    kills: u64,
    /// Processor time of those that were killed.
    killed_ns: u64,
}

impl Recovery {
    pub(crate) fn new(options: &Options) -> Result<Self, BenchError> {
        let pairs = options.callers.max(1);
        let site = Site::new(options, &recoverable(pairs), None)?;
        Ok(Self { fleet: Some(site.start()?), site, pairs, kills: 0, killed_ns: 0 })
    }

    /// One kill with so many turns open: nanoseconds until all of them have been answered.
    fn kill(&mut self, pairs: usize) -> Result<u64, BenchError> {
        let fleet = self.fleet.take().ok_or_else(|| BenchError::fleet("it did not come back"))?;
        self.kills += 1;
        let key = format!("kill-{}", self.kills);
        (0..pairs)
            .try_for_each(|pair| terminate(&mut fleet.connect()?, &format!("held-{pair}")))?;
        let before = accepted(&fleet)?;
        let mut waiting = connections(&fleet, pairs)?;
        for (pair, connection) in waiting.iter_mut().enumerate() {
            connection.post("agent.call", order(pair, &key))?;
        }
        let asked = Since::now();
        while accepted(&fleet)? < before + MESSAGES * pairs as u64 {
            if asked.is_past(SILENCE) {
                return Err(BenchError::Silent(SILENCE.as_secs()));
            }
            look_again();
        }
        self.killed_ns += fleet.cpu_ns();
        let began = Since::now();
        fleet.kill()?;
        let fleet = self.site.start()?;
        // The same call under the same key: it is answered by the turn that was open.
        in_parallel(&mut connections(&fleet, pairs)?, |pair, connection| {
            match connection.ask("agent.call", order(pair, &key))? {
                Ok(answer) if answer == "back" => Ok(()),
                other => Err(BenchError::fleet(format!("waiting-{pair}: {other:?}"))),
            }
        })?;
        self.fleet = Some(fleet);
        Ok(began.ns())
    }
}

impl Measured for Recovery {
    fn callers(&self, load: Load) -> Option<usize> {
        Some(if load == Load::One { 1 } else { self.pairs })
    }

    fn cpu_ns(&self) -> u64 {
        self.killed_ns + self.fleet.as_ref().map_or(0, Running::cpu_ns)
    }

    fn run(
        &mut self,
        load: Load,
        budget_ns: u64,
        latencies: Option<&mut Latencies>,
    ) -> Result<Ran, BenchError> {
        let pairs = if load == Load::One { 1 } else { self.pairs };
        one_by_one(latencies, |ran| ran.ns < budget_ns, || self.kill(pairs))
    }
}

fn order(pair: usize, key: &str) -> Value {
    let body = format!("call agent.call {{\"to\":\"held-{pair}\",\"body\":\"back\"}}");
    json!({"to": format!("waiting-{pair}"), "key": key, "body": body})
}

/// Messages that the fleet has accepted so far.
fn accepted(fleet: &Running) -> Result<u64, BenchError> {
    let status = fleet.status()?;
    status["accepted"].as_u64().ok_or_else(|| BenchError::fleet(format!("its status: {status}")))
}
