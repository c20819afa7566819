//! What a ledger must be able to do: the trait that the embedded SQLite engine implements, and its words.
//!
//! Every method hands a request to the ledger's writer and gives back a future that is ready once the answer is durable by the
//! fleet's level (rule A1). No method blocks. Order of requests from one caller is kept. What is asked for a call of a turn is done
//! once: see [`ForCall`].

mod accept;
mod brains;
mod doubt;
mod for_call;
mod letters;
mod links;
mod seen;
mod turns;
mod waits;

pub use accept::{
    Accept, AcceptError, Accepted, DynamicChild, Enrol, Enrolled, InboxDepth, Removed, ReplyTo,
};
pub use brains::{BrainStanding, Files, Snapshot, Switch, Switched};
pub use doubt::{
    CallState, Doubt, DoubtId, Holder, Quarantine, Quarantined, Release, Released, Resolution,
};
pub use for_call::{ForCall, Say};
pub use letters::{LedgerStats, Letter, LetterSummary, RetriedLetter};
pub use links::{DOWN_KIND, Ended, GroupSize, MONITOR_SENDER, Monitor};
pub use seen::{TurnSeen, TurnShown, TurnStanding};
pub use turns::{
    AgentState, End, EndedTurn, Fail, FailVerdict, IntentWrite, IntentWritten, NextTurn, RanTurn,
    ResultWrite, Survival,
};
pub use waits::{
    APPROVAL_EXPIRED, Approval, ApprovalId, Ask, Asked, DENIED, Decide, QUESTION, Sleep,
    TIMER_SENDER, Timer, Verdict,
};

use crate::{
    AgentName, Allowance, Budget, Hash, IntentId, LetterId, Life, MessageId, Outcome, Terms,
    TurnKey, TurnNo,
};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// An answer on its way.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Why a request to the ledger failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The writer's incarnation is not current: its write is refused and it must end (rules C4, J4).
    #[error("a newer incarnation of {agent} has taken over")]
    Fenced {
        /// The agent.
        agent: AgentName,
    },
    /// The agent's brain was exchanged (rule E7): its incarnation has to take over anew.
    #[error("the brain of {agent} was exchanged for another file")]
    Switched {
        /// The agent.
        agent: AgentName,
    },
    /// No such agent, or no such life of it.
    #[error("no agent {0} in the ledger")]
    NoSuchAgent(AgentName),
    /// An intent of this key exists with other args (rule C4).
    #[error("call {0} was recorded with other arguments")]
    OtherArgs(IntentId),
    /// It was decided before, or cannot be decided so.
    #[error("{0}")]
    NotSo(String),
    /// Nothing by that number.
    #[error("nothing by that number in the ledger: {0}")]
    NotFound(String),
    /// The call that it was asked for has its result already: it was done before (rule C4).
    #[error("it was done before")]
    Answered(Box<Outcome>),
    /// The disk is full: nothing of the request was kept, try again (rule J3).
    #[error("the ledger's disk is full: {0}")]
    DiskFull(String),
    /// The ledger's writer has ended.
    #[error("the ledger has stopped")]
    Stopped,
    /// More requests wait for the writer than its queue holds (rule J1): nothing of this one was kept, try again.
    #[error("the ledger is busy: its queue is full")]
    Busy,
    /// A dead letter's receiver has no room for it (rules A3, G3).
    #[error("the inbox of {0} is full")]
    InboxFull(AgentName),
    /// A call has another outcome in the ledger than its turn was given: the first durable one counts (rule C4).
    #[error("call {0} was recorded with another outcome")]
    OtherOutcome(IntentId),
    /// The machine's or SQLite's error; nothing of the request is acknowledged.
    #[error("ledger: {0}")]
    Storage(String),
}

impl LedgerError {
    /// Whether this says nothing of the request, only of the machine. A failed write can survive in the file (rule J2), and a
    /// full disk will have room again (rule J3): a turn waits for that and asks again under the same key.
    pub fn is_no_answer(&self) -> bool {
        matches!(self, Self::Storage(_) | Self::Stopped | Self::DiskFull(_))
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Fenced { .. } => "L001",
            Self::NoSuchAgent(_) => "L002",
            Self::OtherArgs(_) => "L003",
            Self::NotFound(_) => "L004",
            Self::DiskFull(_) => "L005",
            Self::Stopped => "L006",
            Self::Storage(_) => "L007",
            Self::Busy => "L008",
            Self::InboxFull(_) => "L009",
            Self::OtherOutcome(_) => "L010",
            Self::NotSo(_) => "L011",
            Self::Switched { .. } => "L012",
            Self::Answered(_) => "L013",
        }
    }
}

