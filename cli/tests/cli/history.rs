//! `history` and `why` on real fleets: while they run, after a kill of the process, and after they gave up.

use crate::fleet::{Fleet, PATIENCE, file, finish, loket, within};
use serde_json::Value;

const FLEET: &str = r#"Fleet(version: 1, name: "test", root: Supervisor(
    strategy: RestForOne, intensity: 1, period: "600s", children: [
        Supervisor(id: "front", intensity: 1, period: "600s", children: [
            Agent(id: "first", module: "builtin:echo", grants: [(cap: "store.brain")])]),
        Agent(id: "second", module: "builtin:echo", grants: [(cap: "store.brain")]),
    ]))"#;

/// Kills a child and waits for its next life.
fn kill(fleet: &Fleet, name: &str, next: u64) {
    assert_eq!(fleet.command(&["kill", name]).exit, 0);
    within(PATIENCE, "it is back", || {
        let back = fleet.child(name);
        Some(()).filter(|()| back["state"] == "running" && back["incarnation"] == next)
    });
}

fn contexts(rows: &Value) -> Vec<String> {
    let rows = rows["rows"].as_array().unwrap();
    let one =
        |row: &Value| format!("{} {}", row["boot"], row["report"]["context"].as_str().unwrap());
    rows.iter().map(one).collect()
}

#[test]
fn reports_survive_the_process_and_tell_why() {
    let mut fleet = Fleet::of(FLEET);
    fleet.start();
    let untouched = fleet.command(&["why", "second"]).out;
    assert!(untouched.starts_with("nothing has happened to it"), "{untouched}");
    kill(&fleet, "first", 2);
    kill(&fleet, "first", 3);
    within(PATIENCE, "the group is back", || {
        Some(()).filter(|()| fleet.child("second")["incarnation"] == 2)
    });
    let why = fleet.command(&["why", "second"]).out;
    let told: Vec<_> =
        why.lines().map(|line| line.split_once("  ").map_or(line, |(_, text)| text)).collect();
    assert_eq!(
        told,
        [
            "first ends (incarnation 1): killed",
            "front starts first again, incarnation 2",
            "first ends (incarnation 2): killed",
            "front gives up: first needed more than 1 restarts in 600 s",
            "front has ended, because it gave up",
            "second is stopped with its group: root is RestForOne",
            "root starts second again, incarnation 2",
            "now: second is running, incarnation 2",
        ]
    );
    let rows = fleet.command(&["history", "first", "--json"]).json();
    let mine =
        ["progress", "child_terminated", "progress", "child_terminated", "shutdown", "progress"];
    let boot = |number: u64| mine.map(|word| format!("{number} {}", camel(word)));
    assert_eq!(contexts(&rows), boot(1), "{rows}");
    let offender = &rows["rows"][1]["report"]["offender"];
    for field in ["id", "incarnation", "restart", "significant", "shutdown", "kind"] {
        assert!(!offender[field].is_null(), "{field}: {offender}");
    }
    fleet.kill_process();
    fleet.start();
    let rows = fleet.command(&["history", "first", "--json"]).json();
    assert_eq!(contexts(&rows), [&boot(1)[..], &["2 Progress".to_owned()]].concat());
    let latest = fleet.command(&["history", "--limit", "1"]).out;
    assert_eq!(latest.lines().count(), 1, "{latest}");
    let why = fleet.command(&["why", "second"]).out;
    assert!(why.starts_with("nothing has happened to it"), "another run, another story: {why}");
    fleet.command(&["why", "nobody"]).failed(1, "not_found", &["nobody", "loket tree"]);
}

fn camel(word: &str) -> String {
    word.split('_').map(|part| part[..1].to_uppercase() + &part[1..]).collect()
}

#[test]
fn a_fleet_that_gave_up_still_says_why() {
    let fleet = Fleet::of(&FLEET.replace("RestForOne, intensity: 1", "RestForOne, intensity: 0"));
    let mut run = fleet.run();
    run.stdout(std::process::Stdio::null());
    let mut running = Fleet::of("");
    running.start_as(run, fleet.data());
    for _ in 0..2 {
        // The first kill restarts it, the second ends all.
        let said = within(PATIENCE, "it can be killed", || {
            let said = fleet.command(&["kill", "first"]);
            Some(said).filter(|said| said.exit == 0)
        });
        assert_eq!(said.exit, 0);
    }
    within(PATIENCE, "the fleet has ended", || {
        Some(()).filter(|()| fleet.command(&["tree"]).exit == 69)
    });
    let why = within(PATIENCE, "the file is written", || {
        let why = fleet.command(&["why", "front"]);
        Some(why.out).filter(|out| out.contains("gave up"))
    });
    assert!(why.contains("first ends (incarnation 2): killed"), "{why}");
    assert!(why.trim_end().ends_with("now: front is not running"), "{why}");
    // Found without being named, too.
    let mut here = loket();
    here.current_dir(fleet.path(".")).args(["history", "--limit", "3"]);
    std::fs::rename(fleet.data(), fleet.path("test.data")).unwrap();
    let said = finish(here);
    assert_eq!((said.exit, said.out.lines().count()), (0, 3), "{said:?}");
}

/// A reload changes who goes with whom; the story is told by what was right when it happened.
#[test]
fn why_knows_the_order_and_the_supervisor_after_a_reload() {
    let agent = |id: &str| format!(r#"Agent(id: "{id}", module: "builtin:echo")"#);
    let group = |id: &str, strategy: &str, children: &[&str]| {
        let children: Vec<_> = children.iter().map(|child| agent(child)).collect();
        format!(
            r#"Supervisor(id: "{id}", strategy: {strategy}, intensity: 9, children: [{}])"#,
            children.join(", ")
        )
    };
    let fleet = Fleet::running(
        &(group("g", "OneForOne", &["a", "b", "c"])
            + ", "
            + &group("s1", "OneForAll", &["m", "n"])
            + ", "
            + &group("s2", "OneForOne", &["o"])),
    );
    for (s1, s2) in [(&["n"][..], &["o"][..]), (&["n"], &["o", "m"])] {
        let children = group("g", "RestForOne", &["c", "b", "a"])
            + ", "
            + &group("s1", "OneForAll", s1)
            + ", "
            + &group("s2", "OneForOne", s2);
        fleet.write("fleet.ron", file("", &children));
        let said = fleet.command(&["reload"]);
        assert_eq!(said.exit, 0, "{said:?}");
    }
    kill(&fleet, "b", 2);
    kill(&fleet, "n", 2);
    let why = |child: &str| -> Vec<String> {
        let text = fleet.command(&["why", child]).out;
        text.lines()
            .map(|line| line.split_once("  ").map_or(line, |(_, text)| text).to_owned())
            .collect()
    };
    within(PATIENCE, "the group is back", || {
        let back = fleet.child("a");
        Some(()).filter(|()| back["incarnation"] == 2 && back["state"] == "running")
    });
    assert_eq!(
        why("a")[..3],
        [
            "b ends (incarnation 1): killed",
            "a is stopped with its group: g is RestForOne",
            "g starts a again, incarnation 2",
        ]
    );
    let untouched = "nothing has happened to it since it was started";
    assert_eq!(why("c"), [untouched, "now: c is running, incarnation 1"]);
    let moved = why("m");
    assert_eq!(moved.len(), 3, "{moved:?}");
    assert_eq!(moved[0], "m is stopped as asked, by a reload or by hand (incarnation 1)");
    assert_eq!(moved[1], "s2 starts m, incarnation 1");
}
