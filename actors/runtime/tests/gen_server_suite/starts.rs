//! Starting, names, crashing.

use crate::common::{lenient, run, supervisor, workers};
use crate::server::{CAPACITY, NOBODY, Q, Stage, ask, crashed, node, serve, wait};
use loket_runtime::{CallError, DynamicSpec, NodeSpec, PlaceState, Way};
use loket_supervision::machine::{Backoff, Exit, First, Flags, Restart, Strategy};
use std::sync::Arc;

/// A server that was started is there under its name and answers; one that has ended or never was is `noproc`.
#[test]
fn start() {
    let mut once = node("once");
    once.spec.restart = Restart::Temporary;
    let stage = Stage::with(vec![node("a"), once]);
    assert_eq!(ask(&stage.server("a"), Q::Echo("hello")).unwrap(), "hello");
    assert_eq!(stage.relations().living("a"), Some(1));
    let gone = stage.watch("once");
    stage.server("once").cast(Q::Exit(Exit::Normal)).unwrap();
    assert_eq!(wait(gone).reason, Exit::Normal);
    assert_eq!(stage.relations().living("once"), None);
    for name in ["once", "never"] {
        let none = ask(&stage.server(name), Q::Echo("x")).unwrap_err();
        assert_eq!((none.code(), none), ("noproc", CallError::NoProc(name.into())));
    }
    stage.end();
}

/// The caller of a server that crashes is told why; the next life answers; an orderly end is told as one.
#[test]
fn crash() {
    let stage = Stage::of(&["a"]);
    let server = stage.server("a");
    for life in 1..4_u64 {
        assert_eq!(ask(&server, Q::Life).unwrap(), life.to_string());
        let down = ask(&server, Q::Crash).unwrap_err();
        let CallError::Down { name, reason } = &down else { panic!("{down:?}") };
        assert!(&**name == "a" && crashed(reason) && down.code() == "down", "{down}");
    }
    for exit in [Exit::Shutdown, Exit::ShutdownTerm("reason".to_owned())] {
        let down = ask(&server, Q::Exit(exit.clone())).unwrap_err();
        assert_eq!(down, CallError::Down { name: "a".into(), reason: exit });
    }
    stage.end();
}

/// A start that fails leaves nobody under the name, and no monitor without its Down, however often it is tried.
#[test]
fn loop_start_fail() {
    let script = crate::common::Script::new();
    serve(&script, "pool/good");
    script.on("pool/bad", |_| async { Exit::ShutdownTerm("will not".to_owned()) });
    let flags = Flags { strategy: Strategy::SimpleOneForOne, ..lenient() };
    let mut template = node("template");
    template.spec.restart = Restart::Temporary;
    let pool = supervisor("pool", flags, workers(vec![template.clone()]));
    let root = supervisor("root", lenient(), vec![NodeSpec::Supervisor(pool)]);
    let runtime = run(1, &script, root);
    runtime.wait_up().unwrap();
    let relations = runtime.node().registry().relations().clone();
    let child = |name: &str| DynamicSpec {
        name: name.into(),
        kind: Arc::clone(&template.kind),
        last_incarnation: 0,
    };
    for _ in 0..100 {
        let refused = wait(runtime.control().start_dynamic("pool", child("pool/bad"))).unwrap_err();
        assert!(refused.to_string().contains("will not"), "{refused}");
        assert_eq!(relations.living("pool/bad"), None);
        let down = wait(relations.monitor("pool/bad").unwrap());
        assert_eq!((down.incarnation, down.reason), (None, Exit::NoProc));
    }
    assert_eq!(relations.monitors(), 0);
    wait(runtime.control().start_dynamic("pool", child("pool/good"))).unwrap();
    assert!(relations.living("pool/good").is_some());
    crate::common::stop(runtime);
}

