//! Every guest of `agents/hostile` through the engine. No clock: a slice ends at every loop (`slice_ticks: 0`), and the
//! deadline is a number of slices.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::BTreeMap;

use loket_host::engine::{Abort, Answer, Blame, Cause, RunLimits, TrapKind, TurnError};
use support::{Script, engine, hostile, message, run};

/// Enough for the guest to show what it does, little enough to be quick.
const LIMITS: RunLimits = RunLimits {
    memory_bytes: 4 << 20,
    table_elements: 1_000,
    output_bytes: 1 << 20,
    slice_ticks: 0,
};

async fn turn(name: &str) -> Result<Answer, TurnError> {
    let module = engine().load(&hostile(name), &Default::default(), None).unwrap();
    // Ends the loops that the epoch has to end; the tables and memories are exhausted long before.
    // A recursion ends a slice at each of its calls, and must reach the end of its stack first.
    let slices_left = if name == "stack-overflow" { usize::MAX } else { 2_000 };
    let mut script = Script { slices_left, calls_left: 100, ..Script::default() };
    run(&module, &LIMITS, message(b"hello"), &mut script).await
}

async fn failed(name: &str) -> TurnError {
    let error = turn(name).await.unwrap_err();
    let blame = if matches!(error.cause, Cause::Aborted(_)) { Blame::Driver } else { Blame::Guest };
    assert_eq!(error.blame(), blame, "{name}: {error}");
    error
}

#[tokio::test]
async fn every_turn_ends_with_the_code_of_the_table() {
    for (name, outcome) in table() {
        let Some(code) = outcome.strip_prefix("turn: `") else { continue };
        let code = code.split('`').next().unwrap();
        let error = failed(&name).await;
        assert_eq!(error.code(), code, "{name}: {error}");
    }
}

#[tokio::test]
async fn every_refusal_at_load_has_the_code_of_the_table() {
    for (name, outcome) in table() {
        let Some(code) = outcome.strip_prefix("load: `") else { continue };
        let error = engine().load(&hostile(&name), &Default::default(), None).unwrap_err();
        assert_eq!(error.code(), code.split('`').next().unwrap(), "{name}: {error}");
    }
}

#[test]
fn the_table_has_a_row_for_every_file_and_no_other() {
    let files: Vec<String> = support::hostile_names();
    let rows: Vec<String> = table().into_keys().collect();
    assert_eq!(files, rows);
}

/// File name without its ending, and the third column.
fn table() -> BTreeMap<String, String> {
    let readme = String::from_utf8(support::read("README.md")).unwrap();
    let rows = readme.lines().filter_map(|line| {
        let mut cells = line.split('|').map(str::trim);
        let name = cells.nth(1)?.strip_prefix('`')?.strip_suffix(".wat`")?;
        Some((name.to_owned(), cells.nth(1)?.to_owned()))
    });
    rows.collect()
}

#[tokio::test]
async fn what_a_guest_gets_as_a_failure_says_the_limit() {
    let failure = turn("huge-args").await.unwrap().unwrap_err();
    assert_eq!(failure.code, "args_too_large");
    assert!(
        failure.message.contains("2097152") && failure.message.contains("1048576"),
        "{failure:?}"
    );
    assert_eq!(turn("long-name").await.unwrap().unwrap_err().code, "bad_name");
}

#[tokio::test]
async fn a_denied_growth_is_minus_one_to_the_guest() {
    assert_eq!(turn("memory-ask").await.unwrap(), Ok(Vec::new()));
}

#[tokio::test]
async fn the_details_name_limits_and_places() {
    let out = failed("output-too-large").await.cause;
    assert_eq!(out, Cause::OutputTooLarge { bytes: 2 << 20, limit: 1 << 20 });
    let memory = failed("two-memories").await.cause;
    assert_eq!(
        memory,
        Cause::OutOfMemory { memory_bytes: 4 << 20, each_bytes: 64 << 20, table_elements: 1_000 }
    );
    let trap = failed("trap").await;
    assert!(matches!(trap.cause, Cause::Trap { kind: TrapKind::Unreachable, .. }), "{trap:?}");
    let deep = failed("stack-overflow").await;
    assert!(matches!(deep.cause, Cause::Stack) && deep.backtrace.contains("deeper"), "{deep}");
    assert!(deep.backtrace.lines().count() <= 20 && deep.backtrace.len() < 4_000, "{deep}");
    let endless = failed("endless-loop").await;
    assert!(endless.backtrace.contains("handle"), "where it looped: {endless:?}");
    let flood = failed("call-flood").await;
    assert_eq!(flood.cause, Cause::Aborted(Abort::Interrupt));
}

#[test]
fn a_foreign_import_is_refused_by_its_name() {
    let error = engine().load(&hostile("foreign-import"), &Default::default(), None).unwrap_err();
    assert!(error.to_string().contains("wasi_snapshot_preview1#fd_write"), "{error}");
}

#[tokio::test]
async fn the_next_turn_is_not_harmed() {
    let echo = engine().load(loket_abi::ECHO_WAT.as_bytes(), &Default::default(), None).unwrap();
    for name in ["memory-bomb", "stack-overflow", "endless-loop", "call-flood"] {
        failed(name).await;
        let mut script = Script::default();
        let answer = run(&echo, &LIMITS, message(b"hello"), &mut script).await.unwrap();
        assert_eq!(answer, Ok(b"hello".to_vec()), "after {name}");
    }
}
