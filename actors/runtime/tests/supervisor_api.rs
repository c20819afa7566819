//! What a supervisor's API does beside OTP's: doors, routes, grants and names of children that come, change and go.
#![allow(clippy::unwrap_used)]

mod common;
use common::*;
use loket_runtime::{
    ControlError, LaneChoice, NodeSpec, Runtime, Service, SupervisorHandle, TreeFuture, WorkerNode,
};
use loket_supervision::machine::{ApiError, Exit};

fn wait<T>(future: TreeFuture<T>) -> Result<T, ControlError> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// A provider `p` that answers with its incarnation, and its caller `c`, on one lane.
fn served() -> (Script, Runtime, SupervisorHandle) {
    let script = Script::new();
    for name in ["p", "q"] {
        script.on(name, serve);
    }
    let children = workers(vec![provider("p", 8, &["p.do"]), caller("c", &["p"])]);
    let runtime = run(1, &script, supervisor("root", lenient(), children));
    runtime.wait_up().unwrap();
    let root = runtime.control().supervisor("root").unwrap();
    (script, runtime, root)
}

fn ask(runtime: &Runtime, name: &str) -> String {
    text(call(&runtime.node().lanes()[0], address(runtime, "c"), name, b""))
}

#[test]
fn a_provider_that_is_deleted_and_comes_again_serves_again_through_its_new_door() {
    let (_script, runtime, root) = served();
    assert_eq!(ask(&runtime, "p.do"), "1");
    wait(root.terminate_child("p")).unwrap();
    // Queued before the door was closed, or after.
    let refused = ask(&runtime, "p.do");
    assert!(refused == "dropped" || refused.starts_with("provider_down"), "{refused}");
    wait(root.delete_child("p")).unwrap();
    // Another door, and more that it serves.
    let again = NodeSpec::Worker(provider("p", 4, &["p.do", "p.more"]));
    let life = wait(root.start_child(again)).unwrap().unwrap();
    assert!(life > 1, "no life is counted twice");
    assert_eq!(
        (ask(&runtime, "p.do"), ask(&runtime, "p.more")),
        (life.to_string(), life.to_string())
    );
    stop(runtime);
}

#[test]
fn what_a_provider_that_is_gone_served_another_may_serve() {
    let (_script, runtime, root) = served();
    let other = || {
        let serves = Some(Service::new("q", ["p.do"]).unwrap());
        NodeSpec::Worker(WorkerNode { serves, ..provider("q", 8, &[]) })
    };
    let taken = wait(root.start_child(other()));
    assert!(matches!(taken, Err(ControlError::Refused(ApiError::StartFailed(_)))), "{taken:?}");
    assert!(runtime.node().registry().find("q").is_none(), "nothing is left of it");
    // Gone for good only when its supervisor would not start it again either.
    wait(root.change(lenient(), workers(vec![caller("c", &["p"])]))).unwrap();
    wait(root.terminate_child("p")).unwrap();
    wait(root.delete_child("p")).unwrap();
    assert!(runtime.node().registry().find("p").is_none());
    let life = wait(root.start_child(other())).unwrap().unwrap();
    assert_eq!(ask(&runtime, "p.do"), life.to_string());
    stop(runtime);
}

#[test]
fn new_grants_count_at_once_and_a_new_kind_from_the_next_life_on() {
    let (_script, runtime, root) = served();
    assert_eq!(ask(&runtime, "p.do"), "1");
    let with = |grants: &[&str]| workers(vec![provider("p", 8, &["p.do"]), caller("c", grants)]);
    wait(root.change(lenient(), with(&["x.y"]))).unwrap();
    assert!(ask(&runtime, "p.do").starts_with("refused: K003"), "{}", ask(&runtime, "p.do"));
    wait(root.change(lenient(), with(&["p.do"]))).unwrap();
    assert_eq!(ask(&runtime, "p.do"), "1");
    stop(runtime);
}

#[test]
fn what_others_know_of_a_child_does_not_change_while_it_is_there() {
    let (_script, runtime, root) = served();
    let c = || NodeSpec::Worker(caller("c", &["p"]));
    let p = || provider("p", 8, &["p.do"]);
    let lower = supervisor("p", lenient(), Vec::new());
    let changed = [
        (NodeSpec::Worker(provider("p", 9, &["p.do"])), "door"),
        (NodeSpec::Worker(WorkerNode { lane: LaneChoice::Lane(0), ..p() }), "lane"),
        (NodeSpec::Worker(WorkerNode { grants: Some(grants(&["x.y"])), ..p() }), "right to call"),
        (NodeSpec::Worker(provider("p", 8, &["p.do", "p.more"])), "service"),
        (NodeSpec::Supervisor(lower), "type"),
    ];
    for (child, what) in changed {
        let refused = wait(root.change(lenient(), vec![child, c()])).unwrap_err();
        assert_eq!(refused.code(), "fixed");
        assert!(matches!(&refused, ControlError::Fixed { part, .. } if *part == what), "{refused}");
    }
    assert_eq!(ask(&runtime, "p.do"), "1");
    stop(runtime);
}

