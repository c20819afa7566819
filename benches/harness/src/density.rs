//! `density`: how much memory a standing agent takes, asked and never asked.

use crate::fleet::{Connection, Running, Site, connections, standing};
use crate::machine::{self, load};
use crate::report::Machine;
use crate::{BenchError, Options, SHAPE};
use serde::{Deserialize, Serialize};

/// Connections that ask the agents.
const ASKING: usize = 16;

const GIB: f64 = 1_073_741_824.0;

/// What standing agents take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Density {
    /// Version of the report's shape.
    pub version: u32,
    /// Version of the binary.
    pub loket: String,
    /// Where it ran.
    pub machine: Machine,
    /// Agents of the fleet.
    pub agents: u32,
    /// Memory of a fleet with one agent that was never asked, bytes: what is there before anybody else.
    pub base_bytes: u64,
    /// The same once that one has handled a message: what the first turn of all brings along.
    pub base_asked_bytes: u64,
    /// Memory of the fleet when nobody has been asked anything.
    pub idle_bytes: u64,
    /// Memory when everybody has handled a message, written to its brain, and sleeps.
    pub hibernated_bytes: u64,
    /// Bytes of an agent that was never asked.
    pub idle_agent_bytes: f64,
    /// Bytes of an agent that sleeps.
    pub hibernated_agent_bytes: f64,
    /// Agents that were never asked, in a GiB.
    pub idle_per_gib: f64,
    /// Sleeping agents, in a GiB.
    pub hibernated_per_gib: f64,
}

/// Measures it. `tell` hears what goes on.
///
/// # Errors
/// [`BenchError`]: nothing is reported then.
pub fn density(options: &Options, tell: &mut dyn FnMut(&str)) -> Result<Density, BenchError> {
    let load_before = load();
    let agents = options.agents.max(2);
    tell("a fleet of one agent");
    let (base_bytes, base_asked_bytes) = memory(options, 1)?;
    tell("all agents start, and each handles a message");
    let (idle_bytes, hibernated_bytes) = memory(options, agents)?;
    let each = |all: u64, base: u64| all.saturating_sub(base) as f64 / f64::from(agents - 1);
    let per_gib = |bytes: f64| if bytes > 0.0 { GIB / bytes } else { 0.0 };
    let idle = each(idle_bytes, base_bytes);
    let hibernated = each(hibernated_bytes, base_asked_bytes);
    Ok(Density {
        version: SHAPE,
        loket: env!("CARGO_PKG_VERSION").to_owned(),
        machine: machine::machine(load_before),
        agents,
        base_bytes,
        base_asked_bytes,
        idle_bytes,
        hibernated_bytes,
        idle_agent_bytes: idle,
        hibernated_agent_bytes: hibernated,
        idle_per_gib: per_gib(idle),
        hibernated_per_gib: per_gib(hibernated),
    })
}

/// What a fleet of so many agents takes before any of them is asked, and once each of them was.
fn memory(options: &Options, agents: u32) -> Result<(u64, u64), BenchError> {
    let site = Site::new(options, &standing(agents), None)?;
    let fleet = site.start()?;
    let before = fleet.rss()?;
    ask(&fleet, agents)?;
    let after = fleet.rss()?;
    fleet.stop()?;
    Ok((before, after))
}

/// Has each agent write to its brain once.
fn ask(fleet: &Running, agents: u32) -> Result<(), BenchError> {
    let count = ASKING.min(usize::try_from(agents).unwrap_or(ASKING));
    let mut connections = connections(fleet, count)?;
    crate::tiers::in_parallel(&mut connections, |first, connection: &mut Connection| {
        let mine = (0..agents).skip(first).step_by(count);
        for agent in mine {
            connection.answered(&format!("agent-{agent}"), "put k 1")?;
        }
        Ok(())
    })?;
    Ok(())
}
