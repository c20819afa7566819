//! How a turn can end short of an answer, in the driver's words.

use crate::engine;
use loket_runtime::Presence;
use loket_supervision::machine::{self, Cause, Exit};
use loket_turn::{Blame, Diverged, IntentId, LedgerError, Quarantine, TurnNo};
use std::sync::Arc;

/// Why the driver stopped a turn from inside a call. The guest saw no answer.
#[derive(Debug, Clone)]
pub(super) enum Halt {
    /// It waits for a result (rule H1).
    Park(IntentId),
    /// It waits for a provider's next incarnation.
    Away(Arc<Presence>),
    /// A re-run made another call than the record holds (rule C11).
    Diverged(Diverged),
    /// More calls or bytes than allowed (rule C10).
    Over(String),
    /// The machine failed inside a Pure call, or the ledger did: no answer to the guest (rule C6).
    Environment(String),
}

/// A turn that did not come to its end.
#[derive(Debug)]
pub(super) enum Stopped {
    /// Wait for a result, then run again (rule H1).
    Parked(IntentId),
    /// Wait for a provider's next incarnation, then run again.
    Paused(Arc<Presence>),
    /// An attempt failed. Only `Blame::Guest` costs one (rule B2).
    Failed(Failed),
    /// The agent takes no more turns until an operator acts (rule G4).
    Quarantined(Quarantine),
}

impl From<Failed> for Stopped {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

/// The cause when the agent's brain was exchanged under the turn: the incarnation takes over anew (rule E7).
pub(super) const EXCHANGED: &str = "exchanged";

/// The cause of a turn that made no progress.
const HUNG: &str = "hung";

/// A failed attempt.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    /// A short stable word.
    pub(super) cause: &'static str,
    /// Whose fault.
    pub(super) blame: Blame,
    /// In words.
    pub(super) message: String,
    /// The guest's frames.
    pub(super) backtrace: String,
    /// Waiting does not help: the incarnation must end.
    pub(super) fatal: bool,
}

impl Failed {
    /// The machine's fault: no attempt is counted.
    pub(super) fn environment(cause: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { cause, blame: Blame::Environment, message, backtrace: String::new(), fatal: false }
    }

    /// The ledger did not do it. A fence, or its end, cannot be waited out (rule J4); of a brain that was exchanged the incarnation
    /// takes over anew (rule E7).
    pub(super) fn ledger(error: &LedgerError) -> Self {
        if let LedgerError::Switched { .. } = error {
            return Self::environment(EXCHANGED, error.to_string());
        }
        let passes =
            matches!(error, LedgerError::DiskFull(_) | LedgerError::Storage(_) | LedgerError::Busy);
        Self { fatal: !passes, ..Self::environment("ledger", error.to_string()) }
    }

    /// Nothing went on for longer than the watchdog allows: the guest computed, or waited for an answer.
    pub(super) fn hung(in_call: bool) -> Self {
        let (blame, message) = match in_call {
            true => (Blame::Provider, "a call was not answered within the watchdog's bounds"),
            false => (Blame::Guest, "the turn did not end within the watchdog's bounds"),
        };
        Self {
            cause: HUNG,
            blame,
            message: message.to_owned(),
            backtrace: String::new(),
            fatal: true,
        }
    }

    /// A bug of ours.
    pub(super) fn host(cause: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { cause, blame: Blame::Host, message, backtrace: String::new(), fatal: true }
    }

    /// The exit that the supervisor sees (rule G1).
    pub(super) fn exit(&self) -> Exit {
        let cause = match self.cause {
            HUNG => return Exit::Hung,
            "trap" => Cause::Trap,
            "memory" => Cause::OutOfMemory,
            "deadline" => Cause::Deadline,
            "stack" => Cause::Stack,
            super::brain::CORRUPT => Cause::BrainCorrupt,
            super::brain::DOWN => Cause::ProviderDown,
            _ => Cause::Other,
        };
        Exit::crash(cause, blame(self.blame), self.message.clone())
    }
}

fn blame(blame: Blame) -> machine::Blame {
    match blame {
        Blame::Guest => machine::Blame::Guest,
        Blame::Provider => machine::Blame::Provider,
        Blame::Config => machine::Blame::Config,
        Blame::Host => machine::Blame::Host,
        Blame::Environment => machine::Blame::Environment,
    }
}

/// Both calls, for people (rule C11).
fn side_by_side(diverged: &Diverged) -> String {
    let Diverged { call, recorded, rerun } = diverged;
    format!("call {call}: the record says `{recorded}`, the re-run did `{rerun}`")
}

/// The quarantine that a divergence means (rules C11, G4).
pub(super) fn diverged(n: TurnNo, at_ms: u64, diverged: &Diverged) -> Stopped {
    let (cause, call) = ("diverged".to_owned(), Some(diverged.call));
    Stopped::Quarantined(Quarantine { cause, reason: side_by_side(diverged), n, call, at_ms })
}

/// Sorts the engine's error, with what the driver itself had to say about it.
pub(super) fn sort(
    error: engine::TurnError,
    halt: Option<Halt>,
    (n, now_ms): (TurnNo, u64),
) -> Stopped {
    match halt {
        Some(Halt::Park(intent)) => return Stopped::Parked(intent),
        Some(Halt::Away(provider)) => return Stopped::Paused(provider),
        Some(Halt::Diverged(found)) => return diverged(n, now_ms, &found),
        Some(Halt::Over(message)) => {
            let backtrace = error.backtrace;
            let (cause, blame) = ("calls", Blame::Guest);
            let failed = Failed { cause, blame, message, backtrace, fatal: true };
            return Stopped::Failed(failed);
        }
        Some(Halt::Environment(message)) => {
            return Stopped::Failed(Failed::environment("environment", message));
        }
        None => {}
    }
    let cause = match &error.cause {
        engine::Cause::Trap { .. } => "trap",
        engine::Cause::OutOfMemory { .. } => "memory",
        engine::Cause::Deadline => "deadline",
        engine::Cause::Stack => "stack",
        engine::Cause::OutputTooLarge { .. } => "output",
        _ => "host",
    };
    let blame = match error.blame() {
        engine::Blame::Guest => Blame::Guest,
        engine::Blame::Host => Blame::Host,
        _ => Blame::Environment,
    };
    let message = error.cause.to_string();
    let fatal = blame != Blame::Environment;
    Stopped::Failed(Failed { cause, blame, message, backtrace: error.backtrace, fatal })
}
