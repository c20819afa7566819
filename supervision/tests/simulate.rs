//! `simulate`: whole fleets of machines in virtual time.
#![allow(clippy::unwrap_used, missing_docs)]

mod fleet_world;

use fleet_world::World;
use loket_supervision::fleet::{self, Fleet};
use loket_supervision::machine::{Blame, Cause, Exit, Now};
use loket_supervision::simulate::{Crash, Outcome, Plan, Shown, Trace, What, run};
use proptest::prelude::*;

fn fleet(root: &str) -> Fleet {
    let text = format!("Fleet(version: 1, name: \"t\", root: Supervisor({root}))");
    match fleet::parse(&text, "t.ron", &[], &World) {
        Ok((fleet, _)) => fleet,
        Err(findings) => panic!("{}", findings.iter().map(ToString::to_string).collect::<String>()),
    }
}

fn at(child: &str, times: &[u64]) -> Vec<Crash> {
    let one = |&at: &u64| Crash { child: child.to_owned(), at: Now(at), exit: None };
    times.iter().map(one).collect()
}

fn simulate(root: &str, crashes: Vec<Crash>) -> Trace {
    run(&fleet(root), &Plan { crashes, ..Plan::default() }).unwrap()
}

/// `PATH what` of every step.
fn told(trace: &Trace) -> Vec<String> {
    let word =
        |what: &What| serde_json::to_value(what).unwrap()["what"].as_str().unwrap().to_owned();
    trace.steps.iter().map(|step| format!("{} {}", step.path, word(&step.what))).collect()
}

fn find<'t>(tree: &'t Shown, id: &str) -> &'t Shown {
    fn look<'t>(tree: &'t Shown, id: &str) -> Option<&'t Shown> {
        if tree.id == id {
            return Some(tree);
        }
        tree.children.iter().find_map(|child| look(child, id))
    }
    look(tree, id).unwrap_or_else(|| panic!("no {id} in {tree:?}"))
}

const TWO_LEVELS: &str = r#"strategy: RestForOne, intensity: 1, period: "60s", children: [
    Supervisor(id: "providers", intensity: 2, period: "10s", children: [
        Provider(id: "llm", use: Llm()), Provider(id: "fs", use: Fs())]),
    Supervisor(id: "desk", intensity: 5, period: "10s", children: [
        Agent(id: "editor", module: "a.wasm"),
        Agent(id: "once", module: "a.wasm", restart: Temporary)]),
]"#;

#[test]
fn crashes_within_the_budget_restart_one_child() {
    let trace = simulate(TWO_LEVELS, at("llm", &[0, 1_000]));
    assert!(trace.survived());
    let path = "root/providers/llm";
    let pair = [format!("{path} crashed"), format!("{path} restarted")];
    assert_eq!(told(&trace), [pair.clone(), pair].concat());
    assert_eq!(find(&trace.tree, "llm").incarnation, 3);
    assert_eq!(find(&trace.tree, "fs").incarnation, 1);
    assert_eq!(trace.last_ms, 1_000);
}

fn poisoned(child: &str, times: &[u64]) -> Vec<Crash> {
    let trap = Exit::crash(Cause::Trap, Blame::Guest, "again");
    let exit = Exit::Poison { reason: Box::new(trap) };
    at(child, times).into_iter().map(|crash| Crash { exit: Some(exit.clone()), ..crash }).collect()
}

/// Under `charge: Letter` only the dead letters count (turns rule G5), and a rule about the cause inside fits a poison exit too.
#[test]
fn g5_a_poison_message_is_a_letter_and_its_cause_fits_inside() {
    let root = |fields: &str| {
        let agent = format!("Agent(id: \"a\", module: \"a.wasm\", {fields})");
        format!("intensity: 2, period: \"60s\", children: [{agent}]")
    };
    let by_letter = root("charge: Letter, max_attempts: 1");
    assert!(simulate(&by_letter, poisoned("a", &[0, 100])).survived());
    assert!(!simulate(&by_letter, poisoned("a", &[0, 100, 200])).survived());
    assert!(simulate(&by_letter, at("a", &[0, 100, 200, 300])).survived());
    let trace = simulate(&root("on: [(cause: Trap, action: End)]"), poisoned("a", &[0]));
    assert_eq!(told(&trace), ["root/a crashed", "root/a not_restarted"]);
}

