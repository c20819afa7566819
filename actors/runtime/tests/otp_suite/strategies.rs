//! Which children are restarted when one crashes, and what becomes of a restart that fails.

use crate::stage::*;
use loket_runtime::ChildKind;
use loket_supervision::machine::*;
use std::sync::{Arc, Weak};

fn up(flags: Flags, names: &[&str]) -> Stage {
    Stage::up(flags, names.iter().map(|name| worker(name)).collect())
}

fn simple(flags: Flags, template: loket_runtime::NodeSpec, names: &[&str]) -> Stage {
    let stage = Stage::up(flags, vec![template]);
    for name in names {
        assert_eq!(stage.instance(name), Ok(Some(1)));
    }
    stage.took();
    stage
}

#[test]
fn one_for_one() {
    let stage = up(strict(Strategy::OneForOne, 2), &["a", "b"]);
    let b = stage.place("b");
    stage.exits("a", crash());
    assert_eq!((stage.inc("a"), stage.inc("b"), stage.took().as_str()), (2, 1, "start a"));
    stage.exits("a", crash());
    assert_eq!((stage.inc("a"), stage.inc("b")), (3, 1));
    stage.exits("b", crash());
    assert_eq!(stage.gone("sup"), "shutdown");
    assert_eq!((b.last_exit(), stage.took().as_str()), (Some(crash()), "start a, stop a"));
}

#[test]
fn one_for_one_escalation() {
    let stage = up(strict(Strategy::OneForOne, 4), &["a", "b"]);
    let b = stage.place("b");
    stage.fails_always("a");
    stage.exits("a", crash());
    assert_eq!(stage.gone("sup"), "shutdown");
    assert_eq!(stage.took(), "start a, start a, start a, start a, stop b");
    assert_eq!(b.last_exit(), Some(Exit::Shutdown));
}

#[test]
fn one_for_all() {
    let stage = up(strict(Strategy::OneForAll, 2), &["a", "b"]);
    stage.exits("a", crash());
    assert_eq!((stage.inc("a"), stage.inc("b")), (2, 2));
    assert_eq!(stage.took(), "stop b, start a, start b");
    stage.exits("b", crash());
    assert_eq!((stage.inc("a"), stage.inc("b")), (3, 3));
    assert_eq!(stage.took(), "stop a, start a, start b");
    stage.exits("a", crash());
    assert_eq!((stage.gone("sup").as_str(), stage.took().as_str()), ("shutdown", "stop b"));
}

#[test]
fn one_for_all_escalation() {
    let stage = up(strict(Strategy::OneForAll, 4), &["a", "b"]);
    stage.fails_always("b");
    stage.exits("a", crash());
    assert_eq!(stage.gone("sup"), "shutdown");
    let log = stage.took();
    assert_eq!(log.matches("start b").count(), 4, "{log}");
    assert_eq!((log.matches("start a").count(), log.matches("stop a").count()), (4, 4), "{log}");
}

#[test]
fn one_for_all_other_child_fails_restart() {
    let stage = up(strict(Strategy::OneForAll, 3), &["a", "b"]);
    stage.starts("b", [Start::Fails("not yet")]);
    stage.exits("a", crash());
    stage.poll("both up", || stage.life("b") == Some((3, ChildState::Running)));
    assert_eq!(stage.took(), "stop b, start a, start b, stop a, start a, start b");
    assert_eq!(stage.inc("a"), 3);
    assert_eq!(stage.stop_sup(), "shutdown");
    assert_eq!(stage.took(), "stop b, stop a");
}

#[test]
fn simple_one_for_one() {
    let flags = strict(Strategy::SimpleOneForOne, 2);
    let stage = simple(flags, worker("job"), &["x", "y"]);
    stage.exits("x", crash());
    assert_eq!((stage.inc("x"), stage.inc("y"), stage.took().as_str()), (2, 1, "start x"));
    stage.exits("y", crash());
    stage.exits("y", crash());
    assert_eq!(
        (stage.gone("sup").as_str(), stage.took().as_str()),
        ("shutdown", "start y, stop x")
    );
}

