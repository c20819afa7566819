//! Once calls whose outcome a crash hid (rule C4), and agents that take no turns until an operator acts (rule G4). Neither is ever
//! resolved by itself.

use crate::{AgentName, CallNo, IntentId, MessageId, Outcome, TurnNo};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The provider's incarnation that holds a Once call: when it ends without a result, the call is in doubt (rule C4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The provider's registered name.
    pub provider: Arc<str>,
    /// The number of its life. Numbers begin anew with each process: the end of a process ends all of them.
    pub incarnation: u64,
}

/// What the ledger has of a call whose caller asks again, or would give up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallState {
    /// No intent: nothing left the turn under this key.
    Absent,
    /// A Keyed call without a result.
    Open {
        /// Its intent was written by an earlier process.
        earlier: bool,
    },
    /// A Once call without a result: held by a provider, or in doubt. Only to be waited for.
    Held,
    /// A Once call that an operator allows one more sending.
    MaySend,
    /// The result, and when it was recorded, Unix milliseconds.
    Known(Outcome, u64),
}

/// The number of a doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DoubtId(pub u64);

/// A Once call in doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// Its number.
    pub id: DoubtId,
    /// Whose turn waits for it.
    pub agent: AgentName,
    /// The turn.
    pub n: TurnNo,
    /// Which call of the turn.
    pub call: CallNo,
    /// The message that is handled.
    pub message: MessageId,
    /// What was called.
    pub capability: String,
    /// The arguments: what the outside may have seen.
    pub args: String,
    /// The key of the call.
    pub intent: IntentId,
    /// The provider that held it, if one did.
    pub held_by: Option<AgentName>,
    /// When the call was sent, Unix milliseconds.
    pub sent_ms: u64,
}

/// What an operator says of a call in doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolution {
    /// It came to this: the guest is answered so.
    Is(Outcome),
    /// It was not done, or may be done twice: send it once more. Should that one's outcome be hidden too, it is in doubt again.
    Retry,
}

/// Why an agent is in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    /// A stable word: `diverged`, `corrupt`, `deaths`.
    pub cause: String,
    /// The reason in words; of a divergence both calls side by side.
    pub reason: String,
    /// The turn.
    pub n: TurnNo,
    /// Where in the turn a re-run made another call than the record; `None` when it came to another end.
    pub call: Option<CallNo>,
    /// When, Unix milliseconds.
    pub at_ms: u64,
}

/// An agent in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The agent.
    pub agent: AgentName,
    /// Why.
    #[serde(flatten)]
    pub why: Quarantine,
    /// The turn has ended: only the brain lacks it.
    pub ended: bool,
    /// Messages that wait.
    pub waiting: u64,
    /// The Keyed and Once calls of the turn.
    pub effects: Vec<String>,
}

/// The way out of a quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Release {
    /// What the re-run does counts, not the record.
    AcceptRerun,
    /// The turn is given up: of an open one the message becomes a dead letter, of an ended one the brain goes without.
    Skip,
}

/// What a release came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Released {
    /// The agent goes on.
    Done {
        /// The dead letter of a skipped message.
        letter: Option<crate::LetterId>,
    },
    /// The re-run may repeat these effects: confirm first.
    NeedsConfirmation {
        /// The effects.
        effects: Vec<String>,
    },
    /// This way leads nowhere here; the text says which does.
    Impossible {
        /// In words.
        reason: String,
    },
}
