//! Once calls (rule C4): sent once, in doubt only when their provider ended over them, settled by nobody but an operator.

use crate::fleet::{Fleet, PATIENCE, Said, file, within};
use crate::outside::Outside;
use serde_json::{Value, json};

/// An agent that buys outside, and one beside it.
fn shop(outside: &Outside) -> Fleet {
    Fleet::running(&children(outside))
}

fn children(outside: &Outside) -> String {
    format!(
        r#"Provider(id: "web", use: Http()),
           Agent(id: "buyer", module: "builtin:script", charge: Letter, grants: [(cap: "store.brain"),
               (cap: "http", scope: {{ "hosts": [{:?}], "methods": ["GET", "POST"] }})]),
           Agent(id: "other", module: "builtin:echo", charge: Letter),"#,
        outside.host
    )
}

/// A script that counts in the brain, buys once, and notes what it was told.
fn buy(outside: &Outside, what: &str) -> String {
    let url = format!("http://{}/{what}", outside.host);
    json!([
        {"call": "http.send", "args": {"url": url, "body": what}},
        {"call": "store.brain.memory.add", "args": {"text": what}},
    ])
    .to_string()
}

/// Hands the script in and waits until the outside has its request.
fn bought(fleet: &Fleet, outside: &Outside, what: &str) {
    let sent = fleet.command(&["send", "buyer", &buy(outside, what), "--key", what]);
    assert_eq!(sent.exit, 0, "{sent:?}");
    let path = format!("/{what}");
    within(PATIENCE, "the outside has it", || (outside.count(&path) > 0).then_some(()));
}

/// The answer of the message with this key.
fn answer(fleet: &Fleet, outside: &Outside, what: &str) -> Value {
    fleet.command(&["call", "buyer", &buy(outside, what), "--key", what, "--json"]).json()
}

fn doubts(fleet: &Fleet) -> Vec<Value> {
    let list = fleet.command(&["doubt", "--json"]).json();
    list["doubts"].as_array().unwrap().clone()
}

fn in_doubt(fleet: &Fleet) -> Value {
    within(PATIENCE, "a call in doubt", || doubts(fleet).pop())
}

#[track_caller]
fn resolve(fleet: &Fleet, doubt: &Value, how: &[&str]) -> Said {
    let number = doubt["id"].to_string();
    let said = fleet.command(&[&["doubt", "resolve", &number], how].concat());
    assert_eq!(said.exit, 0, "{said:?}");
    said
}

#[test]
fn c4_a_call_whose_process_was_killed_is_in_doubt_until_an_operator_says_what_became_of_it() {
    let outside = Outside::start().unwrap();
    let mut fleet = shop(&outside);
    outside.hold(true);
    bought(&fleet, &outside, "tea");
    assert_eq!(doubts(&fleet), [Value::Null; 0], "an answer may still come");
    fleet.kill_process();
    outside.hold(false);
    for _ in 0..2 {
        fleet.start();
        let doubt = in_doubt(&fleet);
        assert_eq!((&doubt["agent"], &doubt["capability"]), (&json!("buyer"), &json!("http.send")));
        assert_eq!(doubt["held_by"], "web", "{doubt}");
        assert!(doubt["args"].as_str().unwrap().contains("/tea"), "{doubt}");
        // It waits, others go on, its inbox accepts, and nothing is sent again.
        assert_eq!(fleet.call("other", "hello").json(), "hello");
        fleet.kill_process();
    }
    fleet.start();
    let doubt = in_doubt(&fleet);
    assert_eq!(fleet.status()["doubts"], 1);
    let shown = fleet.command(&["doubt", "show", &doubt["id"].to_string()]);
    assert!(shown.out.contains("buyer called http.send, and provider web ended"), "{shown:?}");
    assert_eq!(outside.count("/tea"), 1);
    resolve(&fleet, &doubt, &["--done", r#"{"status": 201}"#]);
    let told = answer(&fleet, &outside, "tea");
    assert_eq!(told[0], json!({"ok": {"status": 201}}), "{told}");
    assert_eq!((outside.count("/tea"), doubts(&fleet).len()), (1, 0));
    let gone = fleet.command(&["doubt", "resolve", &doubt["id"].to_string(), "--retry"]);
    gone.failed(1, "not_found", &["doubt"]);
    fleet.stop();
}

#[test]
fn c4_a_retry_sends_once_more_and_is_in_doubt_again_when_that_is_hidden_too() {
    let outside = Outside::start().unwrap();
    let mut fleet = shop(&outside);
    outside.hold(true);
    bought(&fleet, &outside, "tea");
    assert_eq!(fleet.command(&["kill", "web"]).exit, 0);
    let first = in_doubt(&fleet);
    resolve(&fleet, &first, &["--retry"]);
    within(PATIENCE, "sent once more", || (outside.count("/tea") == 2).then_some(()));
    assert_eq!(fleet.command(&["kill", "web"]).exit, 0);
    let second = in_doubt(&fleet);
    assert_ne!(first["id"], second["id"], "a number is never given twice");
    resolve(&fleet, &second, &["--retry"]);
    within(PATIENCE, "and again", || (outside.count("/tea") == 3).then_some(()));
    outside.hold(false);
    let told = answer(&fleet, &outside, "tea");
    assert_eq!(told[0]["ok"]["status"], 200, "{told}");
    assert_eq!((outside.count("/tea"), doubts(&fleet).len()), (3, 0));
    fleet.stop();
}

#[test]
fn c4_a_late_answer_is_taken_when_only_the_caller_restarted() {
    let outside = Outside::start().unwrap();
    let mut fleet = shop(&outside);
    for what in ["tea", "milk", "bread"] {
        outside.hold(true);
        bought(&fleet, &outside, what);
        let before = fleet.child("buyer")["incarnation"].clone();
        assert_eq!(fleet.command(&["kill", "buyer"]).exit, 0);
        within(PATIENCE, "the buyer is back", || {
            let buyer = fleet.child("buyer");
            (buyer["incarnation"] != before && buyer["state"] == "running").then_some(())
        });
        assert_eq!(doubts(&fleet), [Value::Null; 0], "its provider lives");
        outside.hold(false);
        let told = answer(&fleet, &outside, what);
        assert_eq!(told[0]["ok"]["body"], "{\"n\":1}", "{told}");
        assert_eq!((outside.count(&format!("/{what}")), doubts(&fleet).len()), (1, 0));
    }
    fleet.stop();
}

#[test]
fn c4_what_today_would_refuse_does_not_answer_a_call_that_was_sent() {
    let outside = Outside::start().unwrap();
    let mut fleet = shop(&outside);
    outside.hold(true);
    bought(&fleet, &outside, "tea");
    fleet.kill_process();
    // The provider is gone from the file, and with it everybody who could send it.
    let alone = r#"Agent(id: "buyer", module: "builtin:script", charge: Letter, grants: [(cap: "store.brain")]),"#;
    fleet.write("fleet.ron", file("", alone));
    fleet.start();
    let doubt = in_doubt(&fleet);
    resolve(&fleet, &doubt, &["--retry"]);
    let again = in_doubt(&fleet);
    assert_ne!(again["id"], doubt["id"], "not sent, and so in doubt again");
    resolve(&fleet, &again, &["--fail", "the shop has closed"]);
    let told = answer(&fleet, &outside, "tea");
    assert_eq!(told[0]["failed"]["code"], "resolved_failed", "{told}");
    assert_eq!(told[0]["failed"]["message"], "the shop has closed");
    assert_eq!(outside.count("/tea"), 1);
    fleet.stop();
}
