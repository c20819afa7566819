//! A turn is run again beside the fleet: it says whether it still agrees with its records, or what other code does differently.

use crate::fleet::{Fleet, PATIENCE, file, within};
use serde_json::{Value, json};

const GRANTS: &str = r#"grants: [(cap: "store.brain"), (cap: "time"), (cap: "random"), (cap: "log.write"),
                                 (cap: "llm.chat", scope: { "models": ["m"] })]"#;

fn fleet(fields: &str) -> Fleet {
    let desk = format!(
        r#"Provider(id: "llm", use: Llm(models: [(name: "m", api: Extractive)])),
           Agent(id: "desk", module: "builtin:echo", {GRANTS})"#
    );
    Fleet::of(&file(fields, &desk))
}

const CHAT: &str = r#"call llm.chat {"model": "m", "messages": [{"role": "user", "content": "One word. Two words."}]}"#;

/// Turns of each kind: Pure calls of all providers that have some, a paid call, a failure.
fn work(fleet: &Fleet) {
    fleet.call("desk", "count").json();
    fleet.call("desk", "count").json();
    fleet.call("desk", CHAT).json();
    fleet.call("desk", "call time.now").json();
    fleet.call("desk", r#"call random.bytes {"n": 8}"#).json();
    fleet.call("desk", r#"call log.write {"message": "hello"}"#).json();
    let _ = fleet.call("desk", "fail no_luck");
    let _ = fleet.call("desk", "call llm.chat {}");
    fleet.call("desk", "count").json();
}

/// All files of the data directory but the scratch folder, which must be gone, and what reading with SQLite touches.
fn files(fleet: &Fleet) -> Vec<(String, Vec<u8>)> {
    let mut open = vec![fleet.data()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.path().display().to_string());
            if path.is_dir() && !name.ends_with("/modules") {
                open.push(path);
            } else if path.is_file() && !name.ends_with("-shm") && !name.ends_with("-wal") {
                found.push((name, std::fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn f1_every_kind_of_turn_agrees_while_the_fleet_runs_and_when_it_does_not() {
    let mut fleet = fleet("keep_turns: 100,");
    fleet.start();
    work(&fleet);
    let agree = |fleet: &Fleet| {
        for n in 1..=9 {
            let said = fleet.command(&["replay", "desk", &n.to_string(), "--json"]).json();
            assert_eq!(
                (&said["agrees"], &said["diverged"]),
                (&json!(true), &Value::Null),
                "{said}"
            );
            assert_eq!(said["reply"], said["recorded_reply"], "{said}");
        }
        let third = fleet.command(&["replay", "desk", "3", "--json"]).json();
        let call = &third["calls"][0];
        assert_eq!((&call["capability"], &call["recorded"]), (&json!("llm.chat"), &json!(true)));
        let last = fleet.command(&["replay", "desk", "9"]);
        assert!(last.out.contains("agrees with its records: ") && last.exit == 0, "{last:?}");
    };
    agree(&fleet);
    fleet.call("desk", "count").json();
    fleet.stop();
    let before = files(&fleet);
    agree(&fleet);
    assert!(before == files(&fleet), "a replay wrote into the data directory");
}

#[test]
fn c11_a_record_that_is_another_is_shown_beside_the_call() {
    let mut fleet = fleet("keep_turns: 100,");
    fleet.start();
    work(&fleet);
    fleet.stop();
    let ledger = rusqlite::Connection::open(fleet.data().join("ledger.db")).unwrap();
    let changed = ledger
        .execute("UPDATE records SET args = CAST('{\"other\": 1}' AS BLOB) WHERE n = 3", [])
        .unwrap();
    assert_eq!(changed, 1);
    ledger.execute("UPDATE turns SET hash = zeroblob(32) WHERE n = 2", []).unwrap();
    drop(ledger);
    let said = fleet.command(&["replay", "desk", "3"]);
    // The turns before it are run again first, and one of them does not agree.
    said.failed(1, "C017", &["turn 2", "another end"]);
    let said = fleet.command(&["replay", "desk", "2", "--json"]);
    assert_eq!(said.exit, 1, "{said:?}");
    let ledger = rusqlite::Connection::open(fleet.data().join("ledger.db")).unwrap();
    ledger.execute("UPDATE turns SET state = 3 WHERE n = 2", []).unwrap();
    drop(ledger);
    let said = fleet.command(&["replay", "desk", "3"]);
    assert_eq!(said.exit, 1, "{said:?}");
    for part in ["at call 1", "recorded  llm.chat {\"other\": 1}", "re-run    llm.chat {\"model\""]
    {
        assert!(said.out.contains(part), "{part:?} is not in {said:?}");
    }
}

#[test]
fn other_code_is_compared_call_by_call() {
    let mut fleet = fleet("keep_turns: 100,");
    fleet.start();
    work(&fleet);
    // It answers with a failure that this is nothing to read, and calls nothing.
    let module = guest("reader");
    let module = module.to_str().unwrap();
    let said = fleet.command(&["replay", "desk", "3", "--module", module, "--json"]);
    assert_eq!(said.exit, 1, "{said:?}");
    let found: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(found["agrees"], false, "{found}");
    assert_eq!(found["old"][0]["capability"], "llm.chat", "{found}");
    assert_eq!(found["not_asked"][0]["capability"], "llm.chat", "{found}");
    assert!(found["reply"]["error"]["code"].is_string(), "{found}");
    let same = guest("echo");
    let same = fleet.command(&["replay", "desk", "3", "--module", same.to_str().unwrap()]);
    assert!(same.exit == 0 && same.out.contains("the new code does the same"), "{same:?}");
    let text = fleet.command(&["replay", "desk", "3", "--module", module]).out;
    assert!(text.contains("- ") && text.contains("+      answer failure"), "{text}");
    fleet.command(&["replay", "desk", "3", "--module", "none.wasm"]).failed(2, "C020", &["none"]);
    fleet.stop();
}

#[test]
fn e7_what_cannot_be_had_any_more_is_said() {
    let mut fleet = fleet("keep_turns: 0,");
    fleet.start();
    work(&fleet);
    fleet.command(&["replay", "desk", "99"]).failed(1, "not_found", &["turn 99"]);
    fleet.command(&["replay", "nobody", "1"]).failed(1, "no_such_agent", &["nobody"]);
    fleet.stop();
    fleet.start();
    crate::fleet::within(crate::fleet::PATIENCE, "the turns to be given up", || {
        let turns = fleet.command(&["turns", "desk", "--json"]).json();
        turns["turns"].as_array()?.is_empty().then_some(())
    });
    fleet.command(&["replay", "desk", "2"]).failed(1, "C015", &["keep_turns"]);
    fleet.stop();
}

fn guest(name: &str) -> std::path::PathBuf {
    let modules = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../agents/guests/modules");
    modules.join(name).with_extension("wasm")
}

/// E6: what is kept can be run again, whatever was given up before it: a snapshot is taken when the last one is too far back.
#[test]
fn e6_the_turns_that_are_kept_can_be_run_again() {
    let mut fleet = fleet("keep_turns: 4,");
    fleet.start();
    let kept = |fleet: &Fleet| -> Vec<u64> {
        let turns = fleet.command(&["turns", "desk", "--limit", "1000", "--json"]).json();
        turns["turns"].as_array().unwrap().iter().map(|it| it["n"].as_u64().unwrap()).collect()
    };
    let automatic = |fleet: &Fleet| -> Vec<u64> {
        let all = fleet.command(&["brain", "desk", "snapshots", "--json"]).json();
        let all = all["snapshots"].as_array().unwrap().clone();
        all.iter()
            .filter(|it| it["automatic"] == true)
            .map(|it| it["n"].as_u64().unwrap())
            .collect()
    };
    for round in 1..=4 {
        for _ in 0..8 {
            fleet.call("desk", "count").json();
        }
        // A brain is brought to the disk when its agent has been idle, and that tells the ledger.
        within(PATIENCE, "a snapshot", || {
            automatic(&fleet).last().copied().filter(|n| *n > 8 * (round - 1))
        });
    }
    within(PATIENCE, "the first turns are given up", || (!kept(&fleet).contains(&1)).then_some(()));
    let turns = kept(&fleet);
    assert!(turns.len() >= 4 && turns.contains(&32), "{turns:?}");
    let (base, snapshots) = (turns.iter().min().unwrap() - 1, automatic(&fleet));
    assert!(
        snapshots.contains(&base),
        "what is kept begins behind a snapshot: {turns:?}, {snapshots:?}"
    );
    assert!(snapshots.len() <= 3, "the older ones go: {snapshots:?}");
    for n in &turns {
        let said = fleet.command(&["replay", "desk", &n.to_string(), "--json"]).json();
        assert_eq!(said["agrees"], true, "{said}");
    }
    let to = turns.iter().min().unwrap().to_string();
    assert_eq!(fleet.command(&["brain", "desk", "rewind", "--to", &to]).exit, 0);
    assert_eq!(fleet.call("desk", "count").json(), turns.iter().min().unwrap() + 1);
    fleet.stop();
}
