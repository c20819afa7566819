//! Monitors, links, groups and listeners between children of a running node.
#![allow(clippy::unwrap_used)]

mod common;
use common::*;
use crossbeam_channel::Sender;
use loket_runtime::{Listener, NodeSpec, Relations, Runtime};
use loket_supervision::machine::{Exit, Restart};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(BOUND, future).await.unwrap() })
}

/// A node of these children that live until they are stopped, each started anew whatever it dies of.
fn node(script: &Script, names: &[&str]) -> (Runtime, Relations) {
    let all = workers(names.iter().map(|name| worker(name)).collect());
    let runtime = run(1, script, supervisor("root", lenient(), all));
    runtime.wait_up().unwrap();
    let relations = runtime.node().registry().relations().clone();
    let ups: Vec<_> = names.iter().map(|_| script.next()).collect();
    assert!(ups.iter().all(|up| up.ends_with(" 1 up")), "{ups:?}");
    (runtime, relations)
}

/// A child that fails before it could do anything was watched already: its end is heard of.
#[test]
fn who_dies_at_once_was_watched_before_it_ran() {
    let script = Script::new();
    let tell = script.teller();
    script.on("root-watcher", move |mut context| {
        let tell = tell.clone();
        async move {
            let relations = context.relations.clone();
            context.control.started();
            for _ in 0..100 {
                let down = relations.monitor("brief").unwrap().await;
                let _ = tell.send(format!("{} {}", down.name, down.reason));
            }
            context.control.stop().await;
            Exit::Shutdown
        }
    });
    script.on("brief", |mut context| async move {
        context.control.started();
        Exit::Normal
    });
    let all = workers(vec![worker("brief"), worker("root-watcher")]);
    let runtime = run(2, &script, supervisor("root", lenient(), all));
    for _ in 0..100 {
        let told = script.next();
        assert!(told == "brief normal" || told == "brief noproc", "{told}");
    }
    runtime.control().stop(false);
    runtime.wait();
    assert_eq!(runtime.node().registry().relations().monitors(), 0);
    runtime.close(30_000).unwrap();
}

/// Kills from one thread, monitors from others: each monitor has one Down, of a life that it was made in.
#[test]
fn monitors_and_kills_race_and_each_down_comes_once() {
    let script = Script::new();
    let (runtime, relations) = node(&script, &["a"]);
    let (done, downs) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    let before = relations.living("a");
                    let down = wait(relations.monitor("a").unwrap());
                    match down.incarnation {
                        Some(life) => {
                            assert!(before.is_none_or(|before| life >= before));
                            assert!(matches!(down.reason, Exit::Killed | Exit::Shutdown));
                        }
                        None => assert_eq!(down.reason, Exit::NoProc),
                    }
                    downs.fetch_add(1, Ordering::AcqRel);
                }
            });
        }
        for life in 2..100 {
            runtime.control().kill("a").unwrap();
            script.until(&format!("a {life} up"));
        }
        done.store(true, Ordering::Release);
        runtime.control().stop(false);
        runtime.wait();
    });
    assert!(downs.load(Ordering::Acquire) > 50);
    assert_eq!(relations.monitors(), 0);
    runtime.close(30_000).unwrap();
}

/// A link is of both; who ends takes the other along with its reason, unless it ended `normal`.
#[test]
fn links_share_an_end_but_not_a_normal_one() {
    let script = Script::new();
    let tell = script.teller();
    script.on("ends", move |mut context| {
        let tell = tell.clone();
        async move {
            let _ = tell.send(format!("ends {} up", context.incarnation));
            context.control.started();
            context.control.stop().await;
            Exit::Normal
        }
    });
    let mut temporary = worker("ends");
    temporary.spec.restart = Restart::Transient;
    let mut all = workers(vec![worker("a"), worker("b"), worker("c")]);
    all.push(NodeSpec::Worker(temporary));
    let runtime = run(1, &script, supervisor("root", lenient(), all));
    runtime.wait_up().unwrap();
    let relations = runtime.node().registry().relations().clone();
    (0..4).for_each(|_| drop(script.next()));

    relations.link("a", "b").unwrap();
    relations.link("b", "a").unwrap();
    relations.link("a", "a").unwrap();
    assert_eq!(relations.links("a"), vec![Arc::from("b")], "a set, and symmetric");
    assert_eq!(relations.links("b"), vec![Arc::from("a")]);
    relations.link("b", "c").unwrap();
    relations.unlink("c", "b");
    let downs = ["b", "a"].map(|name| relations.monitor(name).unwrap());
    runtime.control().kill("b").unwrap();
    for down in downs {
        assert_eq!(wait(down).reason, Exit::Killed, "kill becomes killed");
    }
    let mut up = [script.next(), script.next()];
    up.sort();
    assert_eq!(up, ["a 2 up", "b 2 up"]);
    assert!(relations.links("a").is_empty(), "a link is of two lives");
    assert_eq!(relations.living("c"), Some(1), "its link was taken back");
    assert_eq!(relations.link("a", "nobody").unwrap_err().code(), "noproc");
    assert!(relations.links("a").is_empty(), "nothing is linked then");

    relations.link("ends", "c").unwrap();
    let (down, under) = (relations.monitor("ends").unwrap(), runtime.control());
    under.stop(false);
    assert_eq!(wait(down).reason, Exit::Normal);
    runtime.wait();
    let told = script.rest();
    assert!(
        told.contains(&"c 1 stops".to_owned()),
        "asked to stop, not ended by the link: {told:?}"
    );
    runtime.close(30_000).unwrap();
}

