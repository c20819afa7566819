//! The only place of this crate that reads a clock: how long a thread has been awake.
#![allow(clippy::disallowed_methods, reason = "the one place that reads a clock here")]

use crate::AWAKE_NS;
use std::time::Instant;

/// An offer of the core that takes longer than this was taken by somebody who has work, nanoseconds: one that nobody wants is a
/// system call, and a thread that only looks after something is soon asleep again.
const TAKEN_NS: u128 = 40_000;

/// A pass over all that is ready on a lane takes longer than this if there was anything, nanoseconds: one without is the runtime's own
/// look for events.
const WORK_NS: u128 = 5_000;

/// Gives the core to whoever else wants it; `true`: somebody did.
pub(crate) fn offer_core() -> bool {
    let before = Instant::now();
    std::thread::yield_now();
    before.elapsed().as_nanos() > TAKEN_NS
}

/// The time that a thread may stay awake.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Awake(Instant);

impl Awake {
    /// It begins now.
    pub(crate) fn begin() -> Self {
        Self(Instant::now())
    }

    /// Whether what went on since then was more than a look for work.
    pub(crate) fn was_work(self) -> bool {
        self.0.elapsed().as_nanos() > WORK_NS
    }

    /// Whether it is over.
    pub(crate) fn is_over(self) -> bool {
        self.0.elapsed().as_nanos() >= u128::from(AWAKE_NS)
    }
}
