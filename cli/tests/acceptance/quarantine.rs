//! Agents in quarantine (rule G4): they take no turns, their inbox accepts, others go on, and only an operator lets them out.

use crate::fleet::{Fleet, PATIENCE, file, free_port, metric, metrics, within};
use serde_json::{Value, json};
use std::path::PathBuf;

const DESKS: &str = r#"
    Agent(id: "desk", module: "builtin:script", charge: Letter, grants: [(cap: "store.brain")]),
    Agent(id: "other", module: "builtin:echo", charge: Letter),"#;

const READ: &str = r#"[{"call": "store.brain.kv.get", "args": {"key": "a"}},
    {"call": "store.brain.kv.put", "args": {"key": "b", "value": "$0/value"}}]"#;

fn put(value: u32) -> String {
    json!([{"call": "store.brain.kv.put", "args": {"key": "a", "value": value}}]).to_string()
}

fn brain(fleet: &Fleet) -> PathBuf {
    fleet.data().join("brains/01/1.db")
}

fn files(brain: &std::path::Path) -> [PathBuf; 3] {
    ["db", "db-wal", "db-shm"].map(|end| brain.with_extension(end))
}

fn put_back(fleet: &Fleet, bytes: &[u8]) {
    files(&brain(fleet)).iter().for_each(|file| drop(std::fs::remove_file(file)));
    std::fs::write(brain(fleet), bytes).unwrap();
}

/// A fleet whose desk has a brain that is one turn behind, and that somebody has written to: its re-run reads another value.
fn forged() -> Fleet {
    (0..5).find_map(|_| try_forge()).expect("five kills came too late")
}

fn try_forge() -> Option<Fleet> {
    let mut fleet = Fleet::of(&file("", DESKS));
    fleet.start();
    fleet.call("desk", &put(1)).json();
    fleet.stop();
    let old = std::fs::read(brain(&fleet)).unwrap();
    fleet.start();
    assert_eq!(fleet.call("desk", READ).json()[0]["ok"]["value"], 1);
    fleet.kill_process();
    let ledger = rusqlite::Connection::open(fleet.data().join("ledger.db")).unwrap();
    let sql = "SELECT durable_n FROM agents WHERE name = 'desk'";
    let durable: i64 = ledger.query_row(sql, [], |row| row.get(0)).unwrap();
    if durable > 1 {
        return None;
    }
    put_back(&fleet, &old);
    let forged = rusqlite::Connection::open(brain(&fleet)).unwrap();
    assert_eq!(forged.execute("UPDATE kv SET value = '2' WHERE key = 'a'", []).unwrap(), 1);
    forged.close().unwrap();
    fleet.start();
    Some(fleet)
}

fn quarantined(fleet: &Fleet) -> Value {
    within(PATIENCE, "the desk is in quarantine", || {
        let list = fleet.command(&["quarantine", "--json"]).json();
        list["quarantined"].as_array().unwrap().first().cloned()
    })
}

#[test]
fn g4_a_rerun_that_comes_out_otherwise_stops_the_agent_until_an_operator_accepts_it() {
    let mut fleet = forged();
    for _ in 0..2 {
        let row = quarantined(&fleet);
        assert_eq!(
            (&row["agent"], &row["cause"], &row["n"]),
            (&json!("desk"), &json!("diverged"), &json!(2))
        );
        assert_eq!((&row["ended"], &row["call"]), (&json!(true), &Value::Null), "{row}");
        assert_eq!(fleet.child("desk")["state"], "quarantined");
        assert_eq!(fleet.child("desk")["restarts"], 0, "no crash loop");
        assert_eq!(fleet.call("other", "hello").json(), "hello");
        fleet.kill_process();
        fleet.start();
    }
    let sent = fleet.command(&["send", "desk", READ, "--key", "later"]);
    assert_eq!(sent.exit, 0, "its inbox accepts: {sent:?}");
    assert_eq!(fleet.status()["waiting"], 1);
    let shown = fleet.command(&["quarantine", "show", "desk"]);
    assert!(shown.out.contains("turn 2, an ended turn that its brain lacks"), "{shown:?}");

    let resolved = fleet.command(&["quarantine", "resolve", "desk", "--accept-rerun"]);
    assert_eq!((resolved.exit, resolved.out.trim()), (0, "desk goes on"), "{resolved:?}");
    let told = fleet.command(&["call", "desk", READ, "--key", "later", "--json"]).json();
    assert_eq!(told[0]["ok"]["value"], 2, "the re-run counts: {told}");
    assert_eq!(fleet.child("desk")["state"], "running");
    fleet.command(&["quarantine", "resolve", "desk", "--skip"]).failed(1, "not_found", &["desk"]);
    fleet.stop();
}

