//! Steps of a reload that meet children that have ended, supervisors that are down, or that fail.

use crate::fleet::{Fleet, PATIENCE, within};
use crate::reload::{echo, reload, running, steps};
use serde_json::{Value, json};

const HTTP: &str = r#"Provider(id: "web", use: Http(secrets: ["LOKET_TEST_NO_SUCH_SECRET"])),"#;

fn ok(fleet: &Fleet, children: &str) -> Vec<String> {
    let answer = reload(fleet, children).json();
    assert_eq!((&answer["ok"], &answer["applied"]), (&json!(true), &json!(true)), "{answer}");
    steps(&answer)
}

/// A reload with a step that fails: its steps, and why one failed.
fn failing(fleet: &Fleet, children: &str) -> (Vec<String>, String) {
    let said = reload(fleet, children);
    assert_eq!(said.exit, 1, "{said:?}");
    let answer: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&answer["ok"], &answer["applied"]), (&json!(false), &json!(true)), "{answer}");
    let whys =
        answer["steps"].as_array().unwrap().iter().filter_map(|step| step["failed"].as_str());
    (steps(&answer), whys.collect())
}

fn ended(fleet: &Fleet, id: &str) {
    assert_eq!(fleet.command(&["kill", id]).exit, 0);
    within(PATIENCE, "it has ended", || {
        Some(()).filter(|()| fleet.child(id)["state"] == "stopped")
    });
    within(PATIENCE, "the ledger knows", || {
        Some(()).filter(|()| fleet.call(id, "count").err.contains("no_such_agent"))
    });
}

#[test]
fn a_step_that_failed_is_taken_again_by_the_next_reload() {
    let fleet = running(&echo("a", ""));
    let bad = echo("a", "") + HTTP;
    let wanted = vec!["start    provider root/web".to_owned()];
    let (first, why) = failing(&fleet, &bad);
    assert_eq!(first, wanted);
    assert!(why.contains("LOKET_TEST_NO_SUCH_SECRET"), "{why}");
    assert_eq!(failing(&fleet, &bad), (first, why), "the same again, not nothing");
    assert_eq!(ok(&fleet, &echo("a", "")), ["end      provider root/web"]);
    assert_eq!(fleet.command(&["reload"]).out, "nothing has changed\n");
    assert_eq!(fleet.child("a")["incarnation"], 1);
}

#[test]
fn a_provider_is_replaced_by_one_under_another_id() {
    let chaos = |id: &str, more: &str| format!("Provider(id: {id:?}, use: Chaos() {more}),");
    let below =
        |children: &str| format!("Supervisor(id: \"s\", children: [{}{children}]),", echo("b", ""));
    let fleet = running(&(chaos("c1", "") + &below("")));
    let tree = || fleet.command(&["tree"]).out;
    let to = chaos("c2", ", mailbox: (capacity: 3)") + &below("");
    assert_eq!(ok(&fleet, &to), ["end      provider root/c1", "start    provider root/c2"]);
    assert_eq!(fleet.child("c2")["state"], "running");
    assert!(!tree().contains("c1"), "{}", tree());
    // Down a level, and up again.
    ok(&fleet, &below(&chaos("c3", "")));
    assert_eq!(fleet.child("c3")["state"], "running");
    ok(&fleet, &(chaos("c4", "") + &below("")));
    assert_eq!(fleet.child("c4")["state"], "running");
    assert!(!tree().contains("c3"), "{}", tree());
    assert_eq!(fleet.child("b")["incarnation"], 1);
    assert!(fleet.command(&["reload"]).out.ends_with("nothing has changed\n"));
}

#[test]
fn a4_who_has_ended_for_good_stays_so_until_the_file_says_otherwise() {
    let file = |more: &str, other: &str| echo("t", more) + &echo("a", other);
    let fleet = running(&file("restart: Temporary", ""));
    ended(&fleet, "t");
    ok(&fleet, &file("restart: Temporary", "mailbox: (capacity: 7)"));
    fleet.call("t", "count").failed(1, "no_such_agent", &["t"]);
    assert_eq!(fleet.child("t")["state"], "stopped");
    // A child that is to be up is started: what has changed is more than its next life's.
    assert_eq!(ok(&fleet, &file("", "mailbox: (capacity: 7)")).len(), 1);
    assert_eq!(fleet.child("t")["state"], "running");
    assert_eq!(fleet.call("t", "count").exit, 0);
}

