//! Whether a child makes progress: what it says of itself, and what the watchdog has done about it.
//!
//! Atomics, and one lock for a moment; nobody waits here but a body for its interruption. Start reading at [`Progress::busy`].

use crate::Presence;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// See the module's head.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    interrupted: AtomicBool,
    pub(crate) interrupt_notify: Notify,
    /// Since when it is busy with one piece of work, monotonic milliseconds; 0 while it is not.
    busy_since_ms: AtomicU64,
    /// What the watchdog has done about that piece of work.
    warned: AtomicU8,
    /// It waits for what a stuck thread holds.
    stuck: AtomicBool,
    /// The provider that it waits for, which is between two incarnations.
    paused_on: Mutex<Option<Arc<Presence>>>,
}

impl Progress {
    /// Asks the body to give its present work up.
    pub(crate) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
        self.interrupt_notify.notify_waiters();
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }

    /// Notes since when it is busy with its oldest piece of work, or that it is not.
    pub(crate) fn busy(&self, since_ms: Option<u64>) {
        let since_ms = since_ms.map_or(0, |ms| ms.max(1));
        if self.busy_since_ms.swap(since_ms, Ordering::AcqRel) != since_ms {
            self.warned.store(0, Ordering::Release);
            self.interrupted.store(false, Ordering::Release);
        }
    }

    pub(crate) fn busy_since_ms(&self) -> Option<u64> {
        Some(self.busy_since_ms.load(Ordering::Acquire)).filter(|ms| *ms > 0)
    }

    /// What was done about the present piece of work.
    pub(crate) fn warned(&self) -> u8 {
        self.warned.load(Ordering::Acquire)
    }

    /// Whether this is news about the present piece of work.
    pub(crate) fn warn(&self, stage: u8) -> bool {
        self.warned.fetch_max(stage, Ordering::AcqRel) < stage
    }

    /// Notes whether it waits for what a stuck thread holds.
    pub(crate) fn set_stuck(&self, stuck: bool) {
        self.stuck.store(stuck, Ordering::Release);
    }

    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Acquire)
    }

    /// Notes whether it waits for a provider that is between two incarnations.
    pub(crate) fn pause(&self, on: Option<Arc<Presence>>) {
        *crate::lock(&self.paused_on) = on;
    }

    /// The provider that it waits for.
    pub(crate) fn paused_on(&self) -> Option<Arc<Presence>> {
        crate::lock(&self.paused_on).clone()
    }

    /// Its piece of work has begun so much later than was said: what was done about it stays done.
    pub(crate) fn later(&self, ms: u64) {
        let later = |since_ms: u64| (since_ms > 0).then_some(since_ms.saturating_add(ms));
        let order = Ordering::AcqRel;
        let _ = self.busy_since_ms.fetch_update(order, Ordering::Acquire, later);
    }
}
