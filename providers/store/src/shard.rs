//! One lane's open brains: whose turn is open, who waits, what is not on disk yet.
//!
//! Requests and calls for one brain keep their order even while it is out on a store thread; other
//! brains are not delayed. Nothing here blocks the lane: the commit that begins a brain's log anew, whose
//! head SQLite syncs, is done on a store thread. Start reading at [`Shard::call`],
//! [`Shard::request`], then `advance`.

mod durable;
mod held;
mod jobs;
mod released;
mod slot;
mod step;
#[cfg(test)]
mod tests;

use crate::brain::BrainFiles;
use crate::limits::{PAST_MAX, WAITING_MAX};
use crate::ops::{Now, Op, environment};
use crate::threads::{Closed, Orphan, Report, StoreThreads};
use durable::Timers;
use loket_runtime::{BrainError, BrainRequest, Clock};
use loket_turn::{AgentName, Epoch, Failure, Life, Outcome, TurnNo};
use released::Released;
use slot::{Place, Slot, Work};
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A call on a brain, checked.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) agent: AgentName,
    pub(crate) life: Life,
    pub(crate) incarnation: u64,
    pub(crate) now: Now,
    pub(crate) op: Op,
}

/// What became of a call.
pub(crate) enum Called {
    /// Answered.
    Now(Outcome),
    /// Going on.
    Later(Pin<Box<dyn Future<Output = Outcome>>>),
}

/// What a shard works with.
#[derive(Clone)]
pub(crate) struct Tools {
    pub(crate) files: BrainFiles,
    pub(crate) threads: StoreThreads,
    pub(crate) report: Report,
    pub(crate) clock: Clock,
}

/// The shard. Dropped, it leaves no brain behind: the store threads close them durably.
pub(crate) struct Shard {
    inner: Rc<RefCell<Inner>>,
    sweeper: tokio::task::JoinHandle<()>,
}

struct Inner {
    tools: Tools,
    /// Brains that are open, on their way, or asked for; closed ones with nobody waiting are
    /// forgotten.
    slots: HashMap<AgentName, Slot>,
    /// Most brains that may be open.
    bound: usize,
    released: Released,
    /// Brains that are being closed beside the opening of others: open for the system still.
    beside: usize,
    /// What is remembered of agents without a slot. Forgetting some is safe: only an incarnation whose end the ledger took
    /// commits, and the ledger keeps the fence (rule J4); and it is told once more that a brain is durable.
    past: HashMap<AgentName, Past>,
    /// Counts uses, for the least recently used.
    uses: u64,
    timers: Timers,
}

/// What a shard remembers of an agent.
#[derive(Debug, Clone, Default)]
struct Past {
    /// The newest incarnation that began a turn: the fence (rule J4).
    incarnation: u64,
    /// Up to which turn the ledger knows this brain to be durable (rule E6); of life 0, which nobody has: none that is known. No
    /// `Option`: of each agent that sleeps this is what stays.
    noted: (Life, Epoch, TurnNo),
}

impl Shard {
    /// A shard with at most `bound` open brains, of which at most `released_max` are not needed for a while. Needs an arbiter (a
    /// local task set) around it.
    pub(crate) fn new(tools: Tools, bound: usize, released_max: usize) -> Self {
        let inner = Rc::new(RefCell::new(Inner {
            tools,
            slots: HashMap::new(),
            bound,
            released: Released::new(released_max),
            beside: 0,
            past: HashMap::new(),
            uses: 0,
            timers: Timers::default(),
        }));
        let sweeper = tokio::task::spawn_local(durable::sweep(Rc::downgrade(&inner)));
        Self { inner, sweeper }
    }

    /// The host's control of a brain; answered through the request's `reply`.
    pub(crate) fn request(&self, request: BrainRequest) {
        let agent = Arc::clone(&request.agent);
        let refused = self.inner.borrow_mut().queue(&agent, Work::Brain(request));
        if let Some(Work::Brain(request)) = refused {
            let reason = format!("{WAITING_MAX} requests wait for it already");
            let _ = request.reply.send(Err(BrainError::Environment { agent, reason }));
            return;
        }
        advance(&self.inner, &agent);
    }

