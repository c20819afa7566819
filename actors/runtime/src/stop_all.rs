//! The emergency stop: one flag that every turn looks at between its slices, whatever the lanes are busy with.
//!
//! It goes through no mailbox and no lane, and it is never taken back: a process that was told to stop all starts no turn any more.
//! It ends nothing itself: the turns end themselves, then the tree is stopped in order. Start reading at [`StopAll::raise`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// The node's emergency stop. A clone is the same.
#[derive(Debug, Clone, Default)]
pub struct StopAll(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    raised: AtomicBool,
    notify: Notify,
}

impl StopAll {
    /// From now on no turn begins, and those that run end at their next slice or where they wait. `false`: it was so already.
    pub fn raise(&self) -> bool {
        let first = !self.0.raised.swap(true, Ordering::AcqRel);
        self.0.notify.notify_waiters();
        first
    }

    /// Whether all is to stop.
    pub fn is_raised(&self) -> bool {
        self.0.raised.load(Ordering::Acquire)
    }

    /// Ready once all is to stop.
    pub async fn raised(&self) {
        let mut notified = std::pin::pin!(self.0.notify.notified());
        // From here on `notify_waiters` reaches us.
        notified.as_mut().enable();
        if !self.is_raised() {
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn who_waits_and_who_comes_later_are_told() {
        let all = StopAll::default();
        let mut waits = Box::pin(all.raised());
        assert!((&mut waits).now_or_never().is_none() && !all.is_raised());
        assert!(all.clone().raise());
        assert!(waits.now_or_never().is_some() && all.is_raised());
        assert!(all.raised().now_or_never().is_some());
        assert!(!all.raise(), "once");
    }
}
