//! A child that is killed comes back with its memory, and the tree tells what happened.

use crate::fleet::{Fleet, PATIENCE, READER, read, within};
use serde_json::{Value, json};

#[test]
fn a_killed_reader_answers_again_from_its_brain() {
    let fleet = Fleet::running(READER);
    fleet.write("docs/a.md", "The heron stands in the reeds.\n\nNothing else happens.\n");
    assert_eq!(fleet.call("reader", &read("a.md")).json()["passages"], 1);
    let before = fleet.child("reader");
    assert_eq!(before["incarnation"], 1, "{before}");
    assert_eq!((&before["restarts"], &before["last_exit"]), (&json!(0), &Value::Null), "{before}");

    for kills in 1..=3 {
        assert_eq!(fleet.command(&["kill", "reader"]).exit, 0);
        let answer = fleet.call("reader", r#"{"ask": "heron"}"#).json();
        assert_eq!(answer["files_read"], 1, "{answer}");
        assert_eq!(answer["hits"].as_array().unwrap().len(), 1, "{answer}");
        assert_eq!(answer["hits"][0]["source"], "a.md");
        let after = within(PATIENCE, "the reader runs", || {
            Some(fleet.child("reader")).filter(|child| child["state"] == "running")
        });
        assert_eq!(after["incarnation"], 1 + kills, "{after}");
        assert_eq!(after["restarts"], kills, "{after}");
        assert_eq!(after["last_exit"], "killed", "{after}");
        assert_eq!(after["mailbox"]["depth"], 0, "{after}");
    }
    let status = fleet.status();
    assert_eq!((&status["lost"], &status["letters"]), (&json!(0), &json!(0)), "{status}");
    let killed = fleet.command(&["kill", "nobody"]);
    assert_eq!(killed.exit, 1, "{killed:?}");
    // The fleet's own name is that of the top of its tree, which nobody supervises.
    let top = fleet.command(&["tree", "--json"]).json()["id"].as_str().unwrap().to_owned();
    fleet.command(&["kill", &top]).failed(1, "not_a_child", &[&top, "loket stop --now"]);
    assert_eq!(fleet.child("reader")["state"], "running");
}

#[test]
fn the_tree_shows_what_waits_in_a_mailbox() {
    let fleet = Fleet::running(
        r#"Agent(id: "busy", module: "builtin:echo", max_attempts: 1, limits: (deadline: "3s"))"#,
    );
    assert_eq!(fleet.command(&["send", "busy", "loop"]).exit, 0);
    for text in ["one", "two"] {
        assert_eq!(fleet.command(&["send", "busy", text]).exit, 0);
    }
    let busy = fleet.child("busy");
    // The one in the works is not done, so it counts.
    assert_eq!(busy["mailbox"]["depth"], 3, "{busy}");
    assert_eq!(busy["mailbox"]["capacity"], 256, "{busy}");
    within(PATIENCE, "the messages behind it are served", || {
        Some(()).filter(|()| fleet.child("busy")["mailbox"]["depth"] == 0)
    });
    let busy = fleet.child("busy");
    assert!(busy["last_exit"].as_str().unwrap().contains("deadline"), "{busy}");
    let status = fleet.status();
    assert_eq!((&status["completed"], &status["letters"]), (&json!(2), &json!(1)), "{status}");
}
