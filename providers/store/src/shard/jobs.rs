//! Work on store threads: the brain goes out with it and comes back, then what waited for it goes
//! on.

use super::slot::{Place, Unsynced};
use super::step::{open_error, state, turn_error};
use super::{Call, Inner, Tools, advance};
use crate::brain::{Brain, BrainFiles, Owner};
use crate::metrics;
use crate::threads::{Closed, Orphan, Report, close, shut};
use loket_runtime::{BrainError, BrainRequest};
use loket_turn::{AgentName, Hash, LedgerError, Outcome, TurnNo};
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// What a store thread is asked to do.
pub(super) enum Job {
    /// Open a brain and begin its turn; another one is closed before that, or beside it.
    Open { owner: Owner, closing: Option<(Closing, When)>, request: BrainRequest },
    /// Commit a turn with which the log begins anew.
    Commit { brain: Box<Brain>, n: TurnNo, chain: Hash, request: BrainRequest },
    /// Bring one to the disk and tell the ledger (rule E6).
    Durable { agent: AgentName, brain: Box<Brain> },
    /// Close one that is not needed for a while.
    Close { agent: AgentName, closing: Closing },
    /// A call that may take long.
    Call { brain: Box<Brain>, call: Call, reply: oneshot::Sender<Outcome> },
}

/// When a brain is closed for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Before the other is opened: its descriptors are needed, or it is the same agent's.
    Before,
    /// Beside it: nobody waits for its fsyncs.
    Beside,
}

/// A brain that is to be closed; `behind`: its file is behind its log, or the ledger behind the file.
pub(super) struct Closing {
    pub(super) brain: Box<Brain>,
    pub(super) behind: bool,
}

impl Closing {
    /// Closes it. What is not on the disk yet goes there first (rule E6); tells what the ledger is to be told. Blocks.
    fn close(self) -> Option<Closed> {
        let Self { brain, behind } = self;
        match behind {
            true => return shut(brain),
            // Nothing was ever committed: not worth two fsyncs, the next opening looks an empty file through.
            false if brain.state().0 == TurnNo(0) => drop(brain),
            false => brain.close_well(),
        }
        None
    }
}

/// Starts a job; its slot's place is `Out` already.
pub(super) fn start(shard: &Rc<RefCell<Inner>>, agent: &AgentName, job: Job) {
    let (weak, tools) = of(shard);
    let agent = Arc::clone(agent);
    match job {
        Job::Open { owner, closing: Some((closing, When::Beside)), request } => {
            // The one that is waited for first.
            tokio::task::spawn_local(open(weak.clone(), tools.clone(), owner, None, request));
            tokio::task::spawn_local(close_beside(weak, tools, closing));
        }
        Job::Open { owner, closing, request } => {
            let closing = closing.map(|(closing, _)| closing);
            tokio::task::spawn_local(open(weak, tools, owner, closing, request));
        }
        Job::Durable { agent, brain } => {
            tokio::task::spawn_local(durable(weak, tools, agent, brain));
        }
        Job::Commit { brain, n, chain, request } => {
            tokio::task::spawn_local(commit(weak, tools, brain, (n, chain), request));
        }
        Job::Close { agent, closing } => {
            tokio::task::spawn_local(let_go(weak, tools, agent, closing));
        }
        Job::Call { brain, call, reply } => {
            tokio::task::spawn_local(run_call(weak, tools, agent, brain, call, reply));
        }
    }
}

fn of(shard: &Rc<RefCell<Inner>>) -> (Weak<RefCell<Inner>>, Tools) {
    (Rc::downgrade(shard), shard.borrow().tools.clone())
}

/// A brain whose shard has ended by the time its job is done is closed durably by whoever holds it.
fn orphan(report: &Report) -> impl FnOnce(Box<Brain>) + Send + use<> {
    let report = Arc::clone(report);
    move |brain| close(Orphan { brain, report })
}

/// Puts a brain back, or notes that there is none any more, and goes on with what waits.
fn back(shard: &Weak<RefCell<Inner>>, tools: &Tools, agent: &AgentName, brain: Option<Box<Brain>>) {
    let Some(inner) = shard.upgrade() else {
        if let Some(brain) = brain {
            let report = Arc::clone(&tools.report);
            tools.threads.adopt(Orphan { brain, report });
        }
        return;
    };
    if let Some(slot) = inner.borrow_mut().slots.get_mut(agent) {
        slot.place = brain.map_or(Place::Closed, Place::Here);
    }
    advance(&inner, agent);
}

