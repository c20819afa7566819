//! Callers never hold every slot that their callees need.

use crate::fleet::{Fleet, file, free_port, metric, metrics};
use serde_json::json;

/// For each caller: an agent a that may call its b, which may call its c.
fn agents(callers: usize) -> String {
    let agent = |id: String, to: &str| {
        format!(
            r#"Agent(id: "{id}", module: "builtin:echo", grants: [(cap: "agent.call", scope: {{ "to": ["{to}"] }})]),"#
        )
    };
    let mut all = Vec::new();
    for at in 0..callers {
        all.push(agent(format!("a{at}"), &format!("b{at}")));
        all.push(agent(format!("b{at}"), &format!("c{at}")));
        all.push(agent(format!("c{at}"), "nobody"));
    }
    all.join("\n")
}

/// A asks B to ask C.
fn chain(at: usize) -> String {
    let inner = format!(
        "call agent.call {}",
        json!({"to": format!("c{at}"), "body": format!("hello {at}")})
    );
    format!("call agent.call {}", json!({"to": format!("b{at}"), "body": inner}))
}

/// So many chains at the same time; what the metrics say afterwards.
fn chains(lanes: usize, slots: usize, callers: usize) -> Vec<String> {
    let port = free_port();
    let fields = format!(r#"lanes: {lanes}, slots: {slots}, listen: "127.0.0.1:{port}","#);
    let mut fleet = Fleet::of(&file(&fields, &agents(callers)));
    fleet.start();
    std::thread::scope(|scope| {
        let fleet = &fleet;
        for at in 0..callers {
            scope.spawn(move || {
                let answer = fleet.call(&format!("a{at}"), &chain(at)).json();
                assert_eq!(answer, json!(format!("hello {at}")));
            });
        }
    });
    let status = fleet.status();
    assert_eq!(status["completed"], 3 * callers, "{status}");
    assert_eq!((&status["letters"], &status["lost"]), (&json!(0), &json!(0)), "{status}");
    let said = metrics(port);
    fleet.stop();
    said
}

fn held(lanes: usize) {
    let said = chains(lanes, 2, 1);
    assert_eq!(metric(&said, r#"loket_turns_total{outcome="completed"}"#), 3.0);
    assert!(metric(&said, r#"loket_turns_total{outcome="parked"}"#) >= 1.0, "{said:#?}");
    assert_eq!(metric(&said, "loket_slots_high_water"), 2.0);
}

#[test]
fn a_chain_of_three_with_two_slots_on_one_lane() {
    held(1);
}

#[test]
fn a_chain_of_three_with_two_slots_across_two_lanes() {
    held(2);
}

#[test]
fn a_chain_of_three_with_a_single_slot() {
    for lanes in [1, 2] {
        let said = chains(lanes, 1, 1);
        assert!(metric(&said, r#"loket_turns_total{outcome="parked"}"#) >= 2.0, "{said:#?}");
        assert_eq!(metric(&said, "loket_slots_high_water"), 1.0);
    }
}

#[test]
fn many_chains_at_once_with_two_slots() {
    for lanes in [1, 2] {
        let said = chains(lanes, 2, 6);
        assert_eq!(metric(&said, r#"loket_turns_total{outcome="completed"}"#), 18.0);
        assert_eq!(metric(&said, "loket_slots_high_water"), 2.0);
    }
}
