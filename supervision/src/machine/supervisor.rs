//! The machine itself: its state and [`Supervisor::step`].

use super::event::{Event, Now, Order};
use super::spec::{ChildId, ChildSpec, Flags, SpecError};
use super::view::{ChildView, Counts, Phase};

/// Calls that may wait for a start or stop to end; more are answered `Busy`, so that a child that
/// hangs in its start cannot make the supervisor's memory grow.
pub const MAX_DEFERRED_CALLS: usize = 1_024;

/// A supervisor: pure state. See the module's head.
#[derive(Debug)]
pub struct Supervisor {
    flags: Flags,
}

impl Supervisor {
    /// A supervisor that has not started. `seed` is for the jitter of backoffs.
    ///
    /// # Errors
    /// When OTP would refuse the flags or specs, or an extension's value makes no sense.
    pub fn new(flags: Flags, children: Vec<ChildSpec>, seed: u64) -> Result<Self, SpecError> {
        super::check::check(&flags, &children)?;
        let _ = seed;
        Ok(Self { flags })
    }

    /// Says that lives of this id up to `last` are used up (by an earlier process): its next is at
    /// least `last` + 1.
    pub fn seed_incarnation(&mut self, id: ChildId, last: u64) {
        let _ = (id, last);
    }

    /// Takes one event and gives the orders that follow, to be carried out in order.
    pub fn step(&mut self, event: Event, now: Now) -> Vec<Order> {
        let mut orders = Vec::new();
        self.step_into(event, now, &mut orders);
        orders
    }

    /// The same as [`Supervisor::step`], appending to a buffer that can be used again.
    pub fn step_into(&mut self, event: Event, now: Now, orders: &mut Vec<Order>) {
        let _ = (event, now, orders);
    }

    /// The children in start order, in any state.
    pub fn children(&self) -> impl Iterator<Item = ChildView> + '_ {
        std::iter::empty()
    }

    /// One child.
    pub fn child(&self, id: &str) -> Option<ChildView> {
        let _ = id;
        None
    }

    /// OTP's four numbers.
    pub fn counts(&self) -> Counts {
        Counts::default()
    }

    /// Where the supervisor is in its life.
    pub fn phase(&self) -> Phase {
        Phase::New
    }

    /// The flags in force.
    pub fn flags(&self) -> &Flags {
        &self.flags
    }
}
