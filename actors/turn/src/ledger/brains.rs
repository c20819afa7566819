//! Files of brains beside the present one: snapshots, and the switch to a new file (rule E7).

use crate::{AgentName, Epoch, Hash, Life, TurnNo};
use serde::{Deserialize, Serialize};

/// A copy of a brain that can be gone back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The life.
    pub life: Life,
    /// The epoch that the copy was taken in.
    pub epoch: Epoch,
    /// The last turn in it.
    pub n: TurnNo,
    /// The chain hash after that turn.
    pub chain: Hash,
    /// When it was taken, Unix milliseconds.
    pub at_ms: u64,
    /// Its file's name, beneath the directory of snapshots.
    pub file: String,
    /// Taken without being asked for, so that the turns that are kept can be run again; it goes when they do.
    #[serde(default)]
    pub automatic: bool,
}

/// How an agent's brain stands in the ledger, for whoever would put another file in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrainStanding {
    /// The agent.
    pub agent: AgentName,
    /// Its life (rule E3).
    pub life: Life,
    /// The epoch of its brain.
    pub epoch: Epoch,
    /// The last turn that ended or was skipped.
    pub done: TurnNo,
    /// The chain hash after it.
    pub chain: Hash,
    /// The turn that is open: begun with records, or parked.
    pub open: Option<TurnNo>,
}

/// Makes the agent's brain the file of a new epoch (rule E7). The file and its directory are fsynced already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// How the brain stood when the file was made: refused if it does no longer.
    pub from: BrainStanding,
    /// The file's content is that of exactly the ledger's last turn: an open turn may go on.
    pub exact: bool,
    /// The open turn that is given up for it; its message becomes a dead letter.
    pub abandon: Option<TurnNo>,
    /// Why, in words: kept with the epoch.
    pub reason: String,
    /// A copy of the new file, on the disk already: what the epoch begins with, so that its turns can be run again (rule E5).
    pub first: Option<Snapshot>,
    /// Unix milliseconds.
    pub now_ms: u64,
}

/// Which files belong to somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// The lives that go on, each with the epoch of its brain.
    pub lives: std::collections::BTreeMap<Life, Epoch>,
    /// The names of snapshots' files.
    pub snapshots: std::collections::BTreeSet<String>,
}

/// What became of a switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Switched {
    /// The brain is the new file; a dead letter, if a turn was given up.
    Done {
        /// The new epoch.
        epoch: Epoch,
        /// The dead letter of the turn that was given up.
        letter: Option<crate::LetterId>,
    },
    /// The agent has moved on since the file was made: make it again.
    Moved,
    /// A turn is open that the file does not know, and it was not given up by its number.
    Open(TurnNo),
}
