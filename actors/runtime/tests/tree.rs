//! Start, stop, restart, escalation and kill of a real tree.
#![allow(clippy::unwrap_used)]

mod common;
use common::*;
use loket_runtime::{
    ControlError, DynamicSpec, Hooks, NodeConfig, NodeSpec, OnReport, PlaceState, TreeView,
};
use loket_supervision::machine::{Cause, Exit, Flags, Shutdown, Strategy};
use std::sync::{Arc, Mutex};

fn find<'t>(tree: &'t TreeView, id: &str) -> Option<&'t TreeView> {
    (tree.id == id).then_some(tree).or_else(|| tree.children.iter().find_map(|c| find(c, id)))
}

#[test]
fn children_start_in_order_and_stop_in_reverse() {
    let script = Script::new();
    let inner = supervisor("inner", lenient(), workers(vec![worker("b"), worker("c")]));
    let children = vec![
        NodeSpec::Worker(worker("a")),
        NodeSpec::Supervisor(inner),
        NodeSpec::Worker(worker("d")),
    ];
    let runtime = run(2, &script, supervisor("root", lenient(), children));
    runtime.wait_up().unwrap();
    assert_eq!(script.rest(), ["a 1 up", "b 1 up", "c 1 up", "d 1 up"]);
    let tree = runtime.control().snapshot().unwrap();
    assert_eq!(tree.children[0].id, "system");
    assert_eq!(find(&tree, "c").map(|c| (c.state, c.incarnation)), Some((PlaceState::Running, 1)));
    assert!(find(&tree, "kernel/1").is_some_and(|shard| shard.lane == Some(1)));
    assert_eq!(stop(runtime), Exit::Shutdown);
    assert_eq!(script.rest(), ["d 1 stops", "c 1 stops", "b 1 stops", "a 1 stops"]);
}

#[test]
fn a_kill_restarts_the_child_alone_under_a_new_incarnation() {
    let script = Script::new();
    let root = supervisor("root", lenient(), workers(vec![worker("a"), worker("b")]));
    let runtime = run(1, &script, root);
    runtime.wait_up().unwrap();
    runtime.control().kill("a").unwrap();
    script.until("a 2 up");
    let place = runtime.node().registry().find("a").unwrap();
    assert_eq!(place.last_exit(), Some(Exit::Killed));
    assert_eq!(runtime.node().registry().find("b").unwrap().incarnation(), 1);
    assert!(matches!(runtime.control().kill("nobody"), Err(ControlError::NoChild(_))));
    stop(runtime);
    assert_eq!(place.restarts(), 1);
}

#[test]
fn one_crash_too_many_ends_the_node_with_the_whole_reason() {
    let script = Script::new();
    script.on("bad", |mut context| async move {
        context.control.started();
        panic!("as always");
    });
    let root = supervisor("root", Flags::default(), workers(vec![worker("bad")]));
    let reports = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&reports);
    let on_report: OnReport = Arc::new(move |row| keep.lock().unwrap().push(row));
    let hooks = Hooks { on_report: Some(on_report), ..Hooks::default() };
    let runtime = run_telling(NodeConfig::default(), &script, root, hooks);
    let Exit::Escalated { child, reason, intensity: 0, .. } = runtime.wait() else {
        panic!("the top gives up");
    };
    assert_eq!(&*child, "root");
    let Exit::Escalated { child, reason, intensity: 1, .. } = *reason else {
        panic!("because the root gave up: {reason}");
    };
    assert_eq!(&*child, "bad");
    let Exit::Crash { cause: Cause::Panic, message, .. } = *reason else {
        panic!("because of a panic: {reason}");
    };
    assert!(message.starts_with("as always (at "), "{message}");
    let told: Vec<_> = {
        let rows = reports.lock().unwrap();
        let bad = rows.iter().filter(|row| &*row.report.offender.id == "bad");
        bad.map(|row| (row.supervisor.to_string(), row.context())).collect()
    };
    let words = ["progress", "child_terminated", "progress", "child_terminated", "shutdown"];
    assert_eq!(told, words.map(|word| ("root".to_owned(), word)));
    runtime.close(30_000).unwrap();
}

