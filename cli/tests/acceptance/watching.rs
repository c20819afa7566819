//! Agents that watch each other, and groups: exactly one Down, whatever dies.

use crate::fleet::{Fleet, PATIENCE, file, within};
use serde_json::{Value, json};

/// Remembers each Down as it came.
const WATCHER: &str = r#"
    Agent(id: "watcher", module: "builtin:script",
        settings: { "down": "[{\"call\": \"store.brain.memory.add\", \"args\": {\"text\": \"down\", \"meta\": \"$body\"}}]" },
        grants: [(cap: "store.brain"), (cap: "agent.monitor", scope: { "to": ["*"] }), (cap: "agent.demonitor"),
            (cap: "agent.spawn", scope: { "under": ["pool"] }), (cap: "agent.stop", scope: { "under": ["pool"] }),
            (cap: "agent.call", scope: { "to": ["*"] })]),"#;

const WATCHED: &str = r#"
    Agent(id: "b", module: "builtin:script", max_attempts: 1, grants: [(cap: "store.brain")]),"#;

const POOL: &str = r#"
    Supervisor(id: "pool", strategy: SimpleOneForOne, children: [
        Agent(id: "pool", module: "builtin:script", grants: [(cap: "store.brain")]),
    ]),"#;

/// Has the agent make these calls in one turn; what came of each.
fn script(fleet: &Fleet, agent: &str, steps: &Value) -> Vec<Value> {
    let answer = fleet.call(agent, &steps.to_string()).json();
    answer.as_array().unwrap().clone()
}

fn monitor(agent: &str, until: &str) -> Value {
    json!({"call": "agent.monitor", "args": {"agent": agent, "until": until}, "or": "fail"})
}

/// The Downs that the watcher was told, in order.
fn downs(fleet: &Fleet) -> Vec<Value> {
    let steps =
        json!([{"call": "store.brain.memory.search", "args": {"query": "down", "limit": 100}}]);
    let found = script(fleet, "watcher", &steps);
    let hits = found[0]["ok"]["hits"].as_array().unwrap();
    let mut downs: Vec<(u64, Value)> =
        hits.iter().map(|hit| (hit["id"].as_u64().unwrap(), hit["meta"].clone())).collect();
    downs.sort_by_key(|(id, _)| *id);
    downs.into_iter().map(|(_, down)| down).collect()
}

/// Waits until so many Downs have been told; none more is.
#[track_caller]
fn told(fleet: &Fleet, count: usize) -> Vec<Value> {
    within(PATIENCE, "the Downs", || (downs(fleet).len() >= count).then_some(()));
    let downs = downs(fleet);
    assert_eq!(downs.len(), count, "{downs:?}");
    downs
}

fn codes(downs: &[Value]) -> Vec<&str> {
    downs.iter().map(|down| down["code"].as_str().unwrap()).collect()
}

