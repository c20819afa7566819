//! What a turn writes: its begin, its records, its intents.

use crate::{CallNo, Effect, EffectClass, Hash, IntentId, Outcome, Used};
use serde::{Deserialize, Serialize};

/// All that a re-run of a turn must have again (rule B1). Written with the first durable write of the turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// Hash of the module's bytes, kept in the ledger while a turn needs it.
    pub module: Hash,
    /// Hash of the settings' JSON, kept likewise.
    pub settings: Hash,
    /// Hash of the grant set's JSON, kept likewise: Pure calls of a re-run are admitted against it (rule F1).
    pub grants: Hash,
    /// Memory limit, bytes.
    pub memory_bytes: u64,
    /// Output limit, bytes.
    pub output_bytes: u64,
    /// Calls allowed in the turn.
    pub calls_max: u32,
    /// Raised whenever a Pure result could change (rule E4).
    pub pure_version: u32,
    /// The turn's time, Unix milliseconds; its clock stands there until a recorded answer moves it (rule C9).
    pub time_ms: u64,
    /// Source of `random.bytes` (rule C9).
    pub seed: u64,
}

/// What is kept of one finished call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which call of the turn.
    pub call: CallNo,
    /// Its class.
    pub class: EffectClass,
    /// The capability as the guest named it.
    pub capability: String,
    /// The arguments: a divergence is reported with both calls side by side (rule C11).
    pub args: Vec<u8>,
    /// The outcome; `None` for an intent that has no result yet.
    pub outcome: Option<Outcome>,
    /// When the outcome was recorded, Unix milliseconds: the turn's clock moves forward to it (rule C9).
    pub stamp_ms: u64,
    /// The key, for classes with an intent.
    pub intent: Option<IntentId>,
    /// What a Staged call will do at the end of the turn.
    pub effect: Option<Effect>,
    /// How long its answer took, milliseconds, parked or not. To be looked at: a re-run neither asks for it nor is given it.
    pub took_ms: Option<u64>,
    /// What its provider says that it used. To be looked at, too.
    pub used: Option<Used>,
}

impl Record {
    /// Bytes that count against the bound on records of a turn (rule C10).
    pub fn bytes(&self) -> usize {
        let outcome = match &self.outcome {
            Some(Ok(result)) => result.len(),
            Some(Err(failure)) => failure.code.len() + failure.message.len(),
            None => 0,
        };
        self.capability.len() + self.args.len() + outcome
    }
}

/// The intent of a Keyed or Once call, durable before the request leaves (rule C2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The key.
    pub id: IntentId,
    /// Which call of the turn.
    pub call: CallNo,
    /// `Keyed` or `Once`.
    pub class: EffectClass,
    /// The capability.
    pub capability: String,
    /// The arguments.
    pub args: Vec<u8>,
}
