//! A panic, an overload, a kill: what stays whole.
#![allow(clippy::unwrap_used)]

mod common;
use common::*;
use loket_runtime::{BrainAction, BrainRequest, Door, Mailbox, ProviderWork};
use loket_supervision::machine::Exit;
use std::rc::Rc;

fn note() -> ProviderWork {
    let (reply, _) = tokio::sync::oneshot::channel();
    let what = BrainAction::RollBack;
    ProviderWork::Brain(BrainRequest { agent: "a".into(), incarnation: 1, what, reply })
}

fn mailbox_of(runtime: &loket_runtime::Runtime, name: &str) -> Mailbox<ProviderWork> {
    match runtime.node().registry().find(name).unwrap().door() {
        Door::Provider(mailbox) => mailbox.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_panic_restarts_one_provider_and_its_mailbox_survives() {
    let script = Script::new();
    script.on("p", serve);
    script.on("q", serve);
    let all =
        vec![provider("p", 64, &["p.do"]), provider("q", 64, &["q.do"]), caller("c", &["p", "q"])];
    let runtime = run(1, &script, supervisor("root", lenient(), workers(all)));
    runtime.wait_up().unwrap();
    let (lane, from) = (runtime.node().lanes()[0].clone(), address(&runtime, "c"));
    // One batch through the kernel, so that all wait in the mailbox when the first one is handled.
    let deadly = call(&lane, from, "p.do", b"panic");
    let waiting: Vec<_> = (0..10).map(|_| call(&lane, from, "p.do", b"")).collect();
    let neighbour = call(&lane, from, "q.do", b"");
    assert_eq!(text(deadly), "dropped");
    for answer in waiting {
        assert!(["1", "2"].contains(&&*text(answer)), "no call that waited is lost");
    }
    assert_eq!(text(call(&lane, from, "p.do", b"")), "2");
    assert_eq!(text(neighbour), "1");
    assert_eq!(text(call(&lane, from, "q.do", b"")), "1");
    stop(runtime);
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("bomb");
    }
}

#[test]
fn a_panic_while_state_is_dropped_ends_one_child_not_the_process() {
    let script = Script::new();
    // Kept: the body panics, and the state panics in its drop.
    script.on("kept", |mut context| async move {
        let state = Rc::new(Bomb);
        context.links.keep(Rc::clone(&state) as Rc<dyn std::any::Any>);
        context.control.started();
        assert!(context.incarnation > 1, "first life");
        context.control.stop().await;
        std::mem::forget(state);
        Exit::Shutdown
    });
    // Killed with a bomb among the body's variables.
    let tell = script.teller();
    script.on("killed", move |mut context| {
        let tell = tell.clone();
        async move {
            let bomb = Bomb;
            context.control.started();
            let _ = tell.send(format!("killed {}", context.incarnation));
            context.control.stop().await;
            std::mem::forget(bomb);
            Exit::Shutdown
        }
    });
    let all = vec![worker("killed"), worker("neighbour"), worker("kept")];
    let runtime = run(1, &script, supervisor("root", lenient(), workers(all)));
    runtime.wait_up().unwrap();
    runtime.control().kill("killed").unwrap();
    script.until("killed 2");
    let registry = runtime.node().registry().clone();
    let exit = registry.find("killed").unwrap().last_exit();
    assert_eq!(exit, Some(Exit::Killed), "a kill stays a kill");
    assert_eq!(registry.find("neighbour").unwrap().incarnation(), 1);
    stop(runtime);
    let kept = registry.find("kept").unwrap();
    assert_eq!(kept.restarts(), 1);
}

#[test]
fn a_kill_overtakes_twenty_thousand_messages_and_they_survive_it() {
    const QUEUED: usize = 20_000;
    let script = Script::new();
    let (open, gate) = crossbeam_channel::bounded::<()>(1);
    let tell = script.teller();
    script.on("p", move |mut context| {
        let (gate, tell) = (gate.clone(), tell.clone());
        async move {
            let Door::Provider(mailbox) = context.door.clone() else {
                return Exit::NoProc;
            };
            context.control.started();
            if context.incarnation == 2 {
                let _ = tell.send(format!("left {}", mailbox.depth()));
                context.control.stop().await;
                return Exit::Shutdown;
            }
            loop {
                let _one = mailbox.recv().await;
                let _ = tell.send("took one".to_owned());
                // The lane stands still until the test has said kill.
                let _ = gate.recv();
                tokio::task::yield_now().await;
            }
        }
    });
    let root = supervisor("root", lenient(), workers(vec![provider("p", QUEUED, &["p.do"])]));
    let runtime = run(1, &script, root);
    runtime.wait_up().unwrap();
    let mailbox = mailbox_of(&runtime, "p");
    mailbox.send(note()).unwrap();
    assert_eq!(script.next(), "took one");
    for _ in 0..QUEUED {
        mailbox.send(note()).unwrap();
    }
    assert!(mailbox.send(note()).is_err(), "the bound holds");
    runtime.control().kill("p").unwrap();
    open.send(()).unwrap();
    assert_eq!(script.next(), format!("left {QUEUED}"));
    stop(runtime);
}

#[test]
fn a_stop_overtakes_what_waits() {
    let script = Script::new();
    let (open, gate) = crossbeam_channel::bounded::<()>(1);
    let tell = script.teller();
    script.on("p", move |mut context| {
        let (gate, tell) = (gate.clone(), tell.clone());
        async move {
            let Door::Provider(mailbox) = context.door.clone() else {
                return Exit::NoProc;
            };
            context.control.started();
            loop {
                tokio::select! {
                    biased;
                    () = context.control.stop() => {
                        let _ = tell.send(format!("stopped, left {}", mailbox.depth()));
                        return Exit::Shutdown;
                    }
                    _one = mailbox.recv() => {
                        let _ = tell.send("took one".to_owned());
                        let _ = gate.recv();
                    }
                }
            }
        }
    });
    let root = supervisor("root", lenient(), workers(vec![provider("p", 100, &["p.do"])]));
    let runtime = run(2, &script, root);
    runtime.wait_up().unwrap();
    let mailbox = mailbox_of(&runtime, "p");
    for _ in 0..50 {
        mailbox.send(note()).unwrap();
    }
    assert_eq!(script.next(), "took one");
    let place = runtime.node().registry().find("p").unwrap();
    runtime.control().stop(false);
    // The supervisors have passed the stop on once `tree` says so.
    while place.state() != loket_runtime::PlaceState::Stopping {
        std::thread::yield_now();
    }
    open.send(()).unwrap();
    assert_eq!(script.next(), "stopped, left 49");
    assert_eq!(runtime.wait(), Exit::Shutdown);
    runtime.close(30_000).unwrap();
}
