//! What a reload makes of start order and of the numbers of lives: no two lives of a child have the same one (rule J4).

use crate::fleet::{Fleet, PATIENCE, within};
use crate::reload::{echo, reload, running, with};
use serde_json::json;

/// A group of three, the one in the middle with these fields.
fn group(middle: &str) -> String {
    let children = echo("a", "") + &echo("t", middle) + &echo("b", "");
    let flags = "strategy: RestForOne, intensity: 50, period: \"60s\"";
    format!("Supervisor(id: \"g\", {flags}, children: [{children}]),")
}

fn temporary(n: u32) -> String {
    group(&format!("restart: Temporary, settings: {{ \"n\": \"{n}\" }}"))
}

fn order(fleet: &Fleet) -> Vec<String> {
    let children = fleet.child("g")["children"].clone();
    let ids = children.as_array().unwrap().iter().map(|child| child["id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

fn lives(fleet: &Fleet) -> [u64; 3] {
    ["a", "t", "b"].map(|id| {
        let child = fleet.child(id);
        let number = child["incarnation"].as_u64().unwrap();
        if child["state"] == "running" { number } else { 0 }
    })
}

/// Kills it and waits for these lives; 0 is none.
fn killed(fleet: &Fleet, id: &str, wanted: [u64; 3]) {
    assert_eq!(fleet.command(&["kill", id]).exit, 0);
    within(PATIENCE, &format!("{wanted:?}"), || Some(()).filter(|()| lives(fleet) == wanted));
}

fn done(fleet: &Fleet, children: &str) {
    let answer = reload(fleet, children).json();
    assert_eq!(answer["ok"], json!(true), "{answer}");
}

#[test]
fn a_temporary_child_that_a_reload_renews_keeps_its_place_in_start_order() {
    let fleet = running(&temporary(0));
    done(&fleet, &temporary(1));
    assert_eq!(
        (lives(&fleet), order(&fleet)),
        ([1, 2, 1], ["a", "t", "b"].map(str::to_owned).into())
    );
    // Who stands before the one that exits is left alone.
    killed(&fleet, "b", [1, 2, 2]);
    killed(&fleet, "a", [2, 0, 3]);
}

#[test]
fn j4_a_temporary_child_that_reloads_have_renewed_goes_on_counting_its_lives() {
    let fleet = running(&temporary(0));
    (1..=3).for_each(|n| done(&fleet, &temporary(n)));
    assert_eq!(fleet.call("t", "count").json(), json!(1));
    assert_eq!(lives(&fleet), [1, 4, 1]);
    killed(&fleet, "g", [2, 5, 2]);
    assert_eq!(fleet.call("t", "count").json(), json!(2), "the ledger takes the new life");
}

#[test]
fn j4_who_was_stopped_and_started_by_hand_goes_on_counting_when_its_supervisor_is_restarted() {
    let middle = |more: &str| group(&format!("restart: Transient, {more}"));
    let fleet = running(&middle(""));
    let by_hand = |id: &str| {
        assert_eq!(fleet.command(&["terminate", id]).exit, 0);
        assert_eq!(fleet.command(&["restart", id]).exit, 0);
    };
    ["a", "t", "t"].iter().for_each(|id| by_hand(id));
    assert_eq!(lives(&fleet), [2, 3, 1]);
    done(&fleet, &middle("settings: { \"n\": \"1\" }"));
    killed(&fleet, "g", [3, 5, 2]);
    by_hand("g");
    assert_eq!(lives(&fleet), [4, 6, 3]);
    assert_eq!(fleet.call("t", "count").json(), json!(1), "the ledger takes the new life");
}

#[test]
fn j4_a_child_that_a_reload_starts_goes_on_counting_when_its_supervisor_is_restarted() {
    let with = |more: &str| format!("Supervisor(id: \"g\", children: [{}{more}]),", echo("a", ""));
    let fleet = running(&with(""));
    done(&fleet, &with(&echo("n", "")));
    assert_eq!(fleet.call("n", "count").json(), json!(1));
    for life in [2, 3] {
        assert_eq!(fleet.command(&["kill", "g"]).exit, 0);
        within(PATIENCE, "its next life", || {
            let child = fleet.child("n");
            Some(()).filter(|()| child["state"] == "running" && child["incarnation"] == life)
        });
    }
    assert_eq!(fleet.call("n", "count").json(), json!(2));
}

#[test]
fn who_is_added_below_a_supervisor_that_is_down_is_seen_and_comes_up_with_it() {
    let flags = "restart: Temporary, intensity: 50, period: \"60s\"";
    let s = |more: &str| format!("Supervisor(id: \"s\", children: [{}{more}]),", echo("b", ""));
    let t = |more: &str| {
        format!("Supervisor(id: \"t\", {flags}, children: [{}{more}]),", echo("c", ""))
    };
    let fleet = running(&(s("") + &t("")));
    for supervisor in ["s", "t"] {
        assert_eq!(fleet.command(&["terminate", supervisor]).exit, 0);
    }
    let below = &echo("low", "");
    let low = format!("Supervisor(id: \"d\", children: [{below}]),");
    done(&fleet, &(s(&low) + &t(&echo("e", ""))));
    for id in ["d", "low", "e"] {
        let child = fleet.child(id);
        assert_eq!(
            (&child["state"], &child["incarnation"]),
            (&json!("stopped"), &json!(0)),
            "{id}"
        );
        let why = fleet.command(&["why", id]);
        let above = if id == "e" { "t" } else { "s" };
        let told =
            format!("now: {id} is stopped, incarnation 0, below {above}, which is stopped\n");
        assert!(why.exit == 0 && why.out.ends_with(&told), "{why:?}");
    }
    assert_eq!(fleet.command(&["restart", "s"]).exit, 0);
    assert_eq!(fleet.call("low", "count").json(), json!(1));
}

#[test]
fn rights_of_an_agent_below_a_supervisor_that_is_down_follow_the_file() {
    let s = |grants: &str| {
        format!(
            "Supervisor(id: \"s\", children: [Agent(id: \"a\", module: \"builtin:script\", charge: Letter, grants: [{grants}])]),"
        )
    };
    let fleet = running(&s("(cap: \"time.now\")"));
    let now = || fleet.call("a", "[{\"call\": \"time.now\"}]").json();
    assert!(now()[0]["failed"].is_null(), "granted: {}", now());
    assert_eq!(fleet.command(&["terminate", "s"]).exit, 0);
    done(&fleet, &s(""));
    assert_eq!(fleet.command(&["restart", "s"]).exit, 0);
    assert_eq!(now()[0]["failed"]["code"], "refused", "{}", now());
}

#[test]
fn who_was_terminated_by_hand_stays_so_whatever_a_reload_changes() {
    let file = |n: u32, restart: &str| {
        let settings = format!("settings: {{ \"n\": \"{n}\" }}");
        echo("a", &settings) + &echo("t", &format!("{restart} {settings}"))
    };
    let fleet = running(&file(0, "restart: Temporary,"));
    assert_eq!(fleet.call("a", "count").json(), json!(1));
    for id in ["a", "t"] {
        assert_eq!(fleet.command(&["terminate", id]).exit, 0);
    }
    let tree = fleet.command(&["tree"]).out;
    assert!(tree.contains("a  agent  stopped  terminated  incarnation 1"), "{tree}");
    let stopped = |why: &str| {
        for id in ["a", "t"] {
            let child = fleet.child(id);
            assert_eq!(
                (&child["state"], &child["incarnation"]),
                (&json!("stopped"), &json!(1)),
                "{why}"
            );
        }
    };
    let answer = reload(&fleet, &file(1, "restart: Temporary,")).json();
    assert_eq!(
        (&answer["steps"][0]["stays"], &answer["steps"][1]["stays"]),
        (&json!("stopped"), &json!("stopped")),
        "{answer}"
    );
    stopped("a new life");
    fleet.call("t", "count").failed(1, "no_such_agent", &["t"]);
    fleet.write("fleet.ron", with(&file(1, "")));
    let said = fleet.command(&["reload"]).out;
    let told = "\"Permanent\": it stays stopped as told; `loket restart t` starts it\n";
    assert!(said.contains(told), "{said}");
    stopped("no Temporary child any more");
    // Its inbox is there again: what is sent meanwhile waits.
    assert_eq!(fleet.command(&["send", "t", "count"]).exit, 0);
    for (id, count) in [("a", 2), ("t", 2)] {
        assert_eq!(fleet.command(&["restart", id]).exit, 0);
        assert_eq!(fleet.call(id, "count").json(), json!(count), "{id}");
    }
    let answer = reload(&fleet, &file(2, "")).json();
    assert!(answer["steps"][0].get("stays").is_none(), "{answer}");
    assert_eq!(
        (&fleet.child("a")["incarnation"], &fleet.child("t")["incarnation"]),
        (&json!(3), &json!(3))
    );
}

#[test]
fn j4_an_instance_goes_on_counting_its_lives_through_new_templates_and_restarts_of_its_pool() {
    let pool = |n: u32| {
        let template = echo("w", &format!("settings: {{ \"n\": \"{n}\" }}"));
        let flags = "strategy: SimpleOneForOne, intensity: 50, period: \"60s\"";
        let boss = r#"Agent(id: "boss", module: "builtin:script", grants: [
            (cap: "agent.spawn", scope: { "under": ["pool"] })]),"#;
        format!("Supervisor(id: \"pool\", {flags}, children: [{template}]), {boss}")
    };
    let fleet = running(&pool(0));
    let spawn = json!([{"call": "agent.spawn", "args": {"under": "pool", "name": "x"}}]);
    assert_eq!(fleet.call("boss", &spawn.to_string()).json()[0]["ok"]["agent"], "pool/x");
    let lives = |wanted: u64, count: u64| {
        let line = format!("pool/x  agent  running  incarnation {wanted}");
        within(PATIENCE, &line, || {
            Some(()).filter(|()| fleet.command(&["tree"]).out.contains(&line))
        });
        assert_eq!(fleet.call("pool/x", "count").json(), json!(count), "{wanted}");
    };
    lives(1, 1);
    done(&fleet, &pool(1));
    lives(2, 2);
    done(&fleet, &pool(2));
    lives(3, 3);
    assert_eq!(fleet.command(&["kill", "pool"]).exit, 0);
    lives(4, 4);
    assert_eq!(fleet.command(&["terminate", "pool"]).exit, 0);
    assert_eq!(fleet.command(&["restart", "pool"]).exit, 0);
    lives(5, 5);
}
