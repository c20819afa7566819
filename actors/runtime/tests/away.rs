//! A provider between two incarnations: turns are told to wait outside, others wait a moment or are told when to come again, and
//! who waits does not hang.
#![allow(clippy::unwrap_used)]

mod common;
use common::*;
use loket_kernel::{Address, Chain};
use loket_runtime::{
    CallEnvelope, Cargo, Door, Lane, Late, PlaceState, Presence, ProviderWork, Reply, Runtime,
    TurnCall, WorkerNode,
};
use loket_supervision::fleet::{Backoff, First, Watchdog};
use loket_supervision::machine::Exit;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Between the end of a provider and its next start, milliseconds.
const AWAY_MS: u64 = 60_000;

fn slow(worker: WorkerNode) -> WorkerNode {
    let mut worker = worker;
    worker.spec.backoff = Some(Backoff {
        first: First::Ms(AWAY_MS),
        min_ms: AWAY_MS,
        max_ms: AWAY_MS,
        factor: 1.0,
        jitter: 0.0,
        reset_after_ms: AWAY_MS,
    });
    worker
}

/// A call of a turn.
fn turn() -> TurnCall {
    let mut turn = rerun(grants(&["p"]), 1_000);
    turn.live.pure_only = false;
    turn
}

fn call_of_a_turn(lane: &Lane, from: Address) -> oneshot::Receiver<Reply> {
    let (reply, answer) = oneshot::channel();
    let envelope = CallEnvelope {
        from,
        capability: "p.do".into(),
        args: Vec::new(),
        chain: Chain::default(),
        deadline: None,
        cargo: Cargo { turn: Some(turn()), reply },
    };
    lane.kernel().send(envelope).unwrap();
    answer
}

fn presence(runtime: &Runtime) -> Arc<Presence> {
    match runtime.node().registry().find("p").unwrap().door() {
        Door::Provider(mailbox) => Arc::clone(mailbox.presence()),
        other => panic!("{other:?}"),
    }
}

fn kill(runtime: &Runtime) {
    runtime.control().kill("p").unwrap();
    let place = runtime.node().registry().find("p").unwrap();
    while place.state() != PlaceState::Restarting {
        std::thread::yield_now();
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(BOUND, future).await }).unwrap()
}

#[test]
fn a_call_finds_nobody_there_until_the_next_incarnation_is_up() {
    let script = Script::new();
    script.on("p", serve);
    let (clock, config) = manual();
    let all = vec![slow(provider("p", 8, &["p.do"])), caller("c", &["p"])];
    let runtime = run_with(config, &script, supervisor("root", lenient(), workers(all)));
    runtime.wait_up().unwrap();
    let (lane, from) = (runtime.node().lanes()[0].clone(), address(&runtime, "c"));
    assert_eq!(text(call_of_a_turn(&lane, from)), "1");
    kill(&runtime);
    assert_eq!(text(call_of_a_turn(&lane, from)), "away: p");
    let told = text(call(&lane, from, "p.do", b""));
    assert_eq!(told, "restarting: p, which serves p.do, is being restarted");
    assert_eq!(presence(&runtime).due_in_ms(), Some(AWAY_MS));
    let until = |ms| wait(presence(&runtime).back(&clock, ms));
    assert_eq!(until(AWAY_MS - 1), Err(Late { due_in_ms: Some(AWAY_MS) }));
    clock.advance(AWAY_MS - 500);
    let outside = call(&lane, from, "p.do", b"");
    assert_eq!(text(call_of_a_turn(&lane, from)), "away: p");
    clock.advance(500);
    assert_eq!(text(outside), "2", "half a second is no reason to turn anybody away");
    assert_eq!(until(u64::MAX), Ok(()));
    assert_eq!(text(call_of_a_turn(&lane, from)), "2");
    stop(runtime);
}

