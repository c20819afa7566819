//! What an agent asks of the fleet itself is done once, though the process dies between the doing and the answer (rules C3, C4).
//!
//! The death is a fail point's: `cargo test -p loket-cli --features failpoints --test acceptance acts`.

use crate::fleet::{Fleet, PATIENCE, file, within};
use serde_json::{Value, json};

const FLEET: &str = r#"
    Agent(id: "desk", module: "builtin:echo", grants: [(cap: "store.brain")]),
    Agent(id: "op", module: "builtin:script", grants: [
        (cap: "store.brain"),
        (cap: "agent.letters"),
        (cap: "agent.brain"),
        (cap: "agent.shutdown"),
        (cap: "agent.kill", scope: { "children": ["desk"] }),
        (cap: "agent.child", scope: { "children": ["desk"] }),
    ]),"#;

/// Dies once the call with this mark is done and before that is recorded, starts again, and gives the call's entry.
fn dies_after(fleet: &mut Fleet, mark: &str, step: &Value) -> Value {
    let mut command = fleet.run();
    command.env("LOKET_FAILPOINT", format!("after_call:keyed:{mark}"));
    let data = fleet.data();
    fleet.start_as(command, data);
    let body = json!([step]).to_string();
    assert_eq!(fleet.command(&["send", "op", &body, "--key", "k"]).exit, 0);
    assert_eq!(fleet.ended(), None, "by a signal");
    fleet.start();
    let answer = fleet.command(&["call", "op", &body, "--key", "k", "--json"]).json();
    answer[0].clone()
}

fn fleet() -> Fleet {
    let mut fleet = Fleet::of(&file("", FLEET));
    fleet.start();
    fleet
}

#[test]
fn c4_another_brain_is_put_in_place_once() {
    let mut fleet = fleet();
    assert_eq!(fleet.call("desk", "count").json(), 1);
    let file = fleet.path("copy.db");
    let out = file.to_str().unwrap().to_owned();
    assert_eq!(fleet.command(&["brain", "desk", "export", &out]).exit, 0);
    for n in 2..=4 {
        assert_eq!(fleet.call("desk", "count").json(), n);
    }
    fleet.stop();
    let args = json!({"agent": "desk", "file": out, "reason": "marked"});
    let step = json!({"call": "agent.brain.switch", "args": args});
    let entry = dies_after(&mut fleet, "marked", &step);
    assert_eq!((&entry["ok"]["epoch"], &entry["ok"]["n"]), (&json!(1), &json!(4)), "{entry}");
    assert_eq!(fleet.call("desk", "count").json(), 2, "it goes on with the copy");
    let sql = "SELECT epoch FROM loket";
    let standing = fleet.command(&["brain", "desk", "query", sql, "--json"]).json();
    assert_eq!(standing["rows"], json!([[1]]), "it was done once");
    // What the epoch began with is there: its turns can be run again.
    let said = fleet.command(&["replay", "desk", "5", "--json"]).json();
    assert_eq!(said["agrees"], true, "{said}");
    fleet.stop();
}

#[test]
fn c4_a_letter_is_retried_once() {
    let mut fleet = fleet();
    let bad = r#"[{"trap": true}]"#;
    assert_eq!(fleet.command(&["send", "op", bad]).exit, 0);
    let number = within(PATIENCE, "the letter", || {
        let letters = fleet.command(&["letters", "--json"]).json();
        letters["letters"][0]["id"].as_u64()
    });
    fleet.stop();
    let args = json!({"letter": number, "confirmed": true});
    let step = json!({"call": "agent.letters.retry", "args": args});
    let entry = dies_after(&mut fleet, "confirmed", &step);
    let message = entry["ok"]["message"].as_str().unwrap_or_else(|| panic!("{entry}")).to_owned();
    let letters = within(PATIENCE, "it is a letter again", || {
        let letters = fleet.command(&["letters", "--json"]).json();
        letters["letters"].as_array().filter(|all| !all.is_empty()).cloned()
    });
    assert_eq!((letters.len(), &letters[0]["message"]), (1, &json!(message)), "{letters:?}");
    assert_eq!(fleet.status()["lost"], 0);
    fleet.stop();
}

#[test]
fn c4_who_was_killed_in_an_earlier_process_is_not_killed_again() {
    let mut fleet = fleet();
    fleet.stop();
    let step = json!({"call": "agent.kill", "args": {"child": "desk"}});
    let entry = dies_after(&mut fleet, "desk", &step);
    assert_eq!(entry, json!({"ok": {"killed": "desk"}}));
    assert_eq!(fleet.child("desk")["restarts"], 0, "the one that was meant had ended");
    // Asked for now, it is.
    let body = json!([step]).to_string();
    assert_eq!(fleet.call("op", &body).json(), json!([{"ok": {"killed": "desk"}}]));
    within(PATIENCE, "it is restarted", || (fleet.child("desk")["restarts"] == 1).then_some(()));
    fleet.stop();
}

#[test]
fn c4_the_next_process_is_not_stopped_for_what_the_last_one_was_asked() {
    let mut fleet = fleet();
    fleet.stop();
    let step = json!({"call": "agent.shutdown", "args": {"now": false}});
    let entry = dies_after(&mut fleet, "now", &step);
    assert_eq!(entry, json!({"ok": {"stopping": true, "now": false}}));
    assert_eq!(fleet.call("desk", "count").json(), 1, "it still runs");
    fleet.stop();
}
