//! Where a supervisor reads what its children tell: on the lane of who tells, and on the system arbiter for all the rest.
#![allow(clippy::unwrap_used)]

mod common;
use common::*;
use loket_runtime::{ChildContext, Hooks, LaneChoice, NodeConfig, WorkerNode};
use loket_supervision::fleet::Watchdog;
use loket_supervision::machine::{Backoff, Blame, Cause, ChildSpec, Context, Exit, First};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// Lives that end soon before one stays.
const LIVES: u64 = 20;

fn crash() -> Exit {
    Exit::crash(Cause::Other, Blame::Guest, "on purpose")
}

/// Ends soon as often as that, then stays; tells when it does.
async fn short_lived(mut context: ChildContext, tell: crossbeam_channel::Sender<String>) -> Exit {
    context.control.started();
    if context.incarnation <= LIVES {
        // The system arbiter has read of the start, mostly, and sleeps again: else it finds the end beside it.
        tokio::time::sleep(Duration::from_millis(5)).await;
        return crash();
    }
    let _ = tell.send(format!("{:?}", thread::current().id()));
    context.control.stop().await;
    Exit::Shutdown
}

/// The threads on which this of one child was reported, and the one it ran on.
fn reported(in_place: bool, what: Context) -> (Vec<ThreadId>, String) {
    let (script, threads) = (Script::new(), Arc::new(Mutex::new(Vec::new())));
    let tell = script.teller();
    script.on("c", move |context| short_lived(context, tell.clone()));
    let keep = Arc::clone(&threads);
    let on_report = move |row: loket_supervision::story::Row| {
        if row.report.context == what && &*row.report.offender.id == "c" {
            keep.lock().unwrap().push(thread::current().id());
        }
    };
    let hooks = Hooks { on_report: Some(Arc::new(on_report)), ..Hooks::default() };
    let config = NodeConfig { in_place, ..NodeConfig::default() };
    let root = supervisor("root", lenient(), workers(vec![worker("c")]));
    let runtime = run_telling(config, &script, root, hooks);
    let own = script.next();
    stop(runtime);
    let threads = threads.lock().unwrap().clone();
    (threads, own)
}

/// How often a lane reads what its child tells, in place and not.
fn read_by_the_lane(what: Context, times: u64) -> [u64; 2] {
    [true, false].map(|in_place| {
        let (threads, own) = reported(in_place, what);
        assert_eq!(threads.len() as u64, times, "each is reported once");
        threads.iter().filter(|id| format!("{id:?}") == own).count() as u64
    })
}

#[test]
fn a_restart_is_begun_on_the_lane_of_the_crash() {
    let [in_place, off] = read_by_the_lane(Context::ChildTerminated, LIVES);
    // The system arbiter may have come first now and then.
    assert!(in_place > LIVES / 2, "restarts cross a thread");
    assert_eq!(off, 0, "switched off, all is the system arbiter's");
}

#[test]
fn a_start_is_read_on_the_lane_of_the_child() {
    let [in_place, off] = read_by_the_lane(Context::Progress, LIVES + 1);
    assert!(in_place > LIVES / 2, "starts cross a thread");
    assert_eq!(off, 0, "switched off, all is the system arbiter's");
}

/// What a lane has the machine set for later, the system arbiter has to be woken for.
#[test]
fn a_restart_that_is_put_off_on_a_lane_is_begun_in_time() {
    let script = Script::new();
    let tell = script.teller();
    script.on("c", move |mut context| {
        let tell = tell.clone();
        async move {
            context.control.started();
            if context.incarnation <= LIVES {
                // The system arbiter has read of the start, mostly, and sleeps again.
                tokio::time::sleep(Duration::from_millis(5)).await;
                return crash();
            }
            let _ = tell.send("stays".to_owned());
            context.control.stop().await;
            Exit::Shutdown
        }
    });
    let (first, factor, jitter) = (First::Ms(2), 1.0, 0.0);
    let backoff = Backoff { first, min_ms: 2, max_ms: 2, factor, jitter, reset_after_ms: 60_000 };
    let spec = ChildSpec { backoff: Some(backoff), ..ChildSpec::worker("c") };
    let root = supervisor("root", lenient(), workers(vec![WorkerNode { spec, ..worker("c") }]));
    let runtime = run(1, &script, root);
    script.next();
    stop(runtime);
}

