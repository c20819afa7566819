//! The story that the reports tell of one child. The reports come from the machines themselves, by a simulation.
#![allow(clippy::unwrap_used, missing_docs)]

mod fleet_world;

use fleet_world::World;
use loket_supervision::fleet;
use loket_supervision::machine::{Context, Exit, Now};
use loket_supervision::simulate::{Crash, Plan, run};
use loket_supervision::story::{LINKS_MAX, Row, Story, why};

const FLEET: &str = r#"Fleet(version: 1, name: "t", root: Supervisor(
    strategy: RestForOne, intensity: 5, period: "60s", children: [
    Supervisor(id: "providers", intensity: 1, period: "10s", children: [
        Provider(id: "llm", use: Llm()), Provider(id: "fs", use: Fs())]),
    Supervisor(id: "desk", strategy: OneForAll, intensity: 50, period: "10s", children: [
        Agent(id: "editor", module: "a.wasm"), Agent(id: "writer", module: "a.wasm")]),
    Supervisor(id: "rest", intensity: 50, period: "10s", children: [
        Agent(id: "idle", module: "a.wasm"), Agent(id: "busy", module: "a.wasm"),
        Agent(id: "late", module: "a.wasm",
            backoff: (first: "5s", min: "5s", max: "5s", factor: 1.0, jitter: 0.0)),
        Agent(id: "once", module: "a.wasm", restart: Temporary)]),
]))"#;

fn rows(crashes: &[(&str, u64)]) -> Vec<Row> {
    rows_of(FLEET, crashes)
}

fn rows_of(file: &str, crashes: &[(&str, u64)]) -> Vec<Row> {
    let (fleet, _) = fleet::parse(file, "t.ron", &[], &World).unwrap();
    let one = |(child, at): &(&str, u64)| Crash {
        child: (*child).to_owned(),
        at: Now(*at),
        exit: Some(Exit::Killed),
    };
    let plan = Plan { crashes: crashes.iter().map(one).collect(), ..Plan::default() };
    run(&fleet, &plan).unwrap().reports
}

fn texts(story: &Story) -> Vec<String> {
    story.links.iter().map(|link| format!("{} {}", link.at_ms, link.text)).collect()
}

#[test]
fn who_was_never_touched_has_no_story() {
    assert_eq!(texts(&why(&rows(&[("busy", 1)]), "idle", true)), Vec::<String>::new());
    assert_eq!(texts(&why(&[], "idle", true)), Vec::<String>::new());
}

/// A group brings back whoever was down already: it has not taken them along.
#[test]
fn who_was_down_already_is_told_with_its_own_end() {
    let file = r#"Fleet(version: 1, name: "t", root: Supervisor(
        strategy: OneForAll, intensity: 5, period: "60s", children: [
        Agent(id: "a", module: "a.wasm"),
        Agent(id: "u", module: "a.wasm", restart: Transient, on: [(action: End)])]))"#;
    let down = rows_of(file, &[("u", 1)]);
    let ended = [
        "1 u ends (incarnation 1): killed",
        "1 u is not started again: its rules (`on`) say End of this exit",
    ];
    assert_eq!(texts(&why(&down, "u", false)), ended);
    let back = rows_of(file, &[("u", 1), ("a", 5)]);
    let told = [
        ended[0],
        ended[1],
        "5 a ends (incarnation 1): killed",
        "5 root starts u again, incarnation 2",
    ];
    assert_eq!(texts(&why(&back, "u", true)), told);
    // One that ran was taken along.
    let along = rows_of(file, &[("a", 5)]);
    assert_eq!(
        texts(&why(&along, "u", true)),
        [
            "5 a ends (incarnation 1): killed",
            "5 u is stopped with its group: root is OneForAll",
            "5 root starts u again, incarnation 2",
        ]
    );
}

