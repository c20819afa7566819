//! A provider between two incarnations: who needs it is paused, not restarted, and what was in flight is sent again as its class
//! allows.

use crate::fleet::{Fleet, PATIENCE, file, free_port, metric, metrics, within};
use crate::outside::Outside;
use serde_json::{Value, json};

/// A fleet whose provider comes back so long after its end, with these agents, that may call it.
fn fleet(outside: &Outside, back_after: &str, agents: &[(&str, &str)]) -> Fleet {
    let web = format!(
        r#"Provider(id: "web", use: Http(),
            backoff: (first: "{back_after}", min: "{back_after}", max: "{back_after}",
                jitter: 0)),"#
    );
    let grants = format!(
        r#"grants: [(cap: "store.brain"), (cap: "time"),
            (cap: "http", scope: {{ "hosts": [{:?}], "methods": ["GET", "POST", "PUT"] }})]"#,
        outside.host
    );
    let agents = agents.iter().map(|(name, more)| {
        format!(r#"Agent(id: "{name}", module: "builtin:script", {more} {grants}),"#)
    });
    let mut fleet = Fleet::of(&file("", &(web + &agents.collect::<String>())));
    fleet.start();
    fleet
}

/// A script that makes this call at the path `/WHAT`.
fn script(outside: &Outside, capability: &str, what: &str) -> String {
    let url = format!("http://{}/{what}", outside.host);
    json!([{"call": capability, "args": {"url": url}}]).to_string()
}

/// Hands a script in, under its agent's name as key.
#[track_caller]
fn hand_in(fleet: &Fleet, agent: &str, script: &str) {
    let sent = fleet.command(&["send", agent, script, "--key", agent]);
    assert_eq!(sent.exit, 0, "{sent:?}");
}

/// What came of it.
#[track_caller]
fn answer(fleet: &Fleet, agent: &str, script: &str) -> Value {
    fleet.command(&["call", agent, script, "--key", agent, "--json"]).json()
}

fn in_state(fleet: &Fleet, id: &str, state: &str) -> Value {
    within(PATIENCE, &format!("{id} is {state}"), || {
        Some(fleet.child(id)).filter(|child| child["state"] == state)
    })
}

fn end_web(fleet: &Fleet) {
    assert_eq!(fleet.command(&["kill", "web"]).exit, 0);
    in_state(fleet, "web", "restarting");
}

