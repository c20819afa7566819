//! Counting, forgetting, order, restart loops, names, and what the log says.

use crate::stage::*;
use crate::watch_log;
use loket_runtime::{ChildKind, NodeSpec};
use loket_supervision::machine::*;
use std::sync::{Arc, Weak};

#[test]
fn count_children() {
    let template = of("job", Restart::Temporary);
    let stage = Stage::up(lenient(Strategy::SimpleOneForOne), vec![template]);
    let start = |from, to| {
        let all: Vec<_> =
            (from..to).map(|n| stage.sup().start_instance(instance(&format!("x{n}")))).collect();
        all.into_iter().for_each(|started| assert_eq!(wait(started), Ok(Some(1))));
    };
    start(0, 1_000);
    assert_eq!(stage.counts(), [1, 1_000, 0, 1_000]);
    start(1_000, 2_000);
    assert_eq!(stage.counts(), [1, 2_000, 0, 2_000]);
    (0..2_000).for_each(|n| stage.control.kill(&format!("x{n}")).unwrap());
    stage.poll("all gone", || stage.counts() == [1, 0, 0, 0]);
}

#[test]
fn count_children_supervisor() {
    let stage = Stage::up(lenient(Strategy::OneForOne), vec![]);
    let start = |from, to| {
        let lower = |n| {
            let mut node = node_of(&format!("s{n}"), Flags::default(), vec![]);
            node.spec.restart = Restart::Temporary;
            stage.sup().start_child(NodeSpec::Supervisor(node))
        };
        let all: Vec<_> = (from..to).map(lower).collect();
        all.into_iter().for_each(|started| assert_eq!(wait(started), Ok(Some(1))));
    };
    start(0, 1_000);
    assert_eq!(stage.counts(), [1_000, 1_000, 1_000, 0]);
    start(1_000, 2_000);
    assert_eq!(stage.counts(), [2_000, 2_000, 2_000, 0]);
    (0..2_000).for_each(|n| stage.control.kill(&format!("s{n}")).unwrap());
    stage.poll("all gone", || stage.counts() == [0, 0, 0, 0]);
}

/// A delay before each restart holds the state still that OTP's test has to catch in passing.
#[test]
fn count_restarting_children() {
    let backoff = Backoff {
        first: First::Ms(1_000),
        min_ms: 1_000,
        max_ms: 1_000,
        factor: 1.0,
        jitter: 0.0,
        reset_after_ms: 1_000_000,
    };
    let template = with("job", |spec| spec.backoff = Some(backoff));
    let stage = Stage::up(lenient(Strategy::SimpleOneForOne), vec![template]);
    for name in ["x", "y", "z"] {
        stage.instance(name).unwrap();
    }
    assert_eq!(stage.counts(), [1, 3, 0, 3]);
    stage.exits("x", crash());
    assert_eq!(stage.counts(), [1, 2, 0, 3], "counted, but not active");
    stage.exits("y", crash());
    assert_eq!(stage.counts(), [1, 1, 0, 3]);
    assert_eq!(stage.which(&stage.sup()), "z:pid y:restarting x:restarting");
    wait(stage.sup().terminate_child("x")).unwrap();
    assert_eq!(stage.counts(), [1, 1, 0, 2], "OTP itself counts one too few from here on");
    stage.clock.advance(1_000);
    stage.poll("y up", || stage.life("y") == Some((2, ChildState::Running)));
    assert_eq!((stage.counts(), stage.inc("x")), ([1, 2, 0, 2], 0));
}

fn three() -> [Strategy; 3] {
    [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne]
}

#[test]
fn do_not_save_start_parameters_for_temporary_children() {
    let child = |id: &str, restart| {
        let NodeSpec::Worker(mut worker) = of(id, restart) else { panic!("a worker") };
        worker.kind = kind(7);
        let weak: Weak<ChildKind> = Arc::downgrade(&worker.kind);
        (NodeSpec::Worker(worker), weak)
    };
    for strategy in three() {
        let stage = Stage::up(lenient(strategy), vec![]);
        for (id, restart, kept) in [
            ("a", Restart::Temporary, false),
            ("b", Restart::Transient, true),
            ("c", Restart::Permanent, true),
        ] {
            let (node, weak) = child(id, restart);
            wait(stage.sup().start_child(node)).unwrap();
            assert_eq!(weak.upgrade().is_some(), kept, "{strategy:?} {restart:?}");
        }
        assert_eq!(stage.which(&stage.sup()), "c:pid b:pid a:pid");
    }
}