/// Who traps exits gets them as messages and lives on; a kill is none; a supervisor hears no links.
#[test]
fn trapped_exits_are_messages() {
    let script = Script::new();
    let tell = script.teller();
    script.on("traps", move |mut context| {
        let tell = tell.clone();
        async move {
            let mut signals = context.control.trap_exits();
            context.control.started();
            let _ = tell.send(format!("traps {} up", context.incarnation));
            loop {
                tokio::select! {
                    () = context.control.stop() => return Exit::Shutdown,
                    signal = signals.next() => {
                        let _ = tell.send(format!("{} {}", signal.from, signal.reason));
                    }
                }
            }
        }
    });
    let (runtime, relations) = node(&script, &["traps", "a"]);
    for life in 2..5 {
        relations.link("traps", "a").unwrap();
        relations.link("root", "a").unwrap();
        runtime.control().kill("a").unwrap();
        let mut told = [script.next(), script.next()];
        told.sort();
        assert_eq!(told, [format!("a {life} up"), "a killed".to_owned()]);
    }
    assert_eq!(relations.living("traps"), Some(1));
    assert_eq!(relations.living("root"), Some(1));
    runtime.control().kill("traps").unwrap();
    assert_eq!(script.next(), "traps 2 up");
    stop(runtime);
}

struct Tells(Sender<String>);

impl Listener for Tells {
    fn up(&self, name: &str, incarnation: u64) {
        let _ = self.0.send(format!("up {name} {incarnation}"));
    }
    fn down(&self, name: &str, incarnation: u64, reason: &Exit) {
        let _ = self.0.send(format!("down {name} {incarnation} {reason}"));
    }
    fn joined(&self, group: &str, member: &str) {
        let _ = self.0.send(format!("{member} in {group}"));
    }
    fn left(&self, group: &str, member: &str) {
        let _ = self.0.send(format!("{member} out of {group}"));
    }
}

/// Listeners hear of names and groups in the order of the events; who ends leaves its groups first; dropped, they hear no more.
#[test]
fn listeners_hear_names_come_and_go_and_members_leave_with_their_end() {
    let script = Script::new();
    let (runtime, relations) = node(&script, &["a", "b"]);
    let (to, told) = crossbeam_channel::bounded(256);
    let listening = relations.listen(Arc::new(Tells(to))).unwrap();
    let next = || told.recv_timeout(BOUND).unwrap();
    for (group, member) in [("g", "a"), ("g", "b"), ("h", "a"), ("g", "a")] {
        relations.join(group, member).unwrap();
        assert_eq!(next(), format!("{member} in {group}"));
    }
    assert_eq!(relations.members("g"), ["a", "b", "a"].map(Arc::<str>::from));
    relations.leave("g", "a").unwrap();
    assert_eq!(next(), "a out of g");
    assert_eq!(relations.leave("h", "b").unwrap_err().code(), "not_joined");
    assert_eq!(relations.join("g", "nobody").unwrap_err().code(), "noproc");
    runtime.control().kill("a").unwrap();
    assert_eq!([next(), next()], ["a out of g", "a out of h"]);
    assert_eq!([next(), next()], ["down a 1 killed", "up a 2"]);
    assert_eq!(relations.members("g"), vec![Arc::from("b")]);
    assert_eq!(relations.groups(), vec![Arc::from("g")], "an empty group is none");
    drop(listening);
    script.until("a 2 up");
    runtime.control().kill("a").unwrap();
    script.until("a 3 up");
    assert_eq!(told.try_recv().ok(), None);
    stop(runtime);
}
