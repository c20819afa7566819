//! Fairness of a lane: turns that outlive their first slice wait in one queue, from which each round of the lane's
//! polling runs one slice.
//!
//! A future that wakes itself while it is polled goes straight back into the executor's run queue: 24 guests in endless loops
//! would then run 24 slices before a neighbour gets a turn. Here such a wake is put into the lane's background queue;
//! [`Background::drive`], one task per lane, wakes one entry, lets everything else on the lane run, and only then wakes the
//! next. Nothing here knows what a guest is. What one slice cannot hold is dealt with by [`super::heavy`].

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
use std::time::Duration;

use super::heavy::{Heavy, LaneTime, Next};

/// Waiting for something other than its next slice; a wake goes through to the task.
const IDLE: u8 = 0;
/// Being polled, not woken since that began.
const POLLED: u8 = 1;
/// Being polled, and already woken again.
const WOKEN: u8 = 2;
/// In one of the queues; only its turn there wakes it.
const QUEUED: u8 = 3;
/// Its turn in the queue has come; the next poll is it.
const GRANTED: u8 = 4;

/// What stands between a future and its task.
pub(super) struct Gate {
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
    /// `None`: nothing is measured, no turn is heavy.
    heavy: Option<RefCell<Heavy>>,
    time: Option<LaneTime>,
    /// Whether the last slice was a heavy turn's.
    light_next: Cell<bool>,
    filled: AtomicWaker,
}

impl Inner {
    /// Queues a gate that is in the state [`QUEUED`].
    fn enqueue(&self, gate: &Arc<Gate>, heavy: bool) {
        match &self.heavy {
            Some(all) if heavy => all.borrow_mut().push(Arc::clone(gate)),
            _ => self.queue.borrow_mut().push_back(Arc::clone(gate)),
        }
        self.filled.wake();
    }

    fn forget(&self, gate: &Arc<Gate>) {
        self.queue.borrow_mut().retain(|other| !Arc::ptr_eq(other, gate));
        if let Some(heavy) = &self.heavy {
            heavy.borrow_mut().forget(gate);
        }
    }

    /// Whether heavy turns have to wait.
    fn holds(&self) -> bool {
        self.heavy.as_ref().is_some_and(|heavy| heavy.borrow().holds())
    }
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
    /// An empty queue that measures nothing. Spawn [`Background::drive`] on the lane, or whatever is queued never runs.
    #[must_use]
    pub fn new() -> Self {
        Self::with(None)
    }

    /// An empty queue that rests from turns whose polls take long by this time.
    #[must_use]
    pub fn measured(time: LaneTime) -> Self {
        Self::with(Some(time))
    }

    fn with(time: Option<LaneTime>) -> Self {
        let heavy = time.map(|time| RefCell::new(Heavy::new(time)));
        let (queue, filled) = (RefCell::default(), AtomicWaker::new());
        Self(Rc::new(Inner { queue, heavy, time, light_next: Cell::new(false), filled }))
    }

