//! A fleet as a process of its own, seen from outside: what a user sees who has nothing but the binary and its control socket.
//!
//! It must never look inside: whatever is told of such a fleet, anybody could have measured. For `loket bench` and for what is in
//! `benches`. Start reading at `process.rs`.
#![forbid(unsafe_code)]

mod connection;
mod process;

pub use connection::{Answer, Connection};
pub use process::{Child, Running};

use loket_kernel::Moment;
use loket_runtime::Clock;
use std::time::Duration;

/// Between two looks at a process of which one awaits something: nobody tells it to an outsider. A start is measured, too.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Waits until it is time to look once more.
pub fn look_again() {
    std::thread::park_timeout(LOOK_EVERY);
}

/// A stopwatch on the node's clock.
#[derive(Debug, Clone)]
pub struct Since {
    clock: Clock,
    ns: u64,
}

impl Since {
    /// One that begins now.
    #[must_use]
    pub fn now() -> Self {
        let clock = Clock::machine(Moment(0));
        let ns = clock.monotonic_ns();
        Self { clock, ns }
    }

    /// Nanoseconds that have gone by.
    #[must_use]
    pub fn ns(&self) -> u64 {
        self.clock.monotonic_ns().saturating_sub(self.ns)
    }

    /// Whether more than this has gone by.
    #[must_use]
    pub fn is_past(&self, bound: Duration) -> bool {
        u128::from(self.ns()) > bound.as_nanos()
    }
}

/// A fleet did not do as it must: the words say what, and where it did not start, how its log ends.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OutsideError(String);

impl OutsideError {
    /// With these words.
    #[must_use]
    pub fn new(why: impl std::fmt::Display) -> Self {
        Self(why.to_string())
    }
}
