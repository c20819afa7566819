//! The only place of this crate that reads a clock: wall time for the default options, elapsed time
//! for metrics.
#![allow(clippy::disallowed_methods, reason = "the one place that reads a clock here")]
#![expect(clippy::disallowed_methods, reason = "this is the clock that others are sent to")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Unix milliseconds; 0 before 1970.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// Measures how long something took, for a histogram.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}
