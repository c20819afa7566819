//! What a fleet would do if children crashed: the machines of all its supervisors, composed purely, in virtual time.
//!
//! It drives the very machine that the runtime drives and has no rules of its own: a child starts and stops at once, and what
//! a supervisor reports goes to the one above. It never starts anything. Start reading at [`run`].

mod orders;
mod outcome;
mod target;
mod trace;
mod world;

pub use target::UnknownChild;
pub use trace::{Outcome, Shown, Step, Trace, What};

use crate::fleet::Fleet;
use crate::machine::{Exit, Now};

/// Events that one simulation handles; a crash loop of a thousand children for an hour stays below.
pub const MAX_EVENTS: usize = 1_000_000;

/// Steps that a trace keeps: nobody reads more, and each is a line.
pub const MAX_STEPS: usize = 10_000;

/// One crash to simulate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    /// Whose: an id, a path in the tree, or `SUPERVISOR/NAME` of a dynamic child, which then exists from the start.
    pub child: String,
    /// When, milliseconds after the fleet is up.
    pub at: Now,
    /// Why; `None` is what such a child most often dies of: a trap of a guest, a panic of a provider, a kill of a supervisor.
    pub exit: Option<Exit>,
}

/// What to simulate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The crashes, in any order.
    pub crashes: Vec<Crash>,
    /// Nothing later than this is simulated; `None` goes on until nothing more happens.
    pub until: Option<Now>,
    /// Seed of the jitter of restart delays; the same seed gives the same trace.
    pub seed: u64,
}

/// Simulates.
///
/// # Errors
/// The first crash that names no child of the fleet.
pub fn run(fleet: &Fleet, plan: &Plan) -> Result<Trace, UnknownChild> {
    let mut world = world::World::new(&fleet.root, plan.seed);
    for crash in &plan.crashes {
        world.plan(crash)?;
    }
    Ok(world.run(plan.until))
}
