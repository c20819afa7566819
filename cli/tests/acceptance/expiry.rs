//! Approvals that expire: denied by themselves, once, with a code of their own, across a kill.

use crate::fleet::{Fleet, file, free_port, metric, metrics};
use serde_json::json;

/// One whose calls wait for a person, but not for ever.
const CLERK: &str = r#"
    Agent(id: "echo", module: "builtin:echo", grants: []),
    Agent(id: "clerk", module: "builtin:script", park_after: "50ms", grants: [
        (cap: "agent.call", scope: { "to": ["echo"] }, approve: ["agent.call"], approve_within: "2s"),
    ]),"#;

/// H1: what nobody approves in its time is denied; a kill in between changes nothing, a later word comes too late.
#[test]
fn h1_what_nobody_approves_in_time_is_denied_once() {
    let port = free_port();
    let mut fleet = Fleet::of(&file(&format!("listen: \"127.0.0.1:{port}\","), CLERK));
    fleet.start();
    let script =
        json!([{"call": "agent.call", "args": {"to": "echo", "body": "hello"}}]).to_string();
    assert_eq!(fleet.command(&["send", "clerk", &script, "--key", "k"]).exit, 0);
    fleet.kill_process();
    fleet.start();
    let outcome = |key: &str| fleet.command(&["call", "clerk", &script, "--key", key, "--json"]);
    for key in ["k", "another"] {
        let outcome = outcome(key).json();
        let failed = &outcome[0]["failed"];
        assert_eq!(failed["code"], "approval_expired", "{outcome}");
        assert!(failed["message"].as_str().unwrap().contains("approve_within"), "{failed}");
    }
    assert!(metric(&metrics(port), "loket_approvals_expired_total") >= 1.0);
    let shown = fleet.command(&["approvals", "show", "1"]);
    assert!(shown.out.contains("expired by @timer"), "{shown:?}");
    let late = fleet.command(&["approvals", "approve", "1"]);
    late.failed(1, "L011", &["expired by @timer already"]);
    assert_eq!(fleet.command(&["approvals"]).out.trim(), "nothing waits for a person");
    let status = fleet.status();
    assert_eq!((&status["letters"], &status["lost"]), (&json!(0), &json!(0)), "{status}");
    assert_eq!(status["accepted"], 2, "the echo was asked nothing: {status}");
    fleet.stop();
}
