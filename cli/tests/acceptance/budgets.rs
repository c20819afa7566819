//! Budgets of grants: what is spent stops the agent, outlives the process, and is full again with the next window.

use crate::fleet::{Fleet, PATIENCE, file, metric, metrics, within};
use serde_json::{Value, json};

/// Calls after which a budget of so few tokens must have stopped its agent.
pub(crate) const CALLS_MAX: usize = 100;

fn poet(tokens: u64) -> String {
    format!(
        r#"
    Provider(id: "llm", use: Llm()),
    Agent(id: "poet", module: "builtin:echo", grants: [
        (cap: "llm.chat", scope: {{ "models": ["default"] }}, budget: (tokens: {tokens})),
    ]),"#
    )
}

/// What an agent is told, so that it asks the model.
pub(crate) fn chat() -> String {
    let said = |role: &str, content: &str| json!({"role": role, "content": content});
    let messages = [said("system", "Brains are files."), said("user", "What are brains?")];
    let args = json!({"model": "default", "messages": messages, "max_output_tokens": 2});
    format!("call llm.chat {args}")
}

impl Fleet {
    /// The one line of an agent's one budget.
    #[track_caller]
    fn line(&self, agent: &str) -> Value {
        let all = self.command(&["budgets", agent, "--json"]).json();
        assert_eq!(all["budgets"].as_array().map(Vec::len), Some(1), "{all}");
        all["budgets"][0]["lines"][0].clone()
    }
}

fn is_spent(answer: &Result<Value, Value>) -> bool {
    answer.as_ref().is_err_and(|failure| failure["code"] == "budget_spent")
}

