//! Turns as an operator looks at them.

use crate::{AgentName, Begin, Message, Outcome, Record, TurnNo};
use serde::{Deserialize, Serialize};

/// How a turn stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnStanding {
    /// Its message waits, or it is under way.
    Open,
    /// It waits without an instance (rule H1).
    Parked,
    /// It ended (rule D1).
    Ended,
    /// It was skipped: its message is a dead letter (rule G3).
    Skipped,
}

/// A turn in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnSeen {
    /// The agent.
    pub agent: AgentName,
    /// The turn.
    pub n: TurnNo,
    /// How it stands.
    pub standing: TurnStanding,
    /// The message's id, in hex.
    pub message: crate::MessageId,
    /// Who sent the message.
    pub sender: AgentName,
    /// The message's kind.
    pub kind: String,
    /// When the message was accepted, Unix milliseconds.
    pub accepted_ms: u64,
    /// When the turn ended, Unix milliseconds.
    pub ended_ms: Option<u64>,
    /// Failed attempts.
    pub attempts: u32,
    /// How often it parked.
    pub parks: u32,
    /// Recorded calls. Pure ones are not recorded, they are run again.
    pub calls: u64,
    /// Whether it answered with a result, not a failure.
    pub ok: Option<bool>,
}

/// A turn, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnShown {
    /// The row of the list.
    pub seen: TurnSeen,
    /// The message.
    pub message: Message,
    /// What a re-run of it needs, once durable (rule B1).
    pub begin: Option<Begin>,
    /// The recorded calls, in order.
    pub records: Vec<Record>,
    /// What it answered.
    pub reply: Option<Outcome>,
}
