//! Waiting for a future on a store thread, which has no runtime; and how long an operator's question may take.
#![allow(clippy::disallowed_methods, reason = "bounds a wait of this thread; no turn sees it")]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks until the future is ready; `None` when that takes longer than `at_most`.
pub(crate) fn block_on<T>(future: impl Future<Output = T>, at_most: Duration) -> Option<T> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    let until = Instant::now() + at_most;
    loop {
        if let Poll::Ready(out) = future.as_mut().poll(&mut cx) {
            return Some(out);
        }
        if loket_turn::simulation::runs() {
            // Whoever would answer runs on this very thread.
            return None;
        }
        let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        thread::park_timeout(left);
    }
}

/// When a question's time is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// So long from now; longer than the machine can count is for ever.
    pub(crate) fn after(time: Duration) -> Self {
        Self(Instant::now().checked_add(time))
    }

    /// Whether it has passed.
    pub(crate) fn is_over(self) -> bool {
        self.0.is_some_and(|until| Instant::now() >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakes_when_another_thread_answers_and_gives_up_in_time() {
        let (tell, told) = tokio::sync::oneshot::channel();
        let other = thread::spawn(move || tell.send(7));
        assert_eq!(block_on(told, Duration::from_secs(20)), Some(Ok(7)));
        assert!(other.join().is_ok());
        assert_eq!(block_on(std::future::pending::<()>(), Duration::from_millis(5)), None);
    }
}