/// Takes one call and never answers it; its next life serves.
async fn takes_one(
    mut context: loket_runtime::ChildContext,
    tell: crossbeam_channel::Sender<String>,
) -> Exit {
    let Door::Provider(mailbox) = context.door.clone() else { return Exit::NoProc };
    if context.incarnation > 1 {
        return serve(context).await;
    }
    context.control.started();
    let one = mailbox.recv().await;
    assert!(matches!(one, ProviderWork::Call(_)));
    let _ = tell.send("took one".to_owned());
    std::future::pending().await
}

#[test]
fn what_waits_untaken_is_given_back_and_what_was_taken_is_lost() {
    let script = Script::new();
    let tell = script.teller();
    script.on("p", move |context| takes_one(context, tell.clone()));
    let (clock, config) = manual();
    let all = vec![slow(provider("p", 8, &["p.do"])), caller("c", &["p"])];
    let runtime = run_with(config, &script, supervisor("root", lenient(), workers(all)));
    runtime.wait_up().unwrap();
    let (lane, from) = (runtime.node().lanes()[0].clone(), address(&runtime, "c"));
    let taken = call_of_a_turn(&lane, from);
    script.until("took one");
    let waiting: Vec<_> = (0..3).map(|_| call_of_a_turn(&lane, from)).collect();
    let outside = call(&lane, from, "p.do", b"");
    kill(&runtime);
    assert_eq!(text(taken), "dropped");
    for answer in waiting {
        assert_eq!(text(answer), "away: p");
    }
    assert!(text(outside).starts_with("restarting"), "it is not left to wait for a minute");
    clock.advance(AWAY_MS);
    assert_eq!(wait(presence(&runtime).back(&clock, u64::MAX)), Ok(()));
    assert_eq!(text(call_of_a_turn(&lane, from)), "2");
    stop(runtime);
}

#[test]
fn who_waits_for_a_provider_that_ends_for_good_is_told() {
    let script = Script::new();
    let tell = script.teller();
    script.on("p", move |context| takes_one(context, tell.clone()));
    let (clock, config) = manual();
    let mut once = provider("p", 8, &["p.do"]);
    once.spec.restart = loket_supervision::machine::Restart::Temporary;
    let all = vec![once, caller("c", &["p"])];
    let runtime = run_with(config, &script, supervisor("root", lenient(), workers(all)));
    runtime.wait_up().unwrap();
    let (lane, from) = (runtime.node().lanes()[0].clone(), address(&runtime, "c"));
    let taken = call_of_a_turn(&lane, from);
    script.until("took one");
    runtime.control().kill("p").unwrap();
    assert_eq!(text(taken), "dropped");
    assert_eq!(wait(presence(&runtime).back(&clock, u64::MAX)), Ok(()), "it need not wait");
    assert!(text(call_of_a_turn(&lane, from)).starts_with("provider_down"));
    stop(runtime);
}

/// Where the two children of the last test are.
#[derive(Clone)]
enum Stage {
    Idle,
    Pause(Arc<Presence>),
    GoOn,
}

/// Busy since the beginning of time, but paused all the while.
async fn waits(
    mut context: loket_runtime::ChildContext,
    mut stage: tokio::sync::watch::Receiver<Stage>,
    tell: crossbeam_channel::Sender<String>,
) -> Exit {
    context.control.started();
    let _ = tell.send(format!("waits {}", context.incarnation));
    if context.incarnation > 1 {
        context.control.stop().await;
        return Exit::Shutdown;
    }
    let _ = stage.changed().await;
    let Stage::Pause(on) = stage.borrow_and_update().clone() else { return Exit::NoProc };
    let clock = loket_runtime::Clock::machine(loket_kernel::Moment(0));
    context.control.busy(Some(1));
    let shown = context.control.pause(&on, &clock);
    let _ = tell.send("paused".to_owned());
    let _ = stage.changed().await;
    drop(shown);
    context.control.interrupted().await;
    Exit::Hung
}

