//! The time provider: the turn's clock, the turn's random bytes, and timers.
//!
//! Clock and random bytes are functions of the turn, so that a re-run gets the same (rule C9). Timers are the ledger's: see
//! `timers.rs`. It never answers a turn with a clock of the machine but in a recorded result.
#![forbid(unsafe_code)]

mod civil;
mod of_turn;
mod timers;

pub use civil::rfc3339;
pub use of_turn::OfTurn;
pub use timers::Timing;

use loket_contract::{CallView, Flow, Operation, Performed, Provider};
use loket_runtime::Clock;
use loket_turn::{EffectClass, Failure, Ledger};
use std::sync::Arc;
use timers::Timers;

/// Bytes that one `random.bytes` gives at most: keys and nonces are tens of bytes.
pub const RANDOM_BYTES_MAX: usize = 1024;

/// What it serves.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        capability: "time.now",
        class: EffectClass::Pure,
        scope: &[],
        flow: Flow::NONE,
        tokens: false,
        summary: "the turn's clock",
    },
    Operation {
        capability: "random.bytes",
        class: EffectClass::Pure,
        scope: &[],
        flow: Flow::NONE,
        tokens: false,
        summary: "bytes from the turn's seed",
    },
    Operation {
        capability: "time.after",
        class: EffectClass::Staged,
        scope: &[],
        flow: Flow::NONE,
        tokens: false,
        summary: "a message to oneself, later",
    },
    Operation {
        capability: "time.cron",
        class: EffectClass::Staged,
        scope: &[],
        flow: Flow::NONE,
        tokens: false,
        summary: "a message to oneself, again and again",
    },
    Operation {
        capability: "time.cancel",
        class: EffectClass::Staged,
        scope: &[],
        flow: Flow::NONE,
        tokens: false,
        summary: "take a timer back",
    },
    Operation {
        capability: "time.list",
        class: EffectClass::Observe,
        scope: &[],
        flow: Flow::NONE,
        tokens: false,
        summary: "the timers that one has set",
    },
    Operation {
        capability: "time.sleep",
        class: EffectClass::Keyed,
        scope: &[],
        flow: Flow::NONE,
        tokens: false,
        summary: "the turn goes on later",
    },
];

/// The provider.
pub struct TimeProvider {
    timers: Timers,
}

impl TimeProvider {
    /// A provider that answers callers without a turn from `clock`, and keeps timers in `ledger`.
    pub fn new(clock: Clock, ledger: Arc<dyn Ledger>) -> Self {
        Self { timers: Timers { ledger, clock } }
    }
}

/// What a call has become after its check.
#[derive(Debug)]
pub enum Prepared {
    /// The clock, Unix milliseconds.
    Now(u64),
    /// So many bytes from this seed and call.
    Random {
        /// How many.
        n: usize,
        /// The turn's seed and the call's number.
        seed: [u64; 2],
    },
    /// Timers.
    Timing(Timing),
}

impl Provider for TimeProvider {
    type Prepared = Prepared;

    fn operations(&self) -> &'static [Operation] {
        OPERATIONS
    }

    fn prepare(&mut self, call: &CallView<'_>) -> Result<Prepared, Failure> {
        match call.operation.capability {
            "time.now" | "random.bytes" => of_turn::prepare(call, &self.timers.clock),
            _ => self.timers.prepare(call).map(Prepared::Timing),
        }
    }

    fn perform(&mut self, prepared: Prepared) -> Performed {
        match prepared {
            Prepared::Now(ms) => of_turn::now(ms),
            Prepared::Random { n, seed } => of_turn::random(n, seed),
            Prepared::Timing(timing) => self.timers.perform(timing),
        }
    }
}
