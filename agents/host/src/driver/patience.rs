//! How long an agent waits for a machine that is at fault.

/// The first pause while the machine is at fault, milliseconds; doubled each time.
const PAUSE_MIN_MS: u64 = 50;

/// The longest, milliseconds: an agent is back at most so long after the disk has room again.
const PAUSE_MAX_MS: u64 = 5_000;

/// Growing pauses while the machine is at fault.
#[derive(Default)]
pub(super) struct Patience(u32);

impl Patience {
    /// The next pause, milliseconds.
    pub(super) fn next(&mut self) -> u64 {
        let pause = (PAUSE_MIN_MS << self.0.min(8)).min(PAUSE_MAX_MS);
        self.0 = self.0.saturating_add(1);
        pause
    }
}
