//! Agents that wait: for each other, for a person, for their time.

use crate::fleet::Fleet;
use serde_json::{Value, json};
use std::sync::Barrier;

/// Rounds until two calls are on the way at the same time. One in a few is; without the answer the first such round hangs.
const ROUNDS: usize = 500;

/// Two agents that may call each other.
const PAIR: &str = r#"
    Agent(id: "left", module: "builtin:echo", grants: [(cap: "agent.call", scope: { "to": ["right"] })]),
    Agent(id: "right", module: "builtin:echo", grants: [(cap: "agent.call", scope: { "to": ["left"] })]),"#;

/// What an agent is told, so that it calls the other.
fn call(other: &str) -> String {
    format!("call agent.call {}", json!({"to": other, "body": "hello"}))
}

/// H2: each calls the other from a message of its own. One of the two is told, the other is answered.
#[test]
fn h2_two_agents_that_call_each_other_are_told() {
    let mut fleet = Fleet::running(PAIR);
    let mut cycles = 0;
    for _ in 0..ROUNDS {
        let start = Barrier::new(2);
        let ask = |agent: &str, other: &str| {
            start.wait();
            fleet.ask("agent.call", &json!({"to": agent, "body": call(other)}))
        };
        let (left, right) = std::thread::scope(|scope| {
            let left = scope.spawn(|| ask("left", "right"));
            let right = scope.spawn(|| ask("right", "left"));
            (left.join().unwrap(), right.join().unwrap())
        });
        let answers = [left, right];
        let told = answers.iter().filter(|answer| is_cycle(answer)).count();
        let hello = answers.iter().filter(|answer| **answer == Ok(json!("hello"))).count();
        assert!(told + hello == 2 && told <= 1, "{answers:?}");
        cycles += told;
        if cycles > 0 {
            break;
        }
    }
    assert!(cycles > 0, "in {ROUNDS} rounds the calls never met");
    let status = fleet.status();
    assert_eq!((&status["letters"], &status["lost"]), (&json!(0), &json!(0)), "{status}");
    fleet.stop();
}

fn is_cycle(answer: &Result<Value, Value>) -> bool {
    answer.as_ref().is_err_and(|failure| failure["code"] == "cycle")
}