async fn open(
    shard: Weak<RefCell<Inner>>,
    tools: Tools,
    owner: Owner,
    closing: Option<Closing>,
    request: BrainRequest,
) {
    let agent = Arc::clone(&owner.agent);
    let (files, report) = (tools.files.clone(), Arc::clone(&tools.report));
    let abandoned = orphan(&tools.report);
    let job = move || {
        // First, so that its descriptors are free.
        let closed = closing.and_then(Closing::close);
        (closed, open_and_begin(&files, owner))
    };
    let opened = tools.threads.run("open", job, move |(closed, opened)| {
        if let Some(Closed { owner, n }) = closed {
            drop(report(owner.agent, owner.life, n));
        }
        if let Ok(brain) = opened {
            abandoned(brain);
        }
    });
    let (closed, opened) = opened.await.unwrap_or_else(|lost| {
        let (agent, reason) = (Arc::clone(&agent), lost.to_string());
        (None, Err(BrainError::Environment { agent, reason }))
    });
    match opened {
        Ok(brain) => {
            let state = state(&brain);
            if let Some(inner) = shard.upgrade() {
                inner.borrow_mut().opened(&agent, &brain);
            }
            let _ = request.reply.send(Ok(state));
            back(&shard, &tools, &agent, Some(brain));
        }
        Err(error) => {
            let _ = request.reply.send(Err(error));
            back(&shard, &tools, &agent, None);
        }
    }
    tell(&shard, &tools, closed).await;
}

impl Inner {
    /// Notes what is known of a brain that was just opened.
    fn opened(&mut self, agent: &AgentName, brain: &Brain) {
        let Some(slot) = self.slots.get_mut(agent) else { return };
        slot.unsynced = Unsynced::default();
        let (applied, _) = brain.state();
        let owner = brain.owner();
        let known = slot.past.noted == (owner.life, owner.epoch, applied);
        // A crash may have come between a commit and the ledger's word for it.
        if applied > TurnNo(0) && !(known && brain.log_is_new()) {
            self.note_unsynced(agent);
        }
    }
}

/// Tells the ledger of a brain that was closed. Not on the store thread: the ledger's word takes an fsync, and comes for hundreds
/// at once.
async fn tell(shard: &Weak<RefCell<Inner>>, tools: &Tools, closed: Option<Closed>) {
    let Some(closed) = closed else { return };
    let Closed { owner, n } = &closed;
    match noted((tools.report)(Arc::clone(&owner.agent), owner.life, *n).await) {
        Ok(()) => {
            if let Some(inner) = shard.upgrade() {
                inner.borrow_mut().note_told(closed);
            }
        }
        // The next opening finds it not noted, and tells again.
        Err(error) => tracing::warn!(agent = %owner.agent, "brain durable, not noted: {error}"),
    }
}

/// A commit for which SQLite fsyncs the head of the log.
async fn commit(
    shard: Weak<RefCell<Inner>>,
    tools: Tools,
    mut brain: Box<Brain>,
    (n, chain): (TurnNo, Hash),
    request: BrainRequest,
) {
    let agent = request.agent;
    let abandoned = orphan(&tools.report);
    let job = move || {
        let done = brain.commit(n, chain);
        (brain, done)
    };
    let done = tools.threads.run("commit", job, |(brain, _)| abandoned(brain)).await;
    // Without an answer: the reply is dropped, and the host takes the brain for one that may not have it.
    let Ok((brain, done)) = done else { return back(&shard, &tools, &agent, None) };
    let answer = match &done {
        Ok(()) => Ok(state(&brain)),
        Err(error) => Err(turn_error(&agent, error)),
    };
    if let Some(inner) = shard.upgrade() {
        let mut inner = inner.borrow_mut();
        if let Some(slot) = inner.slots.get_mut(&agent) {
            slot.place = Place::Here(brain);
        }
        inner.committed(&agent, done.is_ok(), n);
    } else {
        let report = Arc::clone(&tools.report);
        tools.threads.adopt(Orphan { brain, report });
    }
    let _ = request.reply.send(answer);
    if let Some(inner) = shard.upgrade() {
        advance(&inner, &agent);
    }
}

