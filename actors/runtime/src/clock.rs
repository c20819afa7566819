//! The one source of time: nothing else in the node reads `std::time`.
//!
//! Wall time never runs backwards, whatever the machine's clock does; monotonic time serves the supervisors. A manual clock
//! drives tests. Start reading at [`Clock::now`].
#![allow(clippy::disallowed_methods, reason = "the one place that reads the machine's clocks")]

use loket_kernel::Moment;
use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The node's clock. A clone shows the same time.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    /// The latest moment ever told, Unix milliseconds.
    high_water: AtomicU64,
    source: Source,
}

enum Source {
    Machine { origin: Instant },
    Manual(Manual),
}

struct Manual {
    wall_ms: AtomicU64,
    monotonic_ms: AtomicU64,
    /// Who sleeps until when, by the number of the sleep. Bounded by the sleeps that are awaited.
    sleepers: std::sync::Mutex<BTreeMap<u64, (u64, Waker)>>,
    next_sleep: AtomicU64,
}

/// One sleep under a manual clock; leaves no entry behind when it is given up.
struct Sleep<'a>(&'a Manual, u64);

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        crate::lock(&self.0.sleepers).remove(&self.1);
    }
}

impl Clock {
    /// The machine's clock. `high_water` is the latest moment that an earlier process told, so that time does not run
    /// backwards across a restart either.
    pub fn machine(high_water: Moment) -> Self {
        let origin = Instant::now();
        Self::of(high_water, Source::Machine { origin })
    }

    /// A clock that stands still until it is [`advance`](Self::advance)d. For tests and simulations.
    pub fn manual(start: Moment) -> Self {
        let manual = Manual {
            wall_ms: AtomicU64::new(start.0),
            monotonic_ms: AtomicU64::new(0),
            sleepers: std::sync::Mutex::default(),
            next_sleep: AtomicU64::new(0),
        };
        Self::of(start, Source::Manual(manual))
    }

    fn of(high_water: Moment, source: Source) -> Self {
        let high_water = AtomicU64::new(high_water.0);
        Self(Arc::new(Inner { high_water, source }))
    }

    /// Wall time in Unix milliseconds; never less than any moment told before.
    pub fn now(&self) -> Moment {
        let wall = self.wall_ms();
        // Most readings are of a millisecond that was told before: a look is enough, and no other core loses the line.
        let told = self.0.high_water.load(Ordering::Acquire);
        match told >= wall {
            true => Moment(told),
            false => Moment(self.0.high_water.fetch_max(wall, Ordering::AcqRel).max(wall)),
        }
    }

    fn wall_ms(&self) -> u64 {
        match &self.0.source {
            Source::Machine { .. } => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
            Source::Manual(manual) => manual.wall_ms.load(Ordering::Acquire),
        }
    }

