//! What can be seen of a supervisor, in any state.

use serde::{Deserialize, Serialize};

use super::event::Now;
use super::exit::Exit;
use super::spec::{ChildId, ChildSpec};

/// Where a supervisor is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Made, not started.
    New,
    /// Starting its children for the first time.
    Starting,
    /// Up.
    Up,
    /// Stopping its children for good.
    Stopping,
    /// Ended.
    Ended,
}

/// Where a child is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChildState {
    /// Running: OTP's pid.
    Running,
    /// Asked to start, not up yet.
    Starting,
    /// Waiting for its next restart: OTP's `restarting`.
    Restarting {
        /// When.
        until: Now,
    },
    /// Not running, and nobody is about to start it: OTP's `undefined`.
    Undefined,
    /// Asked to stop, not gone yet.
    Stopping,
    /// Gone, while the supervisor is busy with another child; served next.
    Exited,
}

/// A child, as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct ChildView {
    /// Which.
    pub id: ChildId,
    /// The current life; `None` unless Starting, Running, Stopping or Exited.
    pub incarnation: Option<u64>,
    /// Where it is in its life.
    pub state: ChildState,
    /// Restart attempts on its account since the spec came. Not counted: its first start, calls,
    /// and being restarted with its group for a sibling's sake.
    pub restarts: u64,
    /// Its last exit or failed start.
    pub last_exit: Option<Exit>,
    /// Its spec; for an instance, the template with the instance's name.
    pub spec: ChildSpec,
}

/// OTP's `count_children`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Specs; 1 under SimpleOneForOne.
    pub specs: usize,
    /// Children that live.
    pub active: usize,
    /// Children that are supervisors, living or not.
    pub supervisors: usize,
    /// Children that are workers, living or not.
    pub workers: usize,
}
