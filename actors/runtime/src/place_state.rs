//! The words for where a child is in its life.

use serde::{Deserialize, Serialize};

/// Where a child is in its life, as `tree` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaceState {
    /// It runs.
    Running,
    /// It is asked to start and not up yet.
    Starting,
    /// It waits for its next restart.
    Restarting,
    /// It is asked to stop and not gone yet.
    Stopping,
    /// It does not run.
    Stopped,
    /// It runs, and waits for what a thread that is stuck holds.
    Stuck,
    /// It runs, and waits for a provider that is between two incarnations.
    Paused,
    /// It runs, and takes no turns until an operator acts. Only whoever asks the ledger knows: never of a [`crate::Place`].
    Quarantined,
}

impl PlaceState {
    /// The word in `tree`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Starting => "starting",
            Self::Restarting => "restarting",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Stuck => "stuck",
            Self::Paused => "paused",
            Self::Quarantined => "quarantined",
        }
    }
}
