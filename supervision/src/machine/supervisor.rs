//! The machine itself: its state and [`Supervisor::step`].

use std::collections::VecDeque;
use std::sync::Arc;

use super::backoff::Rng;
use super::check::check;
use super::child::{Child, Children, Life};
use super::event::{Call, Event, Now, Order, Timer};
use super::job::{ALL, Job, NONE, Why};
use super::report::Context;
use super::spec::{ChildId, ChildSpec, Flags, SpecError, Strategy};
use super::view::{ChildState, ChildView, Counts, Phase};
use super::window::Restarts;

/// Calls that may wait for a start or stop to end; more are answered `Busy`, so that a child that
/// hangs in its start cannot make the supervisor's memory grow.
pub const MAX_DEFERRED_CALLS: usize = 1_024;

/// What waits while a job is under way: what OTP would find in its mailbox after it, in the same
/// order. Exits and retries are bounded by the number of children, calls by [`MAX_DEFERRED_CALLS`].
#[derive(Debug, Clone)]
pub(super) enum Deferred {
    Exit { id: ChildId, incarnation: u64 },
    Retry(Timer),
    Call { tag: u64, call: Call },
}

/// A supervisor: pure state. See the module's head.
#[derive(Debug, Clone)]
pub struct Supervisor {
    pub(super) flags: Flags,
    /// Under SimpleOneForOne, what every instance is made of.
    pub(super) template: Option<Arc<ChildSpec>>,
    pub(super) children: Children,
    pub(super) phase: Phase,
    pub(super) job: Option<Job>,
    /// Children in `Life::Stopping`.
    pub(super) stopping: usize,
    /// Whether a child is in `Life::Starting`; never more than one is.
    pub(super) starting: bool,
    pub(super) deferred: VecDeque<Deferred>,
    /// Calls among the deferred.
    pub(super) deferred_calls: usize,
    /// Callers of `Call::Stop`.
    pub(super) stop_tags: Vec<u64>,
    pub(super) restarts: Restarts,
    pub(super) rng: Rng,
    pub(super) now: Now,
    epoch: u64,
    /// The caller's buffer during a step, empty between steps.
    pub(super) out: Vec<Order>,
}

impl Supervisor {
    /// A supervisor that has not started. `seed` is for the jitter of backoffs.
    ///
    /// # Errors
    /// When OTP would refuse the flags or specs, or an extension's value makes no sense.
    pub fn new(flags: Flags, children: Vec<ChildSpec>, seed: u64) -> Result<Self, SpecError> {
        check(&flags, &children)?;
        let mut table = Children::default();
        let mut template = None;
        for spec in children {
            if flags.strategy == Strategy::SimpleOneForOne {
                template = Some(Arc::new(spec));
            } else {
                table.push(spec.id.clone(), Arc::new(spec));
            }
        }
        Ok(Self {
            flags,
            template,
            children: table,
            phase: Phase::New,
            job: None,
            stopping: 0,
            starting: false,
            deferred: VecDeque::new(),
            deferred_calls: 0,
            stop_tags: Vec::new(),
            restarts: Restarts::default(),
            rng: Rng::new(seed),
            now: Now::default(),
            epoch: 0,
            out: Vec::new(),
        })
    }

    /// Takes back a seed whose child did not come.
    pub fn unseed(&mut self, id: &str) {
        self.children.unseed(id);
    }

    /// Says that lives of this id up to `last` are used up (by an earlier process): its next is at
    /// least `last` + 1. Without effect on a life that runs. A seed for an id that is not there yet
    /// is kept until it comes.
    pub fn seed_incarnation(&mut self, id: ChildId, last: u64) {
        self.children.seed(id, last);
    }

    /// Takes one event and gives the orders that follow, to be carried out in order.
    pub fn step(&mut self, event: Event, now: Now) -> Vec<Order> {
        let mut orders = Vec::new();
        self.step_into(event, now, &mut orders);
        orders
    }

