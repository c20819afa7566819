//! Accepting messages, and who they are for.

use crate::{AgentName, IntentId, Life, MessageId, Outcome};
use serde::{Deserialize, Serialize};

/// Who gets the answer of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ReplyTo {
    /// A call of another agent's turn: the outcome becomes the result of that intent, in the callee's own end (rule I1).
    Intent {
        /// The caller.
        agent: AgentName,
        /// The call.
        intent: IntentId,
    },
}

/// A message to accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    /// The receiver.
    pub to: AgentName,
    /// Who sends.
    pub sender: AgentName,
    /// What it is.
    pub kind: String,
    /// The bytes.
    pub body: Vec<u8>,
    /// The sender's idempotency key (rule A2).
    pub key: Option<String>,
    /// A derived id; `None` lets the ledger mint one. A second accept of a derived id is the same message.
    pub id: Option<MessageId>,
    /// Who waits for the answer.
    pub reply_to: Option<ReplyTo>,
    /// Agents on the way, oldest first.
    pub chain: Vec<AgentName>,
    /// Accept only when no message of this kind waits: for ticks.
    pub unless_waiting: bool,
    /// Unix milliseconds.
    pub now_ms: u64,
}

/// What became of an [`Accept`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The message's id: a new one, or that of the same message sent before.
    pub message: MessageId,
    /// It was there already (rule A2).
    pub duplicate: bool,
    /// Its outcome, if it has one already.
    pub outcome: Option<Outcome>,
    /// One of its kind was waiting already (`unless_waiting`): nothing was accepted.
    pub skipped: bool,
}

/// Why a message was not accepted. Nothing of it was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The inbox is full (rule A3).
    #[error("the inbox of {agent} is full: {depth} of {capacity} messages")]
    Overloaded {
        /// The receiver.
        agent: AgentName,
        /// Messages that wait, reserved places included.
        depth: u64,
        /// The bound.
        capacity: u64,
    },
    /// The inbox has no room for so many bytes (rule A3).
    #[error("the inbox of {agent} is full: {bytes} of {capacity} bytes")]
    OverloadedBytes {
        /// The receiver.
        agent: AgentName,
        /// Bytes that wait.
        bytes: u64,
        /// The bound.
        capacity: u64,
    },
    /// The key was used with another body (rule A2).
    #[error("key {key:?} was used before with another message")]
    KeyReused {
        /// The key.
        key: String,
    },
    /// No agent of that name.
    #[error("no agent {0}")]
    NoSuchAgent(AgentName),
    /// Body or key over its limit: never cut, refused.
    #[error("{what} of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The ledger is at its size limit: what is in flight goes on (rule A5).
    #[error(
        "the ledger holds {bytes} bytes, its limit is {limit}: no new messages until it shrinks"
    )]
    LedgerFull {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// See [`LedgerError`](super::LedgerError).
    #[error(transparent)]
    Ledger(#[from] super::LedgerError),
}

impl AcceptError {
    /// Whether this says nothing of the message, see [`LedgerError::is_no_answer`](super::LedgerError::is_no_answer).
    pub fn is_no_answer(&self) -> bool {
        matches!(self, Self::Ledger(why) if why.is_no_answer())
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Overloaded { .. } | Self::OverloadedBytes { .. } => "overloaded",
            Self::KeyReused { .. } => "key_reused",
            Self::NoSuchAgent(_) => "no_such_agent",
            Self::TooLarge { .. } => "too_large",
            Self::LedgerFull { .. } => "ledger_full",
            Self::Ledger(super::LedgerError::DiskFull(_)) => "disk_full",
            Self::Ledger(super::LedgerError::Busy) => "overloaded",
            Self::Ledger(_) => "ledger",
        }
    }

    /// Whether the same message may be accepted later.
    pub fn retryable(&self) -> bool {
        !matches!(self, Self::KeyReused { .. } | Self::NoSuchAgent(_) | Self::TooLarge { .. })
    }
}

/// An agent to make known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrol {
    /// The agent.
    pub agent: AgentName,
    /// Messages its inbox holds at most (rule A3).
    pub inbox_rows: u64,
    /// Bytes its inbox holds at most (rule A3).
    pub inbox_bytes: u64,
    /// For a dynamic child: the supervisor and the settings.
    pub dynamic: Option<DynamicChild>,
}

/// What the ledger knows of an enrolled agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// The agent.
    pub agent: AgentName,
    /// Its life.
    pub life: Life,
    /// The last incarnation that took over; the next one's number is higher.
    pub incarnation: u64,
    /// Messages that wait.
    pub waiting: u64,
}

/// A dynamic child's row (rule A6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DynamicChild {
    /// Its name, `UNDER/NAME`.
    pub agent: AgentName,
    /// Its supervisor.
    pub under: AgentName,
    /// Its own settings as a JSON object.
    pub settings: String,
}

/// What a removal did (rule A4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// Messages that became dead letters.
    pub letters: u64,
}

/// How full an agent's inbox is, and whether it takes turns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxDepth {
    /// The agent.
    pub agent: AgentName,
    /// Messages that wait, the one being handled included.
    pub waiting: u64,
    /// Messages that it holds at most.
    pub capacity: u64,
    /// The agent takes no turns until an operator acts (rule G4).
    pub quarantined: bool,
}