/// What the ledger tells its node once it is durable. Delivered from the writer's thread: a receiver only hands on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LedgerEvent {
    /// A message waits in an inbox.
    Arrived {
        /// The receiver.
        agent: AgentName,
    },
    /// A call of a turn has its result (rules I1, H1).
    Result {
        /// The caller.
        agent: AgentName,
        /// The call.
        intent: IntentId,
        /// The result.
        outcome: Outcome,
        /// When it was recorded, Unix milliseconds.
        stamp_ms: u64,
    },
    /// An operator allows a Once call one more sending: who waits for it asks again (rule C4).
    Resend {
        /// The caller.
        agent: AgentName,
        /// The call.
        intent: IntentId,
    },
    /// A message came to its end: completed, dead letter or removed.
    Finished {
        /// The receiver.
        agent: AgentName,
        /// The message.
        message: MessageId,
        /// The turn's answer, or the failure that says why there is none.
        outcome: Outcome,
    },
    /// Dynamic children to start (their rows are durable).
    Spawned(Vec<DynamicChild>),
    /// Dynamic children whose rows are gone: end them.
    Stopped(Vec<AgentName>),
    /// Turns of this agent are on the way out, and the last state of its brain that is kept is further back than they are kept
    /// (rule E6): a snapshot is due. Told again with every brain that is brought to the disk, until there is one.
    Lapses {
        /// The agent.
        agent: AgentName,
    },
    /// The file was opened anew after a failure: it may hold more than was ever told, of a group that was answered with an error.
    /// Whoever waits asks again, every agent looks into its inbox, and dynamic children without a life are started.
    Reopened,
}

