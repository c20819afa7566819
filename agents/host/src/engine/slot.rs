//! How a call leaves the guest's fibre: through one slot, beside the guest's future.
//!
//! wasmtime demands that a host function's future is `Send`; the turn driver lives on one lane and holds `Rc`s. So the host
//! function only puts its request here and suspends; [`super::run`] takes it out on the lane, asks the driver's handler, which
//! need not be `Send`, and resumes the fibre once the answer is there. A call that waits suspends the fibre anyway; one that does not
//! is answered by [`super::at_once`], and never comes here.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use super::error::Abort;
use super::types::Answer;

/// A call that waits for its answer.
pub(super) struct Request {
    pub(super) capability: String,
    pub(super) args: Vec<u8>,
}

/// The answer to a call.
pub(super) struct Asked {
    pub(super) answer: Answer,
    /// Whether the lane did other things meanwhile.
    pub(super) waited: bool,
}

/// Why the guest's future is pending.
pub(super) enum Event {
    /// It called.
    Call(Request),
    /// It called, and the call is on its way.
    Begun,
    /// It called, and the driver ends the turn for it.
    Aborted(Abort),
    /// Its slice ended.
    SliceOver,
}

#[derive(Default)]
struct Inner {
    event: Option<Event>,
    answer: Option<Asked>,
    stop: bool,
}

/// Shared by a store and the loop that drives it; both are on one thread, so the lock is never waited for.
#[derive(Default)]
pub(super) struct Slot(Mutex<Inner>);

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From the fibre: tells what it called, and suspends until answered.
    pub(super) async fn ask(&self, event: Event) -> Asked {
        self.lock().event = Some(event);
        std::future::poll_fn(|_| match self.lock().answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        })
        .await
    }

    /// From the fibre, at the end of a slice: true if the guest must stop instead of going on.
    pub(super) fn slice_over(&self) -> bool {
        let mut inner = self.lock();
        if !inner.stop {
            inner.event = Some(Event::SliceOver);
        }
        inner.stop
    }

    /// From the lane: what the guest waits for.
    pub(super) fn event(&self) -> Option<Event> {
        self.lock().event.take()
    }

    /// From the lane: the answer to the last call.
    pub(super) fn answer(&self, answer: Asked) {
        self.lock().answer = Some(answer);
    }

    /// From the lane: the guest's next slice is to be its last, so that its backtrace is known.
    pub(super) fn stop(&self) {
        self.lock().stop = true;
    }
}
