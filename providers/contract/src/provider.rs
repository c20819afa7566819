//! The provider trait and its words.

use crate::failure_for_accept;
use loket_kernel::{Badge, Scope};
use loket_runtime::{BrainError, BrainRequest, TurnCall};
pub use loket_supervision::fleet::Flow;
use loket_turn::{
    AcceptError, AgentName, Effect, EffectClass, Failure, IntentId, LedgerError, Outcome, TurnKey,
    Used,
};
use serde::de::DeserializeOwned;
use std::future::Future;
use std::pin::Pin;

/// Calls of one provider that wait for something at the same time, when it does not say. Above it the mailbox fills, and the
/// kernel answers `overloaded`: a slow backend never makes memory grow.
pub const IN_FLIGHT_MAX: usize = 1024;

/// The failure code that is no answer: an I/O error or an interrupt inside a Pure call. The driver ends the turn with blame
/// Environment; the guest never sees it (rule C6).
pub const CODE_ENVIRONMENT: &str = "environment";

/// One operation of a provider: a capability's full name and its contract.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// The full name, `store.brain.kv.get`.
    pub capability: &'static str,
    /// What the ledger keeps of it and what may be repeated. The only place that decides this.
    pub class: EffectClass,
    /// The scope keys it enforces.
    pub scope: &'static [ScopeKey],
    /// Where what it reads comes from, and where what it is given goes: for `check` only.
    pub flow: Flow,
    /// It uses tokens of a model, which a budget can count.
    pub tokens: bool,
    /// One line for people.
    pub summary: &'static str,
}

/// A scope key that an operation knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeKey {
    /// Its name in the fleet file.
    pub name: &'static str,
    /// A grant without it is refused by `check`.
    pub mandatory: bool,
    /// What it holds.
    pub form: ScopeForm,
}

/// The two forms of a scope's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeForm {
    /// A list of exact or `prefix/*` strings.
    Names,
    /// An upper bound.
    AtMost,
}

/// A call as a provider sees it in `prepare`.
#[derive(Debug, Clone, Copy)]
pub struct CallView<'a> {
    /// The operation asked for.
    pub operation: &'static Operation,
    /// Who calls, and with what right. The scope in it is the provider's to enforce.
    pub badge: &'a Badge,
    /// The turn, if the caller has one.
    pub turn: Option<TurnView<'a>>,
    /// The arguments: JSON by convention.
    pub args: &'a [u8],
}

impl CallView<'_> {
    /// The grant's scope.
    pub fn scope(&self) -> &Scope {
        self.badge.scope()
    }

    /// The caller's registered name.
    pub fn caller(&self) -> &AgentName {
        self.badge.caller_name()
    }
}

/// What a provider may know of the turn that calls.
#[derive(Debug, Clone, Copy)]
pub struct TurnView<'a>(pub(crate) &'a TurnCall);

impl<'a> TurnView<'a> {
    /// Whose turn it is, with the fencing token.
    pub fn key(&self) -> &'a TurnKey {
        &self.0.turn.key
    }

    /// The key of this call (rule C3): also the id of what it stages or sends.
    pub fn call_key(&self) -> IntentId {
        self.0.live.key()
    }

    /// The number of this call in the turn.
    pub fn call(&self) -> u32 {
        self.0.live.call.0
    }

    /// The turn's clock, Unix milliseconds (rule C9).
    pub fn clock_ms(&self) -> u64 {
        self.0.clock_ms
    }

    /// The turn's seed (rule C9).
    pub fn seed(&self) -> u64 {
        self.0.turn.seed
    }

    /// The message that is handled.
    pub fn message(&self) -> loket_turn::MessageId {
        self.0.turn.message
    }

    /// Agents on the way, oldest first, the caller last (rule I1).
    pub fn on_the_way(&self) -> &'a [AgentName] {
        &self.0.turn.on_the_way
    }

    /// The turn's settings, a JSON object.
    pub fn settings(&self) -> &'a str {
        &self.0.turn.settings
    }

    /// What the turn has staged so far, in order (rule C8).
    pub fn staged(&self) -> Vec<Effect> {
        let journal = self.0.turn.journal.lock();
        journal.unwrap_or_else(std::sync::PoisonError::into_inner).effects()
    }

    /// The call stands in the re-run part of a turn: side channels stay silent (rule C10).
    pub fn is_rerun(&self) -> bool {
        self.0.live.pure_only
    }
}

