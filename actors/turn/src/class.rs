//! The five effect classes. A provider declares one for each operation; nothing else decides what may be repeated.

use serde::{Deserialize, Serialize};

/// What the ledger keeps of a call and what a re-run does with it (rules C1 to C8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EffectClass {
    /// A function of brain, message, turn clock and seed: never recorded, computed again. A failure of it is recorded (C6).
    Pure,
    /// Takes effect when the turn ends; its outcome is recorded and a place reserved (C8).
    Staged,
    /// A free read of the outside: recorded before anything leaves the turn.
    Observe,
    /// Idempotent given a key: intent and result are durable, a lost answer is asked for again under the same key (C2, C3).
    Keyed,
    /// Neither: a lost answer leaves the call in doubt (C4).
    Once,
    /// A side channel that answers always the same and is not shown again on a re-run: `log.write` (C10).
    Side,
}

impl EffectClass {
    /// The word in logs, the ledger and docs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pure => "pure",
            Self::Staged => "staged",
            Self::Observe => "observe",
            Self::Keyed => "keyed",
            Self::Once => "once",
            Self::Side => "side",
        }
    }

    /// The class of a word that [`as_str`](Self::as_str) gave.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pure, Self::Staged, Self::Observe, Self::Keyed, Self::Once, Self::Side]
            .into_iter()
            .find(|class| class.as_str() == word)
    }

    /// Whether an intent is written before the request leaves (C2).
    pub fn has_intent(self) -> bool {
        matches!(self, Self::Keyed | Self::Once)
    }

    /// Whether a *successful* outcome is recorded. A failure that the guest saw is recorded whatever the class (C6).
    pub fn records_success(self) -> bool {
        !matches!(self, Self::Pure | Self::Side)
    }
}