#[test]
fn g4_a_forged_brain_is_made_anew_by_its_turns() {
    let mut fleet = forged();
    quarantined(&fleet);
    let restored = fleet.command(&["quarantine", "resolve", "desk", "--restore"]);
    assert_eq!(restored.exit, 0, "{restored:?}");
    assert!(restored.out.contains("epoch 1"), "{restored:?}");
    let told = fleet.call("desk", READ).json();
    assert_eq!(told[0]["ok"]["value"], 1, "what the turns made, not what somebody wrote: {told}");
    fleet.stop();
}

#[test]
fn g4_a_skipped_turn_leaves_the_brain_without_its_changes() {
    let mut fleet = forged();
    quarantined(&fleet);
    let resolved = fleet.command(&["quarantine", "resolve", "desk", "--skip"]);
    assert_eq!((resolved.exit, resolved.out.trim()), (0, "desk goes on"), "{resolved:?}");
    let get = r#"[{"call": "store.brain.kv.get", "args": {"key": "b"}}]"#;
    assert_eq!(fleet.call("desk", get).json()[0]["ok"]["value"], Value::Null);
    let status = fleet.status();
    assert_eq!((&status["lost"], &status["letters"]), (&json!(0), &json!(0)), "{status}");
    fleet.stop();
}

#[test]
fn f3_a_brain_that_is_ahead_of_its_ledger_stops_its_agent_and_nobody_else() {
    let mut fleet = Fleet::of(&file("durability: Process,", DESKS));
    fleet.start();
    fleet.call("desk", &put(1)).json();
    fleet.stop();
    let ledger = fleet.data().join("ledger.db");
    let old = std::fs::read(&ledger).unwrap();
    fleet.start();
    fleet.call("desk", &put(2)).json();
    fleet.call("desk", &put(3)).json();
    fleet.stop();
    // As after a loss of power that took the ledger's last moments and left the brain's.
    for end in ["", "-wal", "-shm"] {
        drop(std::fs::remove_file(fleet.data().join(format!("ledger.db{end}"))));
    }
    std::fs::write(&ledger, old).unwrap();
    fleet.start();
    fleet.command(&["send", "desk", &put(4), "--json"]).json();
    let row = quarantined(&fleet);
    assert_eq!(
        (&row["agent"], &row["cause"], &row["n"]),
        (&json!("desk"), &json!("ahead"), &json!(2))
    );
    assert_eq!(fleet.call("other", "still here").json(), "still here");
    assert_eq!(
        (&fleet.child("desk")["state"], &fleet.child("desk")["restarts"]),
        (&json!("quarantined"), &json!(0))
    );
    let status = fleet.status();
    assert_eq!((&status["lost"], &status["waiting"]), (&json!(0), &json!(1)), "{status}");
    // Nothing else can be run on such a brain, and no message goes for trying.
    for way in ["--skip", "--accept-rerun"] {
        let tried = fleet.command(&["quarantine", "resolve", "desk", way]);
        tried.failed(1, "impossible", &["--restore"]);
    }
    let shown = fleet.command(&["quarantine", "show", "desk"]);
    assert!(shown.out.contains("--restore") && !shown.out.contains("--skip"), "{shown:?}");
    // Made anew where the ledger ends, it takes the message that waits.
    let restored = fleet.command(&["quarantine", "resolve", "desk", "--restore"]);
    assert_eq!(restored.exit, 0, "{restored:?}");
    assert_eq!(fleet.call("desk", READ).json()[0]["ok"]["value"], 4);
    fleet.stop();
}