/// A child that keeps its lane's thread once it is up: its supervisor is told at once, not when the thread is free again.
#[test]
fn who_has_started_is_up_though_its_poll_goes_on() {
    let script = Script::new();
    let (open, gate) = crossbeam_channel::bounded::<()>(1);
    script.on("a", move |mut context| {
        let gate = gate.clone();
        async move {
            context.control.started();
            let _ = gate.recv();
            context.control.stop().await;
            Exit::Shutdown
        }
    });
    let tell = script.teller();
    script.on("b", move |context| obedient(context, tell.clone()));
    let on = |lane| WorkerNode { lane: LaneChoice::Lane(lane), ..worker(["a", "b"][lane]) };
    let root = supervisor("root", lenient(), workers(vec![on(0), on(1)]));
    let runtime = run(2, &script, root);
    assert_eq!(script.next(), "b 1 up");
    open.send(()).unwrap();
    stop(runtime);
}

/// Two lanes tell one supervisor at once: who finds it reading leaves nothing unread.
#[test]
fn nothing_is_left_unread_when_many_lanes_tell_at_once() {
    let script = Script::new();
    let names: Vec<_> = (0..16).map(|n| format!("c{n}")).collect();
    for name in &names {
        let tell = script.teller();
        script.on(name, move |context| short_lived(context, tell.clone()));
    }
    let root = supervisor("root", lenient(), workers(names.iter().map(|n| worker(n)).collect()));
    let runtime = run(4, &script, root);
    names.iter().for_each(|_| drop(script.next()));
    runtime.wait_up().unwrap();
    stop(runtime);
}

/// A supervisor that has much to do when a child has started, on the child's lane: the watchdog holds it against nobody.
#[test]
fn what_a_supervisor_does_is_no_time_of_the_childs() {
    let (script, slow) = (Script::new(), Arc::new(Mutex::new((0, Vec::new()))));
    let lane = Arc::new(Mutex::new(None));
    let (tell, own) = (script.teller(), Arc::clone(&lane));
    script.on("c", move |context| {
        *own.lock().unwrap() = Some(thread::current().id());
        short_lived(context, tell.clone())
    });
    let (_nobody, never) = crossbeam_channel::bounded::<()>(0);
    let keep = Arc::clone(&slow);
    let on_report = move |row: loket_supervision::story::Row| match row.report.context {
        Context::Progress if &*row.report.offender.id == "c" => {
            let here = *lane.lock().unwrap() == Some(thread::current().id());
            let mut kept = keep.lock().unwrap();
            if here && kept.0 < 3 {
                kept.0 += 1;
                // Nobody says anything: it takes all of the time.
                let _ = never.recv_timeout(Duration::from_millis(500));
            }
        }
        Context::Slow => keep.lock().unwrap().1.push(row.report.offender.id.to_string()),
        _ => {}
    };
    let hooks = Hooks { on_report: Some(Arc::new(on_report)), ..Hooks::default() };
    let bounds = Some(Watchdog { soft_ms: 100, hard_ms: 200 });
    let child = WorkerNode { watchdog: bounds, ..worker("c") };
    let root = supervisor("root", lenient(), workers(vec![child]));
    let config = NodeConfig { in_place: true, ..NodeConfig::default() };
    let runtime = run_telling(config, &script, root, hooks);
    script.next();
    stop(runtime);
    let (busy, slow) = &*slow.lock().unwrap();
    assert_eq!(*busy, 3, "the lane has read of no start");
    assert!(slow.is_empty(), "told to be slow: {slow:?}");
}
