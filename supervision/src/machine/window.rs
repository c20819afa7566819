//! OTP's restart intensity: how many restarts within the period are too many (section 1.4).

use std::collections::VecDeque;

use super::event::Now;
use super::spec::{Budget, Window};

/// Milliseconds in one of OTP's seconds.
const SECOND_MS: u64 = 1_000;

/// The stamps of the restarts that still count. Never longer than the restarts of one period.
#[derive(Debug, Clone, Default)]
pub(super) struct Restarts(VecDeque<Now>);

impl Restarts {
    /// Stamps one restart attempt. False when it is one too many: the supervisor must give up.
    pub(super) fn admit(&mut self, now: Now, budget: Budget, window: Window) -> bool {
        let unit = match window {
            Window::Exact => 1,
            Window::OtpSeconds => SECOND_MS,
        };
        let (tick, period) = (now.0 / unit, budget.period_ms / unit);
        // A stamp exactly one period old still counts.
        while self.0.front().is_some_and(|old| (old.0 / unit).saturating_add(period) < tick) {
            self.0.pop_front();
        }
        self.0.push_back(now);
        self.0.len() <= usize::try_from(budget.intensity).unwrap_or(usize::MAX)
    }
}
