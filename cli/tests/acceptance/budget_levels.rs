//! Budgets of supervisors and of messages: what is spent together stops everybody below, what one message may cost stops its turn.

use crate::budgets::{CALLS_MAX, chat};
use crate::fleet::{Fleet, PATIENCE, file, metric, metrics, within};
use serde_json::{Value, json};

/// Two agents below `desk`, of which only one has a budget of its own, and one beside it.
fn newsroom(tokens: u64) -> String {
    let chats = |id: &str, budget: &str| {
        format!(
            r#"Agent(id: "{id}", module: "builtin:echo", grants: [
                (cap: "llm.chat", scope: {{ "models": ["default"] }}{budget}),
            ]),"#
        )
    };
    format!(
        r#"
    Provider(id: "llm", use: Llm()),
    Supervisor(id: "desk", budget: (tokens: {tokens}), children: [{}
        Supervisor(id: "back", budget: (calls: 1_000), children: [{}]),
    ]),{}"#,
        chats("poet", ", budget: (tokens: 100_000)"),
        chats("critic", ""),
        chats("loner", ""),
    )
}

impl Fleet {
    /// What an agent answers.
    pub(crate) fn tell(&self, agent: &str, body: &str) -> Result<Value, Value> {
        self.ask("agent.call", &json!({"to": agent, "body": body}))
    }

    /// The budget of a level, of an agent or a supervisor.
    #[track_caller]
    fn budget(&self, level: &str, whose: &str) -> Value {
        let all = self.command(&["budgets", "--json"]).json();
        let mut all = all["budgets"].as_array().into_iter().flatten();
        let mine = |it: &&Value| it["agent"] == whose || it["supervisor"] == whose;
        let found = all.find(|it| it["level"] == level && mine(it));
        found.unwrap_or_else(|| panic!("no budget of {whose}")).clone()
    }
}

