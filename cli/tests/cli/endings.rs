//! How a fleet ends by itself: the exit code and the last words of `run`, and what `why`, `history` and `simulate` say of it.

use crate::fleet::{Fleet, PATIENCE, finish, loket, within};

const ROOT: &str = r#"Fleet(version: 1, name: "test", root: Supervisor(
    auto_shutdown: AnySignificant, children: [
        Agent(id: "x", module: "builtin:echo", restart: Temporary, significant: true),
        Agent(id: "y", module: "builtin:echo")]))"#;

const BELOW: &str = r#"Fleet(version: 1, name: "test", root: Supervisor(
    intensity: 1, period: "600s", children: [
        Supervisor(id: "sg", auto_shutdown: AnySignificant, intensity: 0, children: [
            Agent(id: "x", module: "builtin:echo", restart: Temporary, significant: true),
            Agent(id: "z", module: "builtin:echo")])]))"#;

fn running(file: &str) -> Fleet {
    let mut fleet = Fleet::of(file);
    fleet.start();
    fleet
}

fn why(fleet: &Fleet, child: &str) -> Vec<String> {
    let text = fleet.command(&["why", child]).out;
    text.lines()
        .map(|line| line.split_once("  ").map_or(line, |(_, text)| text).to_owned())
        .collect()
}

#[test]
fn a_root_that_auto_shutdown_ends_is_told_and_has_its_exit_code() {
    let mut fleet = running(ROOT);
    assert_eq!(fleet.command(&["kill", "x"]).exit, 0);
    assert_eq!(fleet.ended(), Some(4), "{}", fleet.log());
    let cause = "x, a significant child of root, ended (killed), so root ended by auto_shutdown";
    assert!(fleet.log().contains(cause), "{}", fleet.log());
    assert!(
        fleet.log().contains("error[C012]: the fleet has ended by itself: "),
        "{}",
        fleet.log()
    );
    assert_eq!(
        why(&fleet, "y"),
        [
            "x ends (incarnation 1): killed",
            "root ends by auto_shutdown: significant child x ended (killed)",
            "test ends by auto_shutdown: significant child root ended (shutdown)",
            "now: y is not running",
        ]
    );
    let mut simulate = loket();
    simulate.arg("simulate").arg(fleet.path("fleet.ron")).args(["--crash", "x@1s:killed"]);
    let said = finish(simulate);
    assert_eq!(said.exit, 4, "{said:?}");
    let told = "root  ends by auto_shutdown: significant child x ended (killed)";
    assert!(said.out.contains(told), "{said:?}");
}

#[test]
fn an_ordered_stop_of_such_a_fleet_is_all_well() {
    for words in [&["stop"][..], &["stop", "--now"]] {
        let mut fleet = running(ROOT);
        let said = fleet.command(words);
        assert_eq!(said.exit, 0, "{words:?}: {said:?}");
        fleet.ended_well();
        assert!(!fleet.log().contains("C012"), "{}", fleet.log());
    }
}

#[test]
fn the_last_words_go_through_auto_shutdown_to_the_first_cause() {
    let mut fleet = running(BELOW);
    assert_eq!(fleet.command(&["kill", "x"]).exit, 0);
    within(PATIENCE, "the group is back", || {
        let back = fleet.child("z");
        Some(()).filter(|()| back["incarnation"] == 2 && back["state"] == "running")
    });
    let told = [
        "x ends (incarnation 1): killed",
        "sg ends by auto_shutdown: significant child x ended (killed)",
        "sg ends (incarnation 1): shutdown",
        "root starts sg again, incarnation 2",
    ];
    assert_eq!(why(&fleet, "sg"), [&told[..], &["now: sg is running, incarnation 2"]].concat());
    let z = ["sg starts z again, incarnation 2", "now: z is running, incarnation 2"];
    assert_eq!(why(&fleet, "z"), [&told[..], &z].concat());
    assert_eq!(fleet.command(&["kill", "x"]).exit, 0);
    assert_eq!(fleet.ended(), Some(4), "{}", fleet.log());
    let words = "x, a significant child of sg, ended (killed), so sg ended by auto_shutdown, \
        so root gave up";
    assert!(fleet.log().contains(words), "{}", fleet.log());
}

#[test]
fn history_of_nobody_is_an_error_and_no_limit_is_cut() {
    let mut fleet = running(ROOT);
    for words in [&["history", "nobody"][..], &["history", "nobody", "--json"]] {
        fleet.command(words).failed(1, "not_found", &["nobody", "loket tree"]);
    }
    assert_eq!(fleet.command(&["history", "y", "--json"]).exit, 0);
    let said = fleet.command(&["history", "--limit", "10001"]);
    assert_eq!(said.exit, 2, "{said:?}");
    assert!(said.err.contains("10001 is not in 1..=10000"), "{said:?}");
    fleet.command(&["history", "--limit", "0", "--json"]).failed(
        2,
        "usage",
        &["0 is not in 1..=10000"],
    );
    assert_eq!(fleet.command(&["history", "--limit", "10000"]).exit, 0);
    let asked = fleet.ask("agent.history", &serde_json::json!({"limit": 10_001})).unwrap_err();
    assert_eq!(asked["code"], "bad_args", "{asked}");
    fleet.stop();
    fleet.command(&["history", "nobody", "--json"]).failed(1, "not_found", &["nobody"]);
}
