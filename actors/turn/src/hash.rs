//! Hashes: of blobs, of the calls of a turn, of the chain of turns, and the keys derived from them.

use crate::{CallNo, IntentId, Life, MessageId, Outcome, TurnNo};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A BLAKE3 hash, 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The hash of a ledger's bytes; `None` unless there are 32 of them.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0[..6]))
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(String::deserialize(from)?, &mut bytes)
            .map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

/// Feeds a length-prefixed field, so that two different lists of fields never hash alike.
fn field(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

/// The running hash of all calls and results of one turn, Pure ones too (rule D1). A re-run must arrive at the same (rule F1).
#[derive(Debug, Clone, Default)]
pub struct RunningHash(blake3::Hasher);

impl RunningHash {
    /// Adds one finished call.
    pub fn call(&mut self, call: CallNo, capability: &str, args: &[u8], outcome: &Outcome) {
        self.0.update(&call.0.to_le_bytes());
        field(&mut self.0, capability.as_bytes());
        field(&mut self.0, args);
        self.outcome(outcome);
    }

    /// Adds what the turn answered.
    pub fn outcome(&mut self, outcome: &Outcome) {
        match outcome {
            Ok(result) => {
                self.0.update(&[0]);
                field(&mut self.0, result);
            }
            Err(failure) => {
                self.0.update(&[1, u8::from(failure.retryable)]);
                field(&mut self.0, failure.code.as_bytes());
                field(&mut self.0, failure.message.as_bytes());
                let after = failure.retry_after_ms.map_or(0, |ms| ms.saturating_add(1));
                self.0.update(&after.to_le_bytes());
            }
        }
    }

    /// The hash so far.
    pub fn finish(&self) -> Hash {
        Hash(*self.0.finalize().as_bytes())
    }
}

/// The chain hash after turn `n`: it names the whole past of a brain (rules D1, D2, F1).
pub fn chain_after(before: Hash, n: TurnNo, turn: Hash) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&before.0);
    hasher.update(&n.0.to_le_bytes());
    hasher.update(&turn.0);
    Hash(*hasher.finalize().as_bytes())
}

/// The key of a call (rule C3): a function of life, message and call number only. It also names the message that a call or a
/// send in a turn makes.
pub fn derived_key(life: Life, message: MessageId, call: CallNo) -> IntentId {
    let mut hasher = blake3::Hasher::new_derive_key("loket 1 intent");
    hasher.update(&life.0.to_le_bytes());
    hasher.update(&message.0);
    hasher.update(&call.0.to_le_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    IntentId(id)
}
