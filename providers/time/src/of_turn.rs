//! What is a function of the turn: its clock and its random bytes (rule C9). A re-run gets the same.
//!
//! It never reads a clock of the machine for a turn.

use crate::{Prepared, RANDOM_BYTES_MAX, civil};
use loket_contract::{CallView, Operation, Performed, Provider, parse_args};
use loket_runtime::Clock;
use loket_turn::Failure;
use rand_chacha::ChaCha12Rng;
use rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

/// The part of the provider that is a function of the turn: for a turn that is run again beside the fleet. It has no timers.
pub struct OfTurn(pub Clock);

impl Provider for OfTurn {
    type Prepared = Prepared;

    fn operations(&self) -> &'static [Operation] {
        crate::OPERATIONS
    }

    fn prepare(&mut self, call: &CallView<'_>) -> Result<Prepared, Failure> {
        match call.operation.capability {
            "time.now" | "random.bytes" => prepare(call, &self.0),
            other => Err(Failure::new("unknown_operation", format!("no {other} without a ledger"))),
        }
    }

    fn perform(&mut self, prepared: Prepared) -> Performed {
        match prepared {
            Prepared::Now(ms) => now(ms),
            Prepared::Random { n, seed } => random(n, seed),
            Prepared::Timing(_) => {
                Performed::failed(Failure::new("unknown_operation", "no timers without a ledger"))
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NowArgs {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RandomArgs {
    n: usize,
}

#[derive(Serialize)]
struct NowResult {
    ms: u64,
    iso: String,
}

#[derive(Serialize)]
struct RandomResult {
    hex: String,
}

/// Checks `time.now` and `random.bytes`; `clock` answers callers without a turn.
pub(crate) fn prepare(call: &CallView<'_>, clock: &Clock) -> Result<Prepared, Failure> {
    if call.operation.capability == "time.now" {
        let NowArgs {} = parse_args(call)?;
        let ms = call.turn.map_or_else(|| clock.now().0, |turn| turn.clock_ms());
        return Ok(Prepared::Now(ms));
    }
    let RandomArgs { n } = parse_args(call)?;
    if n == 0 || n > RANDOM_BYTES_MAX {
        let text = format!("random.bytes gives 1 to {RANDOM_BYTES_MAX} bytes, not {n}");
        return Err(Failure::new("bad_args", text));
    }
    let Some(turn) = call.turn else {
        let text = "random.bytes is for turns: it comes from the turn's seed";
        return Err(Failure::new("no_turn", text));
    };
    Ok(Prepared::Random { n, seed: [turn.seed(), u64::from(turn.call())] })
}

/// `time.now`.
pub(crate) fn now(ms: u64) -> Performed {
    Performed::json(&NowResult { ms, iso: civil::rfc3339(ms) })
}

/// `random.bytes`.
pub(crate) fn random(n: usize, seed: [u64; 2]) -> Performed {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed[0].to_le_bytes());
    key[8..16].copy_from_slice(&seed[1].to_le_bytes());
    let mut bytes = vec![0; n];
    ChaCha12Rng::from_seed(key).fill_bytes(&mut bytes);
    Performed::json(&RandomResult { hex: hex::encode(bytes) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use loket_contract::kit::Caller;
    use loket_kernel::Scope;
    use serde_json::{Value, json};

    fn answer(caller: &Caller, capability: &str, args: &Value) -> Result<Value, Failure> {
        let mut clockwork = OfTurn(Clock::manual(loket_kernel::Moment(5)));
        let prepared = caller.prepare(&mut clockwork, capability, args)?;
        match clockwork.perform(prepared) {
            Performed::Done(outcome) => Ok(serde_json::from_slice(&outcome?).unwrap()),
            _ => panic!("a Pure answer of the clock is there at once"),
        }
    }

    #[test]
    fn c9_the_clock_is_the_turns_not_the_machines() {
        let mut caller = Caller::new("a", "time", Scope::default());
        caller.at(1_700_000_000_123);
        let now = answer(&caller, "time.now", &json!({})).unwrap();
        assert_eq!(now, json!({"ms": 1_700_000_000_123_u64, "iso": "2023-11-14T22:13:20.123Z"}));
    }

    #[test]
    fn c9_random_is_a_function_of_seed_and_call() {
        let mut caller = Caller::new("a", "random", Scope::default());
        let ask = json!({"n": 16});
        let first = answer(&caller, "random.bytes", &ask).unwrap();
        assert_eq!(first, answer(&caller, "random.bytes", &ask).unwrap());
        caller.next_call();
        assert_ne!(first, answer(&caller, "random.bytes", &ask).unwrap());
    }

    #[test]
    fn bad_args_are_told() {
        let caller = Caller::new("a", "random", Scope::default());
        for bad in [json!({"n": 0}), json!({"n": 1025}), json!({"m": 1}), json!([])] {
            let failure = answer(&caller, "random.bytes", &bad).unwrap_err();
            assert_eq!(failure.code, "bad_args", "{bad}");
        }
    }
}
