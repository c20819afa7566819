//! Counters of the path of a call: counted by their thread alone while a cell is polled, and told to the metric when the poll ends.
//!
//! All lanes share a metric. Cores that add to it at each call take its cache line from each other at each call, which costs more than
//! the rest of the way through a kernel shard. Nothing is lost and nothing is late by more than a poll: what is counted outside
//! of any is told at once. That is also where a thread knows whose poll goes on. Start reading at [`PollCounter`].

use metrics::Counter;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

thread_local! {
    /// Whose cell is polled on this thread: the address of its lane's thread; 0: none.
    static POLLED: Cell<usize> = const { Cell::new(0) };
    /// What this poll has counted. Bounded by the counters of the thread.
    static COUNTED: RefCell<Vec<Rc<Inner>>> = const { RefCell::new(Vec::new()) };
}

struct Inner {
    metric: Counter,
    /// Not told yet.
    count: Cell<u64>,
}

impl Inner {
    fn tell(&self) {
        self.metric.increment(self.count.take());
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.count.get() > 0 {
            self.tell();
        }
    }
}

/// A counter of one thread. What it has counted is in the metric once the poll that counted it is over.
pub struct PollCounter(Rc<Inner>);

impl fmt::Debug for PollCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PollCounter").field(&self.0.count.get()).finish()
    }
}

impl PollCounter {
    /// Counts for this metric.
    pub fn new(metric: Counter) -> Self {
        Self(Rc::new(Inner { metric, count: Cell::new(0) }))
    }

    /// Counts one.
    pub fn increment(&self) {
        let before = self.0.count.get();
        self.0.count.set(before.saturating_add(1));
        if before > 0 {
            return;
        }
        if POLLED.get() != 0 {
            COUNTED.with_borrow_mut(|all| all.push(Rc::clone(&self.0)));
        } else {
            self.0.tell();
        }
    }
}

/// A cell's poll begins on this thread, which is `whose`.
pub(crate) fn poll_begins(whose: usize) {
    POLLED.set(whose);
}

/// Whether the poll that goes on here is of this thread.
pub(crate) fn is_polling(whose: usize) -> bool {
    POLLED.get() == whose
}

/// It is over.
pub(crate) fn poll_ends() {
    POLLED.set(0);
    // At most one look when nothing was counted, which is the rule.
    COUNTED.with_borrow_mut(|all| {
        for counted in all.drain(..) {
            counted.tell();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics::CounterFn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// The sum, and how often it was touched.
    #[derive(Default)]
    struct Seen(AtomicU64, AtomicU64);

    impl CounterFn for Seen {
        fn increment(&self, value: u64) {
            self.0.fetch_add(value, Ordering::Relaxed);
            self.1.fetch_add(1, Ordering::Relaxed);
        }

        fn absolute(&self, value: u64) {
            self.0.store(value, Ordering::Relaxed);
        }
    }

    fn counter() -> (Arc<Seen>, PollCounter) {
        let seen = Arc::new(Seen::default());
        (Arc::clone(&seen), PollCounter::new(Counter::from_arc(seen)))
    }

    fn seen(seen: &Seen) -> (u64, u64) {
        (seen.0.load(Ordering::Relaxed), seen.1.load(Ordering::Relaxed))
    }

    #[test]
    fn a_poll_touches_the_metric_once_and_what_is_outside_of_polls_at_once() {
        let ((one, first), (two, second)) = (counter(), counter());
        first.increment();
        assert_eq!(seen(&one), (1, 1));
        for poll in 1..=3 {
            poll_begins(1);
            for _ in 0..100 {
                first.increment();
            }
            second.increment();
            assert_eq!(seen(&two), (poll - 1, poll - 1));
            poll_ends();
            assert_eq!(seen(&one), (1 + poll * 100, 1 + poll));
            assert_eq!(seen(&two), (poll, poll));
        }
        second.increment();
        assert_eq!(seen(&two), (4, 4));
    }

    #[test]
    fn what_a_counter_that_is_dropped_has_counted_is_told() {
        let (one, counter) = counter();
        poll_begins(1);
        counter.increment();
        counter.increment();
        drop(counter);
        poll_ends();
        assert_eq!(seen(&one), (2, 1));
    }
}
