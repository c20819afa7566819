//! Whether an agent's place in the order of all of them matters: what waking the first ones takes, and the last ones.

use crate::BenchError;
use crate::fleet::{Connection, Running, Since, connections};
use crate::latencies::Latencies;
use serde::{Deserialize, Serialize};

/// Connections that ask the agents.
pub(crate) const ASKING: usize = 16;

/// Parts in which all agents are asked for the first time, so that it is told how far that is, and compared.
const PARTS: u32 = 10;

/// Agents at each end that are woken: enough for a median.
const SAMPLE: u32 = 200;

/// Agents that are asked before, so that those of the sample sleep: more than the brains that two lanes keep open.
const OTHERS: u32 = 2_048;

/// Times of the first and the last agents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Median of the first message of the agents of each part, in their order, nanoseconds.
    pub first_messages_ns: Vec<u64>,
    /// Agents of each end that were woken, one at a time, in turns.
    pub woken: u32,
    /// Median until one of the first agents has answered, nanoseconds.
    pub first_ns: u64,
    /// The same of the last ones.
    pub last_ns: u64,
    /// How many times longer the last ones take.
    pub ratio: f64,
}

/// Has each agent write to its brain once. Gives the median of each part.
pub(super) fn ask_all(
    fleet: &Running,
    agents: u32,
    tell: &mut dyn FnMut(&str),
) -> Result<Vec<u64>, BenchError> {
    let count = ASKING.min(usize::try_from(agents).unwrap_or(ASKING));
    let mut connections = connections(fleet, count)?;
    let mut medians = Vec::new();
    let edge = |part: u32| u64::from(agents) * u64::from(part) / u64::from(PARTS);
    for part in 0..PARTS {
        let (from, to) = (edge(part), edge(part + 1));
        let took = crate::tiers::in_parallel(&mut connections, |first, connection| {
            let mut took = Latencies::new()?;
            for agent in (from..to).skip(first).step_by(count) {
                wake(connection, agent, &mut took)?;
            }
            Ok(took)
        })?;
        let mut all = Latencies::new()?;
        took.iter().for_each(|took| all.add(took));
        medians.extend(all.figures().map(|figures| figures.p50_ns));
        tell(&format!("{to} of {agents} agents have handled a message"));
    }
    Ok(medians)
}

/// Wakes agents of both ends that sleep, in turns.
pub(super) fn order(
    fleet: &Running,
    agents: u32,
    first_messages_ns: Vec<u64>,
) -> Result<Order, BenchError> {
    let mut connection = fleet.connect()?;
    let woken = SAMPLE.min(agents / 4).max(1);
    let mut ignored = Latencies::new()?;
    let middle = u64::from(agents / 2);
    for agent in middle..(middle + u64::from(OTHERS.min(agents / 4))) {
        wake(&mut connection, agent, &mut ignored)?;
    }
    let (mut first, mut last) = (Latencies::new()?, Latencies::new()?);
    for n in 0..u64::from(woken) {
        wake(&mut connection, n, &mut first)?;
        wake(&mut connection, u64::from(agents) - 1 - n, &mut last)?;
    }
    let median = |all: &Latencies| all.figures().map_or(0, |figures| figures.p50_ns);
    let (first_ns, last_ns) = (median(&first), median(&last));
    let ratio = last_ns as f64 / first_ns.max(1) as f64;
    Ok(Order { first_messages_ns, woken, first_ns, last_ns, ratio })
}

fn wake(connection: &mut Connection, agent: u64, took: &mut Latencies) -> Result<(), BenchError> {
    let began = Since::now();
    connection.answered(&format!("agent-{agent}"), "put k 1")?;
    took.push(began.ns());
    Ok(())
}
