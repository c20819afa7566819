//! Calls between native children: a typed request, its answer within a time, and an error that says why there is none.
//!
//! Not for capabilities: what an agent or an operator may do goes through the kernel. This is how the node's own children speak to
//! each other. A request waits in the callee's bounded mailbox, which outlives incarnations; it is handled also when the caller gave
//! up meanwhile, and an answer that nobody waits for is dropped with its slot. Start reading at [`Address::call`].

mod address;
mod requests;

pub use address::Address;
pub use requests::{Labelled, REQUESTS_MAX, Request, Requests, TooManyRequests};

use crate::Control;
use crate::cell::CellControl;
use crate::relations::Name;
use loket_supervision::machine::Exit;
use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};
use tokio::sync::oneshot;

/// How long a call waits when it does not say, milliseconds: OTP's default.
pub const CALL_TIMEOUT_MS: u64 = 5_000;

/// Children on the way in one chain of calls. Deeper ones are taken for a mistake.
pub const WAY_MAX: usize = 16;

/// A value on its way between children.
type Parcel = Box<dyn Any + Send>;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// Nobody of that name, or it has ended for good. The request was not handled.
    #[error("{0} does not run")]
    NoProc(Arc<str>),
    /// Its mailbox is full. The request was not handled.
    #[error("{name} has {depth} of {capacity} messages waiting")]
    Overloaded {
        /// The callee.
        name: Arc<str>,
        /// Messages that wait.
        depth: usize,
        /// Most that may wait.
        capacity: usize,
    },
    /// No answer in time. The request may be handled later, or may have been.
    #[error("no answer of {name} within {timeout_ms} ms")]
    Timeout {
        /// The callee.
        name: Arc<str>,
        /// The time.
        timeout_ms: u64,
    },
    /// The callee ended while it handled the request.
    #[error("{name} ended: {reason}")]
    Down {
        /// The callee.
        name: Arc<str>,
        /// Why it ended.
        reason: Exit,
    },
    /// The caller is the callee. The request was not handled.
    #[error("{0} cannot call itself")]
    CallingSelf(Arc<str>),
    /// The callee waits for this very call. The request was not handled.
    #[error("{} wait for each other", .0.join(" -> "))]
    Cycle(Vec<Arc<str>>),
    /// More than [`WAY_MAX`] are on the way. The request was not handled.
    #[error("{WAY_MAX} calls are on the way already")]
    ChainTooLong,
    /// The callee waits for its next restart. The request was not handled.
    #[error("{name} is being restarted; try again in {retry_after_ms} ms")]
    Restarting {
        /// The callee.
        name: Arc<str>,
        /// When to try again.
        retry_after_ms: u64,
    },
    /// The callee takes requests of another type. A bug of ours.
    #[error("{0} does not understand this request")]
    Misunderstood(Arc<str>),
}

impl CallError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoProc(_) => "noproc",
            Self::Overloaded { .. } => "overloaded",
            Self::Timeout { .. } => "timeout",
            Self::Down { .. } => "down",
            Self::CallingSelf(_) => "calling_self",
            Self::Cycle(_) => "cycle",
            Self::ChainTooLong => "chain_too_long",
            Self::Restarting { .. } => "restarting",
            Self::Misunderstood(_) => "internal",
        }
    }
}

/// Who is on the way of a call, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way(Vec<Name>);

impl Way {
    /// The way of a call that this child begins.
    pub fn from(name: &Arc<str>) -> Self {
        Self(vec![Arc::clone(name)])
    }

    /// Who is on the way.
    pub fn names(&self) -> &[Arc<str>] {
        &self.0
    }

    /// Whether this child may be called from here.
    fn to(&self, name: &Name) -> Result<(), CallError> {
        if self.0.last() == Some(name) {
            return Err(CallError::CallingSelf(Arc::clone(name)));
        }
        if self.0.contains(name) {
            let mut way = self.0.clone();
            way.push(Arc::clone(name));
            return Err(CallError::Cycle(way));
        }
        if self.0.len() >= WAY_MAX {
            return Err(CallError::ChainTooLong);
        }
        Ok(())
    }
}

/// A message in a native child's mailbox.
pub struct Asked {
    parcel: Parcel,
    slot: Option<Slot>,
    way: Way,
}

/// Where an answer goes. Used once; dropped unused, the caller waits until its time is over or the callee ends.
#[derive(Debug)]
pub struct Slot {
    sender: oneshot::Sender<Parcel>,
    holder: Arc<OnceLock<Arc<CellControl>>>,
}

impl Asked {
    /// What is asked; `None` when it is of another type: the message is then lost, as one that nobody understands is.
    ///
    /// `control` is that of the life that takes the message: should it end before it answers, the caller is told why.
    pub fn take<Q: 'static>(self, control: &Control) -> Option<(Q, Option<Slot>, Way)> {
        if let Some(slot) = &self.slot {
            let _ = slot.holder.set(Arc::clone(&control.cell));
        }
        let request = self.parcel.downcast().ok()?;
        Some((*request, self.slot, self.way))
    }

    /// Whether an answer is wanted: a call rather than a cast.
    pub fn wants_answer(&self) -> bool {
        self.slot.is_some()
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Asked(call: {}, way: {:?})", self.slot.is_some(), self.way.names())
    }
}

impl Way {
    /// The same way with this child on it: what its own calls go.
    pub fn on(mut self, name: &Arc<str>) -> Self {
        self.0.push(Arc::clone(name));
        self
    }
}

impl Slot {
    /// Answers, from wherever. `false` when nobody waits any more: a late answer is dropped.
    pub fn reply<R: Send + 'static>(self, reply: R) -> bool {
        self.sender.send(Box::new(reply)).is_ok()
    }

    /// Whether the caller has given up: a handler may spare itself the work.
    pub fn is_abandoned(&self) -> bool {
        self.sender.is_closed()
    }
}
