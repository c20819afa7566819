//! What a turn waits for beside other agents: a person's word, and its time.

use crate::{
    AgentName, Begin, CallNo, Counted, Failure, IntentId, Level, Record, Schedule, TurnKey, TurnNo,
};
use serde::{Deserialize, Serialize};

/// The sender of every timer's message. No agent can have this name.
pub const TIMER_SENDER: &str = "@timer";

/// The capability that asks a person a question; its answer is the call's result.
pub const QUESTION: &str = "human.ask";

/// The code of a call that a person denied.
pub const DENIED: &str = "denied";

/// The code of a call that nobody has approved in its time.
pub const APPROVAL_EXPIRED: &str = "approval_expired";

/// The number of an approval or a question, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApprovalId(pub u64);

/// A call that a person is to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The turn.
    pub turn: TurnKey,
    /// The begin, with the first durable write of the turn.
    pub begin: Option<Begin>,
    /// The records that are not durable yet.
    pub records: Vec<Record>,
    /// What the turn has counted of its budgets since.
    pub counted: Vec<Counted>,
    /// The key of the call, or for `beyond` its [`beyond_key`](crate::beyond_key).
    pub intent: IntentId,
    /// The call was stopped at the soft limit of this level, not by its grant.
    pub beyond: Option<Level>,
    /// Its number.
    pub call: CallNo,
    /// The capability.
    pub capability: String,
    /// The arguments: an answer is for exactly these.
    pub args: Vec<u8>,
    /// When it is denied by itself, Unix milliseconds; `None`: it waits as long as it takes. Asked again, the first time stands.
    pub expires_ms: Option<u64>,
    /// Unix milliseconds.
    pub now_ms: u64,
}

/// How it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Nobody has decided yet.
    Waits {
        /// Its number.
        id: ApprovalId,
    },
    /// The call may go out, once.
    Approved,
    /// It may not; this is what the guest is told.
    Denied(Failure),
}

/// What a person said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The call may go out.
    Approve,
    /// It may not, or the question will not be answered; with the reason.
    Deny(String),
    /// The answer to a question.
    Answer(String),
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decide {
    /// Which call.
    pub id: ApprovalId,
    /// What was said.
    pub verdict: Verdict,
    /// By whom.
    pub by: AgentName,
    /// Unix milliseconds.
    pub now_ms: u64,
}

/// A call that waits, or waited, for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Its number.
    pub id: ApprovalId,
    /// Who calls.
    pub agent: AgentName,
    /// In which turn.
    pub n: TurnNo,
    /// The capability.
    pub capability: String,
    /// The arguments.
    pub args: Vec<u8>,
    /// The budget whose soft limit it goes beyond, if that is why it waits: approved, that budget may be spent to its limits until its
    /// window ends, by whoever draws on it.
    pub budget: Option<Level>,
    /// Since when it waits, Unix milliseconds.
    pub asked_ms: u64,
    /// Until when, Unix milliseconds: then it is decided by itself.
    pub expires_ms: Option<u64>,
    /// `waits`, `approved`, `denied`, `answered`, `expired`.
    pub state: String,
    /// Who decided.
    pub by: Option<String>,
    /// When, Unix milliseconds.
    pub said_ms: Option<u64>,
    /// Why it was denied.
    pub reason: Option<String>,
}

/// A timer of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// Its id.
    pub id: IntentId,
    /// Whose.
    pub agent: AgentName,
    /// When it is due, Unix milliseconds.
    pub due_ms: u64,
    /// The kind of its message.
    pub kind: String,
    /// When it is due again.
    #[serde(flatten)]
    pub schedule: Option<Schedule>,
    /// It wakes a turn that sleeps; there is no message.
    pub sleeps: bool,
}

/// A sleep of a turn (rule H1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sleep {
    /// The turn.
    pub turn: TurnKey,
    /// The call whose result its end is.
    pub intent: IntentId,
    /// When it ends, Unix milliseconds.
    pub due_ms: u64,
}
