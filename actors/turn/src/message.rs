//! A message as it stands in an inbox.

use crate::{AgentName, MessageId};
use serde::{Deserialize, Serialize};

/// One accepted message (rule A1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its identity, for every attempt the same.
    pub id: MessageId,
    /// Who sent it: an agent's name, or `@operator`, `@timer`, `@http`.
    pub sender: AgentName,
    /// What it is, by convention of sender and receiver.
    pub kind: String,
    /// The bytes.
    pub body: Vec<u8>,
    /// When it was accepted, Unix milliseconds.
    pub accepted_ms: u64,
    /// Who is on the way already in a chain of agent calls, oldest first (rule I1: a direct cycle is refused at once).
    #[serde(default)]
    pub chain: Vec<AgentName>,
}
