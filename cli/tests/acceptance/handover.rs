//! What a life that ends by a trap leaves to the next one: the turn to begin with, and nothing of its own.

use crate::fleet::{Fleet, PATIENCE, file, free_port, metric, metrics, within};
use serde_json::json;

const HEIR: &str = include_str!("heir.wat");

/// Counts the turns that were begun with what the life before had left.
const HANDED_OVER: &str = "loket_turns_handed_over_total";

/// A fleet with this agent, which has a trap and then `behind` in its inbox before its life begins.
fn trapping(agent: &str, behind: &str) -> (Fleet, u16) {
    let port = free_port();
    let mut fleet = Fleet::of(&file(&format!("listen: \"127.0.0.1:{port}\","), agent));
    fleet.write("heir.wat", HEIR);
    fleet.start();
    assert_eq!(fleet.command(&["terminate", "heir"]).exit, 0);
    for body in ["t", behind] {
        assert_eq!(fleet.command(&["send", "heir", body]).exit, 0);
    }
    assert_eq!(fleet.command(&["restart", "heir"]).exit, 0);
    (fleet, port)
}

fn ended(fleet: &Fleet) {
    within(PATIENCE, "both messages have ended", || {
        let status = fleet.status();
        (status["completed"] == 1 && status["letters"] == 1).then_some(())
    });
}

#[test]
fn g1_the_life_after_a_trap_begins_at_once_and_finds_nothing_of_the_trapped_turn() {
    let agent =
        r#"Agent(id: "heir", module: "heir.wat", max_attempts: 1, grants: [(cap: "store.brain")])"#;
    let (mut fleet, port) = trapping(agent, "get");
    ended(&fleet);
    assert_eq!(metric(&metrics(port), HANDED_OVER), 1.0);
    assert_eq!(fleet.child("heir")["restarts"], 1, "nothing else went wrong");
    // The skipped turn came into the brain with the one behind it, and no word of it.
    let turn = fleet.command(&["turn", "heir", "2", "--json"]).json();
    assert_eq!(turn["standing"], "ended", "{turn}");
    assert_eq!(fleet.call("heir", "get").json(), json!({"value": null}));
    fleet.stop();
    fleet.start();
    assert_eq!(fleet.call("heir", "get").json(), json!({"value": null}), "nor on the disk");
    assert_eq!(fleet.status()["lost"], 0);
}

/// Such an agent whose next life begins some seconds after the trap, with `more` fields.
fn put_off(more: &str) -> String {
    format!(
        "Agent(id: \"heir\", module: \"heir.wat\", max_attempts: 1, grants: [(cap: \"store.brain\")], \
         backoff: (first: \"3s\", max: \"3s\"), {more})"
    )
}

/// Waits until it is between two lives.
fn between(fleet: &Fleet) {
    within(PATIENCE, "it waits for its restart", || {
        (fleet.child("heir")["state"] == "restarting").then_some(())
    });
}

#[test]
fn g2_a_life_with_other_settings_takes_nothing_over() {
    let (fleet, port) = trapping(&put_off(""), "get");
    between(&fleet);
    let listen = format!("listen: \"127.0.0.1:{port}\",");
    let changed = put_off("settings: { \"tone\": \"dry\" }");
    fleet.write("fleet.ron", file(&listen, &changed));
    assert_eq!(fleet.command(&["reload"]).exit, 0);
    ended(&fleet);
    assert_eq!(metric(&metrics(port), HANDED_OVER), 0.0);
    assert_eq!(fleet.call("heir", "get").json(), json!({"value": null}));
    assert_eq!(fleet.child("heir")["restarts"].as_u64().map(|n| n <= 1), Some(true));
}

#[test]
fn e7_a_brain_exchanged_between_two_lives_is_the_one_that_the_next_works_on() {
    let (fleet, port) = trapping(&put_off(""), "get");
    between(&fleet);
    let done = fleet.command(&["brain", "heir", "rewind", "--to", "0", "--json"]).json();
    assert_eq!(done["epoch"], 1, "{done}");
    ended(&fleet);
    assert_eq!(metric(&metrics(port), HANDED_OVER), 1.0, "it was begun, and refused");
    assert_eq!(fleet.child("heir")["restarts"], 1, "which is no crash");
    let sql = "SELECT epoch, applied_n FROM loket";
    within(PATIENCE, "the turn is in the new brain", || {
        let rows = fleet.command(&["brain", "heir", "query", sql, "--json"]).json();
        (rows["rows"] == json!([[1, 2]])).then_some(())
    });
    assert_eq!(fleet.status()["lost"], 0);
}

/// A turn's commit brings the skips before it along. One that waits has none, and its fleet may be stopped for a new version.
#[test]
fn e4_a_turn_that_waits_behind_a_dead_letter_leaves_no_brain_behind() {
    let agent = r#"
        Provider(id: "llm", use: Llm(models: [(name: "m", api: Extractive)])),
        Agent(id: "desk", module: "builtin:echo", max_attempts: 1, grants: [
            (cap: "store.brain"),
            (cap: "llm.chat", scope: { "models": ["m"] }, approve: ["llm.chat"]),
        ]),"#;
    let mut fleet = Fleet::of(&file("", agent));
    fleet.start();
    assert_eq!(fleet.call("desk", "count").json(), 1);
    assert_eq!(fleet.command(&["terminate", "desk"]).exit, 0);
    let chat = r#"call llm.chat {"model": "m", "messages": [{"role": "user", "content": "Go."}]}"#;
    for body in ["trap", chat] {
        assert_eq!(fleet.command(&["send", "desk", body]).exit, 0);
    }
    assert_eq!(fleet.command(&["restart", "desk"]).exit, 0);
    within(PATIENCE, "the call is held", || {
        let held = fleet.command(&["approvals", "--json"]).json();
        held["approvals"].as_array()?.first().map(drop)
    });
    let sql = "SELECT applied_n FROM loket";
    within(PATIENCE, "the brain has the skipped turn", || {
        let rows = fleet.command(&["brain", "desk", "query", sql, "--json"]).json();
        (rows["rows"] == json!([[2]])).then_some(())
    });
    assert_eq!(fleet.child("desk")["restarts"], 1);
}
