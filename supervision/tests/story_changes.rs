//! The story of children that were moved, reordered, or ended while others went on. The reports are those of real machines.
#![allow(clippy::unwrap_used, missing_docs)]

mod machine_world;

use loket_supervision::machine::*;
use loket_supervision::story::{Row, why};
use machine_world::*;

/// Supervisors beside each other, and what they have reported, in order of time.
#[derive(Default)]
struct Tree {
    rows: Vec<Row>,
}

impl Tree {
    fn take(&mut self, name: &str, strategy: Strategy, world: &mut World) {
        let reports = std::mem::take(&mut world.reports);
        self.rows.extend(reports.into_iter().map(|report| Row {
            boot: 1,
            at_ms: 0,
            supervisor: name.into(),
            strategy,
            report,
        }));
    }

    fn why(&self, child: &str, running: bool) -> Vec<String> {
        why(&self.rows, child, running).links.into_iter().map(|link| link.text).collect()
    }
}

fn change(strategy: Strategy, ids: &[&str]) -> Call {
    let children = ids.iter().map(|id| child(id)).collect();
    Call::Change(Change { flags: lenient(strategy), children })
}

/// What a world reports when it starts.
fn up(strategy: Strategy, children: Vec<ChildSpec>) -> World {
    let mut world = World::new(lenient(strategy), children);
    world.feed(Event::Start);
    world.run();
    world
}

#[test]
fn the_group_is_that_of_the_present_order() {
    let mut tree = Tree::default();
    let mut g = up(Strategy::OneForOne, ["a", "b", "c"].map(child).to_vec());
    g.call(change(Strategy::RestForOne, &["c", "b", "a"]));
    g.exits("b", crash());
    tree.take("g", Strategy::RestForOne, &mut g);
    let b = "b ends (incarnation 1): ".to_owned() + &crash().to_string();
    assert_eq!(
        tree.why("a", true),
        [&*b, "a is stopped with its group: g is RestForOne", "g starts a again, incarnation 2"]
    );
    assert_eq!(tree.why("c", true), [""; 0], "it comes before b now");
}

#[test]
fn a_child_that_was_moved_is_of_its_new_group_only() {
    let mut tree = Tree::default();
    let all = Strategy::OneForAll;
    let mut s1 = up(all, ["m", "n"].map(child).to_vec());
    let mut s2 = up(all, vec![child("o")]);
    tree.take("s1", all, &mut s1);
    tree.take("s2", all, &mut s2);
    s1.call(Call::TerminateChild(id("m")));
    s1.call(Call::DeleteChild(id("m")));
    tree.take("s1", all, &mut s1);
    s2.sup.seed_incarnation(id("m"), 1);
    s2.call(Call::StartChild(child("m")));
    tree.take("s2", all, &mut s2);
    s1.exits("n", crash());
    tree.take("s1", all, &mut s1);
    let moved = [
        "m is stopped as asked, by a reload or by hand (incarnation 1)",
        "s2 starts m again, incarnation 2",
    ];
    assert_eq!(tree.why("m", true), moved);
    s2.exits("o", crash());
    tree.take("s2", all, &mut s2);
    let told = tree.why("m", true);
    let last = &told[told.len() - 2..];
    assert_eq!(
        last,
        ["m is stopped with its group: s2 is OneForAll", "s2 starts m again, incarnation 3"]
    );
    assert!(told[0].starts_with("o ends (incarnation 1)"), "{told:?}");
}

#[test]
fn who_ended_long_ago_ended_by_itself() {
    let mut tree = Tree::default();
    let all = Strategy::OneForAll;
    let mut g = up(all, vec![child("a"), temporary("once"), transient("done")]);
    g.exits("once", Exit::Killed);
    g.exits("a", crash());
    g.exits("a", crash());
    tree.take("g", all, &mut g);
    assert_eq!(
        tree.why("once", false),
        ["once ends (incarnation 1): killed", "once is Temporary: it is not started again"]
    );
}

#[test]
fn a_temporary_child_that_went_with_its_group_is_told_of() {
    let mut tree = Tree::default();
    let all = Strategy::OneForAll;
    let mut g = up(all, vec![child("a"), temporary("once"), child("b")]);
    g.exits("a", Exit::Killed);
    g.exits("b", Exit::Killed);
    tree.take("g", all, &mut g);
    assert_eq!(
        tree.why("once", false),
        [
            "a ends (incarnation 1): killed",
            "once is stopped with its group: g is OneForAll",
            "once is Temporary: it is not started again"
        ]
    );
}

/// A child whose restart waits for five seconds.
fn slow(id: &str) -> ChildSpec {
    let backoff = Backoff {
        first: First::Ms(5_000),
        min_ms: 5_000,
        max_ms: 5_000,
        factor: 1.0,
        jitter: 0.0,
        reset_after_ms: 60_000,
    };
    ChildSpec { backoff: Some(backoff), ..child(id) }
}

#[test]
fn who_was_down_already_was_not_taken_along() {
    let mut tree = Tree::default();
    let all = Strategy::OneForAll;
    let mut g = up(all, vec![slow("a"), slow("b"), child("c")]);
    g.exits("a", Exit::Killed);
    g.exits("b", Exit::Killed);
    tree.take("g", all, &mut g);
    assert_eq!(tree.why("a", false), ["a ends (incarnation 1): killed"]);
    assert_eq!(tree.why("b", false), ["b ends (incarnation 1): killed"]);
    assert_eq!(tree.why("c", true), [""; 0], "nobody is restarted yet");
}

#[test]
fn who_waits_for_a_sibling_that_does_not_start_is_told_so() {
    let mut tree = Tree::default();
    let rest = Strategy::RestForOne;
    let b = slow("b");
    let mut g = up(rest, vec![child("a"), b, child("c")]);
    g.starts("b", &[Start::Fails]);
    g.exits("a", Exit::Killed);
    tree.take("g", rest, &mut g);
    let told = tree.why("c", false);
    assert_eq!(told[0], "a ends (incarnation 1): killed", "{told:?}");
    assert!(told[1].starts_with("b does not start: "), "{told:?}");
    assert_eq!(told[2..], ["c is stopped with its group: g is RestForOne"]);
    assert_eq!(tree.why("a", true).len(), 2, "{:?}", tree.why("a", true));
}

#[test]
fn rows_without_the_new_field_are_read_and_crashes_told() {
    let mut tree = Tree::default();
    let one = Strategy::OneForOne;
    let mut g = up(one, vec![child("a")]);
    g.exits("a", Exit::Killed);
    tree.take("g", one, &mut g);
    let mut old = serde_json::to_value(&tree.rows).unwrap();
    for row in old.as_array_mut().unwrap() {
        row["report"].as_object_mut().unwrap().remove("because");
    }
    tree.rows = serde_json::from_value(old).unwrap();
    assert!(tree.rows.iter().all(|row| row.report.because.is_none()));
    assert_eq!(
        tree.why("a", true),
        ["a ends (incarnation 1): killed", "g starts a again, incarnation 2"]
    );
}