/// A name belongs to one child: nobody else can be started under it, and who has it is untouched.
#[test]
fn otp_5854() {
    let flags = Flags { strategy: Strategy::SimpleOneForOne, ..lenient() };
    let script = crate::common::Script::new();
    serve(&script, "armitage");
    let pool = supervisor("pool", flags, workers(vec![node("template")]));
    let mut children = workers(vec![node("armitage")]);
    children.push(NodeSpec::Supervisor(pool));
    let runtime = run(1, &script, supervisor("root", lenient(), children));
    runtime.wait_up().unwrap();
    let child = DynamicSpec { name: "armitage".into(), kind: node("x").kind, last_incarnation: 0 };
    let taken = wait(runtime.control().start_dynamic("pool", child)).unwrap_err();
    assert_eq!(taken.code(), "already_started", "{taken}");
    let place = runtime.node().registry().find("armitage").unwrap();
    assert_eq!((place.incarnation(), place.state()), (1, PlaceState::Running));
    crate::common::stop(runtime);
}

/// What a server does after it is up and before it takes messages comes before all that waits for it.
#[test]
fn continue_() {
    let script = crate::common::Script::new();
    let (go, wait_for) = crossbeam_channel::bounded::<()>(1);
    let tell = script.teller();
    script.on("a", move |mut context| {
        let (tell, wait_for) = (tell.clone(), wait_for.clone());
        async move {
            let loket_runtime::Door::Native(mailbox) = context.door.clone() else {
                return Exit::NoProc;
            };
            context.control.started();
            wait_for.recv_timeout(crate::common::BOUND).unwrap();
            let _ = tell.send(format!("continued with {} waiting", mailbox.depth()));
            let asked = mailbox.recv().await;
            let (_, slot, _) = asked.take::<Q>(&context.control).unwrap();
            slot.unwrap().reply("then answered".to_owned());
            context.control.stop().await;
            Exit::Shutdown
        }
    });
    let runtime = run(1, &script, supervisor("root", lenient(), workers(vec![node("a")])));
    runtime.wait_up().unwrap();
    let node = runtime.node();
    let server = crate::server::Server::new(Arc::clone(node.registry()), node.clock().clone(), "a");
    let request = server.send_request(&NOBODY(), Q::Echo("x"), 30_000).unwrap();
    go.send(()).unwrap();
    assert_eq!(wait(request).unwrap(), "then answered");
    assert_eq!(script.next(), "continued with 1 waiting");
    crate::common::stop(runtime);
}

/// More than fits is told with the numbers, and a server that waits for its restart with the time.
#[test]
fn overloaded_and_restarting_are_told() {
    let script = crate::common::Script::new();
    script.on("deaf", |mut context| async move {
        context.control.started();
        context.control.stop().await;
        Exit::Shutdown
    });
    serve(&script, "slow");
    let mut slow = node("slow");
    slow.spec.backoff = Some(Backoff {
        first: First::Ms(60_000),
        min_ms: 60_000,
        max_ms: 60_000,
        factor: 1.0,
        jitter: 0.0,
        reset_after_ms: 60_000,
    });
    let (clock, config) = crate::common::manual();
    let root = supervisor("root", lenient(), workers(vec![node("deaf"), slow]));
    let runtime = crate::common::run_with(config, &script, root);
    runtime.wait_up().unwrap();
    let registry = Arc::clone(runtime.node().registry());
    let address =
        |name: &str| crate::server::Server::new(Arc::clone(&registry), clock.clone(), name);
    for _ in 0..CAPACITY {
        address("deaf").cast(Q::Note).unwrap();
    }
    let full = address("deaf").cast(Q::Note).unwrap_err();
    let (depth, capacity) = (CAPACITY, CAPACITY);
    assert_eq!(full, CallError::Overloaded { name: "deaf".into(), depth, capacity });
    let down = wait(address("slow").call(&NOBODY(), Q::Crash, 30_000)).unwrap_err();
    assert_eq!(down.code(), "down");
    while registry.find("slow").unwrap().state() != PlaceState::Restarting {
        std::thread::yield_now();
    }
    clock.advance(10_000);
    let again = address("slow").cast(Q::Note).unwrap_err();
    let CallError::Restarting { retry_after_ms, .. } = again else { panic!("{again:?}") };
    assert_eq!(retry_after_ms, 50_000);
    clock.advance(60_000);
    let server = address("slow");
    while server.cast(Q::Note).is_err() {
        std::thread::yield_now();
    }
    assert_eq!(wait(server.call(&Way::default(), Q::Notes, 30_000)).unwrap(), "1");
    crate::common::stop(runtime);
}