/// What performing an operation came to.
pub enum Performed {
    /// Done.
    Done(Outcome),
    /// Done, and so much of a model was used. [`Performed::Done`] says that there was nothing; a provider that cannot know what an
    /// attempt has cost says the most, as in [`Provider::uses_at_most`].
    Paid {
        /// What it came to.
        outcome: Outcome,
        /// Tokens, and what they cost.
        used: Used,
    },
    /// Done; the effect happens with the end of the turn (rule C8). Without a turn the provider acts at once and says `Done`.
    Staged {
        /// What the guest is told.
        result: Vec<u8>,
        /// What happens at the end.
        effect: Effect,
    },
    /// Another event writes the result under the call's key (rule I1).
    Deferred,
    /// The machine was at fault: the ledger could not keep it, or cannot say whether it did (rules J2, J3). That is no answer
    /// for a turn, which waits and sends the call again under the same key. A caller without a turn is told.
    Unanswered(Failure),
    /// Going on; polled by the provider's cell beside other calls. It must be bounded in time.
    Later(Pin<Box<dyn Future<Output = Performed>>>),
}

impl Performed {
    /// A result, as JSON.
    pub fn json(value: &impl serde::Serialize) -> Self {
        Self::Done(serde_json::to_vec(value).map_err(|error| {
            Failure::new("internal", format!("the answer cannot be written as JSON: {error}"))
        }))
    }

    /// A failure.
    pub fn failed(failure: Failure) -> Self {
        Self::Done(Err(failure))
    }

    /// What the ledger said instead of doing it, and how a caller is told.
    pub fn ledger_failed(error: &LedgerError, failure: Failure) -> Self {
        Self::refused_or_unanswered(error.is_no_answer(), failure)
    }

    /// A message was not accepted, or the ledger cannot tell.
    pub fn not_accepted(error: &AcceptError) -> Self {
        Self::refused_or_unanswered(error.is_no_answer(), failure_for_accept(error))
    }

    fn refused_or_unanswered(no_answer: bool, failure: Failure) -> Self {
        if no_answer { Self::Unanswered(failure) } else { Self::failed(failure) }
    }
}

/// A server of capabilities. It lives on one lane, in one incarnation; a panic in it ends the incarnation, never the lane.
pub trait Provider: 'static {
    /// What `prepare` hands to `perform`.
    type Prepared: 'static;

    /// The operations it serves.
    fn operations(&self) -> &'static [Operation];

    /// Checks scope and form. No effect, no I/O.
    ///
    /// # Errors
    /// What the guest is told: it is recorded (rule C6).
    fn prepare(&mut self, call: &CallView<'_>) -> Result<Self::Prepared, Failure>;

    /// Does it. For Keyed and Once the intent is durable by now (rule C2). Must not block: blocking work belongs on a thread of
    /// the provider's own, with [`Performed::Later`].
    fn perform(&mut self, prepared: Self::Prepared) -> Performed;

    /// The most that a call can use of a model: what a budget reserves for it before it is made (rule C2). Only operations that
    /// say `tokens` are asked.
    fn uses_at_most(&self, _prepared: &Self::Prepared) -> Used {
        Used::NOTHING
    }

    /// Calls that may wait for something at the same time; the others stay in the mailbox, which outlives a crash.
    fn in_flight_max(&self) -> usize {
        IN_FLIGHT_MAX
    }

    /// The host's control of a brain. Only the store answers it.
    fn brain(&mut self, request: BrainRequest) {
        let reason = "this provider keeps no brains".to_owned();
        let agent = request.agent.clone();
        let _ = request.reply.send(Err(BrainError::Environment { agent, reason }));
    }
}

/// The bytes of a message's `body` argument: a JSON string is its text; anything else is its JSON text.
pub fn body_bytes(body: &serde_json::Value) -> Vec<u8> {
    match body {
        serde_json::Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    }
}

/// Reads the arguments of a call.
///
/// # Errors
/// `bad_args`, with what was wrong.
pub fn parse_args<T: DeserializeOwned>(call: &CallView<'_>) -> Result<T, Failure> {
    let args: &[u8] = if call.args.is_empty() { b"{}" } else { call.args };
    serde_json::from_slice(args).map_err(|error| {
        let name = call.operation.capability;
        Failure::new("bad_args", format!("the arguments of {name}: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j2_j3_what_the_machine_could_not_do_is_no_answer() {
        let full = LedgerError::DiskFull("8 MiB".to_owned());
        let no_answers = [LedgerError::Storage("fsync".to_owned()), LedgerError::Stopped, full];
        for error in no_answers {
            let accept = AcceptError::Ledger(error.clone());
            assert!(
                matches!(Performed::not_accepted(&accept), Performed::Unanswered(_)),
                "{error}"
            );
            let failure = Failure::new("code", "text");
            let performed = Performed::ledger_failed(&error, failure);
            assert!(matches!(performed, Performed::Unanswered(_)), "{error}");
        }
        let accept = AcceptError::Ledger(LedgerError::Busy);
        assert!(matches!(Performed::not_accepted(&accept), Performed::Done(Err(_))));
    }
}