/// On a store thread.
#[allow(clippy::disallowed_methods, reason = "times the opening for a metric; no turn sees it")]
fn open_and_begin(files: &BrainFiles, owner: Owner) -> Result<Box<Brain>, BrainError> {
    let agent = Arc::clone(&owner.agent);
    let start = Instant::now();
    let mut brain = Brain::open(files, owner).map_err(|error| open_error(&agent, &error))?;
    metrics::open_took(start.elapsed());
    brain.begin(true).map_err(|error| turn_error(&agent, &error))?;
    Ok(Box::new(brain))
}

async fn run_call(
    shard: Weak<RefCell<Inner>>,
    tools: Tools,
    agent: AgentName,
    mut brain: Box<Brain>,
    call: Call,
    reply: oneshot::Sender<Outcome>,
) {
    let abandoned = orphan(&tools.report);
    let job = move || {
        let outcome = call.op.run(&mut brain, call.now);
        (brain, outcome)
    };
    let done = tools.threads.run("call", job, |(brain, _)| abandoned(brain)).await;
    // Without an answer: the reply is dropped, which is a failure without blame for the guest.
    let Ok((brain, outcome)) = done else { return back(&shard, &tools, &agent, None) };
    let _ = reply.send(outcome);
    back(&shard, &tools, &agent, Some(brain));
}

/// Closes a brain that had to make room, and that nobody has any more.
async fn close_beside(shard: Weak<RefCell<Inner>>, tools: Tools, closing: Closing) {
    let report = Arc::clone(&tools.report);
    let abandoned = move |closed: Option<Closed>| {
        if let Some(Closed { owner, n }) = closed {
            drop(report(owner.agent, owner.life, n));
        }
    };
    let closed = tools.threads.run("close", move || closing.close(), abandoned).await;
    if let Some(inner) = shard.upgrade() {
        inner.borrow_mut().beside -= 1;
    }
    tell(&shard, &tools, closed.ok().flatten()).await;
}

async fn let_go(shard: Weak<RefCell<Inner>>, tools: Tools, agent: AgentName, closing: Closing) {
    let report = Arc::clone(&tools.report);
    let abandoned = move |closed: Option<Closed>| {
        if let Some(Closed { owner, n }) = closed {
            drop(report(owner.agent, owner.life, n));
        }
    };
    // Lost only with the store's end: then the next start finds the brain behind its log, which is whole.
    let closed = tools.threads.run("close", move || closing.close(), abandoned).await;
    back(&shard, &tools, &agent, None);
    tell(&shard, &tools, closed.ok().flatten()).await;
}

async fn durable(
    shard: Weak<RefCell<Inner>>,
    tools: Tools,
    agent: AgentName,
    mut brain: Box<Brain>,
) {
    let owner = brain.owner().clone();
    let abandoned = orphan(&tools.report);
    let job = move || {
        let done = brain.make_durable();
        // Closed here and opened anew: a file whose fsync failed is never written to again (rule J2).
        let brain = (!brain.is_suspect()).then_some(brain);
        (brain, done)
    };
    let lost = |(brain, _): (Option<Box<Brain>>, _)| {
        if let Some(brain) = brain {
            abandoned(brain);
        }
    };
    let done = tools.threads.run("checkpoint", job, lost).await;
    let Ok((brain, done)) = done else { return back(&shard, &tools, &agent, None) };
    if let Some(inner) = shard.upgrade()
        && let Some(slot) = inner.borrow_mut().slots.get_mut(&agent)
    {
        slot.unsynced = Unsynced::default();
    }
    back(&shard, &tools, &agent, brain);
    let told = match done {
        Ok(Some(n)) => {
            metrics::checkpointed();
            let told = noted((tools.report)(Arc::clone(&agent), owner.life, n).await);
            if let (Ok(()), Some(inner)) = (&told, shard.upgrade()) {
                inner.borrow_mut().note_told(Closed { owner, n });
            }
            told
        }
        Ok(None) => Err("it is in use elsewhere".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(reason) = told {
        tracing::warn!(%agent, "brain not durable yet, tried again: {reason}");
        if let Some(inner) = shard.upgrade() {
            inner.borrow_mut().note_unsynced(&agent);
        }
    }
}

/// A stopped ledger and a life that is over do not want to know any more.
fn noted(told: Result<(), LedgerError>) -> Result<(), String> {
    match told {
        Ok(()) | Err(LedgerError::Stopped | LedgerError::NoSuchAgent(_)) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
