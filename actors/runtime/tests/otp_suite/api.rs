//! The API: children that are started, stopped, restarted and forgotten by calls.

use crate::stage::*;
use loket_runtime::NodeSpec;
use loket_supervision::machine::*;

#[test]
fn child_adm() {
    let stage = Stage::up(lenient(Strategy::OneForOne), vec![]);
    let sup = stage.sup();
    assert_eq!(stage.counts(), [0, 0, 0, 0]);
    assert_eq!(wait(sup.start_child(worker("a"))), Ok(Some(1)));
    assert_eq!((stage.which(&sup).as_str(), stage.counts()), ("a:pid", [1, 1, 0, 1]));
    let again = wait(sup.start_child(worker("a")));
    assert_eq!(again, Err(ApiError::AlreadyStarted(1).into()));
    assert_eq!(code(wait(sup.restart_child("a"))), "running");
    assert_eq!(code(wait(sup.delete_child("a"))), "running");
    assert_eq!(stage.inc("a"), 1, "nothing of that touched it");

    assert_eq!(wait(sup.terminate_child("a")), Ok(()));
    assert_eq!((stage.which(&sup).as_str(), stage.counts()), ("a:undefined", [1, 0, 0, 1]));
    assert_eq!(wait(sup.terminate_child("a")), Ok(()), "twice is no error");
    assert_eq!(code(wait(sup.start_child(worker("a")))), "already_present");
    assert_eq!(wait(sup.restart_child("a")), Ok(Some(2)));
    assert_eq!(code(wait(sup.restart_child("a"))), "running");

    assert_eq!(wait(sup.terminate_child("a")), Ok(()));
    assert_eq!(wait(sup.delete_child("a")), Ok(()));
    assert_eq!((stage.which(&sup).as_str(), stage.counts()), ("", [0, 0, 0, 0]));
    for answer in [
        code(wait(sup.terminate_child("a"))),
        code(wait(sup.restart_child("a"))),
        code(wait(sup.delete_child("a"))),
        code(wait(sup.childspec("a"))),
        code(wait(sup.which_child("a"))),
        // By a life instead of a name: one that there never was.
        code(wait(sup.terminate_life("nobody", 7))),
    ] {
        assert_eq!(answer, "not_found");
    }
    assert_eq!(stage.took(), "start a, stop a, start a, stop a");
    assert_eq!(wait(sup.start_child(worker("a"))), Ok(Some(3)), "a life of its own");
    assert_eq!(stage.stop_sup(), "shutdown");
}

#[test]
fn child_adm_simple() {
    let template = with("job", |spec| spec.restart = Restart::Transient);
    let stage = Stage::up(lenient(Strategy::SimpleOneForOne), vec![template]);
    let sup = stage.sup();
    assert_eq!(stage.counts(), [1, 0, 0, 0]);
    assert_eq!(stage.instance("x"), Ok(Some(1)));
    assert_eq!(stage.instance("y"), Ok(Some(1)));
    assert_eq!((stage.which(&sup).as_str(), stage.counts()), ("y:pid x:pid", [1, 2, 0, 2]));
    for id in ["x", "job"] {
        assert_eq!(code(wait(sup.restart_child(id))), "simple_one_for_one");
        assert_eq!(code(wait(sup.delete_child(id))), "simple_one_for_one");
    }
    assert_eq!(code(wait(sup.start_child(worker("z")))), "simple_one_for_one");
    assert_eq!(code(wait(stage.root().start_instance(instance("z")))), "not_dynamic");

    // A life that is over is no error, a stranger is not found, and neither touches anybody.
    stage.exits("x", crash());
    assert_eq!(wait(sup.terminate_life("x", 1)), Ok(()));
    assert_eq!(stage.inc("x"), 2);
    wait(stage.root().start_child(worker("stranger"))).unwrap();
    assert_eq!(code(wait(sup.terminate_life("stranger", 1))), "not_found");
    assert_eq!(code(wait(sup.terminate_child("stranger"))), "not_found");
    assert_eq!(stage.inc("stranger"), 1);

    assert_eq!(wait(sup.terminate_life("x", 2)), Ok(()));
    assert_eq!(wait(sup.terminate_life("x", 2)), Ok(()), "twice is no error");
    assert_eq!((stage.which(&sup).as_str(), stage.counts()), ("y:pid", [1, 1, 0, 1]));
    assert_eq!(stage.stop_sup(), "shutdown");
}

