//! The turn, as pure data and decisions: what a call is, what is recorded of it, what a re-run answers from the record, and what
//! a ledger must be able to do.
//!
//! This crate never does I/O, reads no clock, starts no thread and knows no runtime: it is fed and asked. The rules carry the
//! numbers of the turn rules (A1 … K) in `docs/how-it-works.md`. Start reading at [`Journal`], then [`Ledger`].
#![forbid(unsafe_code)]

mod budget;
mod class;
mod failure;
mod hash;
mod ids;
mod journal;
mod ledger;
pub mod limits;
mod message;
mod record;
mod schedule;
pub mod simulation;
mod staged;

pub use budget::{
    Allowance, Amounts, BUDGET_SPENT, Budget, Charge, Counted, Level, Line, Purse, Refused, Short,
    Terms, Together, Undrawn, Unit, Used, budget_number, shared_number,
};
pub use class::EffectClass;
pub use failure::{Blame, Failure, Outcome};
pub use hash::{Hash, RunningHash, beyond_key, chain_after, derived_key};
pub use ids::{AgentName, CallNo, Epoch, IntentId, LetterId, Life, MessageId, TurnKey, TurnNo};
pub use journal::{Answered, Diverged, Journal, Live, Mode, Step, Stop};
pub use ledger::{
    APPROVAL_EXPIRED, Accept, AcceptError, Accepted, AgentState, Approval, ApprovalId, Ask, Asked,
    BrainStanding, CallState, DENIED, DOWN_KIND, Decide, Doubt, DoubtId, DynamicChild, End, Ended,
    EndedTurn, Enrol, Enrolled, Fail, FailVerdict, Files, ForCall, GroupSize, Holder, InboxDepth,
    IntentWrite, IntentWritten, Ledger, LedgerError, LedgerEvent, LedgerStats, Letter,
    LetterSummary, MONITOR_SENDER, Monitor, NextTurn, OpenTurnMark, OpenTurns, Pending, QUESTION,
    Quarantine, Quarantined, RanTurn, Release, Released, Removed, ReplyTo, Resolution, ResultWrite,
    RetriedLetter, Say, Sleep, Snapshot, Survival, Switch, Switched, TIMER_SENDER, Timer, TurnSeen,
    TurnShown, TurnStanding, Verdict,
};
pub use message::Message;
pub use record::{Begin, Intent, Record};
pub use schedule::{Due, Missed, Schedule, ScheduleError};
pub use staged::{Effect, SetTimer, Until};
