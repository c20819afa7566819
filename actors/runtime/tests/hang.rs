//! A child that makes no progress: told, interrupted, killed; and a thread that is stuck is taken out of service.
#![allow(clippy::unwrap_used)]

mod common;
use common::*;
use loket_runtime::{
    DoorSpec, Hooks, LaneChoice, NodeConfig, NodeSpec, OnReport, PlaceState, WatchdogConfig,
    WorkerNode,
};
use loket_supervision::fleet::Watchdog;
use loket_supervision::machine::{Context, Exit, Flags};
use loket_supervision::story::Row;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// For a report that is on its way.
const PATIENCE: Duration = Duration::from_secs(30);

/// Short, for children that are meant to pass it.
const BOUNDS: Option<Watchdog> = Some(Watchdog { soft_ms: 200, hard_ms: 400 });

fn watched(worker: WorkerNode) -> WorkerNode {
    WorkerNode { watchdog: BOUNDS, ..worker }
}

fn on(lane: usize, worker: WorkerNode) -> WorkerNode {
    WorkerNode { lane: LaneChoice::Lane(lane), ..worker }
}

/// Two restarts at most: what is charged that should not be ends the node.
fn strict() -> Flags {
    Flags { intensity: 2, period_ms: 3_600_000, ..Flags::default() }
}

fn bounded(lanes: usize, max: usize) -> NodeConfig {
    let watchdog = WatchdogConfig { quarantine_max: max, ..WatchdogConfig::default() };
    NodeConfig { lanes, watchdog, ..NodeConfig::default() }
}

fn contexts(rows: &[Row], child: &str) -> Vec<(Context, Option<Exit>)> {
    let of = rows.iter().filter(|row| &*row.report.offender.id == child);
    of.map(|row| (row.report.context, row.report.reason.clone())).collect()
}

#[test]
fn a_child_that_waits_for_ever_is_told_interrupted_and_killed() {
    let script = Script::new();
    let tell = script.teller();
    script.on("deaf", move |mut context| {
        let tell = tell.clone();
        async move {
            context.control.started();
            let _ = tell.send(format!("deaf {}", context.incarnation));
            if context.incarnation == 1 {
                // A piece of work that began at the beginning of time.
                context.control.busy(Some(1));
                context.control.interrupted().await;
                let _ = tell.send("deaf hears it".to_owned());
                return std::future::pending().await;
            }
            context.control.stop().await;
            Exit::Shutdown
        }
    });
    let tell = script.teller();
    script.on("polite", move |mut context| {
        let tell = tell.clone();
        async move {
            context.control.started();
            let _ = tell.send(format!("polite {}", context.incarnation));
            if context.incarnation == 1 {
                context.control.busy(Some(1));
                context.control.interrupted().await;
                return Exit::Hung;
            }
            // Busy, but with one short piece after the other.
            context.control.busy(Some(1));
            context.control.busy(None);
            context.control.stop().await;
            Exit::Shutdown
        }
    });
    let all = vec![watched(worker("deaf")), watched(worker("polite")), worker("idle")];
    let reports = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
    let keep = Arc::clone(&reports);
    let on_report: OnReport = Arc::new(move |row| {
        keep.0.lock().unwrap().push(row);
        keep.1.notify_all();
    });
    let hooks = Hooks { on_report: Some(on_report), ..Hooks::default() };
    let root = supervisor("root", strict(), workers(all));
    let runtime = run_telling(bounded(1, 0), &script, root, hooks);
    let told = script.until("deaf 2");
    assert!(
        told.contains(&"deaf hears it".to_owned()),
        "interrupted before it was killed: {told:?}"
    );
    if !told.contains(&"polite 2".to_owned()) {
        script.until("polite 2");
    }
    for child in ["deaf", "polite"] {
        let place = runtime.node().registry().find(child).unwrap();
        assert_eq!(place.last_exit(), Some(Exit::Hung), "{child}");
        // A child speaks before its progress is told.
        let (kept, told) = (reports.0.lock().unwrap(), &reports.1);
        let few = |rows: &mut Vec<Row>| contexts(rows, child).len() < 4;
        let rows = contexts(&told.wait_timeout_while(kept, PATIENCE, few).unwrap().0, child);
        let progress = (Context::Progress, None);
        let wanted = [
            progress.clone(),
            (Context::Slow, None),
            (Context::ChildTerminated, Some(Exit::Hung)),
            progress,
        ];
        assert_eq!(rows, wanted, "{child}");
    }
    assert_eq!(runtime.node().registry().find("idle").unwrap().incarnation(), 1);
    stop(runtime);
}

/// Says so when it is dropped.
struct Tells(crossbeam_channel::Sender<String>, &'static str);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send(self.1.to_owned());
    }
}

/// An agent's body: tells whenever it listens.
async fn sleeper(
    mut context: loket_runtime::ChildContext,
    tell: crossbeam_channel::Sender<String>,
) -> Exit {
    let loket_runtime::Door::Agent(bell) = context.door.clone() else { return Exit::NoProc };
    context.control.started();
    loop {
        let _ = tell.send(format!("sleeper {} waits", context.incarnation));
        tokio::select! {
            biased;
            () = context.control.stop() => return Exit::Shutdown,
            () = bell.notified() => {}
        }
    }
}

