//! The thread that a lane has at present, as the watchdog sees it: which poll goes on there, and whose.
//!
//! Start reading at [`LaneThread::poll_begins`].

use crate::poll_counter;
use crate::runner::Runner;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A thread that is, or was, a lane's. It is written some ten times a call, and those of all lanes are made one after the other: each
/// has cache lines of its own (two, which some processors fetch together).
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct LaneThread {
    runner: Runner,
    /// Odd while a cell is polled: with `current` all that the watchdog looks at.
    beat: AtomicU64,
    /// The number of the place whose cell is polled, or was last.
    current: AtomicU64,
    /// How many polls of cells began.
    polls: AtomicU64,
}

impl LaneThread {
    pub(crate) fn new(runner: Runner) -> Arc<Self> {
        let (beat, current, polls) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { runner, beat, current, polls })
    }

    /// See [`Lane::spawn`].
    pub(crate) fn spawn<F, Fut>(&self, make: F) -> bool
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        self.runner.spawn(make)
    }

    /// Ends it, as soon as it is not stuck: what is on it is dropped.
    pub(crate) fn stop(&self) {
        self.runner.stop();
    }

    /// Notes that a cell's poll begins.
    pub(crate) fn poll_begins(&self, place: u64) {
        self.current.store(place, Ordering::Relaxed);
        self.polls.store(self.polls.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        poll_counter::poll_begins(self.address());
        self.beats(1);
    }

    /// The number of the poll that goes on, if one does. Only on the thread itself.
    pub(crate) fn poll(&self) -> Option<u64> {
        let polled = !self.beat.load(Ordering::Relaxed).is_multiple_of(2);
        polled.then(|| self.polls.load(Ordering::Relaxed))
    }

    /// Whether the calling thread is this one, and polls a cell.
    pub(crate) fn is_polling_here(&self) -> bool {
        poll_counter::is_polling(self.address())
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Notes that it is over.
    pub(crate) fn poll_ends(&self) {
        poll_counter::poll_ends();
        self.beats(1);
    }

    /// A receiver takes in place, inside a poll or outside of any; gives the place that goes on afterwards.
    pub(crate) fn nested_begins(&self, place: u64) -> u64 {
        let outer = self.current.load(Ordering::Relaxed);
        self.current.store(place, Ordering::Relaxed);
        // Two: a poll that goes on stays one that goes on, and is another one.
        self.beats(2);
        outer
    }

    /// It is over.
    pub(crate) fn nested_ends(&self, outer: u64) {
        self.current.store(outer, Ordering::Relaxed);
        self.beats(2);
    }

    /// Only the thread itself writes it, so that it need not be added to in one step.
    fn beats(&self, count: u64) {
        let beat = self.beat.load(Ordering::Relaxed);
        self.beat.store(beat.wrapping_add(count), Ordering::Release);
    }

    /// How often polls began and ended (odd: one is going on), and of which place.
    pub(crate) fn pulse(&self) -> (u64, u64) {
        let beat = self.beat.load(Ordering::Acquire);
        (beat, self.current.load(Ordering::Relaxed))
    }
}