#[test]
fn one_crash_too_many_escalates_and_the_supervisor_above_restarts_the_group() {
    let trace = simulate(TWO_LEVELS, at("root/providers/llm", &[0, 1_000, 2_000]));
    assert!(trace.survived(), "{trace:?}");
    let after: Vec<_> = trace.steps.iter().filter(|step| step.at_ms == 2_000).collect();
    let told: Vec<_> = told(&trace).into_iter().skip(trace.steps.len() - after.len()).collect();
    assert_eq!(
        told,
        [
            "root/providers/llm crashed",
            "root/providers gave_up",
            "root/providers/fs stopped",
            "root/providers ended",
            "root/desk/once stopped",
            "root/desk/editor stopped",
            "root/desk ended",
            "root/providers restarted",
            "root/providers/llm restarted",
            "root/providers/fs restarted",
            "root/desk restarted",
            "root/desk/editor restarted",
            "root/desk/once restarted",
        ]
    );
    assert_eq!(find(&trace.tree, "llm").incarnation, 4);
    assert_eq!(find(&trace.tree, "desk").incarnation, 2);
}

#[test]
fn the_fleet_ends_with_its_root_and_nothing_happens_after() {
    let trace = simulate(TWO_LEVELS, at("llm", &[0, 1, 2, 3, 4, 5, 6, 7]));
    let Outcome::Ended { at_ms: 5, exit: Exit::Escalated { child, .. } } = &trace.end else {
        panic!("{:?}", trace.end)
    };
    assert_eq!(&**child, "providers");
    assert!(!trace.survived());
    assert_eq!(trace.last_ms, 5);
    assert_eq!(find(&trace.tree, "root").state, "stopped");
    assert_eq!(find(&trace.tree, "editor").state, "stopped");
}

#[test]
fn a_backoff_delays_the_restart_and_a_crash_meanwhile_is_missed() {
    let root = r#"intensity: 5, period: "60s", children: [Agent(id: "a", module: "a.wasm",
        backoff: (first: "100ms", min: "200ms", max: "1s", factor: 2.0, jitter: 0.0))]"#;
    let trace = simulate(root, at("a", &[0, 50, 150]));
    let steps: Vec<_> = trace.steps.iter().map(|step| (step.at_ms, &step.what)).collect();
    assert!(matches!(steps[0], (0, What::Crashed { .. })), "{steps:?}");
    assert_eq!(
        steps[1..4],
        [
            (0, &What::Waits { until_ms: 100 }),
            (50, &What::Missed),
            (100, &What::Restarted { incarnation: 2 }),
        ]
    );
    assert!(matches!(steps[4], (150, What::Crashed { .. })), "{steps:?}");
    assert_eq!(
        steps[5..],
        [(150, &What::Waits { until_ms: 350 }), (350, &What::Restarted { incarnation: 3 }),]
    );
    // `until` stops before the restart.
    let plan = Plan { crashes: at("a", &[0]), until: Some(Now(99)), seed: 1 };
    let cut = run(&fleet(root), &plan).unwrap();
    assert_eq!(find(&cut.tree, "a").state, "restarting");
    assert!(cut.survived());
}

#[test]
fn crashes_at_one_instant_count_once_for_a_group_and_each_for_itself_alone() {
    let group = |strategy: &str| {
        let root = format!(
            r#"strategy: {strategy}, intensity: 1, period: "60s", children: [
                Agent(id: "a", module: "a.wasm"), Agent(id: "b", module: "a.wasm")]"#
        );
        simulate(&root, [at("a", &[5]), at("b", &[5])].concat()).survived()
    };
    assert!(group("OneForAll"), "OTP flushes the exit of a sibling that it stops");
    assert!(!group("OneForOne"));
}

#[test]
fn what_is_not_restarted_is_said_and_restart_types_are_kept() {
    let trace = simulate(TWO_LEVELS, at("once", &[0]));
    assert_eq!(told(&trace), ["root/desk/once crashed", "root/desk/once not_restarted"]);
    assert_eq!(find(&trace.tree, "once").state, "stopped");
    let ended = Crash { exit: Some(Exit::Normal), ..at("editor", &[0]).remove(0) };
    let trace = simulate(TWO_LEVELS, vec![ended]);
    assert_eq!(told(&trace), ["root/desk/editor crashed", "root/desk/editor restarted"]);
}

#[test]
fn a_supervisor_that_is_killed_takes_along_what_is_below() {
    let trace = simulate(TWO_LEVELS, at("providers", &[0]));
    let words = told(&trace);
    assert_eq!(
        words[..3],
        ["root/providers crashed", "root/providers/fs killed", "root/providers/llm killed"]
    );
    assert!(words.contains(&"root/providers/llm restarted".to_owned()), "{words:?}");
    assert!(!simulate(TWO_LEVELS, at("root", &[0])).survived(), "the root has nobody above it");
}