    /// The time that the machine dates files with. It may run backwards: for how old a file is, and nothing else.
    pub fn of_files(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.wall_ms())
    }

    /// Goes on from a moment that an earlier process told, so that time does not run backwards across a restart.
    pub fn raise(&self, high_water: Moment) {
        self.0.high_water.fetch_max(high_water.0, Ordering::AcqRel);
    }

    /// The latest moment told: what has to outlive the process.
    pub fn high_water(&self) -> Moment {
        Moment(self.0.high_water.load(Ordering::Acquire))
    }

    /// Milliseconds since this clock was made; not touched by changes of the wall clock.
    pub fn monotonic_ms(&self) -> u64 {
        match &self.0.source {
            Source::Machine { origin } => {
                u64::try_from(origin.elapsed().as_millis()).unwrap_or(u64::MAX)
            }
            Source::Manual(manual) => manual.monotonic_ms.load(Ordering::Acquire),
        }
    }

    /// The same in nanoseconds, for measuring.
    pub fn monotonic_ns(&self) -> u64 {
        match &self.0.source {
            Source::Machine { origin } => {
                u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
            }
            Source::Manual(_) => self.monotonic_ms().saturating_mul(1_000_000),
        }
    }

    /// Moves a manual clock, wall and monotonic time alike, and wakes whoever slept until then. The machine's clock takes no
    /// notice.
    pub fn advance(&self, ms: u64) {
        let Source::Manual(manual) = &self.0.source else {
            return;
        };
        manual.wall_ms.fetch_add(ms, Ordering::AcqRel);
        let now = manual.monotonic_ms.fetch_add(ms, Ordering::AcqRel) + ms;
        let due: Vec<Waker> = {
            let sleepers = crate::lock(&manual.sleepers);
            let due = sleepers.values().filter(|(at, _)| *at <= now);
            due.map(|(_, waker)| waker.clone()).collect()
        };
        due.into_iter().for_each(Waker::wake);
    }

    /// Sets a manual clock's wall time, backwards too: [`now`](Self::now) must not follow.
    pub fn set_wall(&self, to: Moment) {
        if let Source::Manual(manual) = &self.0.source {
            manual.wall_ms.store(to.0, Ordering::Release);
        }
    }

    /// Ready when so much monotonic time has passed, milliseconds. Needs an arbiter around it.
    pub async fn sleep(&self, ms: u64) {
        self.sleep_until(self.monotonic_ms().saturating_add(ms)).await;
    }

    /// Ready when [`monotonic_ms`](Self::monotonic_ms) is at least `at_ms`. Needs an arbiter around it.
    pub async fn sleep_until(&self, at_ms: u64) {
        match &self.0.source {
            Source::Machine { origin } => {
                // A timer that far away never comes; `Instant` could not hold it.
                let ms = at_ms.min(SLEEP_MAX_MS);
                let at = *origin + Duration::from_millis(ms);
                tokio::time::sleep_until(at.into()).await;
            }
            Source::Manual(manual) => {
                let sleep = Sleep(manual, manual.next_sleep.fetch_add(1, Ordering::Relaxed));
                poll_fn(|cx| {
                    let mut sleepers = crate::lock(&manual.sleepers);
                    if manual.monotonic_ms.load(Ordering::Acquire) >= at_ms {
                        return Poll::Ready(());
                    }
                    sleepers.insert(sleep.1, (at_ms, cx.waker().clone()));
                    Poll::Pending
                })
                .await;
            }
        }
    }
}

/// The longest sleep, milliseconds: about 30 years, what timers of the machine can hold.
const SLEEP_MAX_MS: u64 = 1_000_000_000_000;

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.0.source {
            Source::Machine { .. } => "machine",
            Source::Manual(_) => "manual",
        };
        f.debug_tuple("Clock").field(&source).field(&self.high_water()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_runs_backwards() {
        let clock = Clock::manual(Moment(1_000));
        clock.advance(10);
        assert_eq!(clock.now(), Moment(1_010));
        clock.set_wall(Moment(5));
        assert_eq!(clock.now(), Moment(1_010));
        clock.set_wall(Moment(2_000));
        assert_eq!(clock.now(), Moment(2_000));
        assert_eq!(clock.monotonic_ms(), 10);
    }

    #[test]
    fn a_persisted_high_water_mark_holds_for_the_machines_clock() {
        let ahead = Moment(u64::MAX / 2);
        assert_eq!(Clock::machine(ahead).now(), ahead);
        assert!(Clock::machine(Moment(0)).now() > Moment(1_600_000_000_000));
    }

    #[test]
    fn a_sleeper_wakes_only_when_its_time_has_come() {
        let clock = Clock::manual(Moment(0));
        let mut sleep = std::pin::pin!(clock.sleep_until(10));
        let mut cx = std::task::Context::from_waker(Waker::noop());
        assert!(sleep.as_mut().poll(&mut cx).is_pending());
        clock.advance(9);
        assert!(sleep.as_mut().poll(&mut cx).is_pending());
        clock.advance(1);
        assert!(sleep.as_mut().poll(&mut cx).is_ready());
    }
}