#[test]
fn a_stuck_thread_is_taken_out_of_service_and_all_others_move() {
    let script = Script::new();
    let (open, gate) = crossbeam_channel::bounded::<()>(1);
    let tell = script.teller();
    script.on("blocker", move |mut context| {
        let (gate, tell) = (gate.clone(), tell.clone());
        async move {
            context.control.started();
            let _ = tell.send(format!("blocker {}", context.incarnation));
            if context.incarnation == 1 {
                let _thread = Tells(tell.clone(), "the old thread is left");
                // A native provider that waits for somebody on its lane's thread.
                let _ = gate.recv();
                // It goes on; whatever it does now reaches nobody.
                tokio::task::yield_now().await;
                let _ = tell.send("the dead speak".to_owned());
            }
            context.control.stop().await;
            Exit::Shutdown
        }
    });
    script.on("p", serve);
    let tell = script.teller();
    script.on("sleeper", move |context| sleeper(context, tell.clone()));
    let sleeper = WorkerNode { door: DoorSpec::Agent, ..worker("sleeper") };
    let all = vec![
        on(0, provider("p", 64, &["p.do"])),
        on(0, caller("c", &["p"])),
        on(0, sleeper),
        on(1, worker("elsewhere")),
        on(0, watched(worker("blocker"))),
    ];
    let runtime = run_with(bounded(2, 1), &script, supervisor("root", strict(), workers(all)));
    script.until("blocker 1");
    // It waits in the mailbox of a provider that cannot serve it before it has moved.
    let (lane, from) = (runtime.node().lanes()[0].clone(), address(&runtime, "c"));
    let mailbox = match runtime.node().registry().find("p").unwrap().door() {
        loket_runtime::Door::Provider(mailbox) => mailbox.clone(),
        other => panic!("{other:?}"),
    };
    script.until_all(&["blocker 2", "sleeper 2 waits", "c 2 up"]);
    let registry = runtime.node().registry().clone();
    // The kernel's shard has moved as well.
    let from = loket_kernel::Address { incarnation: 2, ..from };
    assert_eq!(text(call(&lane, from, "p.do", b"")), "2");
    assert!(registry.wake("sleeper"));
    script.until("sleeper 2 waits");
    for (child, exit) in
        [("blocker", Exit::Hung), ("p", Exit::LaneLost), ("sleeper", Exit::LaneLost)]
    {
        let place = registry.find(child).unwrap();
        assert_eq!((place.incarnation(), place.last_exit()), (2, Some(exit)), "{child}");
        assert_eq!(place.state(), PlaceState::Running, "{child}");
    }
    assert_eq!(registry.find("kernel/0").unwrap().incarnation(), 2);
    assert_eq!(registry.find("elsewhere").unwrap().incarnation(), 1);
    open.send(()).unwrap();
    let before = script.until("the old thread is left");
    assert!(!before.contains(&"the dead speak".to_owned()), "{before:?}");
    // All of the old thread's receivers are gone: what is sent now is the new one's.
    for _ in 0..32 {
        assert_eq!(text(call(&lane, from, "p.do", b"")), "2");
    }
    assert_eq!(mailbox.depth(), 0);
    assert_eq!(stop(runtime), Exit::Shutdown, "two restarts were allowed, and one was charged");
}

#[test]
fn past_the_bound_the_node_ends_and_says_that_it_hangs() {
    let script = Script::new();
    let (_open, gate) = crossbeam_channel::bounded::<()>(1);
    let tell = script.teller();
    script.on("blocker", move |mut context| {
        let (gate, tell) = (gate.clone(), tell.clone());
        async move {
            context.control.started();
            let _ = tell.send(format!("blocker {}", context.incarnation));
            let _ = gate.recv();
            Exit::Shutdown
        }
    });
    // Each life blocks its thread: the second one is one too many.
    let all = vec![watched(worker("blocker"))];
    let root = supervisor("root", strict(), workers(all));
    let runtime = run_with(bounded(1, 1), &script, root);
    assert_eq!(runtime.wait(), Exit::Hung);
    assert_eq!(script.rest(), ["blocker 1", "blocker 2"]);
    assert!(runtime.close(100).is_err(), "its thread is left behind");
}

#[test]
fn without_bounds_nobody_is_ended() {
    let script = Script::new();
    let (open, gate) = crossbeam_channel::bounded::<()>(1);
    let (tell, watchdog) = (script.teller(), script.teller());
    script.on("slow", move |mut context| {
        let (gate, tell) = (gate.clone(), tell.clone());
        async move {
            context.control.started();
            context.control.busy(Some(1));
            let _ = tell.send("slow".to_owned());
            let _ = gate.recv();
            context.control.stop().await;
            Exit::Shutdown
        }
    });
    script.on("hung", move |mut context| {
        let tell = watchdog.clone();
        async move {
            context.control.started();
            context.control.busy(Some(1));
            let _ = tell.send(format!("hung {}", context.incarnation));
            context.control.interrupted().await;
            Exit::Hung
        }
    });
    let all = vec![on(0, worker("slow")), on(1, watched(worker("hung")))];
    let all: Vec<NodeSpec> = workers(all);
    let runtime = run_with(bounded(2, 0), &script, supervisor("root", lenient(), all));
    script.until("slow");
    // The watchdog is at work all the while.
    script.until("hung 5");
    assert_eq!(runtime.node().registry().find("slow").unwrap().incarnation(), 1);
    open.send(()).unwrap();
    stop(runtime);
}
