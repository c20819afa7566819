//! What a guest is told when a call is not answered with a result, and whose fault a failure is.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A failure as the guest sees it: the WIT record `loket:agent/counter.failure`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable, for programs: `refused`, `not_found`, `overloaded`, `restarting`, `timeout`, `cycle`, ...
    pub code: String,
    /// For people and models: what was wrong and what to do.
    pub message: String,
    /// Whether the same call may succeed later.
    #[serde(default)]
    pub retryable: bool,
    /// When to try again, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    /// A failure that another try will not mend.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), retryable: false, retry_after_ms: None }
    }

    /// A failure that may pass; `after_ms` is a hint in milliseconds.
    pub fn retryable(code: &str, message: impl Into<String>, after_ms: Option<u64>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            retryable: true,
            retry_after_ms: after_ms,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}

/// What a call or a turn came to.
pub type Outcome = Result<Vec<u8>, Failure>;

/// Whose fault an abnormal end is. It alone decides what is done about it: only `Guest` costs an attempt (rule B2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Blame {
    /// The agent's module.
    Guest,
    /// A provider.
    Provider,
    /// The fleet file.
    Config,
    /// Loket itself.
    Host,
    /// The machine: disk, memory, clock.
    Environment,
}

impl Blame {
    /// The word in logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Provider => "provider",
            Self::Config => "config",
            Self::Host => "host",
            Self::Environment => "environment",
        }
    }
}
