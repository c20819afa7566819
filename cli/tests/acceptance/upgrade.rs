//! What an upgrade, or the same name for another child, must not mix up (rules E3, E4, A4).

use crate::fleet::{Fleet, PATIENCE, file, within};
use serde_json::json;
use std::path::PathBuf;

const DESK: &str = r#"Agent(id: "desk", module: "builtin:echo", grants: [(cap: "store.brain")])"#;

fn brain_of(fleet: &Fleet, life: i64) -> PathBuf {
    fleet.data().join(format!("brains/{:02x}/{life}.db", life & 0xff))
}

fn remove(brain: &std::path::Path) {
    for end in ["db", "db-wal", "db-shm"] {
        drop(std::fs::remove_file(brain.with_extension(end)));
    }
}

fn ledger(fleet: &Fleet, sql: &str) -> usize {
    let ledger = rusqlite::Connection::open(fleet.data().join("ledger.db")).unwrap();
    ledger.execute(sql, []).unwrap()
}

#[test]
fn e4_a_start_with_brains_behind_another_versions_turns_is_refused() {
    let mut fleet = Fleet::of(&file("keep_turns: 100,", DESK));
    fleet.start();
    for n in 1..=3 {
        assert_eq!(fleet.call("desk", "count").json(), n);
    }
    fleet.stop();
    // As a loket of other rules would have left it: its turns are its own, and one of two brains has them all.
    assert_eq!(ledger(&fleet, "UPDATE pins SET pure_version = 0"), 1);
    assert_eq!(ledger(&fleet, "UPDATE agents SET durable_n = 0 WHERE name = 'desk'"), 1);
    fleet.start();
    assert_eq!(fleet.call("desk", "count").json(), 4, "its brain lacks nothing");
    fleet.stop();

    assert_eq!(ledger(&fleet, "UPDATE agents SET durable_n = 0 WHERE name = 'desk'"), 1);
    let brain = brain_of(&fleet, 1);
    let kept = std::fs::read(&brain).unwrap();
    remove(&brain);
    let refused = crate::fleet::finish(fleet.run());
    refused.failed(73, "C019", &["desk (turn 3)", "stop it in order"]);
    assert!(!brain.exists(), "nothing was made in its place");
    std::fs::write(&brain, kept).unwrap();
    fleet.start();
    assert_eq!(fleet.call("desk", "count").json(), 5);
    fleet.stop();
}

#[test]
fn a4_a_child_of_the_same_name_is_another() {
    let pool = r#"Agent(id: "boss", module: "builtin:echo", grants: [(cap: "agent.spawn", scope: { "under": ["pool"] })]),
        Supervisor(id: "pool", strategy: SimpleOneForOne, max_children: 10, children: [
        Agent(id: "pool", module: "builtin:echo", restart: Transient, grants: [(cap: "store.brain")])])"#;
    let mut fleet = Fleet::of(&file("keep_turns: 100,", pool));
    fleet.start();
    // Spawned at the end of a turn; until its namesake has ended the name is taken.
    let spawn = |fleet: &Fleet| {
        within(PATIENCE, "the name is free", || {
            let said = fleet.call("boss", r#"call agent.spawn {"under": "pool", "name": "w"}"#);
            assert!(said.exit == 0 || said.err.contains("already_started"), "{said:?}");
            (said.exit == 0).then_some(())
        });
    };
    spawn(&fleet);
    for n in 1..=2 {
        assert_eq!(fleet.call("pool/w", "count").json(), n);
    }
    let taken = fleet.command(&["brain", "pool/w", "snapshot", "--json"]);
    assert_eq!(taken.exit, 0, "{taken:?}");
    for round in 1..=3 {
        fleet.ask("agent.stop", &json!({"agent": "pool/w"})).unwrap();
        if round == 2 {
            fleet.kill_process();
            fleet.start();
        }
        spawn(&fleet);
        let knows = within(PATIENCE, "it runs", || {
            let said = fleet.call("pool/w", "count");
            (said.exit == 0).then(|| said.json())
        });
        assert_eq!(knows, 1, "round {round}: it knows what another child knew");
        let kept = fleet.command(&["brain", "pool/w", "snapshots", "--json"]).json();
        assert_eq!(kept["snapshots"], json!([]), "round {round}: another child's snapshots");
    }
    fleet.kill_process();
    fleet.start();
    assert_eq!(fleet.call("pool/w", "count").json(), 2);
    let lives = "SELECT count(DISTINCT life) FROM agents WHERE name = 'pool/w' AND gone = 0";
    assert_eq!(fleet.command(&["query", lives, "--json"]).json()["rows"], json!([[1]]));
    assert_eq!(fleet.status()["lost"], 0);
    fleet.stop();
}