#[test]
fn do_not_save_child_specs_for_temporary_children() {
    for strategy in three() {
        for end in [Some(Exit::Normal), Some(crash()), Some(Exit::Killed), None] {
            let stage = Stage::up(lenient(strategy), vec![worker("first")]);
            wait(stage.sup().start_child(of("a", Restart::Temporary))).unwrap();
            wait(stage.sup().start_child(of("b", Restart::Transient))).unwrap();
            match end {
                Some(end) => stage.exits("a", end),
                None => wait(stage.sup().terminate_child("a")).unwrap(),
            }
            wait(stage.sup().terminate_child("b")).unwrap();
            assert_eq!(stage.which(&stage.sup()), "b:undefined first:pid");
            for gone in [
                code(wait(stage.sup().childspec("a"))),
                code(wait(stage.sup().restart_child("a"))),
                code(wait(stage.sup().delete_child("a"))),
            ] {
                assert_eq!(gone, "not_found");
            }
        }
    }
}

#[test]
fn simple_global_supervisor() {
    let lower = sub("named supervisor", lenient(Strategy::OneForOne), vec![worker("named worker")]);
    let stage = Stage::up(lenient(Strategy::OneForOne), vec![lower]);
    let names = ["named supervisor", "named worker"];
    let incs = || names.map(|name| stage.inc(name));
    stage.kills("named supervisor");
    assert_eq!(incs(), [2, 2]);
    stage.kills("named worker");
    assert_eq!(incs(), [2, 3]);
    stage.exits("named worker", Exit::Normal);
    assert_eq!(incs(), [2, 4]);
    wait(stage.sup().terminate_child("named supervisor")).unwrap();
    assert_eq!(wait(stage.sup().restart_child("named supervisor")), Ok(Some(3)));
    assert_eq!(incs(), [3, 5]);
    assert_eq!(stage.runtime.node().registry().find("named worker").unwrap().incarnation(), 5);
}

/// A supervisor whose child `b` cannot be restarted, amid the loop of attempts.
fn looping(strategy: Strategy) -> Stage {
    let flags = Flags { intensity: u32::MAX, ..lenient(strategy) };
    let stage = Stage::up(flags, vec![worker("a"), worker("b"), worker("c")]);
    stage.fails_always("b");
    stage.tell("b", crash());
    stage.poll("the loop", || {
        let view = wait(stage.sup().which_child("b")).unwrap();
        view.restarts > 2 && matches!(view.state, ChildState::Restarting { .. })
    });
    stage
}

#[test]
fn hanging_restart_loop() {
    let stage = looping(Strategy::OneForOne);
    let sup = stage.sup();
    assert_eq!(code(wait(sup.start_child(worker("b")))), "already_present");
    assert_eq!(code(wait(sup.restart_child("b"))), "restarting");
    assert_eq!(code(wait(sup.delete_child("b"))), "restarting");
    assert_eq!(wait(sup.terminate_child("b")), Ok(()));
    assert_eq!(stage.which(&sup), "c:pid b:undefined a:pid");
    stage.took();
    assert_eq!(code(wait(sup.restart_child("b"))), "start_failed");
    assert_eq!(stage.took(), "start b", "no loop any more");
    assert_eq!(wait(sup.terminate_child("b")), Ok(()));
    assert_eq!(stage.stop_sup(), "shutdown");

    let stage = looping(Strategy::OneForOne);
    assert_eq!(stage.stop_sup(), "shutdown", "amid the loop");
}

#[test]
fn hanging_restart_loop_rest_for_one() {
    let stage = looping(Strategy::RestForOne);
    let sup = stage.sup();
    assert_eq!(code(wait(sup.start_child(worker("b")))), "already_present");
    assert_eq!(code(wait(sup.restart_child("b"))), "restarting");
    assert_eq!(code(wait(sup.delete_child("b"))), "restarting");
    assert_eq!(stage.inc("a"), 1, "the earlier one is left alone");
    assert_eq!(wait(sup.terminate_child("b")), Ok(()));
    assert_eq!(stage.which(&sup), "c:undefined b:undefined a:pid", "nobody starts the later one");
    assert_eq!(wait(sup.restart_child("c")), Ok(Some(2)));
    assert_eq!(stage.stop_sup(), "shutdown");
}