/// Busy since the beginning of time once the other one is paused, and does not hear that it shall end.
async fn deaf(
    mut context: loket_runtime::ChildContext,
    mut stage: tokio::sync::watch::Receiver<Stage>,
    tell: crossbeam_channel::Sender<String>,
) -> Exit {
    context.control.started();
    let _ = tell.send(format!("deaf {}", context.incarnation));
    if context.incarnation == 1 {
        let _ = stage.changed().await;
        context.control.busy(Some(1));
    }
    context.control.stop().await;
    Exit::Shutdown
}

#[test]
fn who_is_paused_is_shown_so_and_does_not_hang() {
    let script = Script::new();
    let (to, stage) = tokio::sync::watch::channel(Stage::Idle);
    let (tell, seen) = (script.teller(), stage.clone());
    script.on("waits", move |context| waits(context, seen.clone(), tell.clone()));
    let tell = script.teller();
    script.on("deaf", move |context| deaf(context, stage.clone(), tell.clone()));
    script.on("p", serve);
    let bounds = Some(Watchdog { soft_ms: 60, hard_ms: 120 });
    let watched = |name| WorkerNode { watchdog: bounds, ..worker(name) };
    let all = vec![watched("waits"), watched("deaf"), provider("p", 8, &["p.do"])];
    let runtime = run(1, &script, supervisor("root", lenient(), workers(all)));
    runtime.wait_up().unwrap();
    to.send(Stage::Pause(presence(&runtime))).unwrap();
    let before = script.until("deaf 2");
    assert!(before.contains(&"paused".to_owned()), "{before:?}");
    // By now the other one has come all the way up the ladder.
    let view = runtime.node().registry().view("waits").unwrap();
    assert_eq!((view.state, view.incarnation), (PlaceState::Paused, 1));
    assert_eq!(view.waits_for.as_deref(), Some("p"));
    assert_eq!(runtime.control().living(&|place| &**place.name() == "waits").len(), 1);
    to.send(Stage::GoOn).unwrap();
    script.until("waits 2");
    let place = runtime.node().registry().find("waits").unwrap();
    assert_eq!(place.last_exit(), Some(Exit::Hung), "what comes after the pause counts");
    stop(runtime);
}

/// Says when it is dropped how many wait.
struct Sees(loket_runtime::Mailbox<ProviderWork>, crossbeam_channel::Sender<String>);

impl Drop for Sees {
    fn drop(&mut self) {
        let _ = self.1.send(format!("dropped while {} wait", self.0.depth()));
    }
}

#[test]
fn a_kill_acts_before_what_waits_is_given_back() {
    let script = Script::new();
    let tell = script.teller();
    script.on("p", move |mut context| {
        let tell = tell.clone();
        async move {
            let Door::Provider(mailbox) = context.door.clone() else { return Exit::NoProc };
            let _sees = Sees(mailbox, tell);
            context.control.started();
            context.control.stop().await;
            Exit::Shutdown
        }
    });
    let (_clock, config) = manual();
    let all = vec![slow(provider("p", 8, &["p.do"])), caller("c", &["p"])];
    let runtime = run_with(config, &script, supervisor("root", lenient(), workers(all)));
    runtime.wait_up().unwrap();
    let (lane, from) = (runtime.node().lanes()[0].clone(), address(&runtime, "c"));
    let answers: Vec<_> = (0..3).map(|_| call_of_a_turn(&lane, from)).collect();
    let mailbox = match runtime.node().registry().find("p").unwrap().door() {
        Door::Provider(mailbox) => mailbox.clone(),
        other => panic!("{other:?}"),
    };
    while mailbox.depth() < 3 {
        std::thread::yield_now();
    }
    kill(&runtime);
    script.until("dropped while 3 wait");
    for answer in answers {
        assert_eq!(text(answer), "away: p");
    }
    stop(runtime);
}