/// C2: an agent asks until its tokens are spent. A kill changes nothing of that, a reload with a larger budget lets it go on from
/// what it had spent.
#[test]
fn c2_what_is_spent_stays_spent() {
    let port = crate::fleet::free_port();
    let http = format!("listen: \"127.0.0.1:{port}\",");
    let mut fleet = Fleet::of(&file(&http, &poet(150)));
    fleet.start();
    let mut answers = 0;
    let refused = loop {
        match fleet.tell("poet", &chat()) {
            Ok(_) => answers += 1,
            Err(failure) => break failure,
        }
        assert!(answers < CALLS_MAX, "its budget stops nobody");
    };
    assert!(answers > 0, "{refused}");
    assert_eq!((&refused["code"], &refused["retryable"]), (&json!("budget_spent"), &json!(false)));
    let text = refused["message"].as_str().unwrap();
    for word in ["poet", "llm.chat", "150 tokens", "(cap: \"llm.chat\"", "loket reload"] {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
    let line = fleet.line("poet");
    let spent = line["spent"].as_u64().unwrap();
    assert_eq!(line, json!({"unit": "tokens", "limit": 150, "spent": spent, "reserved": 0}));
    assert!(spent >= answers as u64 && spent <= 150, "{line}");
    let over =
        "loket_calls_over_budget_total{capability=\"llm.chat\",unit=\"tokens\",level=\"grant\"}";
    assert_eq!(metric(&metrics(port), over), 1.0);

    fleet.kill_process();
    fleet.start();
    assert_eq!(fleet.line("poet"), line, "a kill mints nothing");
    let answer = fleet.tell("poet", &chat());
    assert!(is_spent(&answer), "{answer:?}");

    fleet.write("fleet.ron", file(&http, &poet(1_000)));
    assert_eq!(fleet.command(&["reload"]).exit, 0);
    let answer = within(PATIENCE, "the poet is there again", || fleet.tell("poet", &chat()).ok());
    assert!(answer["content"].is_string(), "{answer}");
    let line = fleet.line("poet");
    assert_eq!(line["limit"], 1_000);
    assert!(line["spent"].as_u64().unwrap() > spent, "{line}");
    let shown = fleet.command(&["budgets"]).out;
    assert!(shown.contains("poet") && shown.contains("1000"), "{shown}");
    fleet.stop();
}

/// C2: where each model has its price, money is reserved before a call, and what it did cost is spent with its answer.
#[test]
fn c2_money_is_counted_by_the_models_prices() {
    let priced = |price: &str, money: &str| {
        format!(
            r#"
    Provider(id: "llm", use: Llm(models: [(name: "default", api: Extractive{price})])),
    Agent(id: "poet", module: "builtin:echo", grants: [
        (cap: "llm.chat", scope: {{ "models": ["default"] }}, budget: (money: "{money}")),
    ]),"#
        )
    };
    // A whole one for each token: what it may cost is what it may use.
    let price = ", price: (input: \"1000000\", output: \"1000000\")";
    let mut fleet = Fleet::of(&file("", &priced(price, "150")));
    fleet.start();
    let answer = fleet.tell("poet", &chat()).unwrap();
    let usage = &answer["usage"];
    let used = usage["input_tokens"].as_u64().unwrap() + usage["output_tokens"].as_u64().unwrap();
    let line = fleet.line("poet");
    let (limit, spent) = (150_000_000, used * 1_000_000);
    assert_eq!(line, json!({"unit": "money", "limit": limit, "spent": spent, "reserved": 0}));
    let refused = within(PATIENCE, "it is spent", || fleet.tell("poet", &chat()).err());
    let text = refused["message"].as_str().unwrap();
    assert_eq!(refused["code"], "budget_spent");
    assert!(text.contains("is 150 money") && text.contains("`money: \""), "{text}");
    let shown = fleet.command(&["budgets"]).out;
    assert!(shown.contains("money") && shown.contains(" 150 "), "{shown}");
    fleet.stop();

    // E216: where a model has no price nothing would ever be spent.
    fleet.write("fleet.ron", file("", &priced("", "150")));
    let mut check = crate::fleet::loket();
    check.arg("check").arg(fleet.path("fleet.ron"));
    let said = crate::fleet::finish(check);
    let text = format!("{}{}", said.out, said.err);
    assert!(said.exit == 1 && text.contains("E216") && text.contains("has no price"), "{text}");
}

/// D1: calls that need no intent are counted in memory and written with the turn's end; within one turn the limit holds as well,
/// and the next window is full again.
#[test]
fn d1_counted_calls_stop_within_the_turn_and_go_on_with_the_window() {
    let mut fleet = Fleet::running(
        r#"
    Agent(id: "once", module: "builtin:script", grants: [(cap: "time", budget: (calls: 2))]),
    Agent(id: "often", module: "builtin:script", grants: [
        (cap: "time", budget: (calls: 2, per: "3s")),
    ]),"#,
    );
    let now = json!({"call": "time.now", "args": {}});
    let (two, three) = (json!([now, now]).to_string(), json!([now, now, now]).to_string());
    let answers = fleet.tell("once", &three).unwrap();
    assert!(answers[1]["ok"].is_object(), "{answers}");
    assert_eq!(answers[2]["failed"]["code"], "budget_spent", "the third call of one turn");
    assert_eq!(fleet.line("once")["spent"], 2, "the two that were made");
    fleet.kill_process();
    fleet.start();
    assert_eq!(fleet.line("once")["spent"], 2);
    let answers = fleet.tell("once", &two).unwrap();
    assert_eq!(answers[0]["failed"]["code"], "budget_spent", "{answers}");

    // However slow the machine, two turns meet in one window sooner or later.
    let last = || fleet.tell("often", &two).unwrap()[1].clone();
    let failed = || last().get("failed").cloned();
    let refused = within(PATIENCE, "a window's calls are spent", failed);
    assert_eq!((&refused["code"], &refused["retryable"]), (&json!("budget_spent"), &json!(true)));
    assert!(refused["message"].as_str().unwrap().contains("window ends in"), "{refused}");
    within(PATIENCE, "the next window is full", || last().get("ok").cloned());
    fleet.stop();
}

/// E216: a budget that nothing would count is refused, with its place.
#[test]
fn a_budget_that_nothing_counts_is_refused() {
    let fleet = Fleet::of(&file(
        "",
        r#"
    Agent(id: "a", module: "builtin:echo", grants: [
        (cap: "store.brain", budget: (tokens: 5)),
    ]),"#,
    ));
    let mut check = crate::fleet::loket();
    check.arg("check").arg(fleet.path("fleet.ron"));
    let said = crate::fleet::finish(check);
    let text = format!("{}{}", said.out, said.err);
    assert_eq!(said.exit, 1, "{text}");
    assert!(text.contains("E216") && text.contains("uses tokens"), "{text}");
}