    /// How many futures wait for their next slice.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let heavy = self.0.heavy.as_ref().map_or(0, |heavy| heavy.borrow().waiting());
        self.0.queue.borrow().len() + heavy
    }

    /// Puts `future` under the rule: each poll of it after a self-wake is one round's one slice.
    pub fn slice<F: Future>(&self, future: F) -> Sliced<F> {
        self.sliced(None, future)
    }

    /// The same for a turn of the agent `name`: if its last turns were heavy, this one is from its beginning.
    pub fn turn<F: Future>(&self, name: &Arc<str>, future: F) -> Sliced<F> {
        self.sliced(Some(Arc::clone(name)), future)
    }

    fn sliced<F: Future>(&self, name: Option<Arc<str>>, future: F) -> Sliced<F> {
        let gate = Arc::new(Gate { state: AtomicU8::new(IDLE), task: AtomicWaker::new() });
        let waker = Waker::from(Arc::clone(&gate));
        let known =
            |heavy: &RefCell<Heavy>| name.as_ref().is_some_and(|name| heavy.borrow().knows(name));
        let heavy = self.0.heavy.as_ref().is_some_and(known);
        let (lane, future) = (Rc::clone(&self.0), Box::pin(future));
        Sliced { future, gate, waker, lane, name, heavy, was_heavy: false, worked: None }
    }

    /// The lane's one task: runs for ever, sleeps while the queues are empty. Spawn it once per lane; drop it with the lane.
    pub async fn drive(self) {
        loop {
            let gate = match std::future::poll_fn(|cx| self.next(cx)).await {
                Ok(gate) => gate,
                // Only heavy turns wait, and the lane rests from them.
                Err(rest) => {
                    tokio::select! {
                        () = tokio::time::sleep(rest) => {}
                        () = std::future::poll_fn(|cx| self.filled(cx)) => {}
                    }
                    continue;
                }
            };
            if gate.to(QUEUED, GRANTED) {
                gate.task.wake();
            }
            // The rest of the lane, its timers and its channels come before the next slice.
            tokio::task::yield_now().await;
        }
    }

    /// The gate whose slice is next, or for how long there is none.
    fn next(&self, cx: &Context<'_>) -> Poll<Result<Arc<Gate>, Duration>> {
        // The two queues take turns, so that neither starves the other.
        let light_first = self.0.light_next.replace(false);
        if light_first && let Some(gate) = self.0.queue.borrow_mut().pop_front() {
            return Poll::Ready(Ok(gate));
        }
        let heavy = self.0.heavy.as_ref().map_or(Next::None, |heavy| heavy.borrow_mut().next());
        if let Next::Go(gate) = heavy {
            self.0.light_next.set(true);
            return Poll::Ready(Ok(gate));
        }
        if let Some(gate) = self.0.queue.borrow_mut().pop_front() {
            return Poll::Ready(Ok(gate));
        }
        if let Next::After(rest) = heavy {
            return Poll::Ready(Err(rest));
        }
        self.0.filled.register(cx.waker());
        Poll::Pending
    }

    /// Ready once a future waits that need not rest.
    fn filled(&self, cx: &Context<'_>) -> Poll<()> {
        self.0.filled.register(cx.waker());
        match self.0.queue.borrow().is_empty() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }
}

/// A future that runs one slice a round once it has outlived its first. Made by [`Background::slice`].
pub struct Sliced<F> {
    future: Pin<Box<F>>,
    gate: Arc<Gate>,
    waker: Waker,
    lane: Rc<Inner>,
    name: Option<Arc<str>>,
    /// Whether it has to wait while the lane rests.
    heavy: bool,
    /// Whether it was so by its own doing.
    was_heavy: bool,
    /// The thread's own time when it was last looked at.
    worked: Option<Duration>,
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

    fn enqueue(&self) {
        self.gate.state.store(QUEUED, Ordering::Release);
        self.lane.enqueue(&self.gate, self.heavy);
    }
}

impl<F: Future> Sliced<F> {
    /// One poll of the future; notes how long it kept the lane.
    fn measured(&mut self) -> Poll<F::Output> {
        let mut cx = Context::from_waker(&self.waker);
        let (Some(heavy), Some(time)) = (&self.lane.heavy, self.lane.time) else {
            return self.future.as_mut().poll(&mut cx);
        };
        let worked = self.worked.get_or_insert_with(time.worked);
        let begun = (time.now)();
        let polled = self.future.as_mut().poll(&mut cx);
        if heavy.borrow_mut().polled(begun, worked) {
            (self.heavy, self.was_heavy) = (true, true);
        }
        polled
    }
}

impl<F: Future> Future for Sliced<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.gate.task.register(cx.waker());
        if !this.gate.to(GRANTED, POLLED) {
            // Polled for another reason, such as a `select!` beside it: its slice has not come.
            if !this.gate.to(IDLE, POLLED) {
                return Poll::Pending;
            }
            if this.heavy && this.lane.holds() {
                this.enqueue();
                return Poll::Pending;
            }
        }
        let polled = this.measured();
        if polled.is_ready() || this.gate.to(POLLED, IDLE) {
            return polled;
        }
        this.enqueue();
        Poll::Pending
    }
}

impl<F> Drop for Sliced<F> {
    fn drop(&mut self) {
        if self.queued() {
            self.lane.forget(&self.gate);
        }
        // One that was never polled says nothing about its agent.
        if let (Some(name), Some(heavy), Some(_)) = (&self.name, &self.lane.heavy, self.worked) {
            heavy.borrow_mut().note(name, self.was_heavy);
        }
    }
}
