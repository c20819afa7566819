//! `terminate` and `restart`: what they do to Temporary and dynamic children, and what they say where they do nothing.

use crate::fleet::{PATIENCE, within};
use crate::reload::{echo, reload, running};
use serde_json::json;

#[test]
fn a4_a_temporary_child_that_is_terminated_is_gone_with_its_inbox_and_one_is_told_so() {
    let file = |settings: &str| {
        let child = echo("t", &format!("restart: Temporary, {settings}"));
        format!("Supervisor(id: \"g\", children: [{child}]),")
    };
    let fleet = running(&file(""));
    assert_eq!(fleet.call("t", "count").json(), json!(1));
    assert_eq!(fleet.command(&["terminate", "t"]).exit, 0);
    for deed in ["terminate", "restart"] {
        let words = ["t has ended for good", "so does a reload that changes it"];
        fleet.command(&[deed, "t"]).failed(1, "not_found", &words);
    }
    assert_eq!(fleet.child("t")["state"], "stopped");
    fleet.call("t", "count").failed(1, "no_such_agent", &["t"]);
    fleet.command(&["restart", "nobody"]).failed(1, "not_found", &["there is no child nobody"]);
    // A restart of its supervisor, which is told as what helps, does.
    assert_eq!(fleet.command(&["kill", "g"]).exit, 0);
    within(PATIENCE, "it is back", || Some(()).filter(|()| fleet.child("t")["incarnation"] == 2));
    assert_eq!(fleet.call("t", "count").json(), json!(1), "it knows nothing");
    // And who ended by itself is started by a reload that changes it.
    assert_eq!(fleet.command(&["kill", "t"]).exit, 0);
    within(PATIENCE, "it has ended", || {
        Some(()).filter(|()| fleet.child("t")["state"] == "stopped")
    });
    assert_eq!(reload(&fleet, &file("settings: { \"n\": \"1\" }")).exit, 0);
    assert_eq!(fleet.child("t")["incarnation"], 3);
}

#[test]
fn a_dynamic_child_is_restarted_by_its_supervisor_alone() {
    let fleet = running(
        r#"Supervisor(id: "pool", strategy: SimpleOneForOne, children: [
            Agent(id: "w", module: "builtin:echo")]),
        Agent(id: "boss", module: "builtin:script",
            grants: [(cap: "agent.spawn", scope: { "under": ["pool"] })])"#,
    );
    let spawn = json!([{"call": "agent.spawn", "args": {"under": "pool", "name": "x"}}]);
    assert_eq!(fleet.call("boss", &spawn.to_string()).json()[0]["ok"]["agent"], "pool/x");
    let words = ["pool/x is a dynamic child", "spawned again"];
    fleet.command(&["restart", "pool/x"]).failed(1, "simple_one_for_one", &words);
    assert_eq!(fleet.command(&["terminate", "pool/x"]).exit, 0);
    fleet.command(&["restart", "pool/x"]).failed(1, "not_found", &["pool/x"]);
}

#[test]
fn the_fleet_itself_and_its_root_are_stopped_by_stop() {
    let fleet = running(&echo("a", ""));
    let top = fleet.command(&["tree", "--json"]).json()["id"].as_str().unwrap().to_owned();
    for deed in ["terminate", "restart"] {
        fleet.command(&[deed, &top]).failed(1, "not_a_child", &[&top, "`loket stop` ends it"]);
        let words = ["root of the fleet", "`loket stop` ends the fleet"];
        fleet.command(&[deed, "root"]).failed(1, "system_child", &words);
    }
    assert_eq!(fleet.child("a")["incarnation"], 1);
}
