//! Where a child is in its life: the words, and what a supervisor writes down of it.

use crate::registry::Life;
use loket_supervision::machine::Exit;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU64;

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

/// What a supervisor has written down of a child.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) state: PlaceState,
    pub(crate) restarts: u32,
    /// When it is started again, on the monotonic clock; only while it waits for that.
    pub(crate) restart_at_ms: Option<NonZeroU64>,
    /// Boxed: most children have never ended.
    pub(crate) last_exit: Option<Box<Exit>>,
    pub(crate) life: Option<Life>,
    /// A caller has had it stopped, and it has not been started since.
    pub(crate) terminated: bool,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            state: PlaceState::Stopped,
            restarts: 0,
            restart_at_ms: None,
            last_exit: None,
            life: None,
            terminated: false,
        }
    }
}

impl Status {
    pub(crate) fn shown(&self) -> PlaceState {
        match &self.life {
            Some(Life::Cell(control)) if self.state == PlaceState::Running => {
                let progress = &control.progress;
                match (progress.is_stuck(), progress.paused_on()) {
                    (true, _) => PlaceState::Stuck,
                    (false, Some(_)) => PlaceState::Paused,
                    (false, None) => PlaceState::Running,
                }
            }
            _ => self.state,
        }
    }

    /// The provider that it is paused for.
    pub(crate) fn waits_for(&self) -> Option<String> {
        match &self.life {
            Some(Life::Cell(control)) if self.state == PlaceState::Running => {
                Some(control.progress.paused_on()?.name().to_owned())
            }
            _ => None,
        }
    }
}
