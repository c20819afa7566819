//! One thread that ticks the guests' epochs and sees lanes that do not yield.
//!
//! It ticks while guests run and for a moment after the last one, and otherwise looks at the lanes now and then. It reports what keeps
//! a lane; children with bounds of their own it also ends (see `ladder`). Start reading at [`Watchdog::start`].

use crate::ladder::{Ladder, Rung};
use crate::lane_thread::LaneThread;
use crate::quarantine::Quarantine;
use crate::{Clock, Lane, Registry, metrics};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

/// How often lanes are looked at, milliseconds.
const LOOK_EVERY_MS: u64 = 50;

/// How many ticks it stays awake after the last guest: a lane with turns one after the other wakes it once, not at each of them.
/// A millisecond of slices, which is longer than the gap between two durable turns of one agent.
const LINGER_TICKS: u32 = 5;

/// How often the depths of mailboxes are written down, milliseconds: what a scrape every few seconds needs.
const MEASURE_EVERY_MS: u64 = 1_000;

/// What the watchdog does and when.
#[derive(Clone)]
pub struct WatchdogConfig {
    /// Called every `tick_us` while a guest runs: increments the engine's epoch.
    pub tick: Arc<dyn Fn() + Send + Sync>,
    /// Microseconds between two ticks: the length of a guest's slice.
    pub tick_us: u64,
    /// A poll that keeps its lane so long is reported as slow, milliseconds.
    pub slow_ms: u64,
    /// A poll that keeps its lane so long is reported as stuck, milliseconds.
    pub stuck_ms: u64,
    /// Most threads that may be stuck at a time; one more and the node ends with `hung`.
    pub quarantine_max: usize,
}

impl Default for WatchdogConfig {
    /// No tick; 200 µs slices; slow after 100 ms, which is 500 slices; stuck after 5 s; two stuck threads.
    fn default() -> Self {
        Self {
            tick: Arc::new(|| {}),
            tick_us: 200,
            slow_ms: 100,
            stuck_ms: 5_000,
            quarantine_max: 2,
        }
    }
}

impl fmt::Debug for WatchdogConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("WatchdogConfig");
        out.field("tick_us", &self.tick_us).field("slow_ms", &self.slow_ms);
        out.field("stuck_ms", &self.stuck_ms).field("quarantine_max", &self.quarantine_max);
        out.finish_non_exhaustive()
    }
}

/// Counts the guests that run. A clone counts the same.
#[derive(Debug, Clone, Default)]
pub struct RunningGuests(Arc<Guests>);

#[derive(Debug, Default)]
struct Guests {
    running: AtomicUsize,
    /// Whether the watchdog sleeps for longer than a tick, and is to be woken by the next guest.
    asleep: AtomicBool,
    watchdog: OnceLock<Thread>,
}

