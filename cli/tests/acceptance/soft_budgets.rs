//! Soft limits of budgets: beyond them a person is asked, across a kill; approved the budget may be spent to its hard limit.

use crate::fleet::{Fleet, PATIENCE, file, free_port, metric, metrics, within};
use serde_json::{Value, json};

/// Two agents that spend six calls together, and ask beyond the second: one by calls with an intent, one by calls without.
const DESK: &str = r#"
    Agent(id: "echo", module: "builtin:echo", grants: []),
    Supervisor(id: "desk", budget: (calls: 6, soft: (calls: 2)), children: [
        Agent(id: "a", module: "builtin:script", park_after: "50ms", grants: [(cap: "time")]),
        Agent(id: "b", module: "builtin:script", park_after: "50ms", grants: [
            (cap: "agent.call", scope: { "to": ["echo"] }),
        ]),
    ]),"#;

fn nows(count: usize) -> String {
    json!(vec![json!({"call": "time.now", "args": {}}); count]).to_string()
}

fn calls(count: usize) -> String {
    let call = json!({"call": "agent.call", "args": {"to": "echo", "body": "hello"}});
    json!(vec![call; count]).to_string()
}

impl Fleet {
    fn send(&self, agent: &str, key: &str, script: &str) {
        assert_eq!(self.command(&["send", agent, script, "--key", key]).exit, 0);
    }

    fn came_to(&self, agent: &str, key: &str, script: &str) -> Value {
        self.command(&["call", agent, script, "--key", key, "--json"]).json()
    }

    /// So many calls wait for a person.
    fn asked(&self, count: usize) -> Vec<Value> {
        within(PATIENCE, "they wait for a person", || {
            let listed = self.command(&["approvals", "--json"]).json();
            let all = listed["approvals"].as_array().unwrap().clone();
            (all.len() == count).then_some(all)
        })
    }

    fn desk(&self) -> Value {
        let all = self.command(&["budgets", "--json"]).json();
        let mut all = all["budgets"].as_array().into_iter().flatten();
        all.find(|it| it["supervisor"] == "desk").unwrap().clone()
    }
}

/// H1, C2: both kinds of calls wait at the soft limit, parked, across a kill; one word lets both go on, and the hard limit stays.
#[test]
fn h1_beyond_a_soft_limit_a_person_is_asked_once_for_all() {
    let port = free_port();
    let mut fleet = Fleet::of(&file(&format!("listen: \"127.0.0.1:{port}\","), DESK));
    fleet.start();
    let answers = fleet.came_to("a", "first", &nows(2));
    assert!(answers[1]["ok"].is_object(), "up to the soft limit nobody is asked: {answers}");
    fleet.send("a", "a", &nows(1));
    fleet.send("b", "b", &calls(1));
    let asked = fleet.asked(2);
    for one in &asked {
        assert_eq!(one["budget"], json!({"level": "supervisor", "supervisor": "desk"}), "{one}");
    }
    let beyond = "loket_calls_beyond_soft_total{capability=\"time.now\",level=\"supervisor\"}";
    assert!(metric(&metrics(port), beyond) >= 1.0);
    let before = fleet.desk();
    assert_eq!(before["lines"][0]["spent"], 2, "{before}");
    assert_eq!(before["lifted"], false);

    fleet.kill_process();
    fleet.start();
    assert_eq!(fleet.asked(2), asked, "they wait as before");
    assert_eq!(fleet.desk(), before);
    let listed = fleet.command(&["approvals"]).out;
    assert!(listed.contains("beyond the soft limit of what all agents below desk"), "{listed}");
    let id = asked[0]["id"].to_string();
    assert!(fleet.command(&["approvals", "show", &id]).out.contains("until its window ends"));
    assert_eq!(fleet.command(&["approvals", "approve", &id]).exit, 0);
    assert!(fleet.came_to("a", "a", &nows(1))[0]["ok"].is_object());
    assert_eq!(fleet.came_to("b", "b", &calls(1)), json!([{"ok": "hello"}]));
    assert_eq!(fleet.desk()["lines"][0]["spent"], 4, "{}", fleet.desk());
    assert!(fleet.command(&["budgets"]).out.contains("approved"));

    fleet.kill_process();
    fleet.start();
    let answers = fleet.came_to("b", "rest", &calls(3));
    assert_eq!(answers[1]["ok"], "hello", "nobody is asked again: {answers}");
    assert_eq!(answers[2]["failed"]["code"], "budget_spent", "{answers}");
    assert_eq!(fleet.command(&["approvals"]).out.trim(), "nothing waits for a person");
    let status = fleet.status();
    assert_eq!((&status["letters"], &status["lost"]), (&json!(0), &json!(0)), "{status}");
    fleet.stop();
}

/// H1: a denied call is a failure with the reason; the next message has its own budget.
#[test]
fn h1_who_is_denied_at_a_soft_limit_is_told_why() {
    let mut fleet = Fleet::running(
        r#"
    Agent(id: "a", module: "builtin:script", park_after: "50ms", per_message: (calls: 5, soft: 0.4),
        grants: [(cap: "time")]),"#,
    );
    fleet.send("a", "k", &nows(3));
    let asked = fleet.asked(1).remove(0);
    assert_eq!(asked["budget"], json!({"level": "message"}));
    let id = asked["id"].to_string();
    let deny = ["approvals", "deny", &*id, "--reason", "two are enough"];
    assert_eq!(fleet.command(&deny).exit, 0);
    let answers = fleet.came_to("a", "k", &nows(3));
    assert!(answers[1]["ok"].is_object(), "{answers}");
    let failed = &answers[2]["failed"];
    assert_eq!((&failed["code"], &failed["message"]), (&json!("denied"), &json!("two are enough")));
    let all = fleet.command(&["budgets", "a", "--json"]).json();
    // Its turn was run twice, and made the first two calls twice.
    assert_eq!(all["budgets"][0]["lines"][0]["spent"], 2, "{all}");
    let answers = fleet.came_to("a", "next", &nows(2));
    assert!(answers[1]["ok"].is_object(), "{answers}");
    fleet.stop();
}
