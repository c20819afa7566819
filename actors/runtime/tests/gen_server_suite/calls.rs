//! Calls, casts, and what else comes to a server.

use crate::server::{NOBODY, Q, Stage, ask, wait};
use loket_runtime::{CallError, Way};
use loket_supervision::machine::Exit;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Answered at once, later, not in time; a late answer is dropped and disturbs no later call; the request is handled all the same.
#[test]
fn call() {
    let stage = Stage::of(&["a"]);
    let server = stage.server("a");
    assert_eq!(ask(&server, Q::Echo("hello")).unwrap(), "hello");
    let delayed = server.send_request(&NOBODY(), Q::Later("delayed"), 30_000).unwrap();
    assert_eq!(ask(&server, Q::Answer).unwrap(), "waited true, abandoned false");
    assert_eq!(wait(delayed).unwrap(), "delayed");

    let late = wait(server.call(&NOBODY(), Q::Later("late"), 1)).unwrap_err();
    let timeout_ms = 1;
    assert_eq!(late, CallError::Timeout { name: "a".into(), timeout_ms });
    assert_eq!(late.code(), "timeout");
    assert_eq!(ask(&server, Q::Answer).unwrap(), "waited false, abandoned true");
    assert_eq!(ask(&server, Q::Echo("next")).unwrap(), "next", "the late answer is nowhere");

    // Given up before it was taken: handled all the same.
    drop(server.send_request(&NOBODY(), Q::Note, 30_000).unwrap());
    assert_eq!(ask(&server, Q::Notes).unwrap(), "1");
    // A server that drops the slot answers never; it has not ended.
    let never = wait(server.call(&NOBODY(), Q::Forget, 20)).unwrap_err();
    assert_eq!(never.code(), "timeout");
    assert_eq!(ask(&server, Q::Life).unwrap(), "1");
    stage.end();
}

/// A cast is handled; to nobody it says so.
#[test]
fn cast() {
    let stage = Stage::of(&["a"]);
    let server = stage.server("a");
    for _ in 0..10 {
        server.cast(Q::Note).unwrap();
    }
    assert_eq!(ask(&server, Q::Notes).unwrap(), "10");
    assert_eq!(stage.server("nobody").cast(Q::Note).unwrap_err().code(), "noproc");
    stage.end();
}

/// What is no request reaches a server too: here the Down of who it watches.
#[test]
fn info() {
    let stage = Stage::of(&["a", "b"]);
    assert_eq!(ask(&stage.server("a"), Q::Watch("b")).unwrap(), "watching");
    stage.server("b").cast(Q::Exit(Exit::Normal)).unwrap();
    assert_eq!(stage.script.next(), "down b normal");
    assert_eq!(ask(&stage.server("a"), Q::Echo("still")).unwrap(), "still");
    stage.end();
}

/// A server that asks itself is told at once, and so is one that asks who waits for it.
#[test]
fn calling_self() {
    let stage = Stage::of(&["a", "b", "c"]);
    let hello = || Box::new(Q::Echo("hello"));
    let [a, b, c] = ["a", "b", "c"].map(|name| stage.server(name));
    let own = ask(&a, Q::Ask(a.clone(), hello())).unwrap();
    assert!(own.starts_with("calling_self: "), "{own}");
    let inner = Q::Ask(c.clone(), Box::new(Q::Ask(a.clone(), hello())));
    let round = ask(&a, Q::Ask(b.clone(), Box::new(inner))).unwrap();
    assert_eq!(round, "cycle: a -> b -> c -> a wait for each other");
    let straight = ask(&a, Q::Ask(b, Box::new(Q::Ask(c, hello())))).unwrap();
    assert_eq!(straight, "hello");
    let long = (0..loket_runtime::WAY_MAX)
        .fold(Way::default(), |way, n| way.on(&Arc::from(format!("n{n}"))));
    let deep = wait(a.call(&long, Q::Echo("x"), 30_000)).unwrap_err();
    assert_eq!(deep.code(), "chain_too_long");
    stage.end();
}

/// What waits in the caller's own mailbox costs its calls nothing: an answer comes in a slot of its own.
#[test]
fn call_with_huge_message_queue() {
    const WAITING: usize = 100_000;
    const CALLS: usize = 200;
    let stage = Stage::of(&["a"]);
    let server = stage.server("a");
    let own = loket_runtime::Mailbox::new(WAITING);
    let time = || {
        let began = Instant::now();
        for _ in 0..CALLS {
            assert_eq!(ask(&server, Q::Echo("x")).unwrap(), "x");
        }
        began.elapsed().max(Duration::from_micros(1))
    };
    let best = |n: usize| (0..n).map(|_| time()).min().unwrap();
    let empty = best(5);
    (0..WAITING).for_each(|n| own.send(n).unwrap());
    let full = best(5);
    assert_eq!(own.depth(), WAITING);
    // A search through the queue would be thousands of times as long.
    assert!(full < empty * 50, "{empty:?} without, {full:?} with a queue");
    stage.end();
}

/// The answer is the one of this request, whoever gives it: the slot is all that is needed.
#[test]
fn reply_by_alias_with_payload() {
    let stage = Stage::of(&["a"]);
    let server = stage.server("a");
    let first = server.send_request(&NOBODY(), Q::HandOn("first"), 30_000).unwrap();
    let second = server.send_request(&NOBODY(), Q::HandOn("second"), 30_000).unwrap();
    assert_eq!(wait(second).unwrap(), "second from elsewhere");
    assert_eq!(wait(first).unwrap(), "first from elsewhere");
    stage.end();
}

/// A request of another type is understood by nobody: the caller waits in vain, the server goes on.
#[test]
fn a_request_of_another_type_harms_nobody() {
    let stage = Stage::of(&["a"]);
    let node = stage.runtime.node();
    let other: loket_runtime::Address<u64, u64> =
        loket_runtime::Address::new(Arc::clone(node.registry()), node.clock().clone(), "a");
    assert_eq!(wait(other.call(&NOBODY(), 7, 20)).unwrap_err().code(), "timeout");
    assert_eq!(ask(&stage.server("a"), Q::Life).unwrap(), "1");
    stage.end();
}
