//! Names and numbers. Every one is a type of its own, so that a turn number can never be passed for an incarnation.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// An agent's registered name: the `id` of a static child, `SUPERVISOR/NAME` of a dynamic one.
pub type AgentName = Arc<str>;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[derive(Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// The number of a turn within one life of an agent, from 1. Rule B1.
    TurnNo, u64
);
number!(
    /// The number of a call within one turn, from 1. Rule C3.
    CallNo, u32
);
number!(
    /// One life of an agent's name, minted in the ledger when the child is created. A brain file belongs to a life. Rule E3.
    Life, u64
);
number!(
    /// Counts rewinds and restores of a brain within a life: catch-up starts from the epoch's first turn. Rule E7.
    Epoch, u64
);
number!(
    /// A dead letter's number.
    LetterId, u64
);

macro_rules! id128 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl std::str::FromStr for $name {
            type Err = hex::FromHexError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; 16];
                hex::decode_to_slice(text, &mut bytes)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id128!(
    /// A message's identity: the same for every attempt at it, derived when a turn sends it.
    MessageId
);
id128!(
    /// The key of a Keyed or Once call: hash of life, message and call number, so that a re-run derives the same. Rule C3.
    IntentId
);

/// Which turn a write belongs to, with the incarnation that makes it. The ledger's writer refuses a stale one (rules C4, J4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnKey {
    /// The agent.
    pub agent: AgentName,
    /// Its life.
    pub life: Life,
    /// The fencing token: the child's current incarnation.
    pub incarnation: u64,
    /// The turn.
    pub n: TurnNo,
}