/// Whoever takes back a restart that is waited for does not take back the exit before it.
#[test]
fn a_cancelled_restart_is_told_with_the_exit_before_it() {
    let mut rows = rows(&[("late", 1)]);
    let fell = rows.iter().rposition(|row| *row.report.offender.id == *"late");
    let mut rows: Vec<Row> = rows.drain(..=fell.unwrap()).collect();
    while rows.last().unwrap().report.context != Context::ChildTerminated {
        rows.pop();
    }
    let mut cancelled = rows.last().unwrap().clone();
    cancelled.at_ms = 2;
    (cancelled.report.context, cancelled.report.reason) = (Context::Stopped, None);
    rows.push(cancelled);
    assert_eq!(
        texts(&why(&rows, "late", false)),
        [
            "1 late ends (incarnation 1): killed",
            "2 late was waiting for its restart: it is cancelled, as asked",
        ]
    );
}

#[test]
fn own_crashes_are_told_from_the_first() {
    let rows = rows(&[("busy", 1), ("idle", 2), ("busy", 3)]);
    assert_eq!(
        texts(&why(&rows, "busy", true)),
        [
            "1 busy ends (incarnation 1): killed",
            "1 rest starts busy again, incarnation 2",
            "3 busy ends (incarnation 2): killed",
            "3 rest starts busy again, incarnation 3",
        ]
    );
}

#[test]
fn a_sibling_in_the_group_is_the_cause() {
    let rows = rows(&[("idle", 1), ("writer", 2)]);
    assert_eq!(
        texts(&why(&rows, "editor", true)),
        [
            "2 writer ends (incarnation 1): killed",
            "2 editor is stopped with its group: desk is OneForAll",
            "2 desk starts editor again, incarnation 2",
        ]
    );
}

#[test]
fn an_escalation_is_followed_down_to_its_first_exit_and_up_to_who_was_taken_along() {
    let rows = rows(&[("llm", 1), ("busy", 2), ("llm", 3)]);
    let chain = [
        "1 llm ends (incarnation 1): killed",
        "1 providers starts llm again, incarnation 2",
        "3 llm ends (incarnation 2): killed",
        "3 providers gives up: llm needed more than 1 restarts in 10 s",
        "3 providers has ended, because it gave up",
    ];
    let with = |last: &[&'static str]| [&chain[..], last].concat();
    assert_eq!(
        texts(&why(&rows, "llm", true)),
        with(&[
            "3 root starts providers again, incarnation 2",
            "3 providers starts llm again, incarnation 3",
        ])
    );
    assert_eq!(
        texts(&why(&rows, "fs", true)),
        with(&[
            "3 root starts providers again, incarnation 2",
            "3 providers starts fs again, incarnation 2",
        ])
    );
    // `desk` comes behind `providers` in a RestForOne group.
    assert_eq!(
        texts(&why(&rows, "writer", true)),
        with(&[
            "3 desk is stopped with its group: root is RestForOne",
            "3 root starts desk again, incarnation 2",
            "3 desk starts writer again, incarnation 2",
        ])
    );
    assert_eq!(
        texts(&why(&rows, "desk", true)),
        with(&[
            "3 desk is stopped with its group: root is RestForOne",
            "3 root starts desk again, incarnation 2",
        ])
    );
}

#[test]
fn a_supervisor_that_shut_itself_down_is_followed_to_the_significant_child() {
    let file = r#"Fleet(version: 1, name: "t", root: Supervisor(children: [
        Supervisor(id: "s", auto_shutdown: AllSignificant, children: [
            Agent(id: "lead", module: "a.wasm", restart: Temporary, significant: true),
            Agent(id: "mate", module: "a.wasm", restart: Temporary, significant: true),
            Agent(id: "p", module: "a.wasm")]),
        Agent(id: "idle", module: "a.wasm")]))"#;
    let rows = rows_of(file, &[("mate", 1), ("p", 2), ("lead", 3)]);
    for child in ["lead", "p", "s"] {
        let story = texts(&why(&rows, child, false));
        assert!(
            story.contains(&"3 lead ends (incarnation 1): killed".to_owned()),
            "{child}: {story:?}"
        );
        assert!(story.iter().any(|link| link.starts_with("3 s ends")), "{child}: {story:?}");
    }
}