    /// A call of a turn. Light ones are answered at once unless the brain is out.
    pub(crate) fn call(&self, call: Call) -> Called {
        let agent = Arc::clone(&call.agent);
        let (reply, answer) = oneshot::channel();
        let call = {
            let mut inner = self.inner.borrow_mut();
            let Some(slot) = inner.slots.get_mut(&agent) else {
                return Called::Now(Err(no_turn(&agent)));
            };
            if slot.waiting.is_empty() && !call.op.is_heavy() && slot.is_here() {
                return Called::Now(slot.run(call));
            }
            call
        };
        if self.inner.borrow_mut().queue(&agent, Work::Call(call, reply)).is_some() {
            let message = format!("{WAITING_MAX} calls wait for the brain of {agent} already");
            return Called::Now(Err(environment(message)));
        }
        advance(&self.inner, &agent);
        Called::Later(Box::pin(async move {
            let lost = || Err(environment("the brain's shard ended before it answered"));
            answer.await.unwrap_or_else(|_| lost())
        }))
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.sweeper.abort();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for (_, slot) in self.slots.drain() {
            if let Place::Here(mut brain) = slot.place {
                brain.roll_back();
                let report = Arc::clone(&self.tools.report);
                self.tools.threads.adopt(Orphan { brain, report });
            }
        }
    }
}

impl Inner {
    /// Puts work behind what waits for the brain already; gives it back when too much does.
    fn queue(&mut self, agent: &AgentName, work: Work) -> Option<Work> {
        let past = &mut self.past;
        let slot = self.slots.entry(Arc::clone(agent)).or_insert_with(|| {
            let past = past.remove(agent).unwrap_or_default();
            Slot::closed(past)
        });
        if slot.waiting.len() >= WAITING_MAX {
            return Some(work);
        }
        slot.waiting.push_back(work);
        self.uses += 1;
        slot.used = self.uses;
        None
    }

    /// Notes that the ledger knows a brain to be durable up to a turn.
    fn note_told(&mut self, closed: Closed) {
        let Closed { owner, n } = closed;
        let slot = self.slots.get_mut(&owner.agent).map(|slot| &mut slot.past);
        if let Some(past) = slot.or_else(|| self.past.get_mut(&owner.agent)) {
            past.noted = (owner.life, owner.epoch, n);
        }
    }

    /// Forgets a slot that has no brain and nobody waiting, but not its past.
    fn forget_closed(&mut self, agent: &AgentName) {
        let idle = |slot: &Slot| matches!(slot.place, Place::Closed) && slot.waiting.is_empty();
        if !self.slots.get(agent).is_some_and(idle) {
            return;
        }
        if let Some(slot) = self.slots.remove(agent) {
            if self.past.len() >= PAST_MAX {
                self.past.clear();
            }
            self.past.insert(Arc::clone(agent), slot.past);
        }
    }
}

/// Does what waits for a brain, in order, until the brain is out or nothing waits.
fn advance(shard: &Rc<RefCell<Inner>>, agent: &AgentName) {
    loop {
        let mut inner = shard.borrow_mut();
        let Some(slot) = inner.slots.get_mut(agent) else { return };
        if matches!(slot.place, Place::Out) {
            return;
        }
        let Some(work) = slot.waiting.pop_front() else {
            let rest = slot.at_rest(agent);
            inner.forget_closed(agent);
            drop(inner);
            if let Some(job) = rest {
                jobs::start(shard, agent, job);
            }
            return;
        };
        let job = inner.step(agent, work);
        drop(inner);
        if let Some(job) = job {
            jobs::start(shard, agent, job);
        }
    }
}

/// A call outside a turn is the host's mistake, no answer to the guest.
fn no_turn(agent: &AgentName) -> Failure {
    environment(format!("no turn is open in the brain of {agent}"))
}
