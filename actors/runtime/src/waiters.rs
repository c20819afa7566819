//! Who waits in memory for what the ledger will tell: the result of a call, the outcome of a message.
//!
//! It holds no truth: whoever waits registers first and then asks the ledger, so that nothing that was told in between is
//! missed. Start reading at [`Waiters::result`].

use loket_turn::{IntentId, LedgerEvent, MessageId, Outcome};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// Waiters of each kind at a time: more than all slots and all connections of a node together; beyond it the caller polls the
/// ledger or parks.
pub const WAITERS_MAX: usize = 100_000;

/// Too many wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{WAITERS_MAX} callers wait already")]
pub struct TooManyWaiters;

impl TooManyWaiters {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        "too_many_waiters"
    }
}

/// The node's waiters.
#[derive(Debug)]
pub struct Waiters {
    results: Arc<Desk<IntentId, (Outcome, u64)>>,
    messages: Arc<Desk<MessageId, Outcome>>,
}

/// An answer that may come. Dropping it gives the place up.
#[derive(Debug)]
pub struct Waiting<K: Eq + Hash + Copy, T> {
    desk: Arc<Desk<K, T>>,
    key: K,
    number: u64,
    answer: oneshot::Receiver<Box<T>>,
}

#[derive(Debug)]
struct Desk<K, T>(Mutex<Rows<K, T>>);

/// Who waits for one answer: nearly always one, and ten thousand keys at a time. What is told has a box, for the room of each
/// answer that may come is there from the beginning.
#[derive(Debug)]
enum Queue<T> {
    One(u64, oneshot::Sender<Box<T>>),
    /// Boxed: nearly all are the other, and each has the room of the larger.
    #[expect(clippy::box_collection, reason = "the room of the pointer alone")]
    More(Box<Vec<(u64, oneshot::Sender<Box<T>>)>>),
}

#[derive(Debug)]
struct Rows<K, T> {
    next: u64,
    count: usize,
    by_key: HashMap<K, Queue<T>>,
}

impl Default for Waiters {
    fn default() -> Self {
        Self { results: Desk::new(), messages: Desk::new() }
    }
}

impl Waiters {
    /// Waits for the result of a call and when it was recorded, Unix milliseconds (rules H1, I1).
    ///
    /// # Errors
    /// [`TooManyWaiters`].
    pub fn result(
        &self,
        intent: IntentId,
    ) -> Result<Waiting<IntentId, (Outcome, u64)>, TooManyWaiters> {
        self.results.wait(intent)
    }

    /// Waits for the outcome of a message.
    ///
    /// # Errors
    /// [`TooManyWaiters`].
    pub fn message(
        &self,
        message: MessageId,
    ) -> Result<Waiting<MessageId, Outcome>, TooManyWaiters> {
        self.messages.wait(message)
    }

    /// Hands on what the ledger told. Events that nobody waits for are dropped: the ledger has them.
    pub fn on_ledger_event(&self, event: &LedgerEvent) {
        match event {
            LedgerEvent::Result { intent, outcome, stamp_ms, .. } => {
                self.results.tell(*intent, &(outcome.clone(), *stamp_ms));
            }
            LedgerEvent::Resend { intent, .. } => self.results.forget(*intent),
            // What a failed group has kept all the same was told to nobody (rule J2).
            LedgerEvent::Reopened => {
                self.results.forget_all();
                self.messages.forget_all();
            }
            LedgerEvent::Finished { message, outcome, .. } => {
                self.messages.tell(*message, outcome);
            }
            _ => {}
        }
    }

    /// How many wait for results and for messages.
    pub fn len(&self) -> (usize, usize) {
        (crate::lock(&self.results.0).count, crate::lock(&self.messages.0).count)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == (0, 0)
    }
}

impl<K: Eq + Hash + Copy, T> Desk<K, T> {
    fn new() -> Arc<Self> {
        let rows = Rows { next: 0, count: 0, by_key: HashMap::new() };
        Arc::new(Self(Mutex::new(rows)))
    }

    fn wait(self: &Arc<Self>, key: K) -> Result<Waiting<K, T>, TooManyWaiters> {
        let (sender, answer) = oneshot::channel();
        let mut rows = crate::lock(&self.0);
        if rows.count >= WAITERS_MAX {
            return Err(TooManyWaiters);
        }
        let number = rows.next;
        rows.next = rows.next.wrapping_add(1);
        rows.count += 1;
        match rows.by_key.entry(key) {
            Entry::Vacant(free) => drop(free.insert(Queue::One(number, sender))),
            Entry::Occupied(mut taken) => taken.get_mut().push(number, sender),
        }
        drop(rows);
        Ok(Waiting { desk: Arc::clone(self), key, number, answer })
    }