#[test]
fn a_supervisor_that_is_not_started_again_after_auto_shutdown_says_so() {
    let file = r#"Fleet(version: 1, name: "t", root: Supervisor(children: [
        Supervisor(id: "s", restart: Transient, auto_shutdown: AnySignificant, children: [
            Agent(id: "lead", module: "a.wasm", restart: Transient, significant: true),
            Agent(id: "p", module: "a.wasm")]),
        Agent(id: "idle", module: "a.wasm")]))"#;
    let (fleet, _) = fleet::parse(file, "t.ron", &[], &World).unwrap();
    let crash = Crash { child: "lead".to_owned(), at: Now(3), exit: Some(Exit::Normal) };
    let plan = Plan { crashes: vec![crash], ..Plan::default() };
    let rows = run(&fleet, &plan).unwrap().reports;
    for child in ["s", "p", "lead"] {
        assert_eq!(
            texts(&why(&rows, child, false)),
            [
                "3 s ends by auto_shutdown: significant child lead ended (normal)",
                "3 s is Transient and ended in order: it is not started again",
            ],
            "{child}"
        );
    }
    assert_eq!(texts(&why(&rows, "idle", true)), Vec::<String>::new());
}

#[test]
fn one_auto_shutdown_through_another_is_followed_to_the_first_end() {
    let file = r#"Fleet(version: 1, name: "t", root: Supervisor(children: [
        Supervisor(id: "team", auto_shutdown: AnySignificant, children: [
            Supervisor(id: "u", restart: Transient, significant: true,
                auto_shutdown: AnySignificant, children: [
                Agent(id: "lead", module: "a.wasm", restart: Temporary, significant: true)]),
            Agent(id: "mate", module: "a.wasm")])]))"#;
    let rows = rows_of(file, &[("lead", 3)]);
    assert_eq!(
        texts(&why(&rows, "mate", true)),
        [
            "3 lead ends (incarnation 1): killed",
            "3 u ends by auto_shutdown: significant child lead ended (killed)",
            "3 team ends by auto_shutdown: significant child u ended (shutdown)",
            "3 team ends (incarnation 1): shutdown",
            "3 root starts team again, incarnation 2",
            "3 team starts mate again, incarnation 2",
        ]
    );
}

#[test]
fn a_start_with_a_supervisor_from_above_names_who_started_that_one() {
    let rows = rows(&[("rest", 1)]);
    assert_eq!(
        texts(&why(&rows, "idle", true)),
        [
            "1 rest ends (incarnation 1): killed",
            "1 root starts rest again, incarnation 2",
            "1 rest starts idle again, incarnation 2",
        ]
    );
}

#[test]
fn an_unrelated_crash_while_a_restart_waits_is_not_taken_for_the_cause() {
    let rows = rows(&[("late", 1), ("busy", 1_000)]);
    assert_eq!(
        texts(&why(&rows, "late", true)),
        ["1 late ends (incarnation 1): killed", "5001 rest starts late again, incarnation 2"]
    );
}

#[test]
fn who_does_not_run_any_more_is_told_why_not() {
    let rows = rows(&[("once", 4)]);
    assert_eq!(
        texts(&why(&rows, "once", false)),
        ["4 once ends (incarnation 1): killed", "4 once is Temporary: it is not started again",]
    );
}

#[test]
fn a_long_story_keeps_its_first_exit_and_its_end() {
    let crashes: Vec<_> = (0..45).map(|n| ("busy", n)).collect();
    let story = why(&rows(&crashes), "busy", true);
    assert_eq!(story.links.len(), LINKS_MAX);
    assert_eq!(story.earlier, 90 - LINKS_MAX);
    assert_eq!(story.links[0].text, "busy ends (incarnation 1): killed");
    assert_eq!(story.links[LINKS_MAX - 1].text, "rest starts busy again, incarnation 46");
}

#[test]
fn an_earlier_run_of_the_process_is_another_story() {
    let mut rows = rows(&[("busy", 1)]);
    let mut again = rows.clone();
    again.iter_mut().for_each(|row| row.boot = 2);
    again.truncate(again.len() - 2);
    rows.extend(again);
    assert_eq!(texts(&why(&rows, "busy", true)), Vec::<String>::new());
}