#[test]
fn a_child_that_cannot_be_built_or_ends_before_it_is_up_has_failed_to_start() {
    for name in ["unbuildable", "stillborn"] {
        let script = Script::new();
        script.on("stillborn", |_context| async { Exit::Normal });
        let root = supervisor("root", Flags::default(), workers(vec![worker("a"), worker(name)]));
        let runtime = run(1, &script, root);
        let exit = runtime.wait_up().unwrap_err();
        assert!(matches!(&exit, Exit::FailedToStart { child, .. } if &**child == "root"), "{exit}");
        assert_eq!(script.rest(), ["a 1 up", "a 1 stops"]);
        runtime.close(30_000).unwrap();
    }
}

#[test]
fn a_start_that_takes_too_long_is_killed() {
    let (clock, config) = manual();
    let script = Script::new();
    let tell = script.teller();
    script.on("slow", move |context| {
        let tell = tell.clone();
        async move {
            let _ = tell.send("slow begins".to_owned());
            let _context = context;
            std::future::pending().await
        }
    });
    let mut slow = worker("slow");
    slow.spec.start_timeout_ms = Some(100);
    let root = supervisor("root", Flags { intensity: 0, ..Flags::default() }, workers(vec![slow]));
    let runtime = run_with(config, &script, root);
    assert_eq!(script.next(), "slow begins");
    clock.advance(100);
    let exit = runtime.wait_up().unwrap_err();
    assert!(exit.to_string().contains("start_timeout"), "{exit}");
    runtime.close(30_000).unwrap();
}

#[test]
fn who_does_not_stop_in_time_is_killed() {
    let (clock, config) = manual();
    let script = Script::new();
    let tell = script.teller();
    script.on("deaf", move |mut context| {
        let tell = tell.clone();
        async move {
            context.control.started();
            context.control.stop().await;
            let _ = tell.send("heard".to_owned());
            std::future::pending().await
        }
    });
    let mut deaf = worker("deaf");
    deaf.spec.shutdown = Shutdown::Timeout(1_000);
    let runtime = run_with(config, &script, supervisor("root", lenient(), workers(vec![deaf])));
    runtime.wait_up().unwrap();
    runtime.control().stop(false);
    assert_eq!(script.next(), "heard");
    clock.advance(1_000);
    assert_eq!(runtime.wait(), Exit::Shutdown);
    let place = runtime.node().registry().find("deaf").unwrap();
    assert_eq!(place.last_exit(), Some(Exit::Killed));
    runtime.close(30_000).unwrap();
}

#[test]
fn the_kill_of_a_supervisor_takes_its_subtree_along() {
    let script = Script::new();
    let inner = supervisor("inner", lenient(), workers(vec![worker("b"), worker("c")]));
    let outer = supervisor("outer", lenient(), vec![NodeSpec::Supervisor(inner)]);
    let children = vec![NodeSpec::Worker(worker("a")), NodeSpec::Supervisor(outer)];
    let runtime = run(1, &script, supervisor("root", lenient(), children));
    runtime.wait_up().unwrap();
    script.rest();
    runtime.control().kill("outer").unwrap();
    assert_eq!((script.next(), script.next()), ("b 2 up".to_owned(), "c 2 up".to_owned()));
    let registry = runtime.node().registry();
    assert_eq!(registry.find("outer").unwrap().last_exit(), Some(Exit::Killed));
    assert_eq!(registry.find("a").unwrap().incarnation(), 1);
    stop(runtime);
    assert!(!script.rest().iter().any(|told| told.starts_with("b 1") || told.starts_with("c 1")));
}

#[test]
fn a_stop_now_does_not_ask() {
    let script = Script::new();
    script.on("deaf", |mut context| async move {
        context.control.started();
        std::future::pending().await
    });
    let mut deaf = worker("deaf");
    deaf.spec.shutdown = Shutdown::Infinity;
    let runtime = run(1, &script, supervisor("root", lenient(), workers(vec![deaf, worker("a")])));
    runtime.wait_up().unwrap();
    script.rest();
    runtime.control().stop(true);
    assert_eq!(runtime.wait(), Exit::Killed);
    assert!(script.rest().is_empty(), "nobody was asked");
    runtime.close(30_000).unwrap();
}

