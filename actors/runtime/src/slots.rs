//! Instance slots: how many guests may hold an instance at a time, in the whole process.
//!
//! A turn takes a permit before it begins (rule B3). First come, first served. Waiters are bounded by the number of agents, for
//! an agent waits at most once. A turn that waits for something else while others want a slot learns it from
//! [`Slots::contended`] and parks, so that callers can never hold every slot their callees need.

use crate::metrics;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The node's slots. A clone is the same slots.
#[derive(Debug, Clone)]
pub struct Slots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    total: u32,
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    wanted: Notify,
    used: AtomicUsize,
    high_water: AtomicUsize,
}

/// A slot, or all of them; given back when dropped.
#[derive(Debug)]
pub struct SlotPermit {
    slots: Arc<Inner>,
    count: usize,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Slots {
    /// So many slots; at least 1.
    pub fn new(total: u32) -> Self {
        let total = total.max(1);
        Self(Arc::new(Inner {
            total,
            free: Arc::new(Semaphore::new(total as usize)),
            waiting: AtomicUsize::new(0),
            wanted: Notify::new(),
            used: AtomicUsize::new(0),
            high_water: AtomicUsize::new(0),
        }))
    }

    /// A slot, once it is this caller's turn.
    pub async fn acquire(&self) -> SlotPermit {
        self.take(1).await
    }

    /// A slot if one is free and nobody waits.
    pub fn try_acquire(&self) -> Option<SlotPermit> {
        let permit = Arc::clone(&self.0.free).try_acquire_owned().ok()?;
        Some(self.permit(Some(permit), 1))
    }

    /// All slots: the holder runs with nothing beside it (rule B2).
    pub async fn exclusive(&self) -> SlotPermit {
        self.take(self.0.total).await
    }

    async fn take(&self, count: u32) -> SlotPermit {
        let free = Arc::clone(&self.0.free);
        let permit = match Arc::clone(&free).try_acquire_many_owned(count) {
            Ok(permit) => Some(permit),
            Err(_) => {
                let _waiting = Waiting::new(&self.0);
                // Fails only if the semaphore is closed, which nobody does.
                free.acquire_many_owned(count).await.ok()
            }
        };
        self.permit(permit, count as usize)
    }

    fn permit(&self, permit: Option<OwnedSemaphorePermit>, count: usize) -> SlotPermit {
        let slots = Arc::clone(&self.0);
        let used = slots.used.fetch_add(count, Ordering::AcqRel) + count;
        if slots.high_water.fetch_max(used, Ordering::AcqRel) < used {
            metrics::slots_taken(used);
        }
        SlotPermit { slots, count, _permit: permit }
    }

    /// Ready while somebody waits for a slot.
    pub async fn contended(&self) {
        loop {
            let wanted = self.0.wanted.notified();
            let mut wanted = std::pin::pin!(wanted);
            // From here on `notify_waiters` reaches us.
            wanted.as_mut().enable();
            if self.waiting() > 0 {
                return;
            }
            wanted.await;
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Acquire)
    }

    /// How many slots there are.
    pub fn total(&self) -> u32 {
        self.0.total
    }

    /// How many are taken.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Acquire)
    }

    /// Most that were ever taken at a time.
    pub fn high_water(&self) -> usize {
        self.0.high_water.load(Ordering::Acquire)
    }
}

impl Drop for SlotPermit {
    fn drop(&mut self) {
        self.slots.used.fetch_sub(self.count, Ordering::AcqRel);
    }
}

/// Counts a waiter for as long as it waits, given up or not.
struct Waiting<'a>(&'a Inner);

impl<'a> Waiting<'a> {
    fn new(inner: &'a Inner) -> Self {
        inner.waiting.fetch_add(1, Ordering::AcqRel);
        inner.wanted.notify_waiters();
        Self(inner)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures_util::poll;
    use std::pin::pin;
    use std::task::Poll;

    fn run<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(future)
    }

    #[test]
    fn first_come_first_served_within_the_bound() {
        run(async {
            let slots = Slots::new(2);
            let (a, _b) = (slots.acquire().await, slots.acquire().await);
            let (mut c, mut d) = (pin!(slots.acquire()), pin!(slots.acquire()));
            assert!(poll!(c.as_mut()).is_pending());
            assert!(poll!(d.as_mut()).is_pending());
            assert_eq!((slots.used(), slots.waiting()), (2, 2));
            drop(a);
            assert!(slots.try_acquire().is_none(), "the freed slot is c's");
            assert!(poll!(d.as_mut()).is_pending());
            let Poll::Ready(_c) = poll!(c.as_mut()) else {
                panic!("c waited longest");
            };
            assert_eq!((slots.used(), slots.waiting(), slots.high_water()), (2, 1, 2));
        });
    }

    #[test]
    fn exclusive_runs_with_nothing_beside_it() {
        run(async {
            let slots = Slots::new(3);
            let other = slots.acquire().await;
            let mut alone = pin!(slots.exclusive());
            assert!(poll!(alone.as_mut()).is_pending());
            let mut late = pin!(slots.acquire());
            assert!(poll!(late.as_mut()).is_pending(), "the exclusive one came first");
            drop(other);
            let Poll::Ready(alone) = poll!(alone.as_mut()) else {
                panic!("all slots are free");
            };
            assert!(poll!(late.as_mut()).is_pending());
            drop(alone);
            assert!(poll!(late.as_mut()).is_ready());
        });
    }

    #[test]
    fn contention_is_told_and_ends_when_the_waiter_gives_up() {
        run(async {
            let slots = Slots::new(1);
            let _held = slots.acquire().await;
            let mut contended = pin!(slots.contended());
            assert!(poll!(contended.as_mut()).is_pending());
            {
                let mut waiter = pin!(slots.acquire());
                assert!(poll!(waiter.as_mut()).is_pending());
                assert!(poll!(contended.as_mut()).is_ready());
            }
            assert_eq!(slots.waiting(), 0);
            assert!(poll!(pin!(slots.contended())).is_pending());
        });
    }
}
