//! Hashes: of blobs, of the calls of a turn, of the chain of turns, and the keys derived from them.

use crate::{CallNo, IntentId, Level, Life, MessageId, Outcome, TurnNo};
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

/// Bytes that wait before they are hashed together. BLAKE3 takes whole kibibytes several at a time: a call's hundred bytes alone
/// cost many times what they cost in such company. And it takes them best where a power of two of them begins: what goes in is always
/// as much as this.
const TOGETHER_BYTES: usize = 16 * 1024;

/// Bytes of a successful call beside its name, arguments and result: its number, their lengths, and the mark of a success.
const CALL_BYTES: usize = 4 + 3 * 8 + 1;

/// The running hash of all calls and results of one turn, Pure ones too (rule D1). A re-run must arrive at the same (rule F1).
#[derive(Debug, Clone, Default)]
pub struct RunningHash {
    hasher: blake3::Hasher,
    /// Fed and not hashed yet; less than [`TOGETHER_BYTES`].
    waiting: Vec<u8>,
}

impl RunningHash {
    /// Adds one finished call.
    pub fn call(&mut self, call: CallNo, capability: &str, args: &[u8], outcome: &Outcome) {
        match outcome {
            Ok(result) => self.success(call, capability, args, result),
            Err(_) => {
                self.head(call, capability, args);
                self.outcome(outcome);
            }
        }
    }

    /// Adds one call that succeeded: with a single look at the room, if all of it has room.
    pub fn success(&mut self, call: CallNo, capability: &str, args: &[u8], result: &[u8]) {
        let fields = capability.len().saturating_add(args.len()).saturating_add(result.len());
        let all = fields.saturating_add(CALL_BYTES);
        if all >= TOGETHER_BYTES - self.waiting.len() {
            self.head(call, capability, args);
            self.feed(&[0]);
            return self.field(result);
        }
        let waiting = &mut self.waiting;
        waiting.reserve(all);
        waiting.extend_from_slice(&call.0.to_le_bytes());
        waiting.extend_from_slice(&(capability.len() as u64).to_le_bytes());
        waiting.extend_from_slice(capability.as_bytes());
        waiting.extend_from_slice(&(args.len() as u64).to_le_bytes());
        waiting.extend_from_slice(args);
        waiting.extend_from_slice(&[0]);
        waiting.extend_from_slice(&(result.len() as u64).to_le_bytes());
        waiting.extend_from_slice(result);
    }

    fn head(&mut self, call: CallNo, capability: &str, args: &[u8]) {
        self.feed(&call.0.to_le_bytes());
        self.field(capability.as_bytes());
        self.field(args);
    }

    /// Adds what the turn answered.
    pub fn outcome(&mut self, outcome: &Outcome) {
        match outcome {
            Ok(result) => {
                self.feed(&[0]);
                self.field(result);
            }
            Err(failure) => {
                self.feed(&[1, u8::from(failure.retryable)]);
                self.field(failure.code.as_bytes());
                self.field(failure.message.as_bytes());
                let after = failure.retry_after_ms.map_or(0, |ms| ms.saturating_add(1));
                self.feed(&after.to_le_bytes());
            }
        }
    }

    /// The hash so far.
    pub fn finish(&self) -> Hash {
        let mut hasher = self.hasher.clone();
        hasher.update(&self.waiting);
        Hash(*hasher.finalize().as_bytes())
    }

    /// Feeds a length-prefixed field, so that two different lists of fields never hash alike.
    fn field(&mut self, bytes: &[u8]) {
        self.feed(&(bytes.len() as u64).to_le_bytes());
        self.feed(bytes);
    }

    fn feed(&mut self, mut bytes: &[u8]) {
        let room = TOGETHER_BYTES - self.waiting.len();
        if let Some((fits, rest)) = bytes.split_at_checked(room) {
            self.waiting.extend_from_slice(fits);
            self.hasher.update(&self.waiting);
            self.waiting.clear();
            let (whole, rest) = rest.split_at(rest.len() - rest.len() % TOGETHER_BYTES);
            self.hasher.update(whole);
            bytes = rest;
        }
        self.waiting.extend_from_slice(bytes);
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

/// The key under which a person is asked whether a call may go beyond the soft limit of a budget. It is not the call's own: that one
/// may need an approval as well.
pub fn beyond_key(call: IntentId, level: &Level) -> IntentId {
    let whose = match level {
        Level::Grant { capability: whose } | Level::Supervisor { supervisor: whose } => whose,
        Level::Message => "",
    };
    let mut hasher = blake3::Hasher::new_derive_key("loket 1 beyond");
    hasher.update(&call.0);
    hasher.update(level.as_str().as_bytes());
    hasher.update(&[0]);
    hasher.update(whose.as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    IntentId(id)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Failure;

    /// The same bytes, each hashed when it comes.
    fn at_once(calls: &[(u32, &str, Vec<u8>, Outcome)]) -> Hash {
        let mut hasher = blake3::Hasher::new();
        let field = |hasher: &mut blake3::Hasher, bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        for (call, capability, args, outcome) in calls {
            hasher.update(&call.to_le_bytes());
            field(&mut hasher, capability.as_bytes());
            field(&mut hasher, args);
            match outcome {
                Ok(result) => {
                    hasher.update(&[0]);
                    field(&mut hasher, result);
                }
                Err(failure) => {
                    hasher.update(&[1, u8::from(failure.retryable)]);
                    field(&mut hasher, failure.code.as_bytes());
                    field(&mut hasher, failure.message.as_bytes());
                    let after = failure.retry_after_ms.map_or(0, |ms| ms + 1);
                    hasher.update(&after.to_le_bytes());
                }
            }
        }
        Hash(*hasher.finalize().as_bytes())
    }

    #[test]
    fn f1_what_waits_to_be_hashed_together_makes_no_other_hash() {
        let sizes = [0, 1, 64, 1_000, TOGETHER_BYTES - 1, TOGETHER_BYTES, TOGETHER_BYTES + 1];
        let mut calls: Vec<(u32, &str, Vec<u8>, Outcome)> = Vec::new();
        for (n, size) in sizes.iter().cycle().take(40).enumerate() {
            let n = u32::try_from(n).unwrap();
            let outcome = match n % 3 {
                0 => Err(Failure::retryable("c", "m".repeat(*size), Some(u64::from(n)))),
                _ => Ok(vec![u8::try_from(n).unwrap(); *size]),
            };
            calls.push((n, "a.b", vec![7; size / 2], outcome));
            let mut running = RunningHash::default();
            for (call, capability, args, outcome) in &calls {
                running.call(CallNo(*call), capability, args, outcome);
            }
            assert_eq!(running.finish(), at_once(&calls), "{n} calls");
        }
    }

    #[test]
    fn f1_nor_does_a_call_that_just_fits_among_what_waits() {
        for left in 0..=2 * CALL_BYTES {
            let first = TOGETHER_BYTES - CALL_BYTES - left;
            let lengths = [first, 0, 1, first];
            let calls = (0_u32..).zip(lengths.map(|length| Ok(vec![7; length])));
            let calls: Vec<_> = calls.map(|(n, outcome)| (n, "", Vec::new(), outcome)).collect();
            let mut running = RunningHash::default();
            for (call, capability, args, outcome) in &calls {
                running.call(CallNo(*call), capability, args, outcome);
            }
            assert_eq!(running.finish(), at_once(&calls), "{left} bytes left");
        }
    }
}