#[test]
fn a_turn_is_paused_until_its_provider_is_back_and_its_time_stands_still() {
    let outside = Outside::start().unwrap();
    let port = free_port();
    // Its bounds are shorter than the pause. The one keeps its instance all the while, the other does not.
    let bounds =
        r#"max_attempts: 1, limits: (deadline: "5s"), watchdog: (soft: "1s", hard: "4s"),"#;
    let stays = format!(r#"{bounds} park_after: "1h","#);
    let mut fleet = fleet(&outside, "8s", &[("stays", &stays), ("aside", bounds), ("other", "")]);
    fleet.stop();
    let text = std::fs::read_to_string(fleet.path("fleet.ron")).unwrap();
    let listening =
        text.replace("name: \"test\",", &format!("name: \"test\", listen: \"127.0.0.1:{port}\","));
    fleet.write("fleet.ron", listening);
    fleet.start();
    end_web(&fleet);
    let both = |what: &str| {
        let url = format!("http://{}/{what}", outside.host);
        // Enough work after the pause that a slice of it comes to its end.
        let after = json!({"call": "time.now", "times": 500});
        json!([{"call": "http.get", "args": {"url": url}}, after]).to_string()
    };
    for agent in ["stays", "aside"] {
        hand_in(&fleet, agent, &both(agent));
        let child = in_state(&fleet, agent, "paused");
        assert_eq!(child["waits_for"], "web", "{child}");
    }
    let tree = fleet.command(&["tree"]).out;
    assert!(tree.contains("stays  agent  paused  waits for web"), "{tree}");
    assert_eq!(metric(&metrics(port), "loket_turns_paused"), 2.0);
    assert_eq!(fleet.call("other", "[]").json(), json!([]), "who does not need it goes on");
    for agent in ["stays", "aside"] {
        let answer = answer(&fleet, agent, &both(agent));
        assert_eq!(answer[0]["ok"]["status"], 200, "{answer}");
        let child = in_state(&fleet, agent, "running");
        assert_eq!((&child["restarts"], &child["waits_for"]), (&json!(0), &Value::Null), "{child}");
        assert_eq!(outside.count(&format!("/{agent}")), 1);
    }
    assert_eq!(fleet.status()["letters"], 0, "no attempt was charged");
    let lines = metrics(port);
    assert_eq!(metric(&lines, "loket_turns_paused"), 0.0);
    assert_eq!(metric(&lines, r#"loket_pauses_total{outcome="resumed"}"#), 1.0);
    assert_eq!(metric(&lines, r#"loket_pauses_total{outcome="set_aside"}"#), 1.0);
    assert!(!lines.iter().any(|line| line.starts_with("loket_hung_total{kind=\"agent\"")));
    fleet.stop();
}

#[test]
fn c4_what_was_in_flight_is_sent_again_as_its_class_allows() {
    let outside = Outside::start().unwrap();
    let agents = [("reads", ""), ("writes", ""), ("buys", "")];
    let mut fleet = fleet(&outside, "3s", &agents);
    outside.hold(true);
    let calls = [("reads", "http.get"), ("writes", "http.put"), ("buys", "http.send")];
    for (agent, capability) in calls {
        hand_in(&fleet, agent, &script(&outside, capability, agent));
        let path = format!("/{agent}");
        within(PATIENCE, "the outside has it", || (outside.count(&path) == 1).then_some(()));
    }
    end_web(&fleet);
    outside.hold(false);
    for agent in ["reads", "writes"] {
        in_state(&fleet, agent, "paused");
    }
    let doubts = || fleet.command(&["doubt", "--json"]).json()["doubts"].clone();
    within(PATIENCE, "the Once call is in doubt", || {
        (doubts()[0]["agent"] == "buys").then_some(())
    });
    assert_eq!(fleet.child("buys")["waits_for"], Value::Null, "no next incarnation can help it");
    for (agent, capability) in &calls[..2] {
        let answer = answer(&fleet, agent, &script(&outside, capability, agent));
        assert_eq!(answer[0]["ok"]["body"], "{\"n\":2}", "{answer}");
    }
    let keys: Vec<_> =
        outside.seen().into_iter().filter(|it| it.path == "/writes").map(|it| it.key).collect();
    assert!(keys.len() == 2 && keys[0].is_some() && keys[0] == keys[1], "one key: {keys:?}");
    assert_eq!(outside.count("/buys"), 1);
    for (agent, _) in calls {
        assert_eq!(fleet.child(agent)["restarts"], 0, "{agent}");
    }
    fleet.stop();
}

#[test]
fn c6_who_would_wait_too_long_is_told_when_to_come_again_and_that_is_recorded() {
    let outside = Outside::start().unwrap();
    let mut fleet = fleet(&outside, "1h", &[("asks", ""), ("writes", "")]);
    outside.hold(true);
    let put = script(&outside, "http.put", "writes");
    hand_in(&fleet, "writes", &put);
    within(PATIENCE, "the outside has it", || (outside.count("/writes") == 1).then_some(()));
    end_web(&fleet);
    let url = format!("http://{}/asks", outside.host);
    let ask = json!([{"call": "http.get", "args": {"url": url}, "or": "fail"}]).to_string();
    let told = fleet.command(&["call", "asks", &ask]);
    told.failed(75, "restarting", &["web, which serves http.get, is being restarted", "pause_max"]);
    let turn = fleet.command(&["turn", "asks", "1", "--json"]).json();
    let recorded = &turn["records"][0]["outcome"]["error"];
    assert_eq!((&recorded["code"], &recorded["retryable"]), (&json!("restarting"), &json!(true)));
    let after_ms = recorded["retry_after_ms"].as_u64().unwrap();
    assert!((3_000_000..=3_600_000).contains(&after_ms), "{recorded}");
    // What had left may have been done: it is told so, under its intent.
    let answer = answer(&fleet, "writes", &put);
    assert_eq!(answer[0]["failed"]["code"], "restarting", "{answer}");
    assert!(answer[0]["failed"]["message"].as_str().unwrap().contains("not known"), "{answer}");
    // A re-run of both turns comes to the same end: the brains agree with the ledger.
    fleet.kill_process();
    outside.hold(false);
    fleet.start();
    for agent in ["asks", "writes"] {
        let again = fleet.call(agent, &script(&outside, "http.get", "again")).json();
        assert_eq!(again[0]["ok"]["status"], 200, "{again}");
    }
    assert_eq!(outside.count("/writes"), 1);
    fleet.stop();
}

#[test]
fn a_pause_that_would_be_longer_than_the_file_says_is_none() {
    let outside = Outside::start().unwrap();
    let short = r#"pause_max: "300ms", park_after: "1h","#;
    let aside = r#"pause_max: "300ms","#;
    let mut fleet = fleet(&outside, "10s", &[("short", short), ("aside", aside)]);
    end_web(&fleet);
    for agent in ["short", "aside"] {
        let ask = script(&outside, "http.get", agent);
        let answer = fleet.call(agent, &ask).json();
        assert_eq!(answer[0]["failed"]["code"], "restarting", "{answer}");
        assert_eq!(outside.count(&format!("/{agent}")), 0);
    }
    fleet.stop();
}

#[test]
fn a_stop_does_not_wait_for_a_pause() {
    let outside = Outside::start().unwrap();
    let patient = r#"shutdown: Infinity, pause_max: "2h","#;
    let stays = format!(r#"{patient} park_after: "1h","#);
    let mut fleet = fleet(&outside, "1h", &[("stays", &stays), ("aside", patient)]);
    end_web(&fleet);
    for agent in ["stays", "aside"] {
        hand_in(&fleet, agent, &script(&outside, "http.get", agent));
        in_state(&fleet, agent, "paused");
    }
    fleet.stop();
    fleet.start();
    for agent in ["stays", "aside"] {
        let answer = answer(&fleet, agent, &script(&outside, "http.get", agent));
        assert_eq!(answer[0]["ok"]["status"], 200, "{answer}");
    }
    fleet.stop();
}
