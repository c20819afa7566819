//! Monitors and groups, as the ledger keeps them (rule I2).

use crate::{AgentName, MessageId, Until};
use serde::{Deserialize, Serialize};

/// The sender of every Down. No agent can have this name, so a Down cannot be forged.
pub const MONITOR_SENDER: &str = "@monitor";

/// The kind of every Down.
pub const DOWN_KIND: &str = "down";

/// An incarnation that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Whose.
    pub agent: AgentName,
    /// Which one.
    pub incarnation: u64,
    /// The stable code of the exit: `killed`, `crash`, `shutdown`, ...
    pub code: String,
    /// The exit in words.
    pub reason: String,
    /// Unix milliseconds.
    pub now_ms: u64,
}

/// One monitor that has not told its Down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monitor {
    /// Its id, and that of its Down.
    pub id: MessageId,
    /// Who watches.
    pub by: AgentName,
    /// Who is watched.
    pub agent: AgentName,
    /// Which end is told.
    pub until: Until,
}

/// A group and how many are in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSize {
    /// Its name.
    pub group: String,
    /// How many agents.
    pub members: u64,
}