/// The ledger. Object safe; shared by all lanes.
pub trait Ledger: Send + Sync + 'static {
    /// Makes agents known with their inbox bounds; mints a life for a new one (rule E3). At a start and for each spawn.
    fn enrol(&self, agents: Vec<Enrol>) -> Pending<Result<Vec<Enrolled>, LedgerError>>;
    /// Sets the bounds of a living agent's inbox, and begins no life: who was removed meanwhile stays so.
    fn rebound(
        &self,
        agent: AgentName,
        rows: u64,
        bytes: u64,
    ) -> Pending<Result<Enrolled, LedgerError>>;
    /// Ends an agent's life: its inbox and open turn become dead letters, callers get a failure (rule A4).
    fn remove(&self, agent: AgentName, reason: String) -> Pending<Result<Removed, LedgerError>>;
    /// The dynamic children that shall be alive (rule A6).
    fn dynamic_children(&self) -> Pending<Result<Vec<DynamicChild>, LedgerError>>;

    /// Accepts a message (rules A1, A2, A3, A5).
    fn accept(&self, message: Accept) -> Pending<Result<Accepted, AcceptError>>;
    /// Reserves places for what a turn stages (rules A3, C8): the end of a turn never fails for want of room. Held in memory
    /// until the turn ends, fails or is released.
    fn reserve(
        &self,
        turn: TurnKey,
        to: AgentName,
        bytes: usize,
    ) -> Pending<Result<(), AcceptError>>;
    /// Gives back the places of a turn that was rolled back or parked.
    fn release(&self, turn: TurnKey);

    /// Takes over as incarnation `incarnation`: fences older ones and tells the state (rules J4, F1).
    fn open(&self, agent: AgentName, incarnation: u64) -> Pending<Result<AgentState, LedgerError>>;
    /// The same for who knows already how its agent stands, and may not wait: refused with [`LedgerError::Switched`] when it stands
    /// otherwise, or in quarantine, by now. Nobody is fenced then, so that what it has asked for meanwhile is refused, too.
    fn open_from(
        &self,
        from: BrainStanding,
        incarnation: u64,
    ) -> Pending<Result<AgentState, LedgerError>>;
    /// The next message's turn; `None` when the inbox is empty.
    fn next(
        &self,
        agent: AgentName,
        incarnation: u64,
    ) -> Pending<Result<Option<NextTurn>, LedgerError>>;
    /// Keeps bytes under their hash (module, settings, grants) before a begin names it.
    fn pin(&self, hash: Hash, bytes: Arc<[u8]>) -> Pending<Result<(), LedgerError>>;
    /// The bytes of a hash.
    fn pinned(&self, hash: Hash) -> Pending<Result<Option<Vec<u8>>, LedgerError>>;
    /// Sets the budgets of an agent to those of the fleet file: what is spent of one that was there stays spent, others begin
    /// empty or go. `above`: the supervisors above it that have budgets, the nearest first; its calls draw on those, too. Gives all
    /// that it draws on, as they stand; of an older incarnation refused (rule J4).
    fn set_budgets(
        &self,
        agent: AgentName,
        incarnation: u64,
        terms: Vec<Terms>,
        above: Arc<[Arc<str>]>,
    ) -> Pending<Result<Vec<Budget>, LedgerError>>;
    /// Sets the budgets of supervisors to those of the fleet file, likewise: all that are not named go.
    fn set_allowances(&self, all: Vec<Allowance>) -> Pending<Result<(), LedgerError>>;
    /// All that an agent draws on; without one every budget there is, first those of supervisors, then by agent and capability.
    /// A bounded list.
    fn budgets(&self, agent: Option<AgentName>) -> Pending<Result<Vec<Budget>, LedgerError>>;
    /// Writes begin, records and an intent in one step, *fsynced* at either level (rule C2).
    fn intent(&self, write: IntentWrite) -> Pending<Result<IntentWritten, LedgerError>>;
    /// Writes a result under its intent, whatever has become of the caller (rule C4). Gives the first durable outcome and when
    /// that was recorded: the turn's clock moves to the same moment on every re-run (rule C9).
    fn result(&self, write: ResultWrite) -> Pending<Result<(Outcome, u64), LedgerError>>;
    /// The result of an intent and when it was recorded, if it has one: for a caller that waits (rule I1).
    fn result_of(&self, intent: IntentId) -> Pending<Result<Option<(Outcome, u64)>, LedgerError>>;
    /// What the ledger has of a call, for a caller that asks again or would give up (rule C4).
    fn state_of(&self, intent: IntentId) -> Pending<Result<CallState, LedgerError>>;
    /// The provider's incarnations up to this one have ended: the Once calls that they held without a result are in doubt (rule
    /// C4). Gives how many.
    fn holder_ended(&self, ended: Holder) -> Pending<Result<u64, LedgerError>>;
    /// A Once call without a result is in doubt: the sending that an operator allowed did not happen (rule C4).
    fn doubt(&self, intent: IntentId) -> Pending<Result<(), LedgerError>>;
    /// Every call in doubt, oldest first.
    fn doubts(&self) -> Pending<Result<Vec<Doubt>, LedgerError>>;
    /// An operator's word on a call in doubt: the only thing that ends a doubt (rules C4, G3).
    fn resolve_doubt(
        &self,
        id: DoubtId,
        how: Resolution,
        of: Option<ForCall<()>>,
    ) -> Pending<Result<(), LedgerError>>;
    /// The agent takes no turns until an operator acts, restarts of the process included (rule G4).
    fn quarantine(&self, turn: TurnKey, why: Quarantine) -> Pending<Result<(), LedgerError>>;
    /// Every agent in quarantine, by name.
    fn quarantines(&self) -> Pending<Result<Vec<Quarantined>, LedgerError>>;
    /// An operator's way out of a quarantine (rule G4).
    fn release_quarantine(
        &self,
        agent: AgentName,
        how: Release,
        confirmed: bool,
        of: Option<ForCall<Released>>,
    ) -> Pending<Result<Released, LedgerError>>;
    /// Ends a turn: the commit point (rule D1). Gives the next one, if there is one, in the same step.
    fn end(&self, end: End) -> Pending<Result<Option<NextTurn>, LedgerError>>;
    /// Notes a failed attempt; at the last one makes the message a dead letter and skips the turn (rules G1, G3).
    fn fail(&self, fail: Fail) -> Pending<Result<FailVerdict, LedgerError>>;
    /// Notes that the open turn waits for a call's result, or a person's word, without an instance; what there is already (rule H1).
    /// Parked again on the same call, across a restart say, it counts once.
    fn park(&self, turn: TurnKey, on: IntentId) -> Pending<Result<Option<Outcome>, LedgerError>>;
    /// Puts a call before a person, with all earlier records of the turn, *fsynced* (rule H1); asked again, tells how it stands. An
    /// answer is for the same call with the same arguments only.
    fn ask(&self, ask: Ask) -> Pending<Result<Asked, LedgerError>>;
    /// What a person said: the call goes on, or gets its failure or answer (rule H1). Decided once.
    fn decide(
        &self,
        decide: Decide,
        of: Option<ForCall<Approval>>,
    ) -> Pending<Result<Approval, LedgerError>>;
    /// The calls that wait for a person, oldest first.
    fn approvals(&self) -> Pending<Result<Vec<Approval>, LedgerError>>;
    /// One of them, decided or not.
    fn approval(&self, id: ApprovalId) -> Pending<Result<Approval, LedgerError>>;
    /// Lets a call end at its time: its result is then written (rule H1). Said again, the first time stands.
    fn sleep(&self, sleep: Sleep) -> Pending<Result<(), LedgerError>>;
    /// The timers of an agent, or of all, by their time.
    fn timers(&self, agent: Option<AgentName>) -> Pending<Result<Vec<Timer>, LedgerError>>;
    /// Takes a timer back; whether there was one.
    fn cancel_timer(
        &self,
        id: IntentId,
        of: Option<ForCall<bool>>,
    ) -> Pending<Result<bool, LedgerError>>;
    /// The turns after `after` that have ended or were skipped, in order (rule F1).
    fn ended_after(
        &self,
        agent: AgentName,
        after: TurnNo,
    ) -> Pending<Result<Vec<EndedTurn>, LedgerError>>;
    /// The brain of `agent` has all turns up to `n` on disk, fsynced: their rows may go (rule E6).
    fn brain_durable(
        &self,
        agent: AgentName,
        life: Life,
        n: TurnNo,
    ) -> Pending<Result<(), LedgerError>>;

    /// How an agent's brain stands (rule E7).
    fn brain_standing(&self, agent: AgentName) -> Pending<Result<BrainStanding, LedgerError>>;
    /// Makes another file the agent's brain, in one step with the new epoch that catch-up counts from (rule E7). An incarnation that
    /// works on the old one is answered [`LedgerError::Switched`] until it has taken over anew.
    fn switch_brain(
        &self,
        switch: Switch,
        of: Option<ForCall<Switched>>,
    ) -> Pending<Result<Switched, LedgerError>>;
    /// Notes a snapshot; its file is on the disk already.
    fn note_snapshot(&self, agent: AgentName, it: Snapshot) -> Pending<Result<(), LedgerError>>;
    /// The snapshots of an agent's brain, oldest first.
    fn snapshots(&self, agent: AgentName) -> Pending<Result<Vec<Snapshot>, LedgerError>>;
    /// Forgets a snapshot, before its file goes.
    fn drop_snapshot(&self, it: Snapshot) -> Pending<Result<(), LedgerError>>;
    /// Which files of brains and of snapshots are somebody's; all others may go.
    fn files(&self) -> Pending<Result<Files, LedgerError>>;

    /// All dead letters, newest last.
    fn letters(&self) -> Pending<Result<Vec<LetterSummary>, LedgerError>>;
    /// One dead letter, whole.
    fn letter(&self, id: LetterId) -> Pending<Result<Letter, LedgerError>>;
    /// Makes a new message of a dead letter (rule G3).
    fn retry_letter(
        &self,
        id: LetterId,
        confirmed: bool,
        of: Option<ForCall<RetriedLetter>>,
    ) -> Pending<Result<RetriedLetter, LedgerError>>;
    /// Forgets a dead letter.
    fn drop_letter(
        &self,
        id: LetterId,
        of: Option<ForCall<()>>,
    ) -> Pending<Result<(), LedgerError>>;
    /// Notes that an incarnation has ended: whoever watched it gets its Down (rule I2). Of an incarnation that was never noted, the
    /// next one's [`open`](Self::open) tells it.
    fn ended(&self, ended: Ended) -> Pending<Result<(), LedgerError>>;
    /// The monitors that an agent has, oldest first.
    fn monitors_by(&self, agent: AgentName) -> Pending<Result<Vec<Monitor>, LedgerError>>;
    /// The monitors that watch an agent, oldest first.
    fn monitors_of(&self, agent: AgentName) -> Pending<Result<Vec<Monitor>, LedgerError>>;
    /// The members of a group, by name; a group that nobody is in is none.
    fn members(&self, group: String) -> Pending<Result<Vec<AgentName>, LedgerError>>;
    /// The groups that an agent is in, by name.
    fn groups_of(&self, agent: AgentName) -> Pending<Result<Vec<String>, LedgerError>>;
    /// All groups that have members, by name.
    fn groups(&self) -> Pending<Result<Vec<GroupSize>, LedgerError>>;
    /// An agent's turns before `before`, newest first, `limit` at most and never more than a thousand: those whose rows are
    /// still kept.
    fn turns(
        &self,
        agent: AgentName,
        before: TurnNo,
        limit: u32,
    ) -> Pending<Result<Vec<TurnSeen>, LedgerError>>;
    /// One turn, whole.
    fn turn(&self, agent: AgentName, n: TurnNo) -> Pending<Result<TurnShown, LedgerError>>;
    /// How full each enrolled agent's inbox is (rule A3), by name, as of the last commit: for showing it. It waits for no other
    /// request, so that a look at a busy fleet is no part of its work.
    fn inboxes(&self) -> Pending<Result<Vec<InboxDepth>, LedgerError>>;
    /// Counts, for metrics and for saying what was lost.
    fn stats(&self) -> Pending<Result<LedgerStats, LedgerError>>;
}

/// Which turns are open, kept where the death of the process does not take it (rule B2). Plain writes, no sync.
pub trait OpenTurns: Send + Sync + 'static {
    /// Notes that a turn is open until the mark is dropped. `alone`: nothing runs beside it.
    fn enter(&self, turn: &TurnKey, alone: bool) -> OpenTurnMark;
}

/// Takes the note back when it is dropped.
pub type OpenTurnMark = Box<dyn Send>;
