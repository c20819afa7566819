//! Agents that wait: for each other, for a person, for their time.

use crate::fleet::{Fleet, PATIENCE, file, free_port, metric, metrics, within};
use serde_json::{Value, json};
use std::sync::Barrier;

/// Rounds until two calls are on the way at the same time. One in a few is; without the answer the first such round hangs.
const ROUNDS: usize = 500;

/// Looks that an outsider makes one after the other, each by a process of its own: together some seconds.
const LOOKS: u32 = 40;

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

/// One who may do what a person agrees to, and one whom it may ask.
const CLERK: &str = r#"
    Agent(id: "echo", module: "builtin:echo", grants: []),
    Agent(id: "clerk", module: "builtin:script", park_after: "50ms",
        settings: {
            "wake": "[
                {\"call\": \"store.brain.kv.get\", \"args\": {\"key\": \"woken\"}},
                {\"call\": \"store.brain.kv.put\",
                 \"args\": {\"key\": \"woken\", \"value\": [\"$body\", \"$sender\", \"$0/value\"]}}
            ]",
        },
        grants: [
            (cap: "agent.call", scope: { "to": ["echo"] }, approve: ["agent.call"]),
            (cap: "human.ask"), (cap: "time"), (cap: "store.brain"),
        ]),"#;

/// A script that calls the echo with each of these bodies.
fn calls(bodies: &[&str]) -> String {
    let call = |body: &&str| json!({"call": "agent.call", "args": {"to": "echo", "body": body}});
    json!(bodies.iter().map(call).collect::<Vec<_>>()).to_string()
}

impl Fleet {
    /// Hands a script to the clerk under a key; it is not waited for.
    fn hand(&self, key: &str, script: &str) {
        assert_eq!(self.command(&["send", "clerk", script, "--key", key]).exit, 0);
    }

    /// The outcome of what was handed in under that key.
    fn outcome(&self, key: &str, script: &str) -> Value {
        self.command(&["call", "clerk", script, "--key", key, "--json"]).json()
    }

    /// The one call that waits for a person.
    fn waits(&self) -> Value {
        within(PATIENCE, "something waits for a person", || {
            let listed = self.command(&["approvals", "--json"]).json();
            let all = listed["approvals"].as_array().unwrap().clone();
            assert!(all.len() < 2, "{listed}");
            all.into_iter().next()
        })
    }

    fn approve(&self, one: &Value) {
        assert_eq!(self.command(&["approvals", "approve", &one["id"].to_string()]).exit, 0);
    }
}

/// H1: a held call waits, across a kill of the process; approved it goes on, and with it no other: the next one waits by itself.
#[test]
fn h1_each_approved_call_goes_on_and_no_other() {
    let mut fleet = Fleet::running(CLERK);
    let script = calls(&["one", "two"]);
    fleet.hand("k", &script);
    let first = fleet.waits();
    assert_eq!((&first["agent"], &first["capability"]), (&json!("clerk"), &json!("agent.call")));
    assert_eq!(first["args"], json!({"to": "echo", "body": "one"}));
    assert_eq!(fleet.child("echo")["mailbox"]["depth"], 0);
    fleet.kill_process();
    fleet.start();
    assert_eq!(fleet.waits(), first, "it waits as before");
    let shown = fleet.command(&["approvals", "show", &first["id"].to_string()]);
    assert!(shown.exit == 0 && shown.out.contains("\"body\": \"one\""), "{shown:?}");
    fleet.approve(&first);
    let second = within(PATIENCE, "the second call waits", || {
        Some(fleet.waits()).filter(|one| one["id"] != first["id"])
    });
    assert_eq!(second["args"], json!({"to": "echo", "body": "two"}));
    let again = fleet.command(&["approvals", "approve", &first["id"].to_string()]);
    again.failed(1, "L011", &["approved by @operator"]);
    fleet.approve(&second);
    assert_eq!(fleet.outcome("k", &script), json!([{"ok": "one"}, {"ok": "two"}]));
    let none = fleet.command(&["approvals"]);
    assert_eq!(none.out.trim(), "nothing waits for a person");
    let status = fleet.status();
    assert_eq!((&status["letters"], &status["lost"]), (&json!(0), &json!(0)), "{status}");
    fleet.stop();
}

/// H1: a denied call is a failure with the reason, which the guest can act on; the message of the call never was.
#[test]
fn h1_a_denied_call_is_told_why() {
    let mut fleet = Fleet::running(CLERK);
    let script = calls(&["one"]);
    fleet.hand("k", &script);
    let one = fleet.waits();
    let (id, reason) = (one["id"].to_string(), "not before Monday");
    assert_eq!(fleet.command(&["approvals", "deny", &id, "--reason", reason]).exit, 0);
    let outcome = fleet.outcome("k", &script);
    assert_eq!(outcome[0]["failed"]["code"], "denied", "{outcome}");
    assert_eq!(outcome[0]["failed"]["message"], reason);
    assert_eq!(fleet.status()["accepted"], 1, "the echo was asked nothing");
    fleet.command(&["approvals", "approve", "99"]).failed(1, "not_found", &["approval 99"]);
    fleet.stop();
}

/// H1: a question waits for its answer, across a kill of the process.
#[test]
fn h1_a_question_is_answered() {
    let mut fleet = Fleet::running(CLERK);
    let script = json!([{"call": "human.ask", "args": {"question": "which one?"}}]).to_string();
    fleet.hand("k", &script);
    let one = fleet.waits();
    assert_eq!(one["args"]["question"], "which one?");
    let id = one["id"].to_string();
    fleet.command(&["approvals", "approve", &id]).failed(1, "L011", &["loket answer"]);
    fleet.kill_process();
    fleet.start();
    assert_eq!(fleet.command(&["answer", &id, "the red one"]).exit, 0);
    assert_eq!(fleet.outcome("k", &script), json!([{"ok": "the red one"}]));
    fleet.stop();
}

/// D1, H1: what is set for later comes as a message, a sleep goes on, both across a kill of the process.
#[test]
fn h1_timers_outlive_the_process() {
    let mut fleet = Fleet::running(CLERK);
    let set = json!([
        {"call": "time.after", "args": {"ms": 1_500, "kind": "wake", "body": "up"}},
        {"call": "time.after", "args": {"ms": 3_600_000, "kind": "wake", "body": "far"}},
        {"call": "time.cancel", "args": {"timer": "$1/timer"}},
        {"call": "time.cron", "args": {"expr": "0 0 1 1 *", "tz": "Europe/Berlin", "kind": "year\nof"}},
        {"call": "time.cron", "args": {"expr": "61 * * * *"}},
    ]);
    let outcome = fleet.call("clerk", &set.to_string()).json();
    assert_eq!(outcome[2]["ok"]["cancelled"], true, "{outcome}");
    assert_eq!(outcome[4]["failed"]["code"], "bad_args", "{outcome}");
    let nap = json!([{"call": "time.sleep", "args": {"ms": 1_000}}]).to_string();
    fleet.hand("nap", &nap);
    fleet.kill_process();
    fleet.start();
    let slept = fleet.outcome("nap", &nap);
    assert!(slept[0]["ok"]["ms"].is_u64(), "{slept}");
    let get = json!([{"call": "store.brain.kv.get", "args": {"key": "woken"}}]).to_string();
    let woken = within(PATIENCE, "the timer fires", || {
        let got = fleet.call("clerk", &get).json()[0]["ok"]["value"].clone();
        Some(got).filter(|got| !got.is_null())
    });
    assert_eq!(woken, json!(["up", "@timer", null]), "once");
    let left = fleet.command(&["timers", "clerk", "--json"]).json();
    let left = left["timers"].as_array().unwrap().clone();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!((&left[0]["kind"], &left[0]["tz"]), (&json!("year\nof"), &json!("Europe/Berlin")));
    let table = fleet.command(&["timers"]).out;
    assert_eq!(table.lines().count(), 2, "nobody writes a row of their own: {table}");
    let timer = left[0]["id"].as_str().unwrap();
    assert_eq!(fleet.command(&["timers", "--cancel", timer]).exit, 0);
    assert_eq!(fleet.command(&["timers"]).out.trim(), "no timers");
    fleet.command(&["timers", "--cancel", timer]).failed(1, "not_found", &[timer]);
    fleet.stop();
}

/// While something waits, `run` asks the ledger whether all is quiet, and not for the tree of a fleet that may have ten thousand
/// agents: that it does once, when it begins.
#[test]
fn a_fleet_that_waits_is_not_looked_at_all_the_time_by_its_own_console() {
    let port = free_port();
    let mut fleet = Fleet::of(&file(&format!("listen: \"127.0.0.1:{port}\","), CLERK));
    fleet.start();
    fleet.hand("k", &calls(&["one"]));
    fleet.waits();
    // From its first moment on it is not quiet.
    fleet.kill_process();
    fleet.start();
    for _ in 0..LOOKS {
        assert_eq!(fleet.status()["waiting"], 1);
    }
    let lines = metrics(port);
    let answered = |capability: &str| {
        let name =
            format!("loket_calls_answered_total{{capability=\"{capability}\",result=\"ok\"}}");
        metric(&lines, &name)
    };
    assert!(answered("agent.status") >= f64::from(LOOKS));
    assert!(answered("agent.tree") <= 1.0, "{} looks at the tree", answered("agent.tree"));
    fleet.stop();
}
