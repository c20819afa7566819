//! A message that always crashes its agent ends as a dead letter, holds up nobody, and can be tried again.

use crate::fleet::{Fleet, PATIENCE, file, within};
use serde_json::json;

const ECHO: &[u8] = include_bytes!("../../../agents/guests/modules/echo.wasm");
const PICKY: &str = include_str!("picky.wat");
const AGENT: &str = r#"Agent(id: "desk", module: "desk.wasm", grants: [(cap: "store.brain")])"#;

/// The mended module remembers it; the broken one traps at it.
const POISON: &str = "append words of the poison";

#[test]
fn a_letter_after_three_attempts_and_a_retry_with_the_mended_module() {
    let mut fleet = Fleet::of(&file("", AGENT));
    fleet.write("desk.wasm", PICKY);
    fleet.start();
    let sent = fleet.command(&["send", "desk", POISON, "--json"]).json();
    // Behind it in the inbox, and served all the same.
    assert_eq!(fleet.call("desk", "next").json(), "next");

    let letters = fleet.command(&["letters", "--json"]).json();
    let letter = &letters["letters"][0];
    assert_eq!(letters["letters"].as_array().unwrap().len(), 1, "{letters}");
    assert_eq!((&letter["agent"], &letter["attempts"]), (&json!("desk"), &json!(3)), "{letter}");
    assert_eq!((&letter["cause"], &letter["message"]), (&json!("trap"), &sent["message"]));
    let number = letter["id"].to_string();
    let shown = fleet.command(&["letters", "show", &number, "--json"]).json();
    assert_eq!(shown["letter"]["body"], POISON, "{shown}");
    assert_eq!(fleet.child("desk")["restarts"], 3);
    let status = fleet.status();
    assert_eq!((&status["completed"], &status["letters"]), (&json!(1), &json!(1)), "{status}");
    assert_eq!(status["lost"], 0, "{status}");

    // A retry without the cure is another letter, of another message.
    let again = fleet.command(&["letters", "retry", &number, "--json"]).json();
    assert_ne!(again["message"], sent["message"]);
    let number = within(PATIENCE, "the second letter", || {
        let letters = fleet.command(&["letters", "--json"]).json();
        let found =
            letters["letters"].as_array()?.iter().find(|l| l["message"] == again["message"])?;
        Some(found["id"].to_string())
    });
    fleet.stop();

    fleet.write("desk.wasm", ECHO);
    fleet.start();
    let retried = fleet.command(&["letters", "retry", &number, "--json"]).json();
    assert!(retried["message"] != sent["message"] && retried["message"] != again["message"]);
    // It is the inbox's end: what is asked now comes after it.
    let search = r#"call store.brain.memory.search {"query": "poison"}"#;
    let found = fleet.call("desk", search).json();
    assert_eq!(found["hits"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["hits"][0]["message"], retried["message"], "{found}");
    let status = fleet.status();
    assert_eq!((&status["completed"], &status["lost"]), (&json!(3), &json!(0)), "{status}");
    fleet.stop();
}

#[test]
fn who_waits_for_the_answer_is_told_of_the_letter() {
    let fleet = Fleet::running(r#"Agent(id: "desk", module: "builtin:echo")"#);
    fleet.call("desk", "trap").failed(1, "dead_letter", &["3 times", "desk", "unreachable"]);
    fleet.call("desk", "bomb").failed(1, "dead_letter", &["memory"]);
    assert_eq!(fleet.call("desk", "alive").json(), "alive");
    let dropped = fleet.command(&["letters", "drop", "1"]);
    assert_eq!(dropped.exit, 0, "{dropped:?}");
    fleet.command(&["letters", "show", "1"]).failed(1, "not_found", &["1"]);
    let letters = fleet.command(&["letters", "--json"]).json();
    assert_eq!(letters["letters"].as_array().unwrap().len(), 1, "{letters}");
}

#[test]
fn a4_an_agent_that_the_file_names_no_more_leaves_letters_and_frees_who_waits() {
    let both = r#"Agent(id: "desk", module: "builtin:echo", grants: [(cap: "agent.call", scope: { "to": ["gone"] })]),
        Agent(id: "gone", module: "builtin:echo")"#;
    let mut fleet = Fleet::running(both);
    for body in ["loop", "first", "second"] {
        assert_eq!(fleet.command(&["send", "gone", body]).exit, 0);
    }
    let waits = r#"call agent.call {"to": "gone", "body": "hello"}"#;
    assert_eq!(fleet.command(&["send", "desk", waits]).exit, 0);
    within(PATIENCE, "the call's message", || (fleet.status()["accepted"] == 5).then_some(()));
    fleet.kill_process();

    fleet.write("fleet.ron", file("", r#"Agent(id: "desk", module: "builtin:echo")"#));
    fleet.start();
    fleet.command(&["send", "gone", "more"]).failed(1, "no_such_agent", &["gone"]);
    assert_eq!(fleet.call("desk", "alive").json(), "alive");
    let status = fleet.status();
    assert_eq!((&status["letters"], &status["lost"]), (&json!(4), &json!(0)), "{status}");
    fleet.stop();
}

#[test]
fn a_panic_says_why_in_the_log() {
    let mut fleet =
        Fleet::running(r#"Agent(id: "desk", module: "builtin:script", grants: [(cap: "log")])"#);
    fleet.call("desk", r#"[{"trap": true}]"#).failed(1, "dead_letter", &["desk"]);
    within(PATIENCE, "its words are in the log", || {
        fleet.log().contains("trapped as asked").then_some(())
    });
    fleet.stop();
}