#[test]
fn dynamic_children_come_and_go() {
    let script = Script::new();
    let flags = Flags { strategy: Strategy::SimpleOneForOne, ..lenient() };
    let pool = supervisor("pool", flags, workers(vec![caller("template", &["x.y"])]));
    let children = vec![NodeSpec::Worker(worker("a")), NodeSpec::Supervisor(pool)];
    let runtime = run(1, &script, supervisor("root", lenient(), children));
    runtime.wait_up().unwrap();
    script.rest();
    let control = runtime.control();
    let spec = |name: &str| DynamicSpec {
        name: name.into(),
        kind: Arc::new(loket_runtime::ChildKind::System("test", 0)),
        last_incarnation: 7,
    };
    let wait = |future| futures_executor(future);
    assert_eq!(wait(control.start_dynamic("pool", spec("pool/x"))), Ok(8));
    assert_eq!(script.next(), "pool/x 8 up");
    let taken = wait(control.start_dynamic("pool", spec("pool/x")));
    assert!(matches!(taken, Err(ControlError::Taken(_))), "{taken:?}");
    let wrong = wait(control.start_dynamic("root", spec("root/x")));
    assert!(wrong.is_err() && runtime.node().registry().find("root/x").is_none(), "{wrong:?}");
    let principal = address(&runtime, "pool/x").principal;
    assert_eq!(runtime.node().authority().table().incarnation(principal), Some(8));
    control.kill("pool/x").unwrap();
    script.until("pool/x 9 up");
    assert_eq!(runtime.node().authority().table().incarnation(principal), Some(9));
    let gone = control.stop_dynamic("pool/x");
    assert_eq!(futures_executor(gone), Ok(()));
    assert_eq!(script.next(), "pool/x 9 stops");
    assert!(runtime.node().registry().find("pool/x").is_none());
    assert_eq!(runtime.node().authority().table().incarnation(principal), None);
    stop(runtime);
}

fn futures_executor<T>(future: loket_runtime::TreeFuture<T>) -> Result<T, ControlError> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn ten_thousand_idle_children_start_and_stop() {
    let script = Script::new();
    let children = (0..10_000).map(|n| caller(&format!("c{n}"), &["x.y"])).collect();
    let runtime = run(2, &script, supervisor("root", lenient(), workers(children)));
    runtime.wait_up().unwrap();
    assert_eq!(script.rest().len(), 10_000);
    assert_eq!(runtime.control().living(&|place| place.name().starts_with('c')).len(), 10_000);
    assert_eq!(stop(runtime), Exit::Shutdown);
    assert_eq!(script.rest().len(), 10_000);
}

#[test]
fn a_root_that_ends_in_order_ends_the_node() {
    let script = Script::new();
    script.on("done", |mut context| async move {
        context.control.started();
        Exit::Normal
    });
    let mut done = worker("done");
    done.spec.restart = loket_supervision::machine::Restart::Transient;
    done.spec.significant = true;
    let auto_shutdown = loket_supervision::machine::AutoShutdown::AnySignificant;
    let flags = Flags { auto_shutdown, ..Flags::default() };
    let runtime = run(1, &script, supervisor("root", flags, workers(vec![worker("a"), done])));
    assert_eq!(runtime.wait(), Exit::Shutdown);
    assert_eq!(script.rest(), ["a 1 up", "a 1 stops"]);
    assert_eq!(runtime.wait_at_most(0), Some(Exit::Shutdown));
    runtime.close(30_000).unwrap();
}

#[test]
fn dynamic_children_can_come_back_after_their_supervisor_restarts() {
    let script = Script::new();
    let flags = Flags { strategy: Strategy::SimpleOneForOne, ..lenient() };
    let pool = supervisor("pool", flags, workers(vec![worker("template")]));
    let root = supervisor("root", lenient(), vec![NodeSpec::Supervisor(pool)]);
    let tell = script.teller();
    let up: loket_runtime::OnUp = Arc::new(move |name| drop(tell.send(format!("{name} is up"))));
    let runtime = run_telling(Default::default(), &script, root, Some(up));
    script.until("pool is up");
    script.until("top is up");
    let spec = |last_incarnation| DynamicSpec {
        name: "pool/x".into(),
        kind: Arc::new(loket_runtime::ChildKind::System("test", 0)),
        last_incarnation,
    };
    let control = runtime.control();
    assert_eq!(futures_executor(control.start_dynamic("pool", spec(0))), Ok(1));
    control.kill("pool").unwrap();
    script.until("pool is up");
    assert!(runtime.node().registry().find("pool/x").is_none(), "OTP forgets them");
    assert_eq!(futures_executor(control.start_dynamic("pool", spec(1))), Ok(2));
    stop(runtime);
}

