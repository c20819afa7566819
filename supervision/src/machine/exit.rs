//! Why a child ended, who is to blame, and whether that is abnormal.
//!
//! Data only; what follows from an exit is in `decide`.

use serde::{Deserialize, Serialize};

use super::spec::{ChildId, Restart};

/// Whose fault a crash is. Decides the action of a supervisor and who has to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Blame {
    /// The agent's module.
    Guest,
    /// A provider, or what it speaks to.
    Provider,
    /// The fleet file.
    Config,
    /// Loket itself.
    Host,
    /// The machine: disk, memory, network, operator.
    Environment,
}

/// What happened, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Cause {
    /// The guest trapped.
    Trap,
    /// The guest or the host ran out of its memory.
    OutOfMemory,
    /// A deadline passed.
    Deadline,
    /// The guest's stack overflowed.
    Stack,
    /// Native code panicked.
    Panic,
    /// A start returned an error.
    Start,
    /// A provider that is needed is down.
    ProviderDown,
    /// The brain cannot be read.
    BrainCorrupt,
    /// The same message killed its agent again and again.
    Poison,
    /// A supervisor below gave up.
    Escalated,
    /// It made no progress and was killed for it.
    Hung,
    /// Anything else.
    Other,
}

/// The reason of an exit, or of a failed start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Exit {
    /// Ended by itself, all done. OTP `normal`.
    Normal,
    /// Ended because it was asked to. OTP `shutdown`.
    Shutdown,
    /// The same, with a word about why. OTP `{shutdown, Term}`.
    ShutdownTerm(String),
    /// Killed. OTP `killed`.
    Killed,
    /// Ended abnormally.
    Crash {
        /// What happened.
        cause: Cause,
        /// Whose fault it is.
        blame: Blame,
        /// For people.
        message: String,
    },
    /// The crash after which the message that caused it became a dead letter.
    Poison {
        /// The last crash.
        reason: Box<Exit>,
    },
    /// A supervisor gave up: its child needed more restarts than allowed.
    Escalated {
        /// The child whose restart was one too many.
        child: ChildId,
        /// Its last exit.
        reason: Box<Exit>,
        /// Restarts allowed.
        intensity: u32,
        /// Within this many milliseconds.
        period_ms: u64,
        /// Whether a rule of `on` said so, whatever the budget had left.
        #[serde(default)]
        by_rule: bool,
    },
    /// A supervisor could not start: OTP `{shutdown, {failed_to_start_child, Id, Reason}}`.
    FailedToStart {
        /// The child that failed.
        child: ChildId,
        /// Why.
        reason: Box<Exit>,
    },
    /// The start took longer than `start_timeout`.
    StartTimeout,
    /// Made no progress and was killed for it.
    Hung,
    /// Its thread was taken out of service; restarted elsewhere, not charged to any budget.
    LaneLost,
    /// There was nobody. OTP `noproc`.
    NoProc,
}

impl Exit {
    /// A crash.
    pub fn crash(cause: Cause, blame: Blame, message: impl Into<String>) -> Self {
        Self::Crash { cause, blame, message: message.into() }
    }

    /// Whether a transient child that exits so has simply ended: `normal`, `shutdown`, `{shutdown,
    /// _}`.
    pub fn is_orderly(&self) -> bool {
        matches!(self, Self::Normal | Self::Shutdown | Self::ShutdownTerm(_))
    }

    /// Whether a child of this restart type is restarted after this exit (OTP, section 1.3).
    pub fn is_abnormal_for(&self, restart: Restart) -> bool {
        match restart {
            Restart::Permanent => true,
            Restart::Transient => !self.is_orderly(),
            Restart::Temporary => false,
        }
    }

    /// Whether a restart after this exit uses up budget.
    pub fn is_charged(&self) -> bool {
        match self {
            Self::LaneLost => false,
            Self::FailedToStart { reason, .. } => reason.is_charged(),
            _ => true,
        }
    }

