//! `diff`, `reload` and SIGHUP: a changed file against the running fleet.

use crate::fleet::{Fleet, PATIENCE, Said, finish, loket, within};
use serde_json::{Value, json};

/// A fleet file with these children of the root.
pub(crate) fn with(children: &str) -> String {
    format!(
        "Fleet(version: 1, name: \"test\", root: Supervisor(intensity: 50, period: \"60s\", children: [{children}]))"
    )
}

pub(crate) fn echo(id: &str, more: &str) -> String {
    format!(
        "Agent(id: {id:?}, module: \"builtin:echo\", grants: [(cap: \"store.brain\")], charge: Letter, {more}),"
    )
}

pub(crate) fn reload(fleet: &Fleet, children: &str) -> Said {
    fleet.write("fleet.ron", with(children));
    fleet.command(&["reload", "--json"])
}

pub(crate) fn steps(answer: &Value) -> Vec<String> {
    let steps = answer["steps"].as_array().unwrap();
    steps.iter().map(|step| step["text"].as_str().unwrap().to_owned()).collect()
}

pub(crate) fn running(children: &str) -> Fleet {
    let mut fleet = Fleet::of(&with(children));
    fleet.start();
    fleet
}

#[test]
fn a_changed_file_starts_ends_and_changes_what_it_must_and_nothing_else() {
    let fleet = running(&[echo("kept", ""), echo("changed", ""), echo("gone", "")].concat());
    assert_eq!(fleet.call("kept", "count").json(), json!(1));
    assert_eq!(fleet.call("changed", "count").json(), json!(1));
    assert_eq!(fleet.call("gone", "count").json(), json!(1));
    let new = [
        echo("kept", ""),
        echo("changed", "settings: { \"tone\": \"dry\" }"),
        "Supervisor(id: \"more\", children: [".to_owned() + &echo("fresh", "") + "]),",
    ]
    .concat();
    let wanted = [
        "end      agent root/gone",
        "restart  agent root/changed: settings",
        "start    supervisor root/more",
    ];
    fleet.write("new.ron", with(&new));
    let mut diff = loket();
    diff.arg("diff").arg(fleet.path("fleet.ron")).arg(fleet.path("new.ron"));
    let said = finish(diff);
    assert_eq!((said.exit, said.out.as_str()), (0, (wanted.join("\n") + "\n").as_str()));
    fleet.write("fleet.ron", with(&new));
    let dry = fleet.command(&["reload", "--dry-run"]);
    assert!(dry.out.ends_with("would be reloaded\n"), "{dry:?}");
    assert_eq!(fleet.child("gone")["state"], "running", "a dry run does nothing");
    let answer = reload(&fleet, &new).json();
    assert_eq!(steps(&answer), wanted);
    assert_eq!((&answer["ok"], &answer["applied"]), (&json!(true), &json!(true)), "{answer}");
    assert_eq!(fleet.child("kept")["incarnation"], 1, "who is as he was runs on");
    assert_eq!(fleet.child("changed")["incarnation"], 2);
    assert_eq!(fleet.call("kept", "count").json(), json!(2));
    assert_eq!(fleet.call("changed", "count").json(), json!(2), "its brain stays");
    assert_eq!(fleet.call("fresh", "count").json(), json!(1));
    fleet.call("gone", "count").failed(1, "no_such_agent", &["gone"]);
    let again = fleet.command(&["reload"]);
    assert_eq!((again.exit, again.out.as_str()), (0, "nothing has changed\n"));
    // What was applied outlives restarts of the supervisors.
    assert_eq!(fleet.command(&["kill", "more"]).exit, 0);
    within(PATIENCE, "the new supervisor is back", || {
        let fresh = fleet.child("fresh");
        Some(()).filter(|()| fresh["state"] == "running" && fresh["incarnation"] == 2)
    });
}

#[test]
fn a_file_with_findings_or_refused_steps_changes_nothing() {
    let fleet = running(&echo("echo", ""));
    let bad = reload(&fleet, &(echo("echo", "settings: {}, modul: 1") + &echo("new", "")));
    assert_eq!(bad.exit, 1, "{bad:?}");
    let answer: Value = serde_json::from_str(&bad.out).unwrap();
    assert_eq!((&answer["ok"], &answer["applied"]), (&json!(false), &json!(false)));
    assert_eq!(answer["findings"][0]["code"], "E002", "{answer}");
    let refused = reload(
        &fleet,
        "Provider(id: \"echo\", use: Chaos()), Agent(id: \"new\", module: \"builtin:echo\"),",
    );
    assert_eq!(refused.exit, 1, "{refused:?}");
    assert!(refused.out.contains("cannot become"), "{refused:?}");
    let text = fleet.command(&["reload"]).out;
    assert!(text.ends_with("refused: nothing was changed\n"), "{text}");
    assert_eq!(fleet.child("echo")["incarnation"], 1);
    assert!(!fleet.command(&["tree"]).out.contains("new"));
    std::fs::remove_file(fleet.path("fleet.ron")).unwrap();
    fleet.command(&["reload"]).failed(2, "C013", &["fleet.ron"]);
}