#[test]
fn code_change() {
    let stage = Stage::up(strict(Strategy::OneForOne, 1), vec![worker("a"), worker("b")]);
    let sup = stage.sup();
    let change = |flags, children: Vec<NodeSpec>| code(wait(sup.change(flags, children)));
    // Refused as a whole.
    let bad = Flags { period_ms: 0, ..strict(Strategy::OneForOne, 1) };
    assert_eq!(change(bad, vec![]), "invalid_period");
    let twice = vec![worker("c"), worker("c")];
    assert_eq!(change(strict(Strategy::OneForOne, 1), twice), "duplicate_child_name");
    assert_eq!(change(strict(Strategy::SimpleOneForOne, 1), vec![worker("c")]), "simple_change");
    let never = vec![significant("a", Restart::Transient)];
    assert_eq!(change(strict(Strategy::OneForOne, 1), never), "bad_combination");
    assert_eq!(stage.which(&sup), "b:pid a:pid");

    // New ones are there but not started, removed ones are kept, running ones run on.
    let flags = strict(Strategy::OneForOne, 2);
    assert_eq!(change(flags, vec![of("b", Restart::Transient), worker("c")]), "ok");
    assert_eq!(stage.which(&sup), "a:pid c:undefined b:pid");
    assert_eq!((stage.inc("a"), stage.inc("b"), stage.took().as_str()), (1, 1, ""));
    assert_eq!(wait(sup.childspec("b")).unwrap().restart, Restart::Transient);
    assert_eq!(wait(sup.restart_child("c")), Ok(Some(1)));

    // The new flags and specs count.
    stage.exits("b", Exit::Normal);
    assert_eq!(stage.which(&sup), "a:pid c:pid b:undefined");
    stage.exits("a", crash());
    stage.exits("a", crash());
    assert_eq!(stage.inc("a"), 3, "two restarts are allowed now");
    stage.exits("c", crash());
    assert_eq!(stage.gone("sup"), "shutdown");
}

#[test]
fn code_change_map() {
    let stage = Stage::up(lenient(Strategy::OneForOne), vec![]);
    let lower = |children| sub("lower", strict(Strategy::OneForAll, 0), children);
    wait(stage.sup().start_child(lower(vec![worker("a"), worker("b")]))).unwrap();
    let handle = stage.handle("lower");
    stage.took();
    // Ids in another order, another strategy, one new, one not named any more.
    let flags = strict(Strategy::RestForOne, 3);
    let children = vec![worker("n"), of("b", Restart::Transient)];
    assert_eq!(wait(handle.change(flags, children)), Ok(()));
    assert_eq!((stage.which(&handle).as_str(), stage.took().as_str()), (ORDER, ""));
    stage.exits("b", crash());
    assert_eq!(stage.took(), "stop a, start b, start a", "RestForOne, in the new order");
    // It outlives the supervisor: the next life starts what is named, and nobody else.
    stage.kills("lower");
    assert_eq!((stage.which(&handle).as_str(), stage.took().as_str()), (AFTER, "start n, start b"));
    assert_eq!(wait(handle.childspec("b")).unwrap().restart, Restart::Transient);
    assert!(stage.runtime.node().registry().find("a").is_none(), "its name is free");
    assert!(stage.inc("b") > 2, "no life is counted twice");
}

const ORDER: &str = "a:pid b:pid n:undefined";
const AFTER: &str = "b:pid n:pid";

#[test]
fn code_change_simple() {
    let flags = || lenient(Strategy::SimpleOneForOne);
    let stage = Stage::up(flags(), vec![worker("job")]);
    stage.instance("x").unwrap();
    let change = |flags, children: Vec<NodeSpec>| code(wait(stage.sup().change(flags, children)));
    assert_eq!(change(flags(), vec![]), "bad_start_spec");
    assert_eq!(change(flags(), vec![worker("job"), worker("more")]), "bad_start_spec");
    assert_eq!(change(lenient(Strategy::OneForOne), vec![worker("job")]), "simple_change");
    assert_eq!(change(flags(), vec![of("job", Restart::Transient)]), "ok");
    assert_eq!(stage.inc("x"), 1, "it runs on");
    // The new spec counts for those that run and those that come.
    stage.instance("y").unwrap();
    stage.exits("x", Exit::Normal);
    stage.exits("y", crash());
    assert_eq!((stage.which(&stage.sup()).as_str(), stage.inc("y")), ("y:pid", 2));
}

#[test]
fn code_change_simple_map() {
    let stage = Stage::up(strict(Strategy::SimpleOneForOne, 0), vec![worker("job")]);
    stage.instance("x").unwrap();
    // Flags change too; under another id the template is still the one template.
    let flags = Flags { max_children: Some(2), ..strict(Strategy::SimpleOneForOne, 1) };
    let template = with("task", |spec| spec.shutdown = Shutdown::BrutalKill);
    assert_eq!(wait(stage.sup().change(flags, vec![template])), Ok(()));
    assert_eq!(wait(stage.sup().childspec("x")).unwrap().shutdown, Shutdown::BrutalKill);
    assert_eq!(stage.instance("y"), Ok(Some(1)));
    assert_eq!(stage.instance("z"), Err(ApiError::MaxChildren(2).into()));
    stage.exits("x", crash());
    assert_eq!((stage.inc("x"), stage.lives()), (2, true));
    stage.exits("x", crash());
    assert_eq!(stage.gone("sup"), "shutdown");
}

