//! The control lane of a supervisor: what its children, its parent and the operator tell it.
//!
//! It has no capacity, because a supervisor must hear of every exit, but what can be in it is bounded: of each child at most a
//! start, a dead letter, an exit and the timers that the machine set for it, of the API at most [`API_CALLS_MAX`] calls, of the
//! parent a stop and a kill. Never used for work.

use loket_supervision::machine::{Answer, Call, Event, Exit, Timer};
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, oneshot};

use crate::control::{ControlError, DynamicSpec};
use crate::supervisor_actor::Actor;
use crate::tree::NodeSpec;

/// Calls of the API that wait in one supervisor's control lane; more are refused as busy.
pub(crate) const API_CALLS_MAX: usize = 4_096;

/// One signal.
#[derive(Debug)]
pub(crate) enum Signal {
    /// Of a child, or of the machine's own timers.
    Machine(Event),
    /// A call of the API.
    Api(Ask),
    /// The parent asks the supervisor to end.
    Stop(Exit),
    /// The supervisor is killed, and all below it.
    Kill,
}

/// A call of the API, with what the runtime needs for it and the machine does not know.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) call: Call,
    pub(crate) brought: Option<Brought>,
    pub(crate) reply: oneshot::Sender<Result<Answer, ControlError>>,
}

/// What a supervisor is to be from now on, beside its flags.
#[derive(Debug)]
pub(crate) struct NewPlan {
    /// Its first children.
    pub(crate) children: Vec<NodeSpec>,
    /// Whether it forgets its instances when it ends; none: as it was.
    pub(crate) forgets: Option<bool>,
}

/// What comes with a call.
#[derive(Debug)]
pub(crate) enum Brought {
    /// `StartChild` under SimpleOneForOne.
    Instance(Box<DynamicSpec>),
    /// `StartChild` elsewhere.
    Child(Box<NodeSpec>),
    /// `Change`.
    Plan(NewPlan),
}

/// The control lane. A clone is the same lane.
#[derive(Clone, Default)]
pub(crate) struct Signals(Arc<Inner>);

#[derive(Default)]
struct Inner {
    queue: Mutex<VecDeque<Signal>>,
    api_calls: AtomicUsize,
    arrived: Notify,
    /// Who reads it, while the supervisor lives.
    desk: Mutex<Option<Box<Actor>>>,
    /// The supervisor's own task found another one reading.
    home_waits: AtomicBool,
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signals")
    }
}

impl Signals {
    pub(crate) fn push(&self, signal: Signal) {
        self.leave(signal);
        self.wake();
    }

    /// Puts in what another signal follows at once, and wakes nobody for it.
    pub(crate) fn leave(&self, signal: Signal) {
        crate::lock(&self.0.queue).push_back(signal);
    }

    /// Wakes the supervisor's own task.
    pub(crate) fn wake(&self) {
        self.0.arrived.notify_one();
    }

    pub(crate) fn is_empty(&self) -> bool {
        crate::lock(&self.0.queue).is_empty()
    }

    pub(crate) fn desk(&self) -> &Mutex<Option<Box<Actor>>> {
        &self.0.desk
    }

    pub(crate) fn home_waits(&self) -> &AtomicBool {
        &self.0.home_waits
    }

    pub(crate) fn event(&self, event: Event) {
        self.push(Signal::Machine(event));
    }

    /// The same, acted on by the calling thread if nobody else reads.
    pub(crate) fn event_here(&self, event: Event) {
        self.leave(Signal::Machine(event));
        self.attend();
    }

    pub(crate) fn timer(&self, timer: Timer) {
        self.event(Event::Timer(timer));
    }

    /// Puts a call in, unless too many wait already.
    pub(crate) fn call(&self, ask: Ask) -> bool {
        if self.0.api_calls.fetch_add(1, Ordering::AcqRel) >= API_CALLS_MAX {
            self.0.api_calls.fetch_sub(1, Ordering::AcqRel);
            return false;
        }
        self.push(Signal::Api(ask));
        true
    }

    pub(crate) fn pop(&self) -> Option<Signal> {
        self.pop_if(|_| true)
    }

    /// The oldest, if it is one of these.
    pub(crate) fn pop_if(&self, wanted: fn(&mut Signal) -> bool) -> Option<Signal> {
        let signal = crate::lock(&self.0.queue).pop_front_if(wanted);
        if matches!(signal, Some(Signal::Api(_))) {
            self.0.api_calls.fetch_sub(1, Ordering::AcqRel);
        }
        signal
    }

    /// Ready when something may have arrived since the last time.
    pub(crate) async fn arrived(&self) {
        self.0.arrived.notified().await;
    }
}
