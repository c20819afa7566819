//! Dynamic children that are stopped, and spawned again under their name: the old one ends, in the tree, too, and the new one is
//! another (rules A4, A6, E3).

use crate::fleet::{Fleet, PATIENCE, file, within};
use serde_json::{Value, json};

const POOL: &str = r#"
    Supervisor(id: "pool", strategy: SimpleOneForOne, max_children: 100, children: [
        Agent(id: "child", module: "builtin:script", park_after: "50ms", grants: [
            (cap: "store.brain"), (cap: "human.ask"), (cap: "time"),
        ]),
    ]),
    Agent(id: "op", module: "builtin:script", grants: [
        (cap: "agent.spawn", scope: { "under": ["pool"] }),
        (cap: "agent.stop", scope: { "under": ["*"] }),
        (cap: "agent.send", scope: { "to": ["pool/*"] }),
    ]),"#;

fn spawn(name: &str) -> Value {
    json!({"call": "agent.spawn", "args": {"under": "pool", "name": name}, "or": "fail"})
}

fn stop(agent: &str) -> Value {
    json!({"call": "agent.stop", "args": {"agent": agent}, "or": "fail"})
}

fn op(fleet: &Fleet, steps: &[Value]) {
    fleet.call("op", &json!(steps).to_string()).json();
}

fn children(fleet: &Fleet) -> Value {
    fleet.ask("agent.list", &json!({"under": "pool"})).unwrap()["agents"].clone()
}

fn in_tree(fleet: &Fleet) -> usize {
    let tree = fleet.command(&["tree", "--json"]).json().to_string();
    tree.matches("\"pool/").count()
}

const ASKS: &str = r#"[{"call": "human.ask", "args": {"question": "?"}}]"#;

#[test]
fn a4_a_child_that_an_operator_stops_ends_in_the_tree_too_and_can_be_spawned_again() {
    let mut fleet = Fleet::running(POOL);
    op(&fleet, &[spawn("p")]);
    assert_eq!(fleet.command(&["send", "pool/p", ASKS]).exit, 0);
    within(PATIENCE, "it asks", || (fleet.status()["approvals"] == 1).then_some(()));
    let stopped = fleet.ask("agent.stop", &json!({"agent": "pool/p"})).unwrap();
    assert_eq!(stopped, json!({"stopped": "pool/p", "letters": 1}));
    within(PATIENCE, "it is gone", || (in_tree(&fleet) == 0).then_some(()));
    op(&fleet, &[spawn("p")]);
    assert_eq!(fleet.call("pool/p", "[]").json(), json!([]));
    assert_eq!(fleet.status()["restarts"], 0);
    // Those of the file are stopped otherwise.
    for agent in ["op", "pool", "pool2/p"] {
        let refused = fleet.ask("agent.stop", &json!({"agent": agent})).unwrap_err();
        assert_eq!(refused["code"], "not_found", "{refused}");
    }
    fleet.stop();
}

#[test]
fn e3_who_is_spawned_while_the_old_one_ends_is_another_and_keeps_its_messages() {
    let mut fleet = Fleet::running(POOL);
    op(&fleet, &[spawn("p")]);
    let busy = json!([
        {"call": "store.brain.kv.put", "args": {"key": "old", "value": 1}},
        {"call": "store.brain.kv.list", "times": 9_000},
    ]);
    for n in 0..3 {
        let key = format!("busy-{n}");
        let sent = fleet.command(&["send", "pool/p", &busy.to_string(), "--key", &key]);
        assert_eq!(sent.exit, 0, "{sent:?}");
    }
    let get = json!([{"call": "store.brain.kv.get", "args": {"key": "old"}}]).to_string();
    op(&fleet, &[stop("pool/p")]);
    let send = json!({"call": "agent.send", "args": {"to": "pool/p", "body": get, "key": "k"}});
    op(&fleet, &[spawn("p"), send]);
    assert_eq!(fleet.call("pool/p", &get).json(), json!([{"ok": {"value": null}}]));
    let status = fleet.status();
    assert_eq!((&status["waiting"], &status["lost"]), (&json!(0), &json!(0)), "{status}");
    assert_eq!(children(&fleet), json!(["pool/p"]));
    fleet.kill_process();
    fleet.start();
    assert_eq!(fleet.call("pool/p", "[]").json(), json!([]));
    fleet.stop();
}

#[test]
fn a4_who_is_stopped_as_soon_as_it_is_spawned_does_not_come_back() {
    let mut fleet = Fleet::running(POOL);
    for n in 0..20 {
        op(&fleet, &[spawn(&format!("q{n}"))]);
        let name = format!("pool/q{n}");
        fleet.ask("agent.stop", &json!({"agent": name})).unwrap();
    }
    within(PATIENCE, "all are gone", || (in_tree(&fleet) == 0).then_some(()));
    assert_eq!(children(&fleet), json!([]));
    fleet.kill_process();
    fleet.start();
    assert_eq!((children(&fleet), in_tree(&fleet)), (json!([]), 0));
    fleet.stop();
}

#[test]
fn a_folder_of_a_command_that_was_killed_goes_with_the_next_start() {
    let mut fleet = Fleet::of(&file("", POOL));
    fleet.start();
    fleet.stop();
    let mut over = std::process::Command::new("true").spawn().unwrap();
    over.wait().unwrap();
    let [dead, living] =
        [over.id(), std::process::id()].map(|pid| fleet.data().join(format!("scratch-{pid}")));
    for folder in [&dead, &living] {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("1.db"), "a copy").unwrap();
    }
    fleet.start();
    assert!(!dead.exists() && living.exists());
    fleet.stop();
}
