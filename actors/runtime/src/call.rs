//! What travels with a call: the cargo that the kernel carries without looking, and the answer.

use crate::{Presence, TurnPurse};
use loket_kernel::{Admitted, Envelope, GrantSet};
use loket_turn::{
    AgentName, Effect, EffectClass, Epoch, Hash, Journal, Level, Life, Live, MessageId, Outcome,
    TurnKey, TurnNo,
};
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// A call on its way to the kernel.
pub type CallEnvelope = Envelope<Cargo>;
/// A call that the kernel let through. Only the kernel makes one.
pub type AdmittedCall = Admitted<Cargo>;

/// What the kernel carries along with a call.
#[derive(Debug)]
pub struct Cargo {
    /// The turn that calls; `None` for principals that have no turns (`@operator`, `@timer`, `@http`).
    pub turn: Option<TurnCall>,
    /// Where the answer goes: straight to the caller. Dropped unanswered, it tells the caller that the provider ended.
    pub reply: oneshot::Sender<Reply>,
}

/// The part of a turn that a provider's wrapper needs for one call.
#[derive(Debug, Clone)]
pub struct TurnCall {
    /// The turn, shared by all its calls.
    pub turn: Arc<TurnContext>,
    /// This call.
    pub live: Live,
    /// The turn's clock at this call, Unix milliseconds (rule C9).
    pub clock_ms: u64,
}

/// One turn, as its calls see it.
#[derive(Debug)]
pub struct TurnContext {
    /// Whose turn it is, with the fencing token.
    pub key: TurnKey,
    /// The message that is handled.
    pub message: MessageId,
    /// Agents on the way, oldest first, this turn's agent last (rule I1).
    pub on_the_way: Vec<AgentName>,
    /// Source of `random.bytes` (rule C9).
    pub seed: u64,
    /// The settings of the turn, a JSON object.
    pub settings: Arc<str>,
    /// The grants pinned at begin and the turn's time: calls of the re-run part are admitted against them (rule F1).
    pub pinned: Arc<GrantSet>,
    /// The calls so far. Locked for moments only, by the driver and, for an intent, by the wrapper (rule C2).
    pub journal: Mutex<Journal>,
    /// Its budgets; `None` for an agent that has none, and in a re-run. Locked as the journal is.
    pub purse: Option<Arc<TurnPurse>>,
}

/// The answer to a call.
#[derive(Debug)]
pub enum Reply {
    /// It is done.
    Done {
        /// The operation's class; `Pure` for a refusal.
        class: EffectClass,
        /// What it came to.
        outcome: Outcome,
        /// When it was recorded, Unix milliseconds, when the ledger has it already (rule C2).
        recorded_ms: Option<u64>,
        /// What was staged; in a box, since few answers have one and every answer is moved.
        effect: Option<Box<Effect>>,
    },
    /// Another event writes the result under the call's intent: wait for it (rules H1, I1).
    Deferred {
        /// The operation's class, `Keyed` or `Once`.
        class: EffectClass,
    },
    /// It is granted, and a person must approve it first: it has had no effect (rule H1). `Some`: not for its grant's sake, but because
    /// it goes beyond the soft limit of this budget.
    Held(Option<Level>),
    /// It is granted, and its provider is between two incarnations: it has gone to none. Send it again when somebody is there.
    Away(Arc<Presence>),
    /// The machine was at fault, in words: what became of the call is no answer to a turn (rules J2, J3). Send it again under the
    /// same key when the machine is well.
    Unanswered(String),
}

/// Work for a provider's mailbox.
#[derive(Debug)]
pub enum ProviderWork {
    /// A call.
    Call(AdmittedCall),
    /// The host's own control of a brain; no guest can reach it, so it is no capability.
    Brain(BrainRequest),
}

/// What the host asks of the store shard that keeps an agent's brain.
#[derive(Debug)]
pub struct BrainRequest {
    /// The agent.
    pub agent: AgentName,
    /// The incarnation that asks: an older one's request is refused (rule J4).
    pub incarnation: u64,
    /// What.
    pub what: BrainAction,
    /// The answer.
    pub reply: oneshot::Sender<Result<BrainState, BrainError>>,
}

/// See [`BrainRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrainAction {
    /// Open the brain of this life (make it if there is none), roll back whatever an older incarnation left, begin a turn's
    /// transaction. The answer tells how far the brain is.
    Begin {
        /// The life (rule E3).
        life: Life,
        /// The epoch (rule E7).
        epoch: Epoch,
    },
    /// Commit the open transaction with "N applied" and the chain hash inside (rule D2).
    Commit {
        /// The turn.
        n: TurnNo,
        /// The chain hash after it.
        chain: Hash,
        /// The next turn follows at once: the commit may wait for that one's, if not for long.
        more: bool,
    },
    /// Drop what the open transaction did (rule G1).
    RollBack,
    /// The same, and the brain is not needed for a while: its turn waits, or there is none (rule H1).
    Release,
}

/// How far a brain is (rule F1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrainState {
    /// The last turn applied.
    pub applied: TurnNo,
    /// The chain hash after it.
    pub chain: Hash,
}

/// Why a brain could not be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrainError {
    /// A newer incarnation has the brain.
    #[error("a newer incarnation of {0} has the brain")]
    Fenced(AgentName),
    /// A thread that is stuck has a turn of it open: it can be had once the thread lets go.
    #[error("the brain of {0} is held by a thread that is stuck")]
    Held(AgentName),
    /// The file is damaged or belongs to another life.
    #[error("the brain of {agent} cannot be used: {reason}")]
    Corrupt {
        /// The agent.
        agent: AgentName,
        /// Why.
        reason: String,
    },
    /// Disk full, I/O error, too many open files: the machine's fault, try again later (rule F2).
    #[error("the brain of {agent} could not be reached: {reason}")]
    Environment {
        /// The agent.
        agent: AgentName,
        /// Why.
        reason: String,
    },
    /// No transaction is open.
    #[error("no turn is open in the brain of {0}")]
    NoTurn(AgentName),
}
