//! Work on store threads: the brain goes out with it and comes back, then what waited for it goes
//! on.

use super::slot::{Place, Unsynced};
use super::step::{open_error, state, turn_error};
use super::{Call, Inner, Tools, advance};
use crate::brain::{Brain, BrainFiles, Owner};
use crate::metrics;
use crate::threads::{Orphan, Report, close};
use loket_runtime::{BrainError, BrainRequest};
use loket_turn::{AgentName, LedgerError, Outcome, TurnNo};
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// What a store thread is asked to do.
pub(super) enum Job {
    /// Close one brain, open another and begin its turn.
    Open { owner: Owner, closing: Option<Box<Brain>>, request: BrainRequest },
    /// Bring one to the disk and tell the ledger (rule E6).
    Durable { agent: AgentName, brain: Box<Brain> },
    /// Close one that is not needed for a while; `behind`: its file is behind its log, or the ledger behind the file.
    Close { agent: AgentName, brain: Box<Brain>, behind: bool },
    /// A call that may take long.
    Call { brain: Box<Brain>, call: Call, reply: oneshot::Sender<Outcome> },
}

/// Starts a job; its slot's place is `Out` already.
pub(super) fn start(shard: &Rc<RefCell<Inner>>, agent: &AgentName, job: Job) {
    let (weak, tools) = of(shard);
    let agent = Arc::clone(agent);
    match job {
        Job::Open { owner, closing, request } => {
            tokio::task::spawn_local(open(weak, tools, owner, closing, request));
        }
        Job::Durable { agent, brain } => {
            tokio::task::spawn_local(durable(weak, tools, agent, brain));
        }
        Job::Close { agent, brain, behind } => {
            tokio::task::spawn_local(let_go(weak, tools, agent, brain, behind));
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
    closing: Option<Box<Brain>>,
    request: BrainRequest,
) {
    let agent = Arc::clone(&owner.agent);
    let (files, report) = (tools.files.clone(), Arc::clone(&tools.report));
    let abandoned = orphan(&tools.report);
    let job = move || {
        // First, so that its descriptors are free.
        if let Some(brain) = closing {
            close(Orphan { brain, report });
        }
        open_and_begin(&files, owner)
    };
    let opened = tools.threads.run("open", job, |opened: Result<Box<Brain>, BrainError>| {
        if let Ok(brain) = opened {
            abandoned(brain);
        }
    });
    let opened = opened.await.unwrap_or_else(|lost| {
        Err(BrainError::Environment { agent: Arc::clone(&agent), reason: lost.to_string() })
    });
    match opened {
        Ok(brain) => {
            let state = state(&brain);
            if let Some(inner) = shard.upgrade()
                && let Some(slot) = inner.borrow_mut().slots.get_mut(&agent)
            {
                slot.unsynced = Unsynced::default();
            }
            // A crash may have come between a commit and the ledger's word for it.
            if state.applied > TurnNo(0)
                && let Some(inner) = shard.upgrade()
            {
                inner.borrow_mut().note_unsynced(&agent);
            }
            let _ = request.reply.send(Ok(state));
            back(&shard, &tools, &agent, Some(brain));
        }
        Err(error) => {
            let _ = request.reply.send(Err(error));
            back(&shard, &tools, &agent, None);
        }
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

/// What is not on the disk yet goes there first (rule E6).
async fn let_go(
    shard: Weak<RefCell<Inner>>,
    tools: Tools,
    agent: AgentName,
    brain: Box<Brain>,
    behind: bool,
) {
    let report = Arc::clone(&tools.report);
    let job = move || match behind {
        true => close(Orphan { brain, report }),
        // Nothing was ever committed: not worth two fsyncs, the next opening looks an empty file through.
        false if brain.state().0 == TurnNo(0) => drop(brain),
        false => brain.close_well(),
    };
    // Lost only with the store's end: then the next start finds the brain behind its log, which is whole.
    let _ = tools.threads.run("close", job, |()| {}).await;
    back(&shard, &tools, &agent, None);
}

async fn durable(
    shard: Weak<RefCell<Inner>>,
    tools: Tools,
    agent: AgentName,
    mut brain: Box<Brain>,
) {
    let life = brain.owner().life;
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
            noted((tools.report)(Arc::clone(&agent), life, n).await)
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
