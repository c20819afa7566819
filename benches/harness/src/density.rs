//! `density`: how much memory a standing agent takes, asked and never asked.

mod order;

pub(crate) use order::ASKING;
pub use order::Order;

use crate::fleet::{Running, Since, Site, look_again, standing};
use crate::machine::{self, load};
use crate::report::Machine;
use crate::{BenchError, Options, SHAPE};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a fleet that nobody asks anything may take to come to rest.
const REST_MAX: Duration = Duration::from_secs(30);

/// How long its memory must not have changed: longer than anything in it waits before it gives memory back.
const AT_REST: Duration = Duration::from_secs(3);

/// A change that is worth no word, bytes.
const STILL_BYTES: u64 = 256 * 1024;

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
    /// Whether an agent's place among all of them matters.
    pub order: Order,
}

/// Measures it. `tell` hears what goes on.
///
/// # Errors
/// [`BenchError`]: nothing is reported then.
pub fn density(options: &Options, tell: &mut dyn FnMut(&str)) -> Result<Density, BenchError> {
    let load_before = load();
    let agents = options.agents.max(2);
    tell("a fleet of one agent");
    let (base_bytes, base_asked_bytes, _) = memory(options, 1, &mut |_| {})?;
    tell(&format!("{agents} agents start"));
    let (idle_bytes, hibernated_bytes, order) = memory(options, agents, tell)?;
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
        order,
    })
}

/// What a fleet of so many agents takes before any of them is asked, and once each of them was; and what waking them takes.
fn memory(
    options: &Options,
    agents: u32,
    tell: &mut dyn FnMut(&str),
) -> Result<(u64, u64, Order), BenchError> {
    let site = Site::new(options, &standing(agents), None)?;
    let fleet = site.start()?;
    let before = at_rest(&fleet)?;
    let medians = order::ask_all(&fleet, agents, tell)?;
    let after = at_rest(&fleet)?;
    tell("the first and the last agents are woken");
    let order = order::order(&fleet, agents, medians)?;
    fleet.kill()?;
    Ok((before, after, order))
}

/// Its memory once that changes no more, for freed memory is given back after a while: the last one seen, if it goes on changing.
fn at_rest(fleet: &Running) -> Result<u64, BenchError> {
    let began = Since::now();
    let (mut seen, mut since) = (fleet.rss()?, Since::now());
    while !since.is_past(AT_REST) && !began.is_past(REST_MAX) {
        look_again();
        let now = fleet.rss()?;
        if now.abs_diff(seen) > STILL_BYTES {
            (seen, since) = (now, Since::now());
        }
    }
    Ok(fleet.rss()?)
}
