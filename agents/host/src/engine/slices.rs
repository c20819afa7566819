//! Fairness of a lane: turns that outlive their first slice wait in one queue, from which each round of the lane's
//! polling runs one slice.
//!
//! A future that wakes itself while it is polled goes straight back into the executor's run queue: 24 guests in endless loops
//! would then run 24 slices before a neighbour gets a turn. Here such a wake is put into the lane's background queue;
//! [`Background::drive`], one task per lane, wakes one entry, lets everything else on the lane run, and only then wakes the
//! next. Nothing here knows what a guest is, and no clock is read.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Waiting for something other than its next slice; a wake goes through to the task.
const IDLE: u8 = 0;
/// Being polled, not woken since that began.
const POLLED: u8 = 1;
/// Being polled, and already woken again.
const WOKEN: u8 = 2;
/// In the background queue; only its turn there wakes it.
const QUEUED: u8 = 3;

/// What stands between a future and its task.
struct Gate {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Gate {
    fn to(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Wake for Gate {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        match self.state.load(Ordering::Acquire) {
            IDLE => self.task.wake(),
            // A wake from elsewhere during a poll waits for a slice, too: it cannot be told apart without cost. If the
            // poll has ended meanwhile, waking the task in vain is harmless and losing the wake is not.
            POLLED if !self.to(POLLED, WOKEN) => self.task.wake(),
            _ => {}
        }
    }
}

struct Inner {
    queue: RefCell<VecDeque<Arc<Gate>>>,
    filled: AtomicWaker,
}

/// The background queue of one lane. It holds at most one entry for each living [`Sliced`]. Clones share it.
#[derive(Clone)]
pub struct Background(Rc<Inner>);

impl std::fmt::Debug for Background {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Background").field("waiting", &self.waiting()).finish()
    }
}

impl Default for Background {
    fn default() -> Self {
        Self::new()
    }
}

impl Background {
    /// An empty queue. Spawn [`Background::drive`] on the lane, or whatever is queued never runs.
    #[must_use]
    pub fn new() -> Self {
        Self(Rc::new(Inner { queue: RefCell::default(), filled: AtomicWaker::new() }))
    }

    /// How many futures wait for their next slice.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.queue.borrow().len()
    }

    /// Puts `future` under the rule: each poll of it after a self-wake is one round's one slice.
    pub fn slice<F: Future>(&self, future: F) -> Sliced<F> {
        let gate = Arc::new(Gate { state: AtomicU8::new(IDLE), task: AtomicWaker::new() });
        let waker = Waker::from(Arc::clone(&gate));
        Sliced { future: Box::pin(future), gate, waker, lane: Rc::clone(&self.0) }
    }

    /// The lane's one task: runs for ever, sleeps while the queue is empty. Spawn it once per lane; drop it with the lane.
    pub async fn drive(self) {
        loop {
            let gate = std::future::poll_fn(|cx| self.next(cx)).await;
            if gate.to(QUEUED, IDLE) {
                gate.task.wake();
            }
            // The rest of the lane, its timers and its channels come before the next slice.
            tokio::task::yield_now().await;
        }
    }

    fn next(&self, cx: &Context<'_>) -> Poll<Arc<Gate>> {
        let first = self.0.queue.borrow_mut().pop_front();
        match first {
            Some(gate) => Poll::Ready(gate),
            None => {
                self.0.filled.register(cx.waker());
                Poll::Pending
            }
        }
    }
}

/// A future that runs one slice a round once it has outlived its first. Made by [`Background::slice`].
pub struct Sliced<F> {
    future: Pin<Box<F>>,
    gate: Arc<Gate>,
    waker: Waker,
    lane: Rc<Inner>,
}

impl<F> std::fmt::Debug for Sliced<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sliced").field("queued", &self.queued()).finish_non_exhaustive()
    }
}

impl<F> Sliced<F> {
    fn queued(&self) -> bool {
        self.gate.state.load(Ordering::Acquire) == QUEUED
    }
}

impl<F: Future> Future for Sliced<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.gate.task.register(cx.waker());
        // Polled for another reason, such as a `select!` beside it: its slice has not come.
        if !this.gate.to(IDLE, POLLED) {
            return Poll::Pending;
        }
        let polled = this.future.as_mut().poll(&mut Context::from_waker(&this.waker));
        if polled.is_ready() || this.gate.to(POLLED, IDLE) {
            return polled;
        }
        this.gate.state.store(QUEUED, Ordering::Release);
        this.lane.queue.borrow_mut().push_back(Arc::clone(&this.gate));
        this.lane.filled.wake();
        Poll::Pending
    }
}

impl<F> Drop for Sliced<F> {
    fn drop(&mut self) {
        if self.queued() {
            self.lane.queue.borrow_mut().retain(|gate| !Arc::ptr_eq(gate, &self.gate));
        }
    }
}
