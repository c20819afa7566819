//! SimpleOneForOne: dynamic instances of one template, stopped all at once.
#![allow(clippy::unwrap_used, missing_docs)]

mod machine_world;
use loket_supervision::machine::*;
use machine_world::*;

fn up(template: ChildSpec, names: &[&str]) -> World {
    let mut w = World::up(lenient(Strategy::SimpleOneForOne), vec![template]);
    for name in names {
        assert_eq!(w.code(Call::StartChild(child(name))), "ok");
    }
    w.log.clear();
    w.reports.clear();
    w
}

#[test]
fn it_starts_empty_and_instances_follow_the_template() {
    let template = ChildSpec { kind: Kind::Supervisor, ..transient("job") };
    let mut w = World::up(lenient(Strategy::SimpleOneForOne), vec![template.clone()]);
    assert_eq!((w.counts(), w.which().as_str()), ([1, 0, 0, 0], ""));
    assert_eq!(w.call(Call::StartChild(temporary("x"))), Answer::Started(Some(1)));
    assert_eq!(w.counts(), [1, 1, 1, 0]);
    let spec = Answer::Spec(ChildSpec { id: id("x"), ..template });
    assert_eq!(w.call(Call::GetChildSpec(id("x"))), spec);
    assert_eq!(w.code(Call::GetChildSpec(id("job"))), "not_found");
    assert_eq!(w.code(Call::StartChild(child(""))), "missing_id");
}

#[test]
fn only_the_instance_that_crashed_is_replaced() {
    let mut w = up(child("job"), &["x", "y", "z"]);
    w.exits("y", crash());
    assert_eq!((w.took().as_str(), w.which().as_str()), ("start y", "z:pid y:pid x:pid"));
}

#[test]
fn an_instance_that_ends_leaves_nothing() {
    for template in [transient("job"), temporary("job")] {
        let mut w = up(template, &["x", "y"]);
        w.exits("x", Exit::Normal);
        assert_eq!((w.which().as_str(), w.counts()), ("y:pid", [1, 1, 0, 1]));
    }
}

#[test]
fn the_api_of_instances() {
    let mut w = up(child("job"), &["x"]);
    assert_eq!(w.code(Call::StartChild(child("x"))), "already_started");
    assert_eq!(w.code(Call::RestartChild(id("x"))), "simple_one_for_one");
    assert_eq!(w.code(Call::DeleteChild(id("x"))), "simple_one_for_one");
    assert_eq!(w.code(Call::TerminateChild(id("nobody"))), "not_found");
    // Permanent or not, an instance that is terminated is gone.
    assert_eq!(w.code(Call::TerminateChild(id("x"))), "ok");
    assert_eq!(w.which(), "");
    // The next of that name is another life.
    assert_eq!(w.call(Call::StartChild(child("x"))), Answer::Started(Some(2)));
}

#[test]
fn a_life_that_is_over_need_not_be_ended_and_its_successor_is_left_alone() {
    let mut w = up(child("job"), &["x", "y"]);
    let life = |id_: &str, incarnation| Call::TerminateLife { id: id(id_), incarnation };
    w.exits("x", crash());
    w.took();
    assert_eq!(w.code(life("x", 1)), "ok");
    assert_eq!((w.took().as_str(), w.which().as_str()), ("", "y:pid x:pid"));
    for never in [life("x", 0), life("x", 3), life("y", 2), life("z", 1)] {
        assert_eq!(w.code(never), "not_found");
    }
    assert_eq!(w.code(life("x", 2)), "ok");
    assert_eq!((w.took().as_str(), w.which().as_str()), ("stop x", "y:pid"));
    assert_eq!(w.code(life("x", 2)), "ok");
}

#[test]
fn the_life_that_ended_means_the_restarting_child() {
    let mut w = up(child("job"), &["x"]);
    w.exits("x", crash());
    w.starts("x", &[Start::Fails]);
    w.ends("x", crash());
    while !matches!(w.state("x"), Some(ChildState::Restarting { .. })) {
        assert!(w.one());
    }
    let retry = w.queue.pop_front().unwrap();
    let life = |incarnation| Call::TerminateLife { id: id("x"), incarnation };
    assert_eq!((w.code(life(1)), w.which().as_str()), ("ok", "x:restarting"), "long over");
    assert_eq!((w.code(life(2)), w.which().as_str()), ("ok", ""));
    w.feed(retry);
    w.run();
    assert_eq!(w.which(), "");
}

#[test]
fn what_was_started_as_temporary_stays_it_whatever_becomes_of_the_template() {
    let mut w = up(temporary("job"), &["x"]);
    let flags = lenient(Strategy::SimpleOneForOne);
    let change = Change { flags, children: vec![child("job")] };
    assert_eq!(w.code(Call::Change(change)), "ok");
    assert_eq!(w.code(Call::StartChild(child("y"))), "ok");
    w.took();
    w.exits("x", crash());
    w.exits("y", crash());
    assert_eq!((w.took().as_str(), w.which().as_str()), ("start y", "y:pid"));
}

