//! How long an agent waits for a machine that is at fault.

use std::time::Duration;

/// The first pause while the machine is at fault; doubled each time.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest: an agent is back at most so long after the disk has room again.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Growing pauses while the machine is at fault.
#[derive(Default)]
pub(super) struct Patience(u32);

impl Patience {
    /// The next pause.
    pub(super) fn next(&mut self) -> Duration {
        let pause = PAUSE_MIN.saturating_mul(1 << self.0.min(8)).min(PAUSE_MAX);
        self.0 = self.0.saturating_add(1);
        pause
    }
}