    /// Whose fault the exit is, looked up through escalations; `None` for an exit that is nobody's.
    pub fn blame(&self) -> Option<Blame> {
        match self {
            Self::Crash { blame, .. } => Some(*blame),
            Self::Escalated { reason, .. }
            | Self::FailedToStart { reason, .. }
            | Self::Poison { reason } => reason.blame(),
            Self::Hung | Self::StartTimeout => Some(Blame::Guest),
            Self::LaneLost => Some(Blame::Host),
            Self::Killed | Self::NoProc => Some(Blame::Environment),
            Self::Normal | Self::Shutdown | Self::ShutdownTerm(_) => None,
        }
    }

    /// What happened, looked up through escalations; `None` for what has no cause.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::Crash { cause, .. } => Some(*cause),
            Self::Escalated { reason, .. }
            | Self::FailedToStart { reason, .. }
            | Self::Poison { reason } => reason.cause(),
            Self::StartTimeout => Some(Cause::Deadline),
            Self::Hung => Some(Cause::Hung),
            _ => None,
        }
    }

    /// Whether this is, or came of, what `cause` says: an escalation after a trap has both causes.
    pub fn has_cause(&self, cause: Cause) -> bool {
        match self {
            Self::Escalated { reason, .. } => cause == Cause::Escalated || reason.has_cause(cause),
            Self::FailedToStart { reason, .. } => cause == Cause::Start || reason.has_cause(cause),
            Self::Poison { reason } => cause == Cause::Poison || reason.has_cause(cause),
            Self::StartTimeout => matches!(cause, Cause::Start | Cause::Deadline),
            other => other.cause() == Some(cause),
        }
    }

    /// The reason on one line for a log: whatever a guest put into it can neither begin a line of its
    /// own nor fill the disk. At most `chars` characters, and at most `depth` reasons within each
    /// other; what is left out shows as `...`.
    pub fn line(&self, depth: usize, chars: usize) -> String {
        let mut line = String::new();
        self.line_into(&mut line, depth);
        let cut = line.char_indices().nth(chars).map(|(at, _)| at);
        let (shown, more) = match cut {
            Some(at) => (&line[..at], "..."),
            None => (&*line, ""),
        };
        crate::visible(shown, &[]) + more
    }

    fn line_into(&self, line: &mut String, depth: usize) {
        let inner = match self {
            _ if depth == 0 => return line.push_str("..."),
            Self::Escalated { child, reason, by_rule: true, .. } => {
                line.push_str(&format!("gave up by a rule for this exit of {child}: "));
                reason
            }
            Self::Escalated { child, reason, intensity, period_ms, .. } => {
                let limit = format!("{intensity} restarts in {period_ms} ms");
                line.push_str(&format!("gave up: {child} needed more than {limit}; last exit: "));
                reason
            }
            Self::FailedToStart { child, reason } => {
                line.push_str(&format!("{child} failed to start: "));
                reason
            }
            Self::Poison { reason } => {
                line.push_str("the message is a dead letter: ");
                reason
            }
            other => return line.push_str(&other.to_string()),
        };
        inner.line_into(line, depth - 1);
    }

    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Shutdown => "shutdown",
            Self::ShutdownTerm(_) => "shutdown_term",
            Self::Killed => "killed",
            Self::Crash { .. } => "crash",
            Self::Poison { .. } => "poison",
            Self::Escalated { .. } => "escalated",
            Self::FailedToStart { .. } => "failed_to_start_child",
            Self::StartTimeout => "start_timeout",
            Self::Hung => "hung",
            Self::LaneLost => "lane_lost",
            Self::NoProc => "noproc",
        }
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ShutdownTerm(term) => write!(f, "shutdown: {term}"),
            Self::Crash { cause, blame, message } => {
                write!(f, "{cause:?} ({blame:?} to blame): {message}")
            }
            Self::Escalated { .. } | Self::FailedToStart { .. } | Self::Poison { .. } => {
                let mut line = String::new();
                self.line_into(&mut line, usize::MAX);
                f.write_str(&line)
            }
            other => f.write_str(other.code()),
        }
    }
}
