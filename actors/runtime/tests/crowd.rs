//! Many children crash at once: all are back, once each, and the tree answers meanwhile.
#![allow(clippy::unwrap_used)]

mod common;
use common::*;
use loket_supervision::machine::{Blame, Cause, Exit, Flags};
use std::sync::Arc;
use tokio::sync::Notify;

/// The acceptance's 10,000 are measured by `examples/crowd.rs`.
const CHILDREN: usize = 2_000;

#[test]
fn all_who_crash_at_once_are_back_and_the_tree_answers_meanwhile() {
    let (script, crash) = (Script::new(), Arc::<Notify>::default());
    let names: Vec<String> = (0..CHILDREN).map(|n| format!("a{n}")).collect();
    for name in &names {
        let (crash, tell) = (Arc::clone(&crash), script.teller());
        script.on(name, move |mut context| {
            let (crash, tell) = (Arc::clone(&crash), tell.clone());
            async move {
                context.control.started();
                let _ = tell.send(format!("life {}", context.incarnation));
                tokio::select! {
                    biased;
                    () = context.control.stop() => Exit::Shutdown,
                    () = crash.notified() => Exit::crash(Cause::Trap, Blame::Guest, "all at once"),
                }
            }
        });
    }
    let flags = Flags { intensity: u32::try_from(CHILDREN).unwrap(), ..Flags::default() };
    let all = workers(names.iter().map(|name| worker(name)).collect());
    let runtime = run(2, &script, supervisor("root", flags, all));
    runtime.wait_up().unwrap();
    for _ in 0..CHILDREN {
        assert_eq!(script.next(), "life 1");
    }
    let control = runtime.control();
    crash.notify_waiters();
    // A look whenever one of them is back: the tree is whole in each.
    for back in 0..CHILDREN {
        assert_eq!(script.next(), "life 2");
        if back % 100 == 0 {
            assert_eq!(control.view("root").unwrap().children.len(), CHILDREN);
        }
    }
    assert_eq!(script.rest().len(), 0, "each is restarted once");
    assert_eq!(stop(runtime), Exit::Shutdown, "and no restart was one too many");
}