#[test]
fn hanging_restart_loop_simple() {
    let flags = Flags { intensity: u32::MAX, ..lenient(Strategy::SimpleOneForOne) };
    let start = || {
        let stage = Stage::up(flags.clone(), vec![worker("job")]);
        stage.instance("x").unwrap();
        stage.instance("y").unwrap();
        stage.fails_always("x");
        stage.tell("x", crash());
        let restarts = || wait(stage.sup().which_child("x")).unwrap().restarts;
        stage.poll("the loop", || restarts() > 2);
        stage
    };
    let stage = start();
    assert_eq!(code(stage.instance("x")), "already_present");
    assert_eq!(code(wait(stage.sup().restart_child("x"))), "simple_one_for_one");
    assert_eq!(code(wait(stage.sup().delete_child("x"))), "simple_one_for_one");
    // By the life that ended, as OTP does it by the pid.
    assert_eq!(wait(stage.sup().terminate_life("x", 1)), Ok(()));
    assert_eq!((stage.which(&stage.sup()).as_str(), stage.counts()), ("y:pid", [1, 1, 0, 1]));
    assert_eq!(stage.stop_sup(), "shutdown");

    let stage = start();
    assert_eq!(stage.stop_sup(), "shutdown", "amid the loop");
}

#[test]
fn order_of_children() {
    let names = ["d", "a", "e", "b", "c"];
    let stage = Stage::new();
    stage.start(strict(Strategy::RestForOne, 9), names.map(worker).into()).unwrap();
    assert_eq!(stage.took(), "start d, start a, start e, start b, start c");
    assert_eq!(stage.which(&stage.sup()), "c:pid b:pid e:pid a:pid d:pid");
    stage.exits("e", crash());
    assert_eq!(stage.took(), "stop c, stop b, start e, start b, start c");
    let tree = stage.control.view("sup").unwrap();
    let shown: Vec<_> = tree.children.iter().map(|child| child.id.as_str()).collect();
    assert_eq!(shown, names);
    stage.stop_sup();
    assert_eq!(stage.took(), "stop c, stop b, stop e, stop a, stop d");
}

/// The legacy format: what there is of it here is the depth.
#[test]
fn format_log_1() {
    let seen = watch_log::of("deep one");
    let mut child = worker("deep start");
    for level in 0..40 {
        child = sub(&format!("level {level}"), Flags::default(), vec![child]);
    }
    let deep = node_of("deep one", Flags::default(), vec![child]);
    let stage = Stage::up(strict(Strategy::OneForOne, 1), vec![NodeSpec::Supervisor(deep)]);
    stage.fails_always("deep start");
    stage.control.kill("deep one").unwrap();
    stage.gone("sup");
    let reasons = seen.reasons();
    let start = reasons.iter().find(|reason| reason.contains("level 39")).unwrap();
    assert!(start.contains("level 38") && start.ends_with("..."), "{start}");
    assert!(!start.contains("level 0 "), "{start}");
}

#[test]
fn format_log_2() {
    let seen = watch_log::of("wordy");
    let stage = Stage::up(lenient(Strategy::OneForOne), vec![worker("wordy")]);
    let words = format!("first\nERROR second \u{1b}[31m{}", "x".repeat(100_000));
    stage.exits("wordy", Exit::crash(Cause::Panic, Blame::Guest, words.clone()));
    let reasons = seen.reasons();
    let told = reasons.iter().find(|reason| reason.contains("first")).unwrap();
    assert!(told.contains(r"first\nERROR second \u{1b}[31mxxx"), "{told}");
    assert!(told.len() < 4_200 && told.ends_with("..."), "{} chars", told.len());
}

#[test]
fn already_started_outside_supervisor() {
    let stage = Stage::up(lenient(Strategy::OneForOne), vec![]);
    wait(stage.root().start_child(worker("stranger"))).unwrap();
    stage.exits("stranger", crash());
    stage.took();
    let taken = wait(stage.sup().start_child(worker("stranger")));
    assert_eq!(taken, Err(ApiError::AlreadyStarted(2).into()));
    assert_eq!((stage.which(&stage.sup()).as_str(), stage.took().as_str()), ("", ""));
    assert_eq!(stage.inc("stranger"), 2);
    assert!(stage.is_up("stranger"));
}
