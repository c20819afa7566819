//! What a node does with the ledger's events.
#![allow(clippy::unwrap_used)]

mod common;
use common::*;
use loket_runtime::WorkerNode;
use loket_runtime::{ChildKind, Door, DoorSpec, DynamicSpec, LedgerEvents, NodeSpec, Waiters};
use loket_supervision::machine::{Exit, Flags, Strategy};
use loket_turn::{DynamicChild, LedgerEvent, MessageId};
use std::sync::Arc;

#[test]
fn it_wakes_agents_answers_waiters_and_starts_and_ends_dynamic_children() {
    let script = Script::new();
    let tell = script.teller();
    script.on("agent", move |mut context| {
        let tell = tell.clone();
        async move {
            let Door::Agent(woken) = context.door.clone() else {
                return Exit::NoProc;
            };
            context.control.started();
            loop {
                tokio::select! {
                    () = context.control.stop() => return Exit::Shutdown,
                    () = woken.notified() => drop(tell.send("woken".to_owned())),
                }
            }
        }
    });
    let flags = Flags { strategy: Strategy::SimpleOneForOne, ..lenient() };
    let pool = supervisor("pool", flags, workers(vec![worker("template")]));
    let agent = WorkerNode { door: DoorSpec::Agent, ..worker("agent") };
    let children = vec![NodeSpec::Worker(agent), NodeSpec::Supervisor(pool)];
    let runtime = run(1, &script, supervisor("root", lenient(), children));
    runtime.wait_up().unwrap();
    let waiters = Arc::new(Waiters::default());
    let dynamic = |row: &DynamicChild| {
        let kind = Arc::new(ChildKind::System("test", 0));
        let known = row.settings != "gone";
        known.then(|| DynamicSpec { name: Arc::clone(&row.agent), kind, last_incarnation: 0 })
    };
    let registry = Arc::clone(runtime.node().registry());
    let events =
        LedgerEvents::new(registry, Arc::clone(&waiters), runtime.control(), Arc::new(dynamic));
    events.on_event(&LedgerEvent::Arrived { agent: "agent".into() });
    assert_eq!(script.next(), "woken");
    events.on_event(&LedgerEvent::Arrived { agent: "nobody".into() });

    let waiting = waiters.message(MessageId([1; 16])).unwrap();
    let (agent, message) = ("agent".into(), MessageId([1; 16]));
    events.on_event(&LedgerEvent::Finished { agent, message, outcome: Ok(vec![7]) });
    let waited = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(waiting);
    assert_eq!(waited, Some(Ok(vec![7])));

    let row = |name: &str, settings: &str| DynamicChild {
        agent: name.into(),
        under: "pool".into(),
        settings: settings.to_owned(),
    };
    let rows = vec![row("pool/gone", "gone"), row("pool/x", "{}")];
    events.on_event(&LedgerEvent::Spawned(rows));
    assert_eq!(script.next(), "pool/x 1 up");
    events.on_event(&LedgerEvent::Stopped(vec!["pool/x".into()]));
    assert_eq!(script.next(), "pool/x 1 stops");
    stop(runtime);
}