#[test]
fn simple_one_for_one_shutdown() {
    let template = with("job", |spec| spec.shutdown = Shutdown::Timeout(1_000));
    let names = ["v", "w", "x", "y", "z"];
    let stage = simple(lenient(Strategy::SimpleOneForOne), template, &names);
    names.iter().for_each(|name| stage.at_stop(name, AtStop::Deaf));
    let places = names.map(|name| stage.place(name));
    let stopping = stage.root().terminate_child("sup");
    names.iter().for_each(|name| stage.until(&format!("stop {name}")));
    // One shutdown time for all of them.
    stage.clock.advance(1_000);
    assert_eq!(wait(stopping), Ok(()));
    assert!(places.iter().all(|place| place.last_exit() == Some(Exit::Killed)));
}

#[test]
fn simple_one_for_one_escalation() {
    let stage = simple(strict(Strategy::SimpleOneForOne, 4), worker("job"), &["x", "y"]);
    stage.fails_always("x");
    stage.exits("x", crash());
    assert_eq!(stage.gone("sup"), "shutdown");
    assert_eq!(stage.took(), "start x, start x, start x, start x, stop y");
}

/// What instances are made of is held by nobody but themselves, before and after one of them ended.
#[test]
fn simple_one_for_one_corruption() {
    let template = of("job", Restart::Temporary);
    let stage = simple(lenient(Strategy::SimpleOneForOne), template, &[]);
    let start = |name: &str| -> Weak<ChildKind> {
        let mut child = instance(name);
        child.kind = kind(7);
        let weak = Arc::downgrade(&child.kind);
        wait(stage.sup().start_instance(child)).unwrap();
        weak
    };
    assert!(start("x").upgrade().is_none());
    stage.exits("x", crash());
    assert!(start("y").upgrade().is_none());
    assert_eq!(stage.which(&stage.sup()), "y:pid");
}

#[test]
fn simple_one_for_one_restart_ignore() {
    let stage = simple(lenient(Strategy::SimpleOneForOne), worker("job"), &["x"]);
    stage.starts("x", [Start::Ignores]);
    stage.exits("x", crash());
    stage.poll("x dropped", || stage.which(&stage.sup()).is_empty());
    assert_eq!(stage.stop_sup(), "shutdown");
}

#[test]
fn rest_for_one() {
    let stage = up(strict(Strategy::RestForOne, 2), &["a", "b", "c"]);
    stage.exits("b", crash());
    assert_eq!(["a", "b", "c"].map(|name| stage.inc(name)), [1, 2, 2]);
    assert_eq!(stage.took(), "stop c, start b, start c");
    stage.exits("c", crash());
    assert_eq!(["a", "b", "c"].map(|name| stage.inc(name)), [1, 2, 3]);
    stage.exits("a", crash());
    assert_eq!(stage.gone("sup"), "shutdown");
    assert_eq!(stage.took(), "start c, stop c, stop b");
}

#[test]
fn rest_for_one_escalation() {
    let stage = up(strict(Strategy::RestForOne, 4), &["a", "b"]);
    stage.fails_always("b");
    stage.exits("a", crash());
    assert_eq!(stage.gone("sup"), "shutdown");
    assert_eq!(stage.took(), "stop b, start a, start b, start b, start b, start b, stop a");
}

#[test]
fn rest_for_one_other_child_fails_restart() {
    let stage = up(strict(Strategy::RestForOne, 3), &["a", "b"]);
    stage.starts("b", [Start::Fails("not yet")]);
    stage.exits("a", crash());
    stage.poll("both up", || stage.life("b") == Some((3, ChildState::Running)));
    assert_eq!(stage.took(), "stop b, start a, start b, start b");
    assert_eq!(stage.inc("a"), 2, "the earlier one stayed");
}
