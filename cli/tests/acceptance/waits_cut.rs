//! A turn that waits for a person while a reload takes away what it waits with.

use crate::fleet::{Fleet, PATIENCE, file, within};
use serde_json::{Value, json};

fn with(grants: &str) -> String {
    let children = format!(
        r#"Agent(id: "echo", module: "builtin:echo", grants: []),
        Agent(id: "clerk", module: "builtin:script", park_after: "50ms", grants: [{grants}]),"#
    );
    file("", &children)
}

fn waiting(fleet: &Fleet) -> Vec<Value> {
    fleet.command(&["approvals", "--json"]).json()["approvals"].as_array().unwrap().clone()
}

/// H1: today's grants decide about a call that was held, whatever a person says; the refusal names the grant, and is recorded.
#[test]
fn h1_a_held_call_whose_grant_a_reload_has_cut_is_refused_by_that_name() {
    let mut fleet = Fleet::of(&with(
        r#"(cap: "agent.call", scope: { "to": ["echo"] }, approve: ["agent.call"])"#,
    ));
    fleet.start();
    let call = json!([{"call": "agent.call", "args": {"to": "echo", "body": "one"}}]).to_string();
    assert_eq!(fleet.command(&["send", "clerk", &call, "--key", "k"]).exit, 0);
    let held = within(PATIENCE, "it waits", || waiting(&fleet).into_iter().next());
    fleet.write("fleet.ron", with(""));
    assert_eq!(fleet.command(&["reload"]).exit, 0);
    assert_eq!(fleet.command(&["approvals", "approve", &held["id"].to_string()]).exit, 0);
    let told = fleet.command(&["call", "clerk", &call, "--key", "k", "--json"]).json();
    let failed = &told[0]["failed"];
    assert_eq!(failed["code"], "refused", "{told}");
    let text = failed["message"].as_str().unwrap();
    let cut = "a reload has cut the grant `agent.call`, with which this turn began: K003";
    assert!(text.starts_with(cut), "{text}");
    let turn = fleet.command(&["turn", "clerk", "1", "--json"]).json();
    assert_eq!(&turn["records"][0]["outcome"]["error"]["message"], text, "{turn}");
    assert_eq!(waiting(&fleet), Vec::<Value>::new());
    // A turn that begins now never had it.
    let later = fleet.command(&["call", "clerk", &call, "--key", "l", "--json"]).json();
    assert!(later[0]["failed"]["message"].as_str().unwrap().starts_with("K003"), "{later}");
}
