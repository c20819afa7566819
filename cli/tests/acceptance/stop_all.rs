//! The emergency stop: every lane busy with guests that never end, and children that may take for ever.

use crate::fleet::{Fleet, PATIENCE, file, free_port, metric, metrics, within};
use serde_json::json;

/// Guests that never end, more than instances: some of them wait for a slot.
const SPINNING: usize = 12;

fn spinning(fields: &str) -> (Fleet, u16) {
    let port = free_port();
    let agent = |n| {
        format!(
            r#"Agent(id: "a{n}", module: "builtin:echo", shutdown: Infinity, watchdog: None, limits: (deadline: "1h")),"#
        )
    };
    let agents: String = (0..SPINNING).map(agent).collect();
    let fields = format!(r#"lanes: 2, slots: 8, listen: "127.0.0.1:{port}", {fields}"#);
    let mut fleet = Fleet::of(&file(&fields, &agents));
    fleet.start();
    for n in 0..SPINNING {
        assert_eq!(fleet.command(&["send", &format!("a{n}"), "loop"]).exit, 0);
    }
    within(PATIENCE, "all slots are taken", || {
        (metric(&metrics(port), "loket_instances_live") >= 8.0).then_some(())
    });
    (fleet, port)
}

#[test]
fn an_emergency_stop_waits_for_nobody_and_loses_nothing() {
    let (mut fleet, _) = spinning("");
    let told = fleet.command(&["stop", "--all", "--json"]).json();
    assert_eq!((&told["stopping"], &told["all"]), (&json!(true), &json!(true)), "{told}");
    assert!(told["interrupted"].as_u64() >= Some(8), "{told}");
    fleet.ended_well();
    // No attempt was counted, and every message is there.
    let log = fleet.log();
    assert!(!log.contains("turn failed"), "{log}");
    fleet.start();
    let status = fleet.status();
    assert_eq!((&status["waiting"], &status["letters"]), (&json!(SPINNING), &json!(0)), "{status}");
    fleet.command(&["stop", "--all"]);
    fleet.ended_well();
}

#[test]
fn an_emergency_stop_needs_the_operators_grant() {
    let (mut fleet, _) = spinning(
        r#"operator: [(cap: "agent.send", scope: { "to": ["*"] }), (cap: "agent.status")],"#,
    );
    fleet.command(&["stop", "--all"]).failed(3, "refused", &["K003", "agent.shutdown"]);
    assert!(fleet.command(&["status"]).exit == 0, "it goes on");
    fleet.kill_process();
}