#[test]
fn grants_limits_and_a_beat_follow_the_file() {
    let say = |more: &str, grants: &str| {
        format!(
            "Agent(id: \"a\", module: \"builtin:script\", charge: Letter, {more} grants: [(cap: \"store.brain\") {grants}]),"
        )
    };
    let fleet = running(&say("", ""));
    let script = json!([{"call": "time.now"}]).to_string();
    let before = fleet.call("a", &script).json();
    assert_eq!(before[0]["failed"]["code"], "refused", "not granted yet: {before}");
    let answer = reload(&fleet, &say("", ", (cap: \"time.now\")")).json();
    assert!(steps(&answer)[0].starts_with("restart  agent root/a: grants"), "{answer}");
    let after = fleet.call("a", &script).json();
    assert!(after[0]["failed"].is_null() && !after[0]["ok"].is_null(), "{after}");
    // A beat begins and ends without a new life.
    let lives = fleet.child("a")["incarnation"].clone();
    let ticks = || fleet.status()["accepted"].as_u64().unwrap();
    let quiet = ticks();
    let grants = ", (cap: \"time.now\")";
    assert_eq!(reload(&fleet, &say("every: \"50ms\",", grants)).exit, 0);
    within(PATIENCE, "it is woken", || Some(()).filter(|()| ticks() > quiet));
    assert_eq!(fleet.child("a")["incarnation"], lives);
    assert_eq!(reload(&fleet, &say("", grants)).exit, 0);
}

#[test]
fn a_new_template_gives_the_instances_new_lives_and_a_hangup_reloads() {
    let pool = |more: &str| {
        let template = echo("w", more);
        let boss = r#"Agent(id: "boss", module: "builtin:script", charge: Letter, grants: [
            (cap: "store.brain"), (cap: "agent.spawn", scope: { "under": ["pool"] })]),"#;
        let flags = "strategy: SimpleOneForOne, max_children: 4, intensity: 9, period: \"60s\"";
        format!("Supervisor(id: \"pool\", {flags}, children: [{template}]), {boss}")
    };
    let fleet = running(&pool(""));
    let spawn = json!([{"call": "agent.spawn", "args": {"under": "pool", "name": "x"}}]);
    let spawned = fleet.call("boss", &spawn.to_string()).json();
    assert_eq!(spawned[0]["ok"]["agent"], "pool/x", "{spawned}");
    within(PATIENCE, "it is there", || {
        Some(()).filter(|()| fleet.command(&["tree"]).out.contains("pool/x  agent  running"))
    });
    assert_eq!(fleet.call("pool/x", "count").json(), json!(1));
    fleet.write("fleet.ron", with(&pool("max_attempts: 7")));
    let pid = fleet.pid().to_string();
    assert!(std::process::Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    // Between its two lives it is not in the tree.
    within(PATIENCE, "the hangup was heard", || {
        let tree = fleet.command(&["tree"]).out;
        Some(()).filter(|()| tree.contains("pool/x  agent  running  incarnation 2"))
    });
    assert_eq!(fleet.call("pool/x", "count").json(), json!(2), "its brain stays");
    // Without the pool its children are gone for good.
    assert_eq!(reload(&fleet, &echo("echo", "")).exit, 0);
    fleet.call("pool/x", "count").failed(1, "no_such_agent", &["pool/x"]);
}

#[test]
fn the_operators_grants_follow_the_file() {
    let file = |more: &str| {
        let operator = format!(
            "operator: [(cap: \"agent.status\"), (cap: \"agent.reload\"), (cap: \"agent.tree\") {more}], root:"
        );
        with(&echo("echo", "")).replace("root:", &operator)
    };
    let kill = ", (cap: \"agent.kill\", scope: { \"children\": [\"echo\"] })";
    let mut fleet = Fleet::of(&file(""));
    fleet.start();
    let refused = || fleet.command(&["kill", "echo"]).failed(3, "refused", &["agent.kill"]);
    refused();
    fleet.write("fleet.ron", file(kill));
    let answer = fleet.command(&["reload", "--json"]).json();
    assert!(steps(&answer)[0].starts_with("change   operator @operator"), "{answer}");
    assert_eq!(fleet.command(&["kill", "echo"]).exit, 0);
    fleet.write("fleet.ron", file(""));
    assert_eq!(fleet.command(&["reload"]).exit, 0);
    refused();
}