#[test]
fn a4_a_child_ends_for_good_while_its_supervisor_is_down() {
    let delay = r#"backoff: (first: "600s", min: "600s", max: "600s", jitter: 0)"#;
    let s = |children: &str| format!("Supervisor(id: \"s\", {delay}, children: [{children}]),");
    let both = echo("b", "") + &echo("c", "");
    let fleet = running(&(echo("a", "") + &s(&both)));
    assert_eq!(fleet.command(&["kill", "s"]).exit, 0);
    within(PATIENCE, "it waits for its restart", || {
        Some(()).filter(|()| fleet.child("s")["state"] == "restarting")
    });
    let to = echo("a", "") + &s(&(echo("c", "") + &echo("d", "")));
    assert_eq!(ok(&fleet, &to), ["end      agent root/s/b", "start    agent root/s/d"]);
    fleet.call("b", "count").failed(1, "no_such_agent", &["b"]);
}

fn pool(flags: &str, template: &str) -> String {
    let boss = r#"Agent(id: "boss", module: "builtin:script", charge: Letter, grants: [
        (cap: "store.brain"), (cap: "agent.spawn", scope: { "under": ["pool"] })]),"#;
    let fixed = "strategy: SimpleOneForOne, intensity: 30, period: \"60s\"";
    let template = echo("w", template);
    format!("Supervisor(id: \"pool\", {fixed}, {flags} children: [{template}]), {boss}")
}

fn spawned(fleet: &Fleet, name: &str) {
    let spawn = json!([{"call": "agent.spawn", "args": {"under": "pool", "name": name}}]);
    let spawned = fleet.call("boss", &spawn.to_string()).json();
    assert_eq!(spawned[0]["ok"]["agent"], format!("pool/{name}"), "{spawned}");
    runs(fleet, name);
}

fn runs(fleet: &Fleet, name: &str) {
    let line = format!("pool/{name}  agent  running");
    within(PATIENCE, "it is there", || {
        Some(()).filter(|()| fleet.command(&["tree"]).out.contains(&line))
    });
}

#[test]
fn whether_instances_are_forgotten_follows_the_file() {
    let fleet = running(&pool("", ""));
    spawned(&fleet, "x");
    assert_eq!(ok(&fleet, &pool("dynamic: Otp,", "")).len(), 1);
    assert_eq!(fleet.command(&["kill", "pool"]).exit, 0);
    within(PATIENCE, "it is forgotten", || {
        Some(()).filter(|()| fleet.call("pool/x", "count").err.contains("no_such_agent"))
    });
    within(PATIENCE, "the pool is back", || {
        Some(()).filter(|()| fleet.child("pool")["state"] == "running")
    });
    spawned(&fleet, "y");
    assert_eq!(ok(&fleet, &pool("dynamic: Ledger,", "")).len(), 1);
    assert_eq!(fleet.command(&["kill", "pool"]).exit, 0);
    within(PATIENCE, "the pool has a new life", || {
        Some(()).filter(|()| fleet.child("pool")["incarnation"] == 3)
    });
    runs(&fleet, "y");
}

#[test]
fn an_instance_that_does_not_start_with_its_new_template_is_told() {
    let fleet = running(&pool("", ""));
    ["x", "y"].iter().for_each(|name| spawned(&fleet, name));
    let (_, why) = failing(&fleet, &pool("max_children: 1,", "max_attempts: 7"));
    assert!(why.starts_with("pool/"), "{why}");
    let again = ok(&fleet, &pool("max_children: 2,", "max_attempts: 7"));
    assert!(
        again[0].contains("max_children 1 -> 2") && again[1].starts_with("restart"),
        "{again:?}"
    );
    ["x", "y"].iter().for_each(|name| runs(&fleet, name));
}

#[test]
fn why_tells_what_a_reload_did_to_a_child() {
    let child = |more: &str| echo("a", more) + &echo("b", "");
    let fleet = running(&child(""));
    let why = |id: &str| -> Vec<String> {
        let text = fleet.command(&["why", id]).out;
        text.lines()
            .map(|line| line.split_once("  ").map_or(line, |(_, text)| text).to_owned())
            .collect()
    };
    ok(&fleet, &child("max_attempts: 7"));
    let stopped = "a is stopped as asked, by a reload or by hand (incarnation 1)";
    let again = "root starts a again, incarnation 2";
    assert_eq!(why("a"), [stopped, again, "now: a is running, incarnation 2"]);
    let untouched = "nothing has happened to it since it was started";
    assert_eq!(why("b"), [untouched, "now: b is running, incarnation 1"]);
    let (_, failed) = failing(&fleet, &(child("max_attempts: 7") + HTTP));
    let told = why("web");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("web does not start: "), "{told:?}");
    assert!(told[0].contains("LOKET_TEST_NO_SUCH_SECRET"), "{told:?} {failed}");
    ok(&fleet, &echo("b", ""));
    let gone = "a is stopped as asked, by a reload or by hand (incarnation 2)";
    assert_eq!(why("a"), [stopped, again, gone, "now: a is not running"]);
}
