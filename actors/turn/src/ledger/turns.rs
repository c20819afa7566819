//! The life of a turn in the ledger.

use crate::{
    Begin, Blame, Budget, Charge, Counted, Effect, Epoch, Hash, Intent, IntentId, LetterId, Level,
    Life, Message, Outcome, Record, Short, TurnKey, TurnNo, Used,
};

/// What an incarnation finds when it takes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentState {
    /// Its life: a brain file of another life is not its own (rule E3).
    pub life: Life,
    /// Its epoch (rule E7).
    pub epoch: Epoch,
    /// The last turn that ended or was skipped.
    pub done: TurnNo,
    /// The chain hash after it.
    pub chain: Hash,
    /// The last turn that is known to be in the brain on the disk; what follows it is kept for its
    /// sake (rule E6).
    pub durable: TurnNo,
    /// Why it takes no turns, if so (rule G4).
    pub quarantine: Option<super::Quarantine>,
    /// The ledger has budgets of it, or of supervisors above it.
    pub has_budgets: bool,
    /// The turn to run.
    pub next: Option<NextTurn>,
}

/// A turn to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextTurn {
    /// Its number: the last one's plus one.
    pub n: TurnNo,
    /// The message.
    pub message: Message,
    /// Failed attempts so far.
    pub attempts: u32,
    /// Its begin, when records were kept of an earlier attempt (rules B1, G2).
    pub begin: Option<Begin>,
    /// The kept records, in order of their numbers.
    pub records: Vec<Record>,
    /// How often it parked (rule C10).
    pub parks: u32,
    /// The call that it is parked on and that has no result yet: there is no use in running it before (rule H1).
    pub parked_on: Option<IntentId>,
    /// What the small file of open turns says of it (rule B2).
    pub survival: Survival,
    /// The agent's budgets as they stand.
    pub budgets: Vec<Budget>,
}

/// Deaths of the process while this turn was open (rule B2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Survival {
    /// With other turns beside it.
    pub deaths: u32,
    /// While it ran alone.
    pub deaths_alone: u32,
}

/// Begin, records so far and an intent, in one step (rule C2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntentWrite {
    /// The turn.
    pub turn: TurnKey,
    /// The begin, with the first durable write of the turn.
    pub begin: Option<Begin>,
    /// The records that are not durable yet.
    pub records: Vec<Record>,
    /// The intent.
    pub intent: Intent,
    /// What the call may need of a budget: judged and charged in the same step.
    pub charge: Option<Charge>,
    /// What the turn has counted since.
    pub counted: Vec<Counted>,
    /// Who performs a Once call (rule C4).
    pub holder: Option<super::Holder>,
    /// Unix milliseconds.
    pub now_ms: u64,
}

/// What the ledger had of an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntentWritten {
    /// Nothing: send the request.
    Fresh,
    /// The intent without a result: send it again under the same key.
    Again,
    /// The result: answer with it.
    Known {
        /// The result.
        outcome: Outcome,
        /// When it was recorded, Unix milliseconds.
        stamp_ms: u64,
    },
    /// The call's budget does not suffice: nothing was written, and nothing may be sent.
    Spent {
        /// The budget.
        budget: Box<Budget>,
        /// What the call lacks of it.
        short: Short,
    },
    /// The call goes beyond the soft limit of this level: nothing was written, and a person is to be asked first.
    Beyond(Level),
}

/// A result under its intent (rule C4). The first durable one wins: the answer of the write is the one that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultWrite {
    /// The call.
    pub intent: IntentId,
    /// What it came to.
    pub outcome: Outcome,
    /// What the call used of a model, as its provider says; `None`: nobody knows, and all that was reserved for it is spent.
    pub used: Option<Used>,
    /// When, Unix milliseconds.
    pub stamp_ms: u64,
}

/// The end of a turn (rule D1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The turn.
    pub turn: TurnKey,
    /// The begin, when nothing of the turn is durable yet.
    pub begin: Option<Begin>,
    /// The records that are not durable yet.
    pub records: Vec<Record>,
    /// What the turn answered.
    pub reply: Outcome,
    /// The running hash of all calls, results and the answer.
    pub hash: Hash,
    /// The chain hash over N.
    pub chain: Hash,
    /// Staged effects, in order.
    pub effects: Vec<Effect>,
    /// What the turn has counted of its budgets since.
    pub counted: Vec<Counted>,
    /// Unix milliseconds.
    pub now_ms: u64,
}

/// An attempt that failed (rules B2, G1, G3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fail {
    /// The turn.
    pub turn: TurnKey,
    /// A short stable word: `trap`, `deadline`, `memory`, `stack`, `panic`, `output`, `calls`, `diverged`, `brain`, ...
    pub cause: String,
    /// Whose fault: only `Guest` costs an attempt.
    pub blame: Blame,
    /// The reason in words.
    pub message: String,
    /// The guest's backtrace, bounded.
    pub backtrace: String,
    /// Attempts after which the message is a dead letter.
    pub max_attempts: u32,
    /// What the attempt has counted of its budgets: the calls were made.
    pub counted: Vec<Counted>,
    /// The chain hash should the turn be skipped.
    pub chain_if_skipped: Hash,
    /// Unix milliseconds.
    pub now_ms: u64,
}

/// What follows from a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailVerdict {
    /// The next incarnation tries the same turn again.
    Retry {
        /// Attempts so far.
        attempts: u32,
    },
    /// The message is a dead letter; its turn is skipped.
    Letter {
        /// Its number.
        letter: LetterId,
    },
}

/// A turn that a brain may lack (rule F1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedTurn {
    /// Its number.
    pub n: TurnNo,
    /// The chain hash after it.
    pub chain: Hash,
    /// How it ended; `None` when it was skipped: nothing is re-run, the number alone moves on.
    pub ran: Option<RanTurn>,
    /// Its life.
    pub life: Life,
}

/// An ended turn with all that a re-run needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RanTurn {
    /// The message.
    pub message: Message,
    /// Its begin.
    pub begin: Begin,
    /// Its records.
    pub records: Vec<Record>,
    /// The running hash that the re-run must arrive at.
    pub hash: Hash,
    /// An operator takes the re-run as it comes, another hash included (rule G4).
    pub accepted: bool,
}
