//! The messages of a mailbox: never more than its bound, and no memory for those that are not there.
//!
//! A ring would be there as a whole from the beginning: all mailboxes of an idle node were 8 MiB of places for messages.

use crossbeam_queue::SegQueue;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A bounded queue, from many threads to many.
pub(super) struct Room<M> {
    queue: SegQueue<M>,
    /// Places that are taken: by a message in the queue, or by one on its way in or out.
    taken: AtomicUsize,
    capacity: usize,
}

impl<M> Room<M> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { queue: SegQueue::new(), taken: AtomicUsize::new(0), capacity }
    }

    /// Puts a message in and tells how many there are now; it comes back when there is no place.
    pub(super) fn push(&self, message: M) -> Result<usize, M> {
        let order = Ordering::AcqRel;
        let place = |taken| (taken < self.capacity).then_some(taken + 1);
        match self.taken.fetch_update(order, Ordering::Relaxed, place) {
            Ok(before) => {
                self.queue.push(message);
                Ok(before + 1)
            }
            Err(_) => Err(message),
        }
    }

    /// The oldest message.
    pub(super) fn pop(&self) -> Option<M> {
        let message = self.queue.pop()?;
        self.taken.fetch_sub(1, Ordering::AcqRel);
        Some(message)
    }

    pub(super) fn len(&self) -> usize {
        self.taken.load(Ordering::Acquire)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }
}
