//! Delivery in place: a message for a receiver that is idle on the sender's own lane is handled at once, inside the sender's poll.
//!
//! Nothing else may differ from the way through the queue. Order: only a receiver that sleeps in front of an empty mailbox takes
//! in place. Isolation: a panic ends the receiver's incarnation, never the sender's. Accounting: the watchdog sees the receiver's
//! place. A receiver that is asked to stop, killed, interrupted, or busy further up the stack does not take in place. Start
//! reading at [`ChildContext::take_in_place`].

use crate::cell::CellControl;
use crate::lane_thread::LaneThread;
use crate::panic::guard;
use crate::{ChildContext, Clock, Mailbox};
use loket_kernel::Moment;
use loket_supervision::machine::Blame;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The number of a thread, in the upper half, and of an entry in its list.
pub(crate) type Home = u64;

/// Nobody takes in place.
pub(crate) const NOWHERE: Home = 0;

/// Receivers that take in place inside one another, at most: a call is two, kernel and provider. What goes further is queued, so
/// that no chain of receivers can use the stack up.
const NESTED_MAX: u32 = 8;

/// Threads that had a receiver so far; their numbers begin at 1.
static THREADS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// The number of this thread; 0 before it has had a receiver.
    static HERE: Cell<u32> = const { Cell::new(0) };
    /// How many take in place now, inside one another.
    static NESTED: Cell<u32> = const { Cell::new(0) };
    /// Bounded by the children of the lane that have a mailbox.
    static ENTRIES: RefCell<Vec<Option<Rc<dyn Any>>>> = const { RefCell::new(Vec::new()) };
}

/// Takes the message out and handles it, or leaves it because it cannot be handled now. A slot, because a message is some hundred
/// bytes and is not to be moved at each step.
type Take<M> = Box<dyn FnMut(&mut Option<M>)>;

/// One receiver, as senders of its lane reach it.
struct Entry<M> {
    take: RefCell<Take<M>>,
    control: Arc<CellControl>,
    thread: Arc<LaneThread>,
    place: u64,
    blame: Blame,
}

impl<M> Entry<M> {
    fn take(&self, slot: &mut Option<M>) {
        let depth = NESTED.get();
        let Ok(mut take) = self.take.try_borrow_mut() else { return };
        if depth >= NESTED_MAX || self.control.takes_no_more() {
            return;
        }
        NESTED.with(|nested| nested.set(depth + 1));
        let outer = self.thread.nested_begins(self.place);
        let taken = guard(self.blame, || take(slot));
        self.thread.nested_ends(outer);
        NESTED.with(|nested| nested.set(depth));
        if let Err(exit) = taken {
            // As at a poll of its own: the message is lost with the incarnation, what waits is not.
            slot.take();
            self.control.broke(exit);
        }
    }
}

/// Hands a message to whoever is at home there; leaves it when that is not on this thread, or busy.
pub(crate) fn deliver<M: 'static>(home: Home, slot: &mut Option<M>) {
    let (thread, at) = ((home >> 32) as u32, home as u32 as usize);
    if thread != HERE.get() {
        return;
    }
    let entry = ENTRIES.with_borrow(|all| all.get(at).cloned().flatten());
    if let Some(Ok(entry)) = entry.map(Rc::downcast::<Entry<M>>) {
        entry.take(slot);
    }
}

/// Keeps an entry of this thread; gives its home.
fn settle(entry: Rc<dyn Any>) -> Home {
    if HERE.get() == 0 {
        HERE.set(THREADS.fetch_add(1, Ordering::Relaxed) + 1);
    }
    let at = ENTRIES.with_borrow_mut(|all| match all.iter().position(Option::is_none) {
        Some(free) => {
            all[free] = Some(entry);
            free
        }
        None => {
            all.push(Some(entry));
            all.len() - 1
        }
    });
    u64::from(HERE.get()) << 32 | at as u64
}

