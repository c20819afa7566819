//! Effects that a turn stages and that happen with its end (rules C8, D1).

use crate::{AgentName, MessageId};
use serde::{Deserialize, Serialize};

/// One staged effect. Ids are derived at the call, so that a re-run stages the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Effect {
    /// Put a message into an inbox.
    Send {
        /// The derived id.
        id: MessageId,
        /// The receiver.
        to: AgentName,
        /// What it is.
        kind: String,
        /// The bytes.
        body: Vec<u8>,
        /// The sender's own idempotency key (rule A2).
        key: Option<String>,
    },
    /// Start a dynamic child: a row of the ledger (rule A6).
    Spawn {
        /// The SimpleOneForOne supervisor.
        under: AgentName,
        /// The full name, `UNDER/NAME`.
        agent: AgentName,
        /// Settings as a JSON object, over the template's.
        settings: String,
    },
    /// End a dynamic child (rule A4).
    Stop {
        /// The child.
        agent: AgentName,
    },
}
