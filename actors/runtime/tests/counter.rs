//! The kernel actor on a real lane: admit, forward, refuse, bounce.
#![allow(clippy::unwrap_used)]

mod common;
use common::*;
use loket_kernel::Address;

#[test]
fn a_call_of_an_older_life_is_refused_and_one_of_the_present_life_served() {
    let script = Script::new();
    script.on("p", serve);
    let all = vec![provider("p", 8, &["p.do"]), caller("c", &["p.do"])];
    let runtime = run(1, &script, supervisor("root", lenient(), workers(all)));
    runtime.wait_up().unwrap();
    let lane = runtime.node().lanes()[0].clone();
    let first = address(&runtime, "c");
    assert_eq!(text(call(&lane, first, "p.do", b"")), "1");
    runtime.control().kill("c").unwrap();
    script.until("c 2 up");
    let stale = text(call(&lane, first, "p.do", b""));
    assert!(stale.starts_with("refused: K005"), "{stale}");
    assert_eq!(text(call(&lane, address(&runtime, "c"), "p.do", b"")), "1");
    stop(runtime);
}

#[test]
fn a_refusal_names_the_line_that_would_allow_the_call() {
    let script = Script::new();
    script.on("p", serve);
    let all = vec![provider("p", 8, &["p.do", "p.undo"]), caller("c", &["p.do"])];
    let runtime = run(1, &script, supervisor("root", lenient(), workers(all)));
    runtime.wait_up().unwrap();
    let (lane, from) = (runtime.node().lanes()[0].clone(), address(&runtime, "c"));
    let refused = text(call(&lane, from, "p.undo", b""));
    assert!(refused.contains("K003") && refused.contains("(cap: \"p.undo\")"), "{refused}");
    let slip = text(call(&lane, from, "p.dp", b""));
    assert!(slip.contains("K001") && slip.contains("did you mean p.do?"), "{slip}");
    let unknown = Address { principal: nobody(), incarnation: 1 };
    assert!(text(call(&lane, unknown, "p.do", b"")).contains("K006"));
    stop(runtime);
}

#[test]
fn a_full_mailbox_is_answered_at_once_and_so_is_a_provider_that_has_ended() {
    let script = Script::new();
    script.on("idle", |mut context| async move {
        context.control.started();
        context.control.stop().await;
        loket_supervision::machine::Exit::Shutdown
    });
    let tell = script.teller();
    script.on("brief", move |mut context| {
        let tell = tell.clone();
        async move {
            context.control.started();
            let loket_runtime::Door::Provider(mailbox) = context.door.clone() else {
                return loket_supervision::machine::Exit::NoProc;
            };
            let _call = mailbox.recv().await;
            let _ = tell.send("brief ends".to_owned());
            loket_supervision::machine::Exit::Normal
        }
    });
    let mut brief = provider("brief", 8, &["brief.do"]);
    brief.spec.restart = loket_supervision::machine::Restart::Transient;
    let all = vec![provider("idle", 2, &["idle.do"]), brief, caller("c", &["idle", "brief"])];
    let runtime = run(1, &script, supervisor("root", lenient(), workers(all)));
    runtime.wait_up().unwrap();
    let (lane, from) = (runtime.node().lanes()[0].clone(), address(&runtime, "c"));
    let _waiting = (call(&lane, from, "idle.do", b""), call(&lane, from, "idle.do", b""));
    let third = text(call(&lane, from, "idle.do", b""));
    assert!(third.starts_with("overloaded:") && third.contains("2 of 2"), "{third}");
    // All that wait for a child that nobody restarts are told, sooner or later.
    let last: Vec<_> = (0..5).map(|_| call(&lane, from, "brief.do", b"")).collect();
    script.until("brief ends");
    for answer in last {
        let answer = text(answer);
        assert!(answer == "dropped" || answer.starts_with("provider_down:"), "{answer}");
    }
    stop(runtime);
}

#[test]
fn calls_go_to_the_shard_of_the_callers_lane() {
    let script = Script::new();
    let all = vec![shard(&script, 0), shard(&script, 1), shard(&script, 2), caller("c", &["s"])];
    let runtime = run(3, &script, supervisor("root", lenient(), workers(all)));
    runtime.wait_up().unwrap();
    let from = address(&runtime, "c");
    for (index, lane) in runtime.node().lanes().iter().enumerate() {
        assert_eq!(text(call(lane, from, "s.get", b"")), index.to_string());
    }
    stop(runtime);
}

#[test]
fn f1_the_rerun_part_of_a_turn_is_judged_by_the_grants_and_the_time_of_its_begin() {
    let script = Script::new();
    script.on("p", serve);
    let all = vec![provider("p", 8, &["p.do"]), caller("c", &["other"])];
    let runtime = run(1, &script, supervisor("root", lenient(), workers(all)));
    runtime.wait_up().unwrap();
    let (lane, from) = (runtime.node().lanes()[0].clone(), address(&runtime, "c"));
    assert!(text(call(&lane, from, "p.do", b"")).contains("K003"), "not by its grants of today");
    let send = |turn: loket_runtime::TurnCall, deadline| {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let envelope = loket_runtime::CallEnvelope {
            from,
            capability: "p.do".into(),
            args: Vec::new(),
            chain: loket_kernel::Chain::default(),
            deadline: Some(loket_kernel::Moment(deadline)),
            cargo: loket_runtime::Cargo { turn: Some(turn), reply },
        };
        lane.kernel().send(envelope).unwrap();
        text(answer)
    };
    assert_eq!(send(rerun(grants(&["p.do"]), 1_000), 1_001), "1");
    assert!(send(rerun(grants(&["p.do"]), 1_000), 1_000).contains("K010"), "late by its own time");
    let mut live = rerun(grants(&["p.do"]), 1_000);
    live.live.pure_only = false;
    assert!(send(live, u64::MAX).contains("K003"), "a live call is judged by today's grants");
    stop(runtime);
}
