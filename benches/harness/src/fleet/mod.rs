//! A fleet as a process of its own, measured from outside: what a user sees who has nothing but the binary and its control socket.
//!
//! It must never look inside: whatever is told of such a fleet, anybody could have measured. Start reading at `process.rs`.

mod connection;
mod plans;
mod process;
mod site;

pub use connection::{Answer, Connection};
pub use process::{Child, Running};

pub(crate) use plans::{
    CALLER, CALLS, SPAWNED_MAX, caller, pairs, recoverable, spawning, standing,
};
pub(crate) use site::Site;

use loket_kernel::Moment;
use loket_runtime::Clock;
use std::time::Duration;

/// Between two looks at a process of which one awaits something: nobody tells it to an outsider. A start is measured, too.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Waits until it is time to look once more.
pub(crate) fn look_again() {
    std::thread::park_timeout(LOOK_EVERY);
}

/// A stopwatch on the node's clock.
#[derive(Clone)]
pub(crate) struct Since {
    clock: Clock,
    ns: u64,
}

impl Since {
    pub(crate) fn now() -> Self {
        let clock = Clock::machine(Moment(0));
        let ns = clock.monotonic_ns();
        Self { clock, ns }
    }

    /// Nanoseconds that have gone by.
    pub(crate) fn ns(&self) -> u64 {
        self.clock.monotonic_ns().saturating_sub(self.ns)
    }

    /// Whether more than this has gone by.
    pub(crate) fn is_past(&self, bound: Duration) -> bool {
        u128::from(self.ns()) > bound.as_nanos()
    }
}