#[test]
fn e5_an_older_file_of_a_brain_is_not_built_upon() {
    let mut fleet = Fleet::of(&file("keep_turns: 100,", DESKS));
    fleet.start();
    fleet.call("desk", &put(1)).json();
    fleet.stop();
    let old = std::fs::read(brain(&fleet)).unwrap();
    fleet.start();
    fleet.call("desk", &put(2)).json();
    fleet.call("desk", &put(3)).json();
    fleet.stop();
    let new = std::fs::read(brain(&fleet)).unwrap();
    put_back(&fleet, &old);
    fleet.start();
    fleet.command(&["send", "desk", &put(4), "--json"]).json();
    let row = quarantined(&fleet);
    assert_eq!((&row["agent"], &row["cause"]), (&json!("desk"), &json!("corrupt")), "{row}");
    assert_eq!(fleet.child("desk")["restarts"], 0, "no crash loop");
    assert_eq!(fleet.call("other", "still here").json(), "still here");
    fleet.stop();
    // Whoever puts the right file there has mended it.
    put_back(&fleet, &new);
    fleet.start();
    let get = r#"[{"call": "store.brain.kv.get", "args": {"key": "a"}}]"#;
    assert_eq!(fleet.call("desk", get).json()[0]["ok"]["value"], 4);
    fleet.stop();
}

#[test]
fn g4_another_brain_is_no_way_out_of_an_open_turn() {
    let asks = r#"Agent(id: "desk", module: "builtin:script", grants: [(cap: "human.ask")]),"#;
    let port = free_port();
    let mut fleet = Fleet::of(&file(&format!("listen: \"127.0.0.1:{port}\","), asks));
    fleet.start();
    let open = || {
        let all = metrics(port);
        ["loket_approvals_open", "loket_agents_quarantined"].map(|name| metric(&all, name))
    };
    let ask = json!([{"call": "human.ask", "args": {"question": "which?"}}]).to_string();
    assert_eq!(fleet.command(&["send", "desk", &ask]).exit, 0);
    within(PATIENCE, "it asks", || (fleet.status()["approvals"] == 1).then_some(()));
    assert_eq!(open(), [1.0, 0.0]);
    fleet.kill_process();
    let ledger = rusqlite::Connection::open(fleet.data().join("ledger.db")).unwrap();
    let sql = "UPDATE records SET args = ?1 WHERE capability = 'human.ask'";
    assert_eq!(ledger.execute(sql, [br#"{"question":"what?"}"#.as_slice()]).unwrap(), 1);
    ledger.close().unwrap();
    fleet.start();
    let row = quarantined(&fleet);
    assert_eq!((&row["cause"], &row["ended"]), (&json!("diverged"), &json!(false)), "{row}");
    assert_eq!(open(), [1.0, 1.0], "its question stays open");
    let shown = fleet.command(&["quarantine", "show", "desk"]);
    assert!(shown.out.contains("--skip") && !shown.out.contains("--restore"), "{shown:?}");
    let restored = fleet.command(&["quarantine", "resolve", "desk", "--restore"]);
    restored.failed(1, "impossible", &["--accept-rerun", "--skip"]);
    let skipped = fleet.command(&["quarantine", "resolve", "desk", "--skip", "--json"]).json();
    assert!(skipped["letter"].is_u64(), "{skipped}");
    assert_eq!(fleet.status()["quarantined"], 0);
    fleet.stop();
}