#[test]
fn names_are_taken_in_the_whole_tree() {
    let (_script, runtime, root) = served();
    let children = || workers(vec![provider("p", 8, &["p.do"]), caller("c", &["p"])]);
    let more =
        |name: &str| children().into_iter().chain([NodeSpec::Worker(worker(name))]).collect();
    let taken = wait(root.change(lenient(), more("kernel/0")));
    assert_eq!(taken, Err(ControlError::Taken("kernel/0".to_owned())));
    let inner = supervisor("s", lenient(), workers(vec![worker("c")]));
    let taken = wait(root.start_child(NodeSpec::Supervisor(inner)));
    assert_eq!(taken, Err(ApiError::AlreadyStarted(1).into()), "deep below");
    assert!(runtime.node().registry().find("s").is_none(), "and nothing is left of it");
    let twice = supervisor("s", lenient(), workers(vec![worker("t"), worker("t")]));
    let twice = wait(root.start_child(NodeSpec::Supervisor(twice))).unwrap_err();
    assert_eq!(twice.code(), "duplicate_child_name");
    let no_lane = WorkerNode { lane: LaneChoice::Lane(7), ..worker("w") };
    let no_lane = wait(root.start_child(NodeSpec::Worker(no_lane))).unwrap_err();
    assert_eq!(no_lane.code(), "no_lane");
    stop(runtime);
}

#[test]
fn a_new_plan_for_a_supervisor_below_counts_from_its_next_life_on() {
    let script = Script::new();
    let inner = |names: &[&str]| {
        let children = names.iter().map(|name| worker(name)).collect();
        vec![NodeSpec::Supervisor(supervisor("inner", lenient(), workers(children)))]
    };
    let runtime = run(1, &script, supervisor("root", lenient(), inner(&["a", "b"])));
    runtime.wait_up().unwrap();
    let root = runtime.control().supervisor("root").unwrap();
    wait(root.change(lenient(), inner(&["c", "a"]))).unwrap();
    assert_eq!(script.rest(), ["a 1 up", "b 1 up"]);
    runtime.control().kill("inner").unwrap();
    assert_eq!((script.next(), script.next()), ("c 1 up".to_owned(), "a 2 up".to_owned()));
    let view = runtime.control().view("inner").unwrap();
    let shown: Vec<_> = view.children.iter().map(|child| child.id.as_str()).collect();
    assert_eq!(shown, ["c", "a"], "in their new order, and nobody else");
    stop(runtime);
}

#[test]
fn only_supervisors_have_children() {
    let (_script, runtime, _root) = served();
    let control = runtime.control();
    assert_eq!(control.supervisor("p").unwrap_err().code(), "not_supervisor");
    assert_eq!(control.supervisor("nobody").unwrap_err().code(), "not_found");
    let root = control.supervisor("root").unwrap();
    stop(runtime);
    assert_eq!(wait(root.which_children()).unwrap_err().code(), "noproc");
}

#[test]
fn a_supervisor_that_is_stopped_by_a_call_ends_in_order_and_its_own_decides() {
    let script = Script::new();
    let mut inner = supervisor("inner", lenient(), workers(vec![worker("a"), worker("b")]));
    inner.spec.restart = loket_supervision::machine::Restart::Transient;
    let root = supervisor("root", lenient(), vec![NodeSpec::Supervisor(inner)]);
    let runtime = run(1, &script, root);
    runtime.wait_up().unwrap();
    let inner = runtime.control().supervisor("inner").unwrap();
    wait(inner.start_child(NodeSpec::Worker(worker("added")))).unwrap();
    script.rest();
    wait(inner.stop()).unwrap();
    assert_eq!(script.rest(), ["added 1 stops", "b 1 stops", "a 1 stops"]);
    let root = runtime.control().supervisor("root").unwrap();
    // The call is answered before the supervisor above hears of the end.
    let place = runtime.node().registry().find("inner").unwrap();
    while place.last_exit().is_none() {
        std::thread::yield_now();
    }
    assert_eq!(place.last_exit(), Some(loket_supervision::machine::Exit::Normal));
    assert!(runtime.node().registry().find("added").is_none(), "its name is free meanwhile");
    assert_eq!(wait(root.restart_child("inner")), Ok(Some(2)));
    assert_eq!(script.rest(), ["a 2 up", "b 2 up"]);
    stop(runtime);
}

#[test]
fn a_child_that_is_deleted_behind_another_call_leaves_no_place() {
    let script = Script::new();
    let (release, released) = tokio::sync::watch::channel(false);
    let tell = script.teller();
    script.on("slow", move |mut context| {
        let (tell, mut released) = (tell.clone(), released.clone());
        async move {
            context.control.started();
            context.control.stop().await;
            let _ = tell.send("slow stops".to_owned());
            let _ = released.wait_for(|released| *released).await;
            Exit::Shutdown
        }
    });
    let children = |names: &[&str]| workers(names.iter().map(|name| worker(name)).collect());
    let runtime = run(1, &script, supervisor("root", lenient(), children(&["gone", "slow"])));
    runtime.wait_up().unwrap();
    let root = runtime.control().supervisor("root").unwrap();
    wait(root.change(lenient(), children(&["slow"]))).unwrap();
    wait(root.terminate_child("gone")).unwrap();
    let stopping = root.terminate_child("slow");
    script.until("slow stops");
    // The supervisor is busy with the stop: it serves this one later.
    let deleting = root.delete_child("gone");
    assert_eq!(wait(root.count_children()).unwrap().specs, 2, "it has come, and is not served");
    release.send(true).unwrap();
    wait(stopping).unwrap();
    wait(deleting).unwrap();
    assert!(runtime.node().registry().find("gone").is_none());
    stop(runtime);
}
