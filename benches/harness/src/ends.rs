//! How a bench hears of messages' ends: each as it comes, or several together, so that whoever waits does not wake in the middle of
//! what is measured and take a core from it.

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use loket_turn::Outcome;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Ends of messages that nobody has taken yet: more than all agents have under way.
const ENDS: usize = 65_536;

/// The end of a message: whose, how it came out, and when, monotonic nanoseconds.
pub(crate) type End = (Arc<str>, Outcome, u64);

/// Where ends are heard of.
pub(crate) struct Ends {
    from: Receiver<End>,
    together: Arc<AtomicUsize>,
}

/// Where they are told.
pub(crate) struct Teller {
    to: Sender<End>,
    together: Arc<AtomicUsize>,
    held: Mutex<Vec<End>>,
}

/// Both ends.
pub(crate) fn ends() -> (Teller, Ends) {
    let (to, from) = crossbeam_channel::bounded(ENDS);
    let together = Arc::new(AtomicUsize::new(1));
    let held = Mutex::default();
    (Teller { to, together: Arc::clone(&together), held }, Ends { from, together })
}

impl Ends {
    /// From now on so many are told together.
    pub(crate) fn together(&self, count: usize) {
        self.together.store(count, Ordering::Relaxed);
    }

    /// The next one.
    ///
    /// # Errors
    /// None within this time.
    pub(crate) fn recv_timeout(&self, within: Duration) -> Result<End, RecvTimeoutError> {
        self.from.recv_timeout(within)
    }
}

impl Teller {
    /// One more.
    pub(crate) fn tell(&self, end: End) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.push(end);
        if held.len() >= self.together.load(Ordering::Relaxed) {
            for end in held.drain(..) {
                // Full only when nobody measures any more.
                let _ = self.to.try_send(end);
            }
        }
    }
}