impl Guests {
    /// Whether this guest is the one that has to wake the watchdog: it sleeps, and nobody else has woken it.
    ///
    /// Either the guest sees here that the watchdog is about to sleep, or that one sees the guest in [`doze`](Self::doze): each
    /// writes its own word before it reads the other's, in one order of both for all threads.
    fn wakes(&self) -> bool {
        self.running.fetch_add(1, Ordering::SeqCst);
        self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst)
    }

    /// Lets the watchdog sleep for `long`, unless a guest runs.
    fn doze(&self, long: Duration) {
        self.asleep.store(true, Ordering::SeqCst);
        if self.running.load(Ordering::SeqCst) == 0 {
            std::thread::park_timeout(long);
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}

/// A guest that runs, until it is dropped.
#[derive(Debug)]
pub struct RunningGuest(Arc<Guests>);

impl RunningGuests {
    /// Notes that a guest is about to run.
    pub fn enter(&self) -> RunningGuest {
        if self.0.wakes()
            && let Some(watchdog) = self.0.watchdog.get()
        {
            watchdog.unpark();
        }
        RunningGuest(Arc::clone(&self.0))
    }

    /// How many run.
    pub fn count(&self) -> usize {
        self.0.running.load(Ordering::Acquire)
    }
}

impl Drop for RunningGuest {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The thread; ends when this is dropped.
#[derive(Debug)]
pub struct Watchdog {
    guests: RunningGuests,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gave no thread.
    pub(crate) fn start(
        config: WatchdogConfig,
        lanes: Vec<Lane>,
        quarantine: Quarantine,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let (guests, over) = (RunningGuests::default(), Arc::new(AtomicBool::new(false)));
        let lanes = lanes.into_iter().map(Seen::new).collect();
        let mut round = Round {
            config,
            guests: guests.clone(),
            over: Arc::clone(&over),
            lanes,
            ladder: Ladder::new(quarantine),
            clock,
        };
        let thread = std::thread::Builder::new().name("loket-watchdog".to_owned());
        let thread = thread.spawn(move || round.run())?;
        let _ = guests.0.watchdog.set(thread.thread().clone());
        Ok(Self { guests, over, thread: Some(thread) })
    }

    /// Nobody who watches.
    #[cfg(feature = "simulation")]
    pub(crate) fn absent() -> Self {
        Self { guests: RunningGuests::default(), over: Arc::default(), thread: None }
    }

    /// Where guests are counted.
    pub fn guests(&self) -> &RunningGuests {
        &self.guests
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

struct Round {
    config: WatchdogConfig,
    guests: RunningGuests,
    over: Arc<AtomicBool>,
    lanes: Vec<Seen>,
    ladder: Ladder,
    clock: Clock,
}

/// What was last seen of a lane.
struct Seen {
    lane: Lane,
    thread: Arc<LaneThread>,
    beat: u64,
    since_ms: u64,
    told: Told,
    /// How far the bounds of the child that is polled have been acted on.
    rung: Rung,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Told {
    Nothing,
    Slow,
    Stuck,
}

impl Seen {
    fn new(lane: Lane) -> Self {
        let thread = lane.thread();
        Self { lane, thread, beat: 0, since_ms: 0, told: Told::Nothing, rung: Rung::Ground }
    }
}

impl Round {
    fn run(&mut self) {
        let (tick, look) = (
            Duration::from_micros(self.config.tick_us.max(1)),
            Duration::from_millis(LOOK_EVERY_MS),
        );
        let (mut looked_ms, mut measured_ms) = (0, 0);
        let mut idle_ticks = LINGER_TICKS;
        while !self.over.load(Ordering::Acquire) {
            let runs = self.guests.count() > 0;
            idle_ticks = if runs { 0 } else { idle_ticks.saturating_add(1) };
            if idle_ticks > LINGER_TICKS {
                self.guests.0.doze(look);
            } else {
                // A pause, not a wait for something: the tick is the event.
                std::thread::park_timeout(tick);
                (self.config.tick)();
            }
            let now_ms = self.clock.monotonic_ms();
            if now_ms.saturating_sub(looked_ms) >= LOOK_EVERY_MS {
                looked_ms = now_ms;
                ::metrics::gauge!(metrics::RUNNING_GUESTS).set(self.guests.count() as f64);
                self.look(now_ms);
                self.ladder.busy(now_ms);
            }
            if now_ms.saturating_sub(measured_ms) >= MEASURE_EVERY_MS {
                measured_ms = now_ms;
                self.ladder.registry().mailboxes(&mut metrics::mailbox);
            }
        }
    }

    fn look(&mut self, now_ms: u64) {
        for seen in &mut self.lanes {
            let thread = seen.lane.thread();
            let (beat, place) = thread.pulse();
            let other = !Arc::ptr_eq(&thread, &seen.thread);
            if other || beat != seen.beat || beat.is_multiple_of(2) {
                (seen.thread, seen.beat, seen.since_ms) = (thread, beat, now_ms);
                (seen.told, seen.rung) = (Told::Nothing, Rung::Ground);
                continue;
            }
            let ms = now_ms.saturating_sub(seen.since_ms);
            let state = match ms {
                ms if ms >= self.config.stuck_ms => Told::Stuck,
                ms if ms >= self.config.slow_ms => Told::Slow,
                _ => Told::Nothing,
            };
            if state > seen.told {
                seen.told = state;
                tell(self.ladder.registry(), &seen.lane, place, state, ms);
            }
            seen.rung = self.ladder.poll(place, ms, seen.rung);
        }
    }
}

fn tell(registry: &Registry, lane: &Lane, place: u64, state: Told, ms: u64) {
    let name = registry.name_of(place).unwrap_or_else(|| "?".into());
    let kind = registry.find(&name).map_or("other", |place| place.kind());
    let (child, lane) = (&*name, format!("{lane:?}"));
    metrics::slow(kind);
    match state {
        Told::Stuck => tracing::error!(child, lane, ms, "a child keeps its lane: stuck"),
        _ => tracing::warn!(child, lane, ms, "a child keeps its lane: slow"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use loket_kernel::Moment;

    #[test]
    fn ticks_while_a_guest_runs() {
        let (tell, told) = crossbeam_channel::bounded(1);
        let tick: Arc<dyn Fn() + Send + Sync> = Arc::new(move || {
            let _ = tell.try_send(());
        });
        let config = WatchdogConfig { tick, ..WatchdogConfig::default() };
        let clock = Clock::machine(Moment(0));
        let lanes = crate::Lanes::start(1).unwrap();
        let dog = Watchdog::start(config, Vec::new(), Quarantine::of(&lanes, 0), clock).unwrap();
        assert!(told.try_recv().is_err());
        let guests = dog.guests().clone();
        let (one, two) = (guests.enter(), guests.enter());
        assert_eq!(guests.count(), 2);
        drop(one);
        for _ in 0..100 {
            told.recv_timeout(Duration::from_secs(30)).unwrap();
        }
        drop(two);
        assert_eq!(guests.count(), 0);
        drop(dog);
        lanes.stop(30_000).unwrap();
    }

    #[test]
    fn only_a_sleeping_watchdog_is_woken_and_once() {
        let guests = Guests::default();
        assert!(!guests.wakes(), "it is awake and sees the guest by itself");
        guests.asleep.store(true, Ordering::SeqCst);
        assert!(guests.wakes(), "it sleeps");
        assert!(!guests.wakes(), "another has woken it");
        assert_eq!(guests.running.load(Ordering::SeqCst), 3);
        // With a guest that runs there is no sleep: this would not return otherwise.
        guests.doze(Duration::MAX);
        assert!(!guests.asleep.load(Ordering::SeqCst));
    }

    #[test]
    fn guests_one_after_the_other_leave_the_watchdog_awake() {
        let (tell, told) = crossbeam_channel::bounded(1);
        let tick: Arc<dyn Fn() + Send + Sync> = Arc::new(move || {
            let _ = tell.try_send(());
        });
        // A slice so long that the watchdog, once awake, does not fall asleep again before this has ended.
        let config = WatchdogConfig { tick, tick_us: 60_000_000, ..WatchdogConfig::default() };
        let lanes = crate::Lanes::start(1).unwrap();
        let quarantine = Quarantine::of(&lanes, 0);
        let clock = Clock::machine(Moment(0));
        let dog = Watchdog::start(config, Vec::new(), quarantine, clock).unwrap();
        let guests = dog.guests().clone();
        let first = guests.enter();
        let awake = (0..3_000).any(|_| {
            // Ends a slice that has begun: a tick says that it had.
            guests.0.watchdog.get().unwrap().unpark();
            told.recv_timeout(Duration::from_millis(10)).is_ok()
        });
        assert!(awake, "it ticks while a guest runs");
        drop(first);
        for _ in 0..10_000 {
            assert!(!guests.0.wakes(), "a turn woke a watchdog that was awake");
            guests.0.running.fetch_sub(1, Ordering::AcqRel);
        }
        drop(dog);
        lanes.stop(30_000).unwrap();
    }

    #[test]
    fn a_poll_that_keeps_its_lane_is_told_once_a_stage() {
        let lanes = crate::Lanes::start(1).unwrap();
        let lane = lanes.lanes()[0].clone();
        let mut round = Round {
            config: WatchdogConfig::default(),
            guests: RunningGuests::default(),
            over: Arc::default(),
            lanes: vec![Seen::new(lane.clone())],
            ladder: Ladder::new(Quarantine::of(&lanes, 0)),
            clock: Clock::manual(Moment(0)),
        };
        let mut at = |now_ms| {
            round.look(now_ms);
            round.lanes[0].told
        };
        assert!(at(1_000) == Told::Nothing, "an idle lane is no slow lane");
        lane.thread().poll_begins(1);
        assert!(at(1_050) == Told::Nothing);
        assert!(at(1_100) == Told::Nothing);
        assert!(at(1_150) == Told::Slow);
        assert!(at(6_050) == Told::Stuck);
        lane.thread().poll_ends();
        lane.thread().poll_begins(1);
        assert!(at(6_100) == Told::Nothing, "another poll is another measure");
        lane.thread().poll_ends();
        lanes.stop(30_000).unwrap();
    }
}