    /// The same as [`Supervisor::step`], appending to a buffer that can be used again. A `now`
    /// before an earlier one counts as that one.
    pub fn step_into(&mut self, event: Event, now: Now, orders: &mut Vec<Order>) {
        self.now = self.now.max(now);
        std::mem::swap(&mut self.out, orders);
        self.take(event);
        self.advance();
        while self.job.is_none()
            && let Some(deferred) = self.deferred.pop_front()
        {
            self.serve(deferred);
            self.advance();
        }
        std::mem::swap(&mut self.out, orders);
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Start if self.phase == Phase::New => {
                self.phase = Phase::Starting;
                self.job = Some(Job::new(Why::Boot, NONE, ALL));
            }
            Event::Start => {}
            Event::Started { id, incarnation } => self.on_started(&id, incarnation),
            Event::Ignored { id, incarnation } => self.on_ignored(&id, incarnation),
            Event::StartFailed { id, incarnation, reason } => {
                self.on_start_failed(&id, incarnation, reason);
            }
            Event::Exited { id, incarnation, reason } => self.on_exited(&id, incarnation, reason),
            Event::Timer(timer) => self.on_timer(timer),
            Event::Call { tag, call } => self.on_call(tag, call),
            Event::Letter { id } => self.on_letter(&id),
            Event::Slow { id, incarnation } => {
                if let Some(seq) = self.children.find_life(&id, incarnation) {
                    self.report(Context::Slow, None, seq);
                }
            }
            Event::Stop { reason } => self.begin_shutdown(reason),
        }
    }

    /// Serves what has waited; by now it may have come to nothing.
    fn serve(&mut self, deferred: Deferred) {
        match deferred {
            Deferred::Exit { id, incarnation } => {
                let Some(seq) = self.children.find_life(&id, incarnation) else {
                    return;
                };
                let exited = match self.children.get(seq).map(|child| &child.life) {
                    Some(Life::Exited { ran_ms, reason }) => (*ran_ms, (**reason).clone()),
                    _ => return,
                };
                self.decide(seq, exited.0, &exited.1);
            }
            Deferred::Retry(timer) => {
                let Some(seq) = self.children.find_life(&timer.id, timer.incarnation) else {
                    return;
                };
                let Some(child) = self.children.get(seq) else {
                    return;
                };
                if let (Life::Restarting { charge, .. }, true) =
                    (&child.life, child.epoch == timer.epoch)
                {
                    let charge = *charge;
                    self.restart(seq, charge);
                }
            }
            Deferred::Call { tag, call } => {
                self.deferred_calls -= 1;
                self.serve_call(tag, call);
            }
        }
    }

    /// A number that no state of any child has had before.
    pub(super) fn next_epoch(&mut self) -> u64 {
        self.epoch += 1;
        self.epoch
    }

    /// The children in start order, in any state.
    pub fn children(&self) -> impl DoubleEndedIterator<Item = ChildView> + '_ {
        self.children.iter().map(Child::view)
    }

    /// The id and state of each child in start order: cheaper than [`Supervisor::children`].
    pub fn states(&self) -> impl DoubleEndedIterator<Item = (&ChildId, ChildState)> {
        self.children.iter().map(|child| (&child.id, child.state()))
    }

    /// One child.
    pub fn child(&self, id: &str) -> Option<ChildView> {
        let seq = self.children.find(id)?;
        self.children.get(seq).map(Child::view)
    }

    /// OTP's four numbers.
    pub fn counts(&self) -> Counts {
        let (all, supervisors) = (self.children.len(), self.children.supervisors());
        Counts {
            specs: if self.template.is_some() { 1 } else { all },
            active: self.children.iter().filter(|child| child.is_alive()).count(),
            supervisors,
            workers: all - supervisors,
        }
    }

    /// The tag of the call that is being carried out: whose start or stop is under way.
    pub fn serving(&self) -> Option<u64> {
        self.job.as_ref().and_then(Job::tag)
    }

    /// Where the supervisor is in its life.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The flags in force.
    pub fn flags(&self) -> &Flags {
        &self.flags
    }
}
