//! Dead letters, and the counts that say whether anything was lost.

use crate::{AgentName, Blame, LetterId, Message, MessageId};
use serde::{Deserialize, Serialize};

/// A dead letter in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterSummary {
    /// Its number.
    pub id: LetterId,
    /// The receiver.
    pub agent: AgentName,
    /// The message.
    pub message: MessageId,
    /// Why, in one word.
    pub cause: String,
    /// Failed attempts.
    pub attempts: u32,
    /// When it became one, Unix milliseconds.
    pub at_ms: u64,
}

/// A dead letter, whole (rules A4, G3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// The row of the list.
    #[serde(flatten)]
    pub summary: LetterSummary,
    /// The message as it was accepted.
    pub letter: Message,
    /// Whose fault.
    pub blame: Blame,
    /// The reason in words.
    pub reason: String,
    /// The guest's backtrace.
    pub backtrace: String,
    /// The Keyed and Once calls that its attempts made: a retry may repeat them.
    pub effects: Vec<String>,
}

/// What a retry came to (rule G3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetriedLetter {
    /// A new message stands at the end of the inbox.
    Sent {
        /// Its id.
        message: MessageId,
    },
    /// The letter's attempts had effects that a retry may repeat: confirm first.
    NeedsConfirmation {
        /// The effects.
        effects: Vec<String>,
    },
}

/// Counts since the data directory was made. `accepted = completed + letters_made + waiting` unless something was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LedgerStats {
    /// Messages accepted.
    pub accepted: u64,
    /// Messages whose turn has ended.
    pub completed: u64,
    /// Messages that became dead letters, dropped ones included.
    pub letters_made: u64,
    /// Dead letters that are kept.
    pub letters: u64,
    /// Messages in inboxes, the one being handled included.
    pub waiting: u64,
    /// Bytes of the ledger file.
    pub bytes: u64,
    /// Starts of a process on this data directory.
    pub boots: u64,
    /// Calls and questions that wait for a person.
    pub approvals: u64,
    /// Once calls in doubt.
    pub doubts: u64,
    /// Agents in quarantine.
    pub quarantined: u64,
}

impl LedgerStats {
    /// Messages that were accepted and are nowhere. Zero, or a bug.
    pub fn lost(&self) -> i64 {
        let found = self.completed + self.letters_made + self.waiting;
        i64::try_from(self.accepted).unwrap_or(i64::MAX) - i64::try_from(found).unwrap_or(i64::MAX)
    }
}