/// I2: the end of the incarnation is told once, with its reason; a second end needs a second monitor.
#[test]
fn i2_a_killed_agent_is_told_of_once() {
    let mut fleet = Fleet::running(&format!("{WATCHER}{WATCHED}"));
    let made = script(&fleet, "watcher", &json!([monitor("b", "exit"), monitor("b", "gone")]));
    let listed = fleet.command(&["ask", "agent.monitors", r#"{"agent": "b"}"#]).json();
    assert_eq!(listed["of"].as_array().unwrap().len(), 2, "{listed}");
    assert_eq!(fleet.command(&["kill", "b"]).exit, 0);
    let first = told(&fleet, 1);
    assert_eq!(first[0]["monitor"], made[0]["ok"]["monitor"], "{first:?}");
    let shown =
        (&first[0]["code"], &first[0]["agent"], &first[0]["incarnation"], &first[0]["gone"]);
    assert_eq!(shown, (&json!("killed"), &json!("b"), &json!(1), &json!(false)));
    // A crash of its own, and nobody watches any more but until it is gone.
    let trap = fleet.call("b", r#"[{"trap": true}]"#);
    trap.failed(1, "dead_letter", &["b"]);
    within(PATIENCE, "b runs again", || {
        (fleet.child("b")["incarnation"] == 3 && fleet.child("b")["state"] == "running")
            .then_some(())
    });
    told(&fleet, 1);
    script(&fleet, "watcher", &json!([monitor("b", "exit")]));
    fleet.call("b", r#"[{"trap": true}]"#).failed(1, "dead_letter", &["b"]);
    let second = told(&fleet, 2);
    // Its message was tried as often as allowed.
    assert_eq!(second[1]["code"], "poison", "{second:?}");
    assert!(second[1]["reason"].as_str().unwrap().contains("unreachable"), "{second:?}");
    let status = fleet.status();
    assert_eq!(status["lost"], 0, "{status}");
    fleet.stop();
}

/// I2: who is gone already is told of at once, and so is a child that the same turn stops; a demonitor ends a monitor.
#[test]
fn i2_the_already_dead_and_the_given_up() {
    let mut fleet = Fleet::running(&format!("{WATCHER}{WATCHED}{POOL}"));
    let steps = json!([
        monitor("nobody", "exit"),
        {"call": "agent.spawn", "args": {"under": "pool", "name": "x"}, "or": "fail"},
        monitor("pool/x", "gone"),
        monitor("b", "exit"),
        {"call": "agent.demonitor", "args": {"monitor": "$3/monitor"}, "or": "fail"},
    ]);
    let made = script(&fleet, "watcher", &steps);
    assert_eq!(made[4]["ok"]["found"], true, "{made:?}");
    assert_eq!(codes(&told(&fleet, 1)), ["noproc"]);
    assert_eq!(fleet.command(&["kill", "b"]).exit, 0);
    let stop = json!([{"call": "agent.stop", "args": {"agent": "pool/x"}, "or": "fail"}]);
    script(&fleet, "watcher", &stop);
    let downs = told(&fleet, 2);
    assert_eq!((codes(&downs), &downs[1]["gone"]), (vec!["noproc", "removed"], &json!(true)));
    let unknown = json!([{"call": "agent.demonitor", "args": {"monitor": "x"}}]);
    assert_eq!(script(&fleet, "watcher", &unknown)[0]["failed"]["code"], "bad_args");
    let outside = fleet.command(&["ask", "agent.monitor", r#"{"agent": "b"}"#]);
    outside.failed(1, "no_turn", &["agent.monitor"]);
    let found = fleet.command(&["ask", "agent.whereis", r#"{"agent": "b"}"#]).json();
    assert_eq!((&found["found"], &found["kind"]), (&json!(true), &json!("agent")), "{found}");
    let none = fleet.command(&["ask", "agent.whereis", r#"{"agent": "pool/x"}"#]).json();
    assert_eq!(none["found"], false, "{none}");
    fleet.stop();
}

/// I2: `kill -9` of the process between monitor and end, and again: each monitor has one Down, with the new process's word for it.
#[test]
fn i2_one_down_each_across_the_death_of_the_process() {
    let gone = r#"Agent(id: "gone", module: "builtin:script"),"#;
    let mut fleet = Fleet::running(&format!("{WATCHER}{WATCHED}{gone}"));
    let steps = json!([
        monitor("b", "exit"),
        monitor("b", "gone"),
        monitor("gone", "exit"),
        monitor("gone", "gone")
    ]);
    script(&fleet, "watcher", &steps);
    fleet.kill_process();
    fleet.write("fleet.ron", file("", &format!("{WATCHER}{WATCHED}")));
    fleet.start();
    let downs = told(&fleet, 3);
    let of = |agent: &str| -> Vec<&str> {
        let downs = downs.iter().filter(|down| down["agent"] == agent);
        downs.map(|down| down["code"].as_str().unwrap()).collect()
    };
    assert_eq!((of("b"), of("gone")), (vec!["process_died"], vec!["removed", "removed"]));
    for _ in 0..2 {
        fleet.kill_process();
        fleet.start();
        told(&fleet, 3);
    }
    assert_eq!(fleet.command(&["kill", "b"]).exit, 0);
    fleet.call("b", "[]").json();
    let status = fleet.status();
    told(&fleet, 3);
    assert_eq!((&status["lost"], &status["letters"]), (&json!(0), &json!(0)), "{status}");
    fleet.stop();
}

/// A member of groups that remembers what it is told.
fn member(id: &str) -> String {
    format!(
        r#"Agent(id: "{id}", module: "builtin:script",
            settings: {{ "news": "[{{\"call\": \"store.brain.memory.add\", \"args\": {{\"text\": \"$body\"}}}}]" }},
            grants: [(cap: "store.brain"), (cap: "agent.group", scope: {{ "groups": ["desk/*"] }})]),"#
    )
}

/// I3: members stay through the death of the process and leave with their removal; each gets one message; an empty group is none.
#[test]
fn i3_a_group_outlives_its_members_processes() {
    let all: String = ["a", "b", "c"].map(member).concat();
    let mut fleet = Fleet::running(&all);
    let join = json!([{"call": "agent.group.join", "args": {"group": "desk/news"}, "or": "fail"}]);
    for id in ["a", "b", "c"] {
        script(&fleet, id, &join);
    }
    let members = |fleet: &Fleet| {
        let args = r#"{"group": "desk/news"}"#;
        fleet.command(&["ask", "agent.group.members", args]).json()["members"].clone()
    };
    assert_eq!(members(&fleet), json!(["a", "b", "c"]));
    let send = json!([{"call": "agent.group.send",
        "args": {"group": "desk/news", "kind": "news", "body": "heron"}, "or": "fail"}]);
    let sent = script(&fleet, "a", &send);
    let to: Vec<_> =
        sent[0]["ok"]["sent"].as_array().unwrap().iter().map(|one| &one["to"]).collect();
    assert_eq!(to, [&json!("b"), &json!("c")], "not to the sender itself");
    fleet.kill_process();
    fleet.write("fleet.ron", file("", &["a", "b"].map(member).concat()));
    fleet.start();
    assert_eq!(members(&fleet), json!(["a", "b"]), "who was removed has left");
    let outside = r#"{"group": "desk/news", "kind": "news", "body": "heron"}"#;
    let sent = fleet.command(&["ask", "agent.group.send", outside]).json();
    assert_eq!(sent["sent"].as_array().unwrap().len(), 2, "{sent}");
    let count = json!([{"call": "store.brain.memory.count", "args": {}}]);
    for (id, heard) in [("a", 1), ("b", 2)] {
        within(PATIENCE, "the news", || {
            (script(&fleet, id, &count)[0]["ok"]["count"] == heard).then_some(())
        });
    }
    let other = json!([{"call": "agent.group.join", "args": {"group": "other"}}]);
    assert_eq!(script(&fleet, "a", &other)[0]["failed"]["code"], "refused");
    let leave =
        json!([{"call": "agent.group.leave", "args": {"group": "desk/news"}, "or": "fail"}]);
    for id in ["a", "b"] {
        script(&fleet, id, &leave);
    }
    let groups = fleet.command(&["ask", "agent.group.list"]).json();
    assert_eq!(groups, json!({"groups": []}));
    fleet.stop();
}