#[test]
fn a_group_restart_keeps_the_mailboxes_of_the_group() {
    let script = Script::new();
    script.on("p", serve);
    let (open, gate) = crossbeam_channel::bounded::<()>(1);
    script.on("slow to stop", move |mut context| {
        let gate = gate.clone();
        async move {
            context.control.started();
            context.control.stop().await;
            if context.incarnation == 1 {
                // Holds its own lane only: the supervisors are elsewhere.
                let _ = gate.recv();
            }
            Exit::Shutdown
        }
    });
    let flags = Flags { strategy: Strategy::OneForAll, ..lenient() };
    let (mut p, mut slow) = (provider("p", 8, &["p.do"]), worker("slow to stop"));
    p.lane = loket_runtime::LaneChoice::Lane(0);
    slow.lane = loket_runtime::LaneChoice::Lane(1);
    let mut client = caller("c", &["p"]);
    client.lane = loket_runtime::LaneChoice::Lane(0);
    let group = supervisor("group", flags, workers(vec![slow, p]));
    let children = vec![NodeSpec::Worker(client), NodeSpec::Supervisor(group)];
    let runtime = run(2, &script, supervisor("root", lenient(), children));
    runtime.wait_up().unwrap();
    let (lane, from) = (runtime.node().lanes()[0].clone(), address(&runtime, "c"));
    assert_eq!(text(call(&lane, from, "p.do", b"panic")), "dropped");
    let place = runtime.node().registry().find("slow to stop").unwrap();
    while place.state() != PlaceState::Stopping {
        std::thread::yield_now();
    }
    // The group is half down.
    let waiting = call(&lane, from, "p.do", b"");
    open.send(()).unwrap();
    assert_eq!(text(waiting), "2");
    stop(runtime);
}

#[test]
fn a_killed_supervisor_is_not_restarted_before_all_below_it_is_gone() {
    struct Tells(crossbeam_channel::Sender<String>);
    impl Drop for Tells {
        fn drop(&mut self) {
            let _ = self.0.send("b is gone".to_owned());
        }
    }
    let script = Script::new();
    let tell = script.teller();
    script.on("b", move |mut context| {
        let tell = tell.clone();
        async move {
            let _ = tell.send(format!("b {} up", context.incarnation));
            let _tells = Tells(tell);
            context.control.started();
            context.control.stop().await;
            Exit::Shutdown
        }
    });
    let (open, gate) = crossbeam_channel::bounded::<()>(1);
    let tell = script.teller();
    script.on("busy", move |mut context| {
        let (gate, tell) = (gate.clone(), tell.clone());
        async move {
            context.control.started();
            if context.incarnation == 1 {
                tokio::task::yield_now().await;
                let _ = tell.send("busy holds its lane".to_owned());
                let _ = gate.recv();
            }
            context.control.stop().await;
            Exit::Shutdown
        }
    });
    let on = |lane, id| {
        let lane = loket_runtime::LaneChoice::Lane(lane);
        loket_runtime::WorkerNode { lane, ..worker(id) }
    };
    let inner = supervisor("inner", lenient(), workers(vec![on(0, "b"), on(1, "busy")]));
    let children = vec![NodeSpec::Worker(on(0, "a")), NodeSpec::Supervisor(inner)];
    let runtime = run(2, &script, supervisor("root", lenient(), children));
    runtime.wait_up().unwrap();
    script.until("busy holds its lane");
    runtime.control().kill("inner").unwrap();
    script.until("b is gone");
    // A whole restart elsewhere, so that this one would have had its time.
    runtime.control().kill("a").unwrap();
    assert!(!script.until("a 2 up").contains(&"b 2 up".to_owned()));
    open.send(()).unwrap();
    script.until("b 2 up");
    stop(runtime);
}

#[test]
fn the_places_of_a_node_that_is_gone_are_gone_with_it() {
    let script = Script::new();
    let runtime = run(1, &script, supervisor("root", lenient(), workers(vec![worker("w")])));
    runtime.wait_up().unwrap();
    let place = std::sync::Arc::downgrade(&runtime.node().registry().find("w").unwrap());
    stop(runtime);
    assert!(place.upgrade().is_none());
}