#[test]
fn a_start_that_fails_or_is_ignored_keeps_nothing() {
    for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
        let mut w = up(ChildSpec { restart, ..child("job") }, &["x"]);
        w.starts("y", &[Start::Fails, Start::Ignores]);
        assert_eq!(w.code(Call::StartChild(child("y"))), "start_failed");
        assert_eq!(w.call(Call::StartChild(child("y"))), Answer::Started(None));
        assert_eq!((w.which().as_str(), w.counts()), ("x:pid", [1, 1, 0, 1]));
    }
}

#[test]
fn a_restart_that_is_ignored_drops_the_instance() {
    let mut w = up(child("job"), &["x"]);
    w.starts("x", &[Start::Ignores]);
    w.exits("x", crash());
    assert_eq!(w.which(), "");
    w.stop();
    assert_eq!(w.took(), "start x, exit shutdown");
}

#[test]
fn terminating_a_restarting_instance_keeps_the_count_right() {
    // OTP itself counts active -1 here.
    let mut w = up(child("job"), &["x"]);
    w.starts("x", &[Start::Fails]);
    w.ends("x", crash());
    while !matches!(w.state("x"), Some(ChildState::Restarting { .. })) {
        assert!(w.one());
    }
    let retry = w.queue.pop_front().unwrap();
    assert_eq!(w.counts(), [1, 0, 0, 1]);
    assert_eq!(w.code(Call::StartChild(child("x"))), "already_present");
    assert_eq!(w.code(Call::TerminateChild(id("x"))), "ok");
    assert_eq!(w.counts(), [1, 0, 0, 0]);
    w.feed(retry);
    w.run();
    assert_eq!((w.took().as_str(), w.counts()), ("start x", [1, 0, 0, 0]));
}

#[test]
fn a_failing_restart_ends_all_when_the_intensity_is_spent() {
    let flags = Flags { intensity: 2, ..lenient(Strategy::SimpleOneForOne) };
    let mut w = World::up(flags, vec![child("job")]);
    w.call(Call::StartChild(child("x")));
    w.call(Call::StartChild(child("y")));
    w.starts("x", &[Start::Fails; 9]);
    w.log.clear();
    w.exits("x", crash());
    assert_eq!(w.took(), "start x, start x, stop y, exit escalated");
}

#[test]
fn the_stop_asks_all_at_once_and_kills_the_rest_after_one_shutdown_time() {
    let template = ChildSpec { shutdown: Shutdown::Timeout(1_000), ..child("job") };
    let mut w = up(template, &["x", "y", "z"]);
    w.stubborn.extend(["x".into(), "z".into()]);
    w.stop();
    assert_eq!(w.took(), "stop z, stop y, stop x");
    assert_eq!(w.sup.phase(), Phase::Stopping);
    w.pass(999);
    assert_eq!(w.took(), "");
    w.pass(1);
    assert_eq!(w.took(), "kill z, kill x, exit shutdown");
    assert_eq!(w.contexts(), [Context::ShutdownError; 2]);
    assert_eq!(w.sup.phase(), Phase::Ended);
}

#[test]
fn brutal_kill_of_all() {
    let template = ChildSpec { shutdown: Shutdown::BrutalKill, ..child("job") };
    let mut w = up(template, &["x", "y"]);
    w.stop();
    assert_eq!((w.took().as_str(), w.reports.len()), ("kill y, kill x, exit shutdown", 0));
}

#[test]
fn ten_thousand_crash_at_once_and_all_come_back() {
    let names: Vec<String> = (0..10_000).map(|n| format!("job{n}")).collect();
    let mut w = up(child("job"), &names.iter().map(String::as_str).collect::<Vec<_>>());
    for name in &names {
        w.ends(name, Exit::Killed);
    }
    w.run();
    assert_eq!(w.counts(), [1, 10_000, 0, 10_000]);
    assert!(w.sup.children().all(|view| view.incarnation == Some(2) && view.restarts == 1));
}

#[test]
fn max_children() {
    let flags = Flags { max_children: Some(2), ..lenient(Strategy::SimpleOneForOne) };
    let mut w = World::up(flags, vec![temporary("job")]);
    w.call(Call::StartChild(child("x")));
    w.call(Call::StartChild(child("y")));
    let full = Answer::Error(ApiError::MaxChildren(2));
    assert_eq!(w.call(Call::StartChild(child("z"))), full);
    w.exits("x", Exit::Normal);
    assert_eq!(w.code(Call::StartChild(child("z"))), "ok");
}

#[test]
fn the_template_can_change_but_not_its_number_nor_the_strategy() {
    let mut w = up(child("job"), &["x"]);
    let flags = lenient(Strategy::SimpleOneForOne);
    let mut change =
        |flags: &Flags, children| w.code(Call::Change(Change { flags: flags.clone(), children }));
    assert_eq!(change(&flags, vec![]), "bad_start_spec");
    assert_eq!(change(&flags, vec![child("a"), child("b")]), "bad_start_spec");
    assert_eq!(change(&lenient(Strategy::OneForOne), vec![child("a")]), "simple_change");
    assert_eq!(change(&flags, vec![temporary("job")]), "ok");
    w.exits("x", crash());
    assert_eq!((w.took().as_str(), w.which().as_str()), ("", ""));
}
