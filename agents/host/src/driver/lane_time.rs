//! The two clocks by which a lane is fair to its turns. No turn and no record ever sees them.

use crate::engine::LaneTime;
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::Duration;

/// The machine's clocks, for [`Background::measured`](crate::engine::Background::measured).
pub const LANE_TIME: LaneTime = LaneTime { now, worked };

fn now() -> Duration {
    duration(clock_gettime(ClockId::Monotonic))
}

fn worked() -> Duration {
    duration(clock_gettime(ClockId::ThreadCPUTime))
}

/// Neither clock is ever negative.
fn duration(at: Timespec) -> Duration {
    Duration::try_from(at).unwrap_or_default()
}
