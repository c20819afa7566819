//! What a new plan does to places that are there already: below supervisors that are down, and of children that come again.
#![allow(clippy::unwrap_used)]

mod common;
use common::*;
use loket_runtime::{
    ControlError, NodeSpec, PlaceState, Runtime, SupervisorNode, TreeFuture, WorkerNode,
};
use loket_supervision::fleet::Watchdog;
use loket_supervision::machine::{Exit, Restart};

fn wait<T>(future: TreeFuture<T>) -> Result<T, ControlError> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn below(inner: SupervisorNode) -> Vec<NodeSpec> {
    vec![NodeSpec::Worker(provider("p", 8, &["p.do"])), NodeSpec::Supervisor(inner)]
}

fn ask(runtime: &Runtime) -> String {
    text(call(&runtime.node().lanes()[0], address(runtime, "c"), "p.do", b""))
}

fn seen(runtime: &Runtime, supervisor: &str) -> Vec<(String, PlaceState)> {
    let view = runtime.control().view(supervisor).unwrap();
    view.children.into_iter().map(|child| (child.id, child.state)).collect()
}

#[test]
fn a_plan_for_a_supervisor_that_is_down_is_seen_and_counts_at_once() {
    let script = Script::new();
    script.on("p", serve);
    let inner = |grant: &str, more: &str| {
        let lowest = supervisor("lowest", lenient(), workers(vec![worker(more)]));
        let mut children = workers(vec![worker(&format!("{more}2")), caller("c", &[grant])]);
        children.push(NodeSpec::Supervisor(lowest));
        below(supervisor("inner", lenient(), children))
    };
    let runtime = run(1, &script, supervisor("root", lenient(), inner("p", "a")));
    runtime.wait_up().unwrap();
    assert_eq!(ask(&runtime), "1");
    let root = runtime.control().supervisor("root").unwrap();
    wait(root.terminate_child("inner")).unwrap();
    wait(root.change(lenient(), inner("x.y", "b"))).unwrap();
    let stopped = |ids: &[&str]| -> Vec<_> {
        ids.iter().map(|id| ((*id).to_owned(), PlaceState::Stopped)).collect()
    };
    assert_eq!(seen(&runtime, "inner"), stopped(&["b2", "c", "lowest"]));
    assert_eq!(seen(&runtime, "lowest"), stopped(&["b"]), "also further down");
    assert_eq!(wait(root.restart_child("inner")), Ok(Some(2)));
    assert!(
        ask(&runtime).starts_with("refused: K003"),
        "a right that was taken: {}",
        ask(&runtime)
    );
    stop(runtime);
}

#[test]
fn a_child_that_is_another_one_now_gets_another_place() {
    let script = Script::new();
    script.on("p", serve);
    let inner = |c: WorkerNode| below(supervisor("inner", lenient(), workers(vec![c])));
    let runtime = run(1, &script, supervisor("root", lenient(), inner(worker("c"))));
    runtime.wait_up().unwrap();
    let root = runtime.control().supervisor("root").unwrap();
    wait(root.terminate_child("inner")).unwrap();
    wait(root.change(lenient(), inner(caller("c", &["p"])))).unwrap();
    wait(root.restart_child("inner")).unwrap();
    assert_eq!(ask(&runtime), "1");
    assert_eq!(address(&runtime, "c").incarnation, 2, "its lives are counted on");
    stop(runtime);
}

#[test]
fn j4_lives_below_a_supervisor_that_has_ended_for_good_are_counted_on() {
    let script = Script::new();
    script.on("p", serve);
    let mut inner = supervisor("inner", lenient(), workers(vec![worker("w")]));
    inner.spec.restart = Restart::Temporary;
    let runtime = run(1, &script, supervisor("root", lenient(), below(inner.clone())));
    let root = runtime.control().supervisor("root").unwrap();
    script.until("w 1 up");
    runtime.control().kill("w").unwrap();
    script.until("w 2 up");
    wait(root.terminate_child("inner")).unwrap();
    wait(root.change(lenient(), below(inner))).unwrap();
    assert_eq!(wait(root.restart_child("inner")), Ok(Some(2)));
    script.until("w 3 up");
    stop(runtime);
}

#[test]
fn j4_lives_of_a_child_that_was_started_by_a_call_are_counted_on() {
    let script = Script::new();
    let mut once = worker("w");
    once.spec.restart = Restart::Temporary;
    let inner = supervisor("inner", lenient(), workers(vec![once.clone()]));
    let runtime = run(1, &script, supervisor("root", lenient(), vec![NodeSpec::Supervisor(inner)]));
    script.until("w 1 up");
    let inner = runtime.control().supervisor("inner").unwrap();
    wait(inner.terminate_child("w")).unwrap();
    assert_eq!(wait(inner.start_child(NodeSpec::Worker(once))), Ok(Some(2)));
    runtime.control().kill("inner").unwrap();
    script.until("w 3 up");
    stop(runtime);
}

#[test]
fn new_bounds_of_work_count_for_a_place_that_is_there() {
    let script = Script::new();
    script.on("w", |mut context| async move {
        context.control.started();
        if context.incarnation > 1 {
            context.control.stop().await;
            return Exit::Shutdown;
        }
        // A piece of work that began at the beginning of time.
        context.control.busy(Some(1));
        context.control.interrupted().await;
        Exit::Hung
    });
    let bounded = |watchdog| workers(vec![WorkerNode { watchdog, ..worker("w") }]);
    let runtime = run(1, &script, supervisor("root", lenient(), bounded(None)));
    runtime.wait_up().unwrap();
    let root = runtime.control().supervisor("root").unwrap();
    let bounds = Some(Watchdog { soft_ms: 200, hard_ms: 400 });
    wait(root.change(lenient(), bounded(bounds))).unwrap();
    let place = runtime.node().registry().find("w").unwrap();
    let clock = runtime.node().clock().clone();
    let until_ms = clock.monotonic_ms() + u64::try_from(BOUND.as_millis()).unwrap();
    while place.last_exit() != Some(Exit::Hung) {
        assert!(clock.monotonic_ms() < until_ms, "nobody looks");
        std::thread::yield_now();
    }
    stop(runtime);
}