/// C2: agents below one supervisor spend from its budget together, across a kill; who stands beside it does not. A reload raises it
/// without a new life for anybody.
#[test]
fn c2_agents_below_a_supervisor_spend_together() {
    let port = crate::fleet::free_port();
    let http = format!("listen: \"127.0.0.1:{port}\",");
    let mut fleet = Fleet::of(&file(&http, &newsroom(150)));
    fleet.start();
    let mut answers = 0;
    while fleet.tell("poet", &chat()).is_ok() {
        answers += 1;
        assert!(answers < CALLS_MAX, "the budget stops nobody");
    }
    assert!(answers > 0, "the budget was never enough");
    // What the poet has spent the critic cannot have, though none of its grants has a budget.
    let refused = within(PATIENCE, "it is spent", || fleet.tell("critic", &chat()).err());
    assert_eq!((&refused["code"], &refused["retryable"]), (&json!("budget_spent"), &json!(false)));
    let text = refused["message"].as_str().unwrap();
    for word in ["all agents below desk", "150 tokens", "Supervisor(id: \"desk\"", "loket reload"] {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
    fleet.tell("loner", &chat()).unwrap();
    let desk = fleet.budget("supervisor", "desk");
    let own = fleet.budget("grant", "poet");
    assert!(desk["lines"][0]["spent"].as_u64() >= own["lines"][0]["spent"].as_u64(), "{desk}");
    assert_eq!(fleet.budget("supervisor", "back")["under"], "desk");
    let over = "loket_calls_over_budget_total{capability=\"llm.chat\",unit=\"tokens\",level=\"supervisor\"}";
    assert!(metric(&metrics(port), over) >= 2.0);

    fleet.kill_process();
    fleet.start();
    assert_eq!(fleet.budget("supervisor", "desk"), desk, "a kill mints nothing");
    assert_eq!(fleet.tell("critic", &chat()).unwrap_err()["code"], "budget_spent");

    fleet.write("fleet.ron", file(&http, &newsroom(1_000)));
    let told = fleet.command(&["reload", "--json"]).json();
    let steps = told["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["deed"] == "change"), "{told}");
    fleet.tell("critic", &chat()).unwrap();
    let shown = fleet.command(&["budgets"]).out;
    let whose: Vec<&str> =
        shown.lines().skip(1).filter_map(|row| row.get(..24)).map(str::trim_end).collect();
    assert_eq!(whose, ["desk", "  back", "  poet"], "{shown}");
    fleet.stop();
}

/// D1: within one message the limit holds for all calls together, the next message has its own, and a budget that comes with a
/// reload counts from the agents' next life on.
#[test]
fn d1_one_message_spends_no_more_than_its_budget() {
    let script = |budget: &str| {
        format!(
            r#"
    Agent(id: "a", module: "builtin:script"{budget}, grants: [
        (cap: "time"), (cap: "store.brain", budget: (calls: 100)),
    ]),"#
        )
    };
    let mut fleet = Fleet::of(&file("", &script(", per_message: (calls: 3)")));
    fleet.start();
    let now = json!({"call": "time.now", "args": {}});
    let put = json!({"call": "store.brain.kv.put", "args": {"key": "k", "value": 1}});
    let four = json!([now, put, now, now]).to_string();
    for _ in 0..2 {
        let answers = fleet.tell("a", &four).unwrap();
        let failed = &answers[3]["failed"];
        assert_eq!(failed["code"], "budget_spent", "{answers}");
        assert!(failed["message"].as_str().unwrap().contains("per_message"), "{failed}");
        let spent = |level: &str| fleet.budget(level, "a")["lines"][0]["spent"].clone();
        assert_eq!(spent("message"), 3, "those that were made");
    }
    let message = fleet.budget("message", "a");
    assert_eq!((&message["n"], &message["since_ms"]), (&json!(2), &Value::Null));
    assert_eq!(fleet.budget("grant", "a")["lines"][0]["spent"], 2, "its grant's goes on");

    fleet.write("fleet.ron", file("", &script("")));
    assert_eq!(fleet.command(&["reload"]).exit, 0);
    let all = || fleet.tell("a", &four).ok().filter(|answers| answers[3]["ok"].is_object());
    within(PATIENCE, "no message has a budget any more", all);
    fleet.stop();
}

/// D1: what a turn has counted and not written yet another one below the same supervisor cannot have.
#[test]
fn d1_turns_at_the_same_time_stay_within_a_budget_together() {
    let mut fleet = Fleet::running(
        r#"
    Agent(id: "echo", module: "builtin:echo", grants: []),
    Supervisor(id: "desk", budget: (calls: 3), children: [
        Agent(id: "waits", module: "builtin:script", park_after: "10m", limits: (deadline: "10m"), grants: [
            (cap: "time"), (cap: "agent.call", scope: { "to": ["echo"] }, approve: ["agent.call"]),
        ]),
        Agent(id: "other", module: "builtin:script", grants: [(cap: "time")]),
    ]),"#,
    );
    let now = json!({"call": "time.now", "args": {}});
    let held = json!({"call": "agent.call", "args": {"to": "echo", "body": "hello"}});
    let script = json!([now, now, held]).to_string();
    assert_eq!(fleet.command(&["send", "waits", &script, "--key", "k"]).exit, 0);
    // Its turn is open, and has made two calls that no row says.
    let asked = within(PATIENCE, "its third call waits", || {
        let listed = fleet.command(&["approvals", "--json"]).json();
        listed["approvals"].get(0).cloned()
    });
    assert_eq!(fleet.budget("supervisor", "desk")["lines"][0]["spent"], 0);
    let answers = fleet.tell("other", &json!([now, now]).to_string()).unwrap();
    assert!(answers[0]["ok"].is_object(), "{answers}");
    assert_eq!(answers[1]["failed"]["code"], "budget_spent", "{answers}");
    let id = asked["id"].to_string();
    assert_eq!(fleet.command(&["approvals", "deny", &id]).exit, 0);
    let done = fleet.command(&["call", "waits", &script, "--key", "k", "--json"]).json();
    assert_eq!(done[2]["failed"]["code"], "denied", "{done}");
    assert_eq!(fleet.budget("supervisor", "desk")["lines"][0]["spent"], 3, "both are written");
    fleet.stop();
}