/// A receiver takes in place as long as it has this.
#[must_use = "dropped, nothing is taken in place any more"]
pub struct InPlace<M: 'static> {
    mailbox: Mailbox<M>,
    home: Home,
}

impl<M: 'static> Drop for InPlace<M> {
    fn drop(&mut self) {
        if self.home == NOWHERE {
            return;
        }
        self.mailbox.leave_home(self.home);
        let at = self.home as u32 as usize;
        // On a thread that ends, the list may have gone before.
        let entry = ENTRIES.try_with(|all| all.borrow_mut().get_mut(at).and_then(Option::take));
        // Outside the borrow: what it holds may be anything.
        drop(entry);
    }
}

impl ChildContext {
    /// Has messages for `mailbox` handled by `take` at once, when the body sleeps in front of the empty mailbox and the sender is
    /// on its lane. `take` takes it out of the slot, or leaves what it cannot handle now: that is queued. The body must go on to
    /// receive what is queued.
    ///
    /// A panic in `take` ends this incarnation as one in the body does. What the body does not look at by itself, it is told by
    /// [`Mailbox::nudge`].
    pub fn take_in_place<M: 'static>(
        &self,
        mailbox: &Mailbox<M>,
        take: impl FnMut(&mut Option<M>) + 'static,
    ) -> InPlace<M> {
        let mailbox = mailbox.clone();
        if !self.lane.takes_in_place() {
            return InPlace { mailbox, home: NOWHERE };
        }
        let home = settle(Rc::new(Entry {
            take: RefCell::new(Box::new(take)),
            control: Arc::clone(&self.control.cell),
            thread: Arc::clone(&self.control.thread),
            place: self.place,
            blame: self.blame,
        }));
        mailbox.set_home(home);
        InPlace { mailbox, home }
    }

    /// The time for messages that are taken in place, see [`PollTime`].
    pub(crate) fn poll_time(&self, clock: Clock, most: usize) -> PollTime {
        let thread = Arc::clone(&self.control.thread);
        PollTime { thread, clock, most, poll: None, left: 0, now: Moment(0) }
    }
}

/// The time, read once for what one poll of a sender has handled in place, but for `most` messages at most: as it is read once for
/// a batch out of the queue.
pub(crate) struct PollTime {
    thread: Arc<LaneThread>,
    clock: Clock,
    most: usize,
    poll: Option<u64>,
    left: usize,
    now: Moment,
}

impl PollTime {
    pub(crate) fn now(&mut self) -> Moment {
        let poll = self.thread.poll();
        if self.left == 0 || poll.is_none() || poll != self.poll {
            (self.now, self.poll, self.left) = (self.clock.now(), poll, self.most);
        }
        self.left -= 1;
        self.now
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Lanes;

    #[test]
    fn the_time_is_read_once_a_poll_and_again_after_so_many_messages() {
        let lanes = Lanes::start(1).unwrap();
        let (thread, clock) = (lanes.lanes()[0].thread(), Clock::manual(Moment(1)));
        let on = Arc::clone(&thread);
        let (most, poll, left, now) = (3, None, 0, Moment(0));
        let mut time = PollTime { thread: on, clock: clock.clone(), most, poll, left, now };
        let mut at = |ms| {
            clock.raise(Moment(ms));
            time.now().0
        };
        assert_eq!((at(2), at(3)), (2, 3), "outside of polls it is read each time");
        thread.poll_begins(1);
        let outer = thread.nested_begins(2);
        assert_eq!((at(4), at(5), at(6)), (4, 4, 4));
        thread.nested_ends(outer);
        assert_eq!((at(7), at(8)), (7, 7), "so many messages are over");
        thread.poll_ends();
        thread.poll_begins(1);
        assert_eq!((at(9), at(10)), (9, 9), "another poll");
        thread.poll_ends();
        lanes.stop(30_000).unwrap();
    }
}
