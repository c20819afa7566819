//! The golden data: 5,000 recorded runs of OTP 25.2.3's supervisor replay without a mismatch.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../examples/otp_replay.rs"]
#[allow(dead_code, unreachable_pub)]
mod otp_replay;

#[test]
fn recorded_runs_of_otp_replay_without_a_mismatch() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/traces-5000-seed42.jsonl.gz");
    let mut totals = otp_replay::Totals::default();
    otp_replay::replay_file(path, &mut totals).unwrap();
    assert_eq!((totals.scenarios, totals.steps, totals.mismatches), (5_000, 27_416, 0));
}
