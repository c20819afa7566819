//! What a reload would do: each kind of step, in order, and what it refuses.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod fleet_world;

use fleet_world::World;
use loket_supervision::fleet::{self, Fleet, Node};

fn fleet(fields: &str, root: &str) -> Fleet {
    let text = format!("Fleet(version: 1, name: \"t\", {fields} root: Supervisor({root}))");
    match fleet::parse(&text, "t.ron", &[], &World) {
        Ok((fleet, _)) => fleet,
        Err(findings) => panic!("{}", findings.iter().map(ToString::to_string).collect::<String>()),
    }
}

fn steps(old: &str, new: &str) -> Vec<String> {
    fleet::diff(&fleet("", old), &fleet("", new)).iter().map(ToString::to_string).collect()
}

const ONE: &str = r#"intensity: 3, children: [
    Supervisor(id: "s", children: [
        Provider(id: "llm", use: Llm()),
        Agent(id: "a", module: "a.wasm", settings: { "secret": "hunter2" }),
        Agent(id: "b", module: "a.wasm")]),
    Supervisor(id: "pool", strategy: SimpleOneForOne, children: [Agent(id: "w", module: "a.wasm")]),
]"#;

#[test]
fn the_same_file_elsewhere_on_the_page_is_no_difference() {
    assert_eq!(steps(ONE, ONE), Vec::<String>::new());
    assert_eq!(steps(ONE, &ONE.replace("Agent(", "\n\n  Agent(")), Vec::<String>::new());
}

#[test]
fn what_counts_at_once_is_a_change_and_the_rest_a_new_life() {
    assert_eq!(
        steps(ONE, &ONE.replace("intensity: 3", "intensity: 4")),
        ["change   supervisor root: intensity 3 -> 4"]
    );
    assert_eq!(
        steps(ONE, &ONE.replace("id: \"b\",", "id: \"b\", restart: Transient, every: \"5s\",")),
        ["change   agent root/s/b: every_ms null -> 5000, restart \"Permanent\" -> \"Transient\""]
    );
    assert_eq!(
        steps(
            ONE,
            &ONE.replace(
                "id: \"b\", module: \"a.wasm\"",
                "id: \"b\", module: \"b.wasm\", max_attempts: 9"
            )
        ),
        ["restart  agent root/s/b: max_attempts 3 -> 9, module \"a.wasm\" -> \"b.wasm\""]
    );
    assert_eq!(
        steps(ONE, &ONE.replace("Llm()", "Llm(models: [])")),
        ["restart  provider root/s/llm: config"]
    );
    assert_eq!(
        steps(ONE, &ONE.replace("Agent(id: \"w\",", "Agent(id: \"w\", max_attempts: 9,")),
        ["restart  template root/pool: max_attempts 3 -> 9"]
    );
    assert_eq!(
        steps(ONE, &ONE.replace("SimpleOneForOne,", "SimpleOneForOne, max_children: 7,")),
        ["change   supervisor root/pool: max_children null -> 7"]
    );
}

#[test]
fn values_that_may_be_secret_are_not_told() {
    let told = steps(ONE, &ONE.replace("hunter2", "hunter3"));
    assert_eq!(told, ["restart  agent root/s/a: settings"]);
}

#[test]
fn children_are_ended_before_others_are_started_and_order_is_a_change() {
    let new = r#"intensity: 3, children: [
        Supervisor(id: "s", children: [
            Agent(id: "b", module: "a.wasm"),
            Provider(id: "llm", use: Llm()),
            Agent(id: "c", module: "a.wasm")]),
        Supervisor(id: "new", children: [Agent(id: "d", module: "a.wasm")]),
    ]"#;
    assert_eq!(
        steps(ONE, new),
        [
            "change   supervisor root/s: children llm, b -> b, llm",
            "end      supervisor root/pool",
            "end      agent root/s/a",
            "start    agent root/s/c",
            "start    supervisor root/new",
        ]
    );
}

#[test]
fn what_cannot_be_changed_while_it_runs_is_refused_and_comes_first() {
    let refused = |new: &str| {
        let steps = steps(ONE, new);
        assert!(steps[0].starts_with("refuse"), "{steps:?}");
        steps[0].clone()
    };
    assert!(refused(&ONE.replace("strategy: SimpleOneForOne, ", "")).contains("SimpleOneForOne"));
    assert!(refused(&ONE.replace("use: Llm()", "use: Fs()")).contains("another id"));
    assert!(
        refused(
            &ONE.replace("Provider(id: \"llm\", use: Llm())", "Agent(id: \"llm\", module: \"x\")")
        )
        .contains("cannot become")
    );
    assert!(
        refused(&ONE.replace("use: Llm()", "use: Llm(), mailbox: (capacity: 9)"))
            .contains("mailbox")
    );
    let moved = ONE.replace(",\n        Agent(id: \"b\", module: \"a.wasm\")]", "]").replace(
        "intensity: 3, children: [",
        "intensity: 3, children: [Agent(id: \"b\", module: \"a.wasm\"),",
    );
    assert!(refused(&moved).contains("root/s/b"), "{}", refused(&moved));
    for fields in ["data: \"x\",", "lanes: 2,", "durability: Process,", "listen: \"127.0.0.1:1\","]
    {
        let steps = fleet::diff(&fleet("", ONE), &fleet(fields, ONE));
        assert_eq!(steps.len(), 1, "{fields}");
        assert!(steps[0].to_string().starts_with("refuse   fleet t: "), "{}", steps[0]);
    }
}

#[test]
fn the_operators_grants_count_at_once() {
    let new = fleet("operator: [(cap: \"store\")],", ONE);
    let told = fleet::diff(&fleet("", ONE), &new);
    assert_eq!(told.len(), 1);
    assert!(
        told[0].to_string().starts_with("change   operator @operator: operator"),
        "{}",
        told[0]
    );
}

/// A root with so many agents, every hundredth with other settings.
fn crowd(count: usize, max_attempts: u32) -> Fleet {
    let text = r#"Fleet(version: 1, name: "t", root: Supervisor(children: [
        Agent(id: "a", module: "m.wasm")]))"#;
    let (mut fleet, _) = fleet::parse(text, "t.ron", &[], &World).unwrap();
    let Some(Node::Agent(one)) = fleet.root.children.pop() else { panic!() };
    let agent = |n: usize| {
        let mut agent = one.clone();
        agent.id = format!("a{n}");
        if n.is_multiple_of(100) {
            agent.max_attempts = max_attempts;
        }
        Node::Agent(agent)
    };
    fleet.root.children = (0..count).map(agent).collect();
    fleet
}

#[test]
fn the_time_grows_with_the_children_and_not_with_their_square() {
    let time = |count: usize| {
        let (old, mut new) = (crowd(count, 3), crowd(count, 4));
        new.root.children.truncate(count - count / 10);
        let from = std::time::Instant::now();
        let steps = fleet::diff(&old, &new);
        let took = from.elapsed();
        assert_eq!(steps.len(), count / 10 + (count - count / 10) / 100);
        took.as_secs_f64()
    };
    let little = (0..3).map(|_| time(1_000)).fold(f64::MAX, f64::min);
    let ratio = time(32_000) / little;
    // 32 times the children: some 32 if the time is linear, more than 200 if it is not.
    assert!(ratio < 100.0, "{ratio}");
}
