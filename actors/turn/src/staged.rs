//! Effects that a turn stages and that happen with its end (rules C8, D1).

use crate::{AgentName, IntentId, MessageId, Schedule};
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
    /// Put the same message into several inboxes: one to each member of a group.
    SendAll {
        /// The receivers, each with the derived id of its own message.
        to: Vec<(MessageId, AgentName)>,
        /// What it is.
        kind: String,
        /// The bytes.
        body: Vec<u8>,
    },
    /// Watch an agent: exactly one message, its Down, tells of its end (rule I2).
    Monitor {
        /// The derived id, of the monitor and of the Down.
        id: MessageId,
        /// Who is watched.
        agent: AgentName,
        /// Which end is told.
        until: Until,
    },
    /// Watch no more: no Down of this monitor comes after the turn's end.
    Demonitor {
        /// The monitor.
        id: MessageId,
    },
    /// The sender becomes a member of a group.
    Join {
        /// The group.
        group: String,
    },
    /// The sender leaves a group.
    Leave {
        /// The group.
        group: String,
    },
    /// Set a timer: when it is due, a message of this kind is put into the sender's own inbox.
    SetTimer(Box<SetTimer>),
    /// Take one of the sender's own timers back.
    CancelTimer {
        /// The timer.
        id: IntentId,
    },
}

/// A timer to set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetTimer {
    /// Its id: the key of the call that set it.
    pub id: IntentId,
    /// When it is due, Unix milliseconds.
    pub due_ms: u64,
    /// The message's kind.
    pub kind: String,
    /// The message's bytes.
    pub body: Vec<u8>,
    /// When it is due again; `None`: once.
    pub schedule: Option<Schedule>,
}

/// Which end of an agent a monitor tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Until {
    /// The end of its present incarnation, as OTP's monitor does; of its next one, if none runs at the moment.
    Exit,
    /// The end of its life in the ledger: it will not come back, and what waited for it is dead letters (rule A4).
    Gone,
}

impl Until {
    /// The word in arguments and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Gone => "gone",
        }
    }
}
