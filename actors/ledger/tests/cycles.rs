//! Calls that are out when the file is opened anew: who waits for whom, and which are an earlier process's.
#![allow(clippy::unwrap_used)]

use loket_ledger::kit::{Ring, Subject, message, wait};
use loket_ledger::{Options, SqliteLedger};
use loket_turn::{Accept, CallState, ReplyTo};
use std::path::Path;
use std::sync::Arc;

fn open(dir: &Path) -> (Arc<SqliteLedger>, Subject) {
    let (to, events) = crossbeam_channel::bounded(1);
    let tell = Box::new(move |event| drop(to.try_send(event)));
    let mut options = Options::new(dir);
    // The messages of these tests are accepted in 1970.
    options.clock = Arc::new(|| 2_000);
    let engine = SqliteLedger::open(options, tell).unwrap();
    let ledger = engine.clone();
    (engine, Subject { ledger, events })
}

/// H2: who waits for whom is known after a restart, parked or not.
#[test]
fn h2_a_cycle_is_seen_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, it) = open(dir.path());
    let ring = Ring::of(&it, &["a", "b", "c"]);
    let first = ring.call(&it, 0, 1);
    assert_eq!(wait(it.ledger.park(ring.turn(0), first)), Ok(None));
    ring.call(&it, 1, 2);
    engine.stop();
    let (_engine, it) = open(dir.path());
    let closing = ring.call(&it, 2, 0);
    let outcome = wait(it.ledger.result_of(closing)).unwrap().unwrap().0;
    assert_eq!(outcome.unwrap_err().code, "cycle");
}

/// H2, A2: who waits for a message that it has sent before does so after a restart, too.
#[test]
fn h2_who_asked_for_a_message_again_is_in_a_cycle_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, it) = open(dir.path());
    let ring = Ring::of(&it, &["a", "b", "c"]);
    let sent = Accept { sender: "c".into(), key: Some("k".to_owned()), ..message("a", "work") };
    wait(it.ledger.accept(sent.clone())).unwrap();
    ring.call(&it, 0, 1);
    let turn = ring.turn(2);
    wait(it.ledger.intent(it.intent(&turn, 1, "work"))).unwrap();
    let reply_to = ReplyTo::Intent { agent: turn.agent.clone(), intent: it.key(&turn, 1) };
    let again = Accept { reply_to: Some(reply_to), ..sent };
    assert!(wait(it.ledger.accept(again)).unwrap().duplicate);
    engine.stop();
    let (_engine, it) = open(dir.path());
    let closing = ring.call(&it, 1, 2);
    let outcome = wait(it.ledger.result_of(closing)).unwrap().unwrap().0;
    assert_eq!(outcome.unwrap_err().code, "cycle");
}

/// C4: which calls without a result are an earlier process's is told by the file, not by a clock.
#[test]
fn c4_a_call_of_an_earlier_process_is_told_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, it) = open(dir.path());
    let turn = it.opened("a");
    it.accept("a", "x");
    wait(it.ledger.intent(it.intent(&turn, 1, "kill"))).unwrap();
    let state = |it: &Subject, call| wait(it.ledger.state_of(it.key(&turn, call))).unwrap();
    assert_eq!(state(&it, 1), CallState::Open { earlier: false });
    engine.stop();
    let (_engine, it) = open(dir.path());
    wait(it.ledger.intent(it.intent(&turn, 2, "kill"))).unwrap();
    assert_eq!(state(&it, 1), CallState::Open { earlier: true });
    assert_eq!(state(&it, 2), CallState::Open { earlier: false });
}