const POOL: &str = r#"intensity: 3, period: "60s", children: [
    Supervisor(id: "pool", strategy: SimpleOneForOne, max_children: 2, intensity: 1, period: "60s",
        children: [Agent(id: "w", module: "a.wasm")]),
]"#;

#[test]
fn dynamic_children_come_back_with_their_supervisor() {
    let trace = simulate(POOL, [at("pool/x", &[0, 1]), at("root/pool/y", &[10])].concat());
    assert!(trace.survived());
    let words = told(&trace);
    assert!(words.contains(&"root/pool gave_up".to_owned()), "{words:?}");
    assert_eq!(find(&trace.tree, "pool/x").incarnation, 3);
    assert_eq!(find(&trace.tree, "pool/y").incarnation, 3, "restarted with the pool, then alone");
    assert_eq!(find(&trace.tree, "pool/y").state, "running");
}

#[test]
fn a_dynamic_child_above_max_children_is_refused() {
    let trace =
        simulate(POOL, [at("pool/x", &[0]), at("pool/y", &[0]), at("pool/z", &[0])].concat());
    assert!(told(&trace).contains(&"root/pool/z missed".to_owned()), "{:?}", told(&trace));
    assert_eq!(find(&trace.tree, "pool").children.len(), 2);
}

#[test]
fn an_unknown_child_is_named_with_the_nearest() {
    for (name, near) in [("lm", Some("llm")), ("root/desk/editr", Some("editor")), ("zzzzz", None)]
    {
        let plan = Plan { crashes: at(name, &[0]), ..Plan::default() };
        let error = run(&fleet(TWO_LEVELS), &plan).unwrap_err();
        assert_eq!(error.near.as_deref(), near, "{error}");
        assert!(error.to_string().contains(name));
    }
    // A template is no child.
    let plan = Plan { crashes: at("w", &[0]), ..Plan::default() };
    assert!(run(&fleet(POOL), &plan).is_err());
}

#[test]
fn jitter_follows_the_seed() {
    let root = r#"intensity: 5, period: "60s", children: [Agent(id: "a", module: "a.wasm",
        backoff: (first: Immediate, min: "10s", max: "60s", factor: 2.0, jitter: 0.5))]"#;
    let with = |seed| {
        let plan = Plan { crashes: at("a", &[0, 10]), until: None, seed };
        run(&fleet(root), &plan).unwrap()
    };
    assert_eq!(with(3), with(3));
    assert_ne!(with(3), with(4));
}

#[test]
fn a_crash_loop_without_end_is_cut_off_and_said() {
    let root = r#"intensity: 100000, period: "1ms", children: [Agent(id: "a", module: "a.wasm")]"#;
    let times: Vec<u64> = (0..6_000).collect();
    let trace = simulate(root, at("a", &times));
    assert!(trace.cut_off);
    assert_eq!(trace.steps.len(), loket_supervision::simulate::MAX_STEPS);
    // It is not known whether the fleet survives, so that is not said.
    assert_eq!(trace.end, Outcome::Undecided);
    assert!(!trace.survived());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// The oracle counts windows by itself: a flat OneForOne survives exactly when no period holds more crashes than allowed.
    #[test]
    fn a_flat_fleet_survives_exactly_when_no_window_is_overdrawn(
        intensity in 0_u32..4,
        period in 1_u64..6,
        mut crashes in prop::collection::vec((0_u64..10_000, 0_usize..3), 0..12),
    ) {
        crashes.sort_unstable();
        // Two crashes of one child at one instant are one.
        crashes.dedup();
        let root = format!(
            r#"intensity: {intensity}, period: "{period}s", children: [
                Agent(id: "a", module: "a.wasm"), Agent(id: "b", module: "a.wasm"),
                Agent(id: "c", module: "a.wasm")]"#
        );
        let planned = crashes.iter().flat_map(|(ms, child)| at(["a", "b", "c"][*child], &[*ms]));
        let trace = simulate(&root, planned.collect());
        let over = crashes.iter().enumerate().find(|(index, (end, _))| {
            let within = crashes[..=*index].iter().filter(|(ms, _)| ms + period * 1_000 >= *end);
            within.count() > intensity as usize
        });
        prop_assert_eq!(trace.survived(), over.is_none());
        if let (Outcome::Ended { at_ms, .. }, Some((_, (ms, _)))) = (&trace.end, over) {
            prop_assert_eq!(at_ms, ms);
        }
    }
}
