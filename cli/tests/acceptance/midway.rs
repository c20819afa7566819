//! What comes between two steps that follow each other at once: it is played by fail points, which no shipped binary has:
//! `cargo test -p loket-cli --features failpoints --test acceptance midway`.

use crate::fleet::{Fleet, PATIENCE, file, finish, loket, within};
use serde_json::{Value, json};

const DESK: &str = r#"
    Agent(id: "other", module: "builtin:echo", grants: [(cap: "store.brain")]),
    Supervisor(id: "pool", strategy: SimpleOneForOne, max_children: 5, children: [
        Agent(id: "child", module: "builtin:echo"),
    ]),
    Agent(id: "desk", module: "builtin:script", grants: [
        (cap: "store.brain"),
        (cap: "log"),
        (cap: "agent.list", scope: { "under": ["pool"] }),
    ]),"#;

fn put(key: &str) -> Value {
    json!({"call": "store.brain.kv.put", "args": {"key": key, "value": 1}})
}

/// The keys in the desk's brain.
fn keys(fleet: &Fleet) -> Value {
    let sql = "SELECT group_concat(key, ' ') FROM (SELECT key FROM kv ORDER BY key)";
    fleet.command(&["brain", "desk", "query", sql, "--json"]).json()["rows"][0][0].clone()
}

#[test]
fn e7_a_brain_that_moves_on_while_it_is_copied_is_rewound_all_the_same() {
    let mut fleet = Fleet::of(&file("keep_turns: 100,", DESK));
    fleet.start();
    let turn = |key: &str| fleet.call("desk", &json!([put(key)]).to_string()).json();
    let seen = |wanted: &str| within(PATIENCE, wanted, || (keys(&fleet) == wanted).then_some(()));
    turn("a");
    turn("b");
    seen("a b");
    let mut rewind = loket();
    rewind.args(["brain", "desk", "rewind", "--to", "2", "--json", "--data"]).arg(fleet.data());
    // It has found the brain at turn 2, and copies it this much later.
    rewind.env("LOKET_STALL", "copied:3000");
    let rewound = std::thread::scope(|scope| {
        let rewound = scope.spawn(|| finish(rewind));
        turn("c");
        turn("d");
        seen("a b c d");
        rewound.join().unwrap().json()
    });
    assert_eq!((&rewound["epoch"], &rewound["n"]), (&json!(1), &json!(4)), "{rewound}");
    assert_eq!(keys(&fleet), "a b");
    turn("e");
    seen("a b e");
    fleet.stop();
}

#[test]
fn g4_a_catch_up_that_traps_takes_the_agent_out_and_nobody_else() {
    let mut fleet = Fleet::of(&file("", DESK));
    let list = |under: &str| json!({"call": "agent.list", "args": {"under": under}, "or": "trap"});
    let mut command = fleet.run();
    command.env("LOKET_FAILPOINT", "after_completion::marked");
    let data = fleet.data();
    fleet.start_as(command, data);
    let refused = json!([{"call": "agent.list", "args": {"under": "elsewhere"}}]).to_string();
    assert!(fleet.call("desk", &refused).json()[0]["failed"].is_object());
    let body = json!([list("pool"), put("marked")]).to_string();
    let sent = fleet.command(&["send", "desk", &body]);
    assert!([0, 69, 75].contains(&sent.exit), "{sent:?}");
    assert_eq!(fleet.ended(), None, "by a signal: the turn has ended, its brain has not");
    // As if the machine, or the disk, said another thing of the call than the turn was told.
    let ledger = rusqlite::Connection::open(fleet.data().join("ledger.db")).unwrap();
    let sql = "UPDATE records SET (ok, outcome) = (SELECT ok, outcome FROM records AS refused
                 WHERE refused.life = records.life AND n = 1 AND call = records.call)
                 WHERE n = 2 AND capability = 'agent.list'";
    assert_eq!(ledger.execute(sql, []).unwrap(), 1);
    ledger.close().unwrap();
    fleet.start();
    let all = within(PATIENCE, "it is in quarantine", || {
        let all = fleet.command(&["quarantine", "--json"]).json();
        Some(all["quarantined"].clone())
            .filter(|all| all.as_array().is_some_and(|it| !it.is_empty()))
    });
    assert_eq!((&all[0]["agent"], &all[0]["cause"]), (&json!("desk"), &json!("diverged")));
    let reason = all[0]["reason"].as_str().unwrap();
    assert!(reason.contains("trapped"), "{all}");
    assert_eq!(fleet.call("other", "count").json(), 1, "others go on");
    let restarts = fleet.child("desk")["restarts"].as_u64().unwrap();
    assert_eq!(restarts, 0, "no restart is charged for what a restart does not mend");
    assert_eq!(fleet.status()["quarantined"], 1);
    fleet.stop();
}
