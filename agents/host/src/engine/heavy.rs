//! Polls that no epoch could cut short, and how they are kept from taking the lane.
//!
//! A bulk instruction over tens of mebibytes, or the pages of such a guest given back, keeps the lane for many slices at a
//! time. It cannot be shortened, so it is paid for afterwards: the lane rests from all such turns together for a multiple of
//! what the last one took, and serves everybody else meanwhile. Nothing is refused and no result depends on it. It reads no
//! clock of its own: the lane hands one in.

use super::slices::Gate;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// A poll of so much time is heavy: five slices. A neighbour's call waits for some five polls on its way; with ten slices each,
/// measured, the sum is over what such a call may take.
pub const HEAVY: Duration = Duration::from_millis(1);

/// The lane rests from heavy turns for so many times what the last one took: together they have a tenth of the lane. A
/// caller who asks again and again then meets one at less than one call in a hundred; with a fifth it was one in a hundred.
pub const REST: u32 = 9;

/// So many heavy turns in a row, and the agent's next one is heavy from its beginning. One can happen to anybody: a page that
/// had to be fetched, a core that ran slowly for a moment; and who waits, waits behind all who are heavy.
const STRIKES: u8 = 2;

/// Names remembered as heavy from one turn to the next. Beyond it a turn's first poll is not held back, its later ones are.
const NAMES_MAX: usize = 4_096;

/// The lane's two clocks. Both may begin anywhere, but never run backwards.
#[derive(Clone, Copy, Debug)]
pub struct LaneTime {
    /// Time that passes. Read twice a poll.
    pub now: fn() -> Duration,
    /// Time that this thread has had a processor. Read once a turn, and when a poll took long: a poll during which others
    /// had the core is not the guest's fault.
    pub worked: fn() -> Duration,
}

/// The heavy turns of one lane.
pub(super) struct Heavy {
    time: LaneTime,
    queue: VecDeque<Arc<Gate>>,
    rests_until: Duration,
    /// How many of its last turns were heavy.
    strikes: HashMap<Arc<str>, u8>,
}

/// What the lane's driver may do about heavy turns.
pub(super) enum Next {
    /// None waits.
    None,
    /// The first one may go on.
    Go(Arc<Gate>),
    /// The first one may go on after this time.
    After(Duration),
}

impl Heavy {
    pub(super) fn new(time: LaneTime) -> Self {
        let (queue, strikes) = (VecDeque::new(), HashMap::new());
        Self { time, queue, rests_until: Duration::ZERO, strikes }
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.strikes.get(name).is_some_and(|&strikes| strikes >= STRIKES)
    }

    /// Notes whether the last turn of this name was heavy.
    pub(super) fn note(&mut self, name: &Arc<str>, heavy: bool) {
        if !heavy {
            self.strikes.remove(name);
        } else if let Some(strikes) = self.strikes.get_mut(name) {
            *strikes = strikes.saturating_add(1);
        } else if self.strikes.len() < NAMES_MAX {
            self.strikes.insert(Arc::clone(name), 1);
        }
    }

    /// Whether a heavy turn that would go on must wait.
    pub(super) fn holds(&self) -> bool {
        !self.queue.is_empty() || (self.time.now)() < self.rests_until
    }

    pub(super) fn push(&mut self, gate: Arc<Gate>) {
        self.queue.push_back(gate);
    }

    pub(super) fn forget(&mut self, gate: &Arc<Gate>) {
        self.queue.retain(|other| !Arc::ptr_eq(other, gate));
    }

    pub(super) fn next(&mut self) -> Next {
        if self.queue.is_empty() {
            return Next::None;
        }
        let rest = self.rests_until.saturating_sub((self.time.now)());
        match rest.is_zero() {
            true => self.queue.pop_front().map_or(Next::None, Next::Go),
            false => Next::After(rest),
        }
    }

    /// A poll is over that began at `begun`; true if it was heavy. `seen` is the thread's own time at the last look.
    pub(super) fn polled(&mut self, begun: Duration, seen: &mut Duration) -> bool {
        let now = (self.time.now)();
        let took = now.saturating_sub(begun);
        if took < HEAVY {
            return false;
        }
        let worked = (self.time.worked)();
        let took = took.min(worked.saturating_sub(*seen));
        *seen = worked;
        if took < HEAVY {
            return false;
        }
        self.rests_until = now.saturating_add(took.saturating_mul(REST));
        true
    }
}
