//! The bounded mailbox of a provider or a kernel shard. It belongs to a place of the tree and outlives incarnations.
//!
//! It never grows, never blocks a sender and never loses a message in silence: what does not fit comes back. Control (stop,
//! kill) does not go through here, so it overtakes all work. Start reading at [`Mailbox::send`].

mod room;

use crate::Presence;
use crate::in_place::{self, Home, NOWHERE};
use futures_util::task::AtomicWaker;
use room::Room;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::task::{Context, Poll};

/// A mailbox that is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("overloaded: {depth} of {capacity} messages wait")]
pub struct Overloaded {
    /// Messages that wait.
    pub depth: usize,
    /// Most that may wait.
    pub capacity: usize,
}

/// Why a message did not go in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// It is full.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// Whoever read it has ended for good.
    #[error("the receiver has ended")]
    Closed,
}

impl SendError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Overloaded(_) => "overloaded",
            Self::Closed => "closed",
        }
    }
}

/// A message that did not go in, and why.
pub struct Rejected<M> {
    /// The message.
    pub message: M,
    /// Why.
    pub error: SendError,
}

impl<M> fmt::Debug for Rejected<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// A bounded mailbox. A clone is the same mailbox. Many send; one incarnation at a time receives.
pub struct Mailbox<M>(Arc<Inner<M>>, u64);

struct Inner<M> {
    room: Room<M>,
    waker: AtomicWaker,
    /// The receiver found it empty and sleeps: only then a sender wakes it.
    asleep: AtomicBool,
    closed: AtomicBool,
    high_water: AtomicUsize,
    /// Only handles of this epoch receive: a receiver on a thread that is lost must take nothing more should it go on.
    epoch: AtomicU64,
    /// Where the receiver takes in place, if it does.
    home: AtomicU64,
    presence: Arc<Presence>,
}

impl<M> Mailbox<M> {
    /// A mailbox for at most `capacity` messages; at least 1.
    pub fn new(capacity: usize) -> Self {
        let inner = Inner {
            room: Room::new(capacity.max(1)),
            waker: AtomicWaker::new(),
            asleep: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            high_water: AtomicUsize::new(0),
            epoch: AtomicU64::new(0),
            home: AtomicU64::new(NOWHERE),
            presence: Arc::default(),
        };
        Self(Arc::new(inner), 0)
    }

    /// Puts a message in, or has it handled in place. Never waits.
    ///
    /// # Errors
    /// The message comes back when the mailbox is full or closed.
    pub fn send(&self, message: M) -> Result<(), Rejected<M>>
    where
        M: 'static,
    {
        let inner = &*self.0;
        if inner.closed.load(Ordering::Acquire) {
            let error = SendError::Closed;
            return Err(Rejected { message, error });
        }
        let mut slot = Some(message);
        self.in_place(&mut slot);
        let Some(message) = slot else { return Ok(()) };
        let depth = match inner.room.push(message) {
            Ok(depth) => depth,
            Err(message) => {
                let error = self.overloaded().into();
                return Err(Rejected { message, error });
            }
        };
        if depth > inner.high_water.load(Ordering::Relaxed) {
            inner.high_water.fetch_max(depth, Ordering::Relaxed);
        }
        // Pairs with the fence in `poll_recv`: either the receiver sees the message or we see it asleep.
        fence(Ordering::SeqCst);
        if inner.asleep.load(Ordering::Relaxed) && inner.asleep.swap(false, Ordering::AcqRel) {
            inner.waker.wake();
        }
        if inner.closed.load(Ordering::Acquire) {
            // Closed in between: nobody would ever answer it.
            self.drain();
        }
        Ok(())
    }

    /// Only a receiver that sleeps in front of an empty mailbox takes in place: nothing is overtaken. A look at a state that
    /// another thread changes may be late; then it is a queue's order between threads, which nobody can know.
    #[inline]
    fn in_place(&self, slot: &mut Option<M>)
    where
        M: 'static,
    {
        let inner = &*self.0;
        let home = inner.home.load(Ordering::Relaxed);
        let idle = home != NOWHERE && inner.asleep.load(Ordering::Relaxed) && inner.room.is_empty();
        if !idle {
            return;
        }
        in_place::deliver(home, slot);
        if slot.is_none() && inner.high_water.load(Ordering::Relaxed) == 0 {
            // Through the queue it would have been one that waits.
            inner.high_water.fetch_max(1, Ordering::Relaxed);
        }
    }

