//! The golden data: recorded runs of OTP 25.2.3's supervisor replay without a mismatch.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../examples/otp_replay/main.rs"]
#[allow(dead_code, unreachable_pub)]
mod otp_replay;

/// Scenarios, steps and mismatches of a file beside this one.
fn replayed(file: &str) -> (usize, usize, usize) {
    let path = format!("{}/tests/data/{file}", env!("CARGO_MANIFEST_DIR"));
    let mut totals = otp_replay::Totals::default();
    otp_replay::replay_file(&path, &mut totals).unwrap();
    (totals.scenarios, totals.steps, totals.mismatches)
}

#[test]
fn recorded_runs_of_otp_replay_without_a_mismatch() {
    assert_eq!(replayed("traces-5000-seed42.jsonl.gz"), (5_000, 27_416, 0));
}

/// `tests/otp/record.escript 1 2000`: what lies in the mailbox while a child is restarted, and behind
/// other exits, is served in OTP's order. A quarter of them are of simple_one_for_one.
#[test]
fn what_happens_at_once_replays_without_a_mismatch() {
    assert_eq!(replayed("traces-at-once-2000-seed1.jsonl.gz"), (2_000, 13_362, 0));
}