/// OTP's tuples leave out what is significant; what does not compile here is a finding of `check` in a fleet file.
#[test]
fn child_specs() {
    let stage = Stage::new();
    let refused = |children| code(stage.start(Flags::default(), children));
    assert_eq!(refused(vec![worker("")]), "missing_id");
    assert_eq!(refused(vec![worker("a"), worker("a")]), "duplicate_child_name");
    let simple = || lenient(Strategy::SimpleOneForOne);
    for children in [vec![], vec![worker("a"), worker("b")]] {
        assert_eq!(code(stage.start(simple(), children)), "bad_start_spec");
    }
    let lower = sub("s", Flags::default(), vec![]);
    assert_eq!(code(stage.start(simple(), vec![lower])), "bad_template");
    assert_eq!(stage.took(), "", "nothing of that ran");

    stage.start(Flags::default(), vec![]).unwrap();
    let sup = stage.sup();
    let shutdowns = [Shutdown::BrutalKill, Shutdown::Timeout(0), Shutdown::Timeout(1)];
    let mut count = 0;
    for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
        for shutdown in shutdowns.into_iter().chain([Shutdown::Infinity]) {
            let change = |spec: &mut ChildSpec| (spec.restart, spec.shutdown) = (restart, shutdown);
            count += 1;
            let child = with(&format!("w{count}"), change);
            assert_eq!(wait(sup.start_child(child)), Ok(Some(1)), "{restart:?} {shutdown:?}");
            let mut lower = node_of(&format!("s{count}"), Flags::default(), vec![]);
            change(&mut lower.spec);
            let lower = NodeSpec::Supervisor(lower);
            assert_eq!(wait(sup.start_child(lower)), Ok(Some(1)), "{restart:?} {shutdown:?}");
        }
    }
    assert_eq!(stage.counts(), [24, 24, 12, 12]);
}

#[test]
fn child_specs_map() {
    use AutoShutdown::{AllSignificant, AnySignificant, Never};
    for mode in [Never, AnySignificant, AllSignificant] {
        let flags = Flags { auto_shutdown: mode, ..Flags::default() };
        let stage = Stage::up(flags.clone(), vec![]);
        for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
            let possible = mode != Never && restart != Restart::Permanent;
            let wanted = if possible { "ok" } else { "bad_combination" };
            let child = significant("a", restart);
            assert_eq!(code(wait(stage.sup().start_child(child.clone()))), wanted);
            let other = Stage::new();
            assert_eq!(code(other.start(flags.clone(), vec![child])), wanted);
            if possible {
                wait(stage.sup().terminate_child("a")).unwrap();
                let _ = wait(stage.sup().delete_child("a"));
            }
            assert!(wait(stage.sup().start_child(of("b", restart))).is_ok());
            wait(stage.sup().terminate_child("b")).unwrap();
            let _ = wait(stage.sup().delete_child("b"));
        }
    }
}

/// Unknown flags do not compile here; in a fleet file they are findings of `check`.
#[test]
fn sup_flags() {
    let stage = Stage::new();
    let seconds = Flags { window: Window::OtpSeconds, period_ms: 1_500, ..Flags::default() };
    let auto =
        Flags { auto_shutdown: AutoShutdown::AnySignificant, ..lenient(Strategy::SimpleOneForOne) };
    for (flags, why) in [
        (Flags { period_ms: 0, ..Flags::default() }, "invalid_period"),
        (seconds, "invalid_period"),
        (auto, "bad_combination"),
        (Flags { max_children: Some(0), ..Flags::default() }, "invalid_max_children"),
    ] {
        assert_eq!(code(stage.start(flags, vec![worker("a")])), why);
    }
    assert_eq!(stage.took(), "");
    let strategies = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];
    for strategy in strategies.into_iter().chain([Strategy::SimpleOneForOne]) {
        for (intensity, period_ms) in [(0, 1), (u32::MAX, u64::MAX)] {
            let flags = Flags { strategy, intensity, period_ms, ..Flags::default() };
            assert!(matches!(stage.start(flags, vec![worker("a")]), Ok(Some(_))));
            stage.stop_sup();
        }
    }
}

#[test]
fn multiple_restarts() {
    let stage = Stage::up(strict(Strategy::OneForOne, 1), vec![worker("a")]);
    for lives in 2..12 {
        stage.exits("a", crash());
        assert_eq!(stage.inc("a"), lives);
        // One millisecond more than the period of 5 s.
        stage.clock.advance(5_001);
    }
    stage.exits("a", crash());
    stage.clock.advance(5_000);
    stage.exits("a", crash());
    assert_eq!(stage.gone("sup"), "shutdown");
}