    /// Where the receiver takes in place from now on.
    pub(crate) fn set_home(&self, home: Home) {
        self.0.home.store(home, Ordering::Relaxed);
    }

    /// The receiver at this home takes no more in place. Another one's home stays.
    pub(crate) fn leave_home(&self, home: Home) {
        let order = Ordering::Relaxed;
        let _ = self.0.home.compare_exchange(home, NOWHERE, order, order);
    }

    /// Has the receiver polled though no message came: something else is there for it.
    pub fn nudge(&self) {
        if self.0.asleep.swap(false, Ordering::AcqRel) {
            self.0.waker.wake();
        }
    }

    /// Ready with the oldest message. Dropping the future loses nothing.
    pub async fn recv(&self) -> M {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// See [`recv`](Self::recv).
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<M> {
        let inner = &*self.0;
        if self.is_fenced() {
            return Poll::Pending;
        }
        if let Some(message) = inner.room.pop() {
            return Poll::Ready(message);
        }
        inner.waker.register(cx.waker());
        inner.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        match inner.room.pop() {
            Some(message) => {
                inner.asleep.store(false, Ordering::Relaxed);
                Poll::Ready(message)
            }
            None => Poll::Pending,
        }
    }

    /// The oldest message, if there is one.
    pub fn try_recv(&self) -> Option<M> {
        if self.is_fenced() { None } else { self.0.room.pop() }
    }

    fn is_fenced(&self) -> bool {
        self.0.epoch.load(Ordering::Acquire) != self.1
    }

    /// A handle for the next incarnation that receives.
    pub(crate) fn attach(&self) -> Self {
        Self(Arc::clone(&self.0), self.0.epoch.load(Ordering::Acquire))
    }

    /// From now on no handle receives that is not attached anew. What waits stays.
    pub(crate) fn fence(&self) {
        self.0.epoch.fetch_add(1, Ordering::AcqRel);
        self.set_home(NOWHERE);
    }

    /// Whether somebody receives.
    pub fn presence(&self) -> &Arc<Presence> {
        &self.0.presence
    }

    /// Nobody receives until the next incarnation is up. A handle that is fenced has nothing to say about that.
    pub(crate) fn leave(&self) {
        if !self.is_fenced() {
            self.0.presence.gone();
        }
    }

    /// An incarnation receives. The same holds.
    pub(crate) fn enter(&self) {
        if !self.is_fenced() {
            self.0.presence.here();
        }
    }

    /// While nobody receives: gives each message that waits to `sift`, and keeps those that come back, in their order.
    pub(crate) fn sift(&self, mut sift: impl FnMut(M) -> Option<M>) {
        let _one = crate::lock(&self.0.presence.door);
        if !self.0.presence.is_away() {
            return;
        }
        let mut kept = Vec::new();
        for _ in 0..self.capacity() {
            match self.0.room.pop() {
                Some(message) => kept.extend(sift(message)),
                None => break,
            }
        }
        for message in kept {
            // Others may have filled it meanwhile: a caller whose message is dropped is told that nobody will answer.
            drop(self.0.room.push(message));
        }
    }

    /// Messages that wait.
    pub fn depth(&self) -> usize {
        self.0.room.len()
    }

    /// Most messages that may wait.
    pub fn capacity(&self) -> usize {
        self.0.room.capacity()
    }

    /// Most messages that ever waited.
    pub fn high_water(&self) -> usize {
        self.0.high_water.load(Ordering::Relaxed)
    }

    /// How full it is, as the error says it.
    pub fn overloaded(&self) -> Overloaded {
        let (depth, capacity) = (self.depth(), self.capacity());
        Overloaded { depth, capacity }
    }

    /// Takes no more messages and drops those that wait: their callers learn that nobody will answer.
    pub(crate) fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.drain();
        // Who waits for the next incarnation sends, and learns that there is none.
        self.0.presence.here();
    }

    /// Takes messages again.
    pub(crate) fn reopen(&self) {
        self.0.closed.store(false, Ordering::Release);
    }

    /// Whether it is the same mailbox.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn drain(&self) {
        // Bounded: a closed mailbox fills no more, but for senders that were inside `send` already.
        while self.0.room.pop().is_some() {}
    }
}

impl<M> Clone for Mailbox<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), self.1)
    }
}

impl<M> fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailbox({}/{})", self.depth(), self.capacity())
    }
}

#[cfg(test)]
mod tests;
