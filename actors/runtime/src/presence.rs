//! Whether somebody reads a provider's mailbox at this moment, and when somebody will again.
//!
//! It belongs to the place in the tree: the cell says when its incarnation has come and gone, the supervisor when the next one is
//! due. Nobody decides from it but whoever waits. Read on the path of every call, so that costs one atomic load. Start reading at
//! [`Presence::back`].

use crate::Clock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock};
use tokio::sync::Notify;

/// See the module's head. Present until it is said otherwise.
#[derive(Debug, Default)]
pub struct Presence {
    /// The child whose mailbox it is, and the node's clock.
    of: OnceLock<(Arc<str>, Clock)>,
    away: AtomicBool,
    /// When the next incarnation is started, on the monotonic clock; 0 when nobody has said.
    due_ms: AtomicU64,
    changed: Notify,
    /// Held while what waits is given back and while somebody comes: no reader comes in between.
    pub(crate) door: Mutex<()>,
}

/// Nobody will read in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late {
    /// Until the next incarnation is started, milliseconds, if that is known and not over.
    pub due_in_ms: Option<u64>,
}

impl Presence {
    /// The name of the child; empty before it has a place.
    pub fn name(&self) -> &str {
        self.of.get().map_or("", |(name, _)| name)
    }

    /// Whether nobody reads.
    #[inline]
    pub fn is_away(&self) -> bool {
        self.away.load(Ordering::Acquire)
    }

    /// Until the next incarnation is started, milliseconds; `None` when nobody has said, or when that is over.
    pub fn due_in_ms(&self) -> Option<u64> {
        let (_, clock) = self.of.get()?;
        let due = self.due_ms.load(Ordering::Acquire).checked_sub(clock.monotonic_ms());
        due.filter(|ms| *ms > 0)
    }

    /// Ready when somebody reads, or nobody ever will again: whoever sends then learns which.
    ///
    /// # Errors
    /// [`Late`] once that is known not to come before `until_ms` of the monotonic clock, or has not.
    pub async fn back(&self, clock: &Clock, until_ms: u64) -> Result<(), Late> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // From here on `notify_waiters` reaches us.
            changed.as_mut().enable();
            if !self.is_away() {
                return Ok(());
            }
            let due_ms = self.due_ms.load(Ordering::Acquire);
            if due_ms > until_ms || clock.monotonic_ms() >= until_ms {
                return Err(Late { due_in_ms: self.due_in_ms() });
            }
            tokio::select! {
                biased;
                () = changed => {}
                () = clock.sleep_until(until_ms) => {}
            }
        }
    }

    pub(crate) fn called(&self, name: &Arc<str>, clock: &Clock) {
        let _ = self.of.set((Arc::clone(name), clock.clone()));
    }

    /// Nobody reads from now on.
    pub(crate) fn gone(&self) {
        self.due_ms.store(0, Ordering::Release);
        self.away.store(true, Ordering::Release);
        // Pairs with the fence in `Mailbox::send`: either who gives back what waits sees a message, or its sender sees this.
        fence(Ordering::SeqCst);
    }

    /// Somebody reads, or it is over for good.
    pub(crate) fn here(&self) {
        let _one = crate::lock(&self.door);
        self.away.store(false, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// When the next incarnation is started; `None`: at any moment.
    pub(crate) fn expect(&self, due_ms: Option<u64>) {
        self.due_ms.store(due_ms.unwrap_or(0), Ordering::Release);
        self.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures_util::FutureExt;
    use loket_kernel::Moment;

    #[test]
    fn who_waits_is_told_when_somebody_comes_and_when_nobody_will_in_time() {
        let (presence, clock) = (Presence::default(), Clock::manual(Moment(0)));
        presence.called(&"p".into(), &clock);
        let mut waits = std::pin::pin!(presence.back(&clock, 1_000));
        presence.gone();
        assert_eq!(waits.as_mut().now_or_never(), None);
        presence.expect(Some(900));
        assert_eq!(waits.as_mut().now_or_never(), None, "in time, so far");
        presence.here();
        assert_eq!(waits.now_or_never(), Some(Ok(())));

        presence.gone();
        let mut waits = std::pin::pin!(presence.back(&clock, 1_000));
        assert_eq!(waits.as_mut().now_or_never(), None, "what was due before is not");
        presence.expect(Some(1_001));
        let late = Late { due_in_ms: Some(1_001) };
        assert_eq!(waits.now_or_never(), Some(Err(late)), "there is no use in waiting");
        presence.expect(Some(1_000));
        let mut waits = std::pin::pin!(presence.back(&clock, 1_000));
        assert_eq!(waits.as_mut().now_or_never(), None);
        clock.advance(1_000);
        assert_eq!(waits.now_or_never(), Some(Err(Late { due_in_ms: None })), "it has not come");
    }
}