    fn tell(&self, key: K, answer: &T)
    where
        T: Clone,
    {
        for sender in self.take(key) {
            let _ = sender.send(Box::new(answer.clone()));
        }
    }

    /// Whoever waits for this, and does no more.
    fn take(&self, key: K) -> Vec<oneshot::Sender<Box<T>>> {
        let mut rows = crate::lock(&self.0);
        let waiting = rows.by_key.remove(&key).map(Queue::all).unwrap_or_default();
        rows.count -= waiting.len();
        waiting
    }

    /// There will be no answer of this kind: whoever waits asks anew.
    fn forget(&self, key: K) {
        drop(self.take(key));
    }

    /// The same for everybody.
    fn forget_all(&self) {
        let all = {
            let mut rows = crate::lock(&self.0);
            rows.count = 0;
            std::mem::take(&mut rows.by_key)
        };
        drop(all);
    }

    fn leave(&self, key: K, number: u64) {
        let mut rows = crate::lock(&self.0);
        let Some(waiting) = rows.by_key.get_mut(&key) else {
            return;
        };
        let (gone, empty) = waiting.leave(number);
        if empty {
            rows.by_key.remove(&key);
        }
        rows.count -= usize::from(gone);
    }
}

impl<T> Queue<T> {
    fn push(&mut self, number: u64, sender: oneshot::Sender<Box<T>>) {
        if let Self::One(first, _) = self {
            let first = *first;
            if let Self::One(_, earlier) = std::mem::replace(self, Self::More(Box::default())) {
                self.push(first, earlier);
            }
        }
        if let Self::More(all) = self {
            all.push((number, sender));
        }
    }

    /// Whether this one was there, and whether nobody is left.
    fn leave(&mut self, number: u64) -> (bool, bool) {
        match self {
            Self::One(only, _) => (*only == number, *only == number),
            Self::More(all) => {
                let before = all.len();
                all.retain(|(n, _)| *n != number);
                (all.len() < before, all.is_empty())
            }
        }
    }

    fn all(self) -> Vec<oneshot::Sender<Box<T>>> {
        match self {
            Self::One(_, sender) => vec![sender],
            Self::More(all) => all.into_iter().map(|(_, sender)| sender).collect(),
        }
    }
}

impl<K: Eq + Hash + Copy, T> Future for Waiting<K, T> {
    /// `None`: ask the ledger anew.
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(cx).map(|told| told.ok().map(|answer| *answer))
    }
}

// Nothing in it is pinned in place: the receiver may move.
impl<K: Eq + Hash + Copy, T> Unpin for Waiting<K, T> {}

impl<K: Eq + Hash + Copy, T> Drop for Waiting<K, T> {
    fn drop(&mut self) {
        self.desk.leave(self.key, self.number);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures_util::FutureExt;

    fn finished(n: u8) -> LedgerEvent {
        let (agent, message) = ("a".into(), MessageId([n; 16]));
        LedgerEvent::Finished { agent, message, outcome: Ok(vec![n]) }
    }

    #[test]
    fn all_who_wait_for_a_message_are_told_once() {
        let waiters = Waiters::default();
        let first = waiters.message(MessageId([1; 16])).unwrap();
        let second = waiters.message(MessageId([1; 16])).unwrap();
        let other = waiters.message(MessageId([2; 16])).unwrap();
        waiters.on_ledger_event(&finished(1));
        assert_eq!(first.now_or_never(), Some(Some(Ok(vec![1]))));
        assert_eq!(second.now_or_never(), Some(Some(Ok(vec![1]))));
        assert_eq!(waiters.len(), (0, 1));
        assert_eq!(other.now_or_never(), None);
        assert!(waiters.is_empty(), "a waiter that is dropped leaves nothing behind");
    }

    #[test]
    fn j2_who_waits_asks_anew_when_the_ledger_was_opened_anew() {
        let waiters = Waiters::default();
        let result = waiters.result(IntentId([7; 16])).unwrap();
        let message = waiters.message(MessageId([7; 16])).unwrap();
        waiters.on_ledger_event(&LedgerEvent::Reopened);
        assert_eq!(result.now_or_never(), Some(None));
        assert_eq!(message.now_or_never(), Some(None));
        assert!(waiters.is_empty());
    }

    #[test]
    fn a_result_carries_its_stamp() {
        let waiters = Waiters::default();
        let intent = IntentId([7; 16]);
        let waiting = waiters.result(intent).unwrap();
        let agent = "a".into();
        let outcome = Ok(vec![]);
        waiters.on_ledger_event(&LedgerEvent::Result { agent, intent, outcome, stamp_ms: 5 });
        assert_eq!(waiting.now_or_never(), Some(Some((Ok(vec![]), 5))));
    }
}
