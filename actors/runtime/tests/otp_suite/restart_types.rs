//! Which exits lead to a restart, for each restart type; and trees of supervisors.

use crate::stage::*;
use crate::watch_log;
use loket_supervision::machine::*;
use tracing::Level;

#[test]
fn external_start_no_progress_log() {
    let seen = watch_log::of("external start");
    let stage = Stage::up(Flags::default(), vec![worker("first start")]);
    wait(stage.sup().start_child(worker("external start"))).unwrap();
    let row = |name| {
        let rows = stage.rows(name);
        rows.into_iter().find(|row| row.report.context == Context::Progress).unwrap().report
    };
    assert_eq!((row("first start").dynamic, row("external start").dynamic), (false, true));
    let levels = seen.levels();
    assert!(!levels.is_empty(), "it is told");
    assert!(levels.iter().all(|level| *level > Level::INFO), "but to nobody who did not ask");
}

/// After each of these exits: what is left of the child, and whether it lives again.
fn after(restart: Restart, reasons: &[Exit], left: &str, lives: u64) {
    for reason in reasons {
        let stage = Stage::up(lenient(Strategy::OneForOne), vec![of("a", restart), worker("b")]);
        stage.exits("a", reason.clone());
        let which = stage.which(&stage.sup());
        assert_eq!((which.as_str(), stage.inc("a")), (left, lives), "{restart:?} after {reason}");
        assert_eq!(stage.inc("b"), 1);
        assert_eq!(stage.stop_sup(), "shutdown");
    }
}

fn orderly() -> [Exit; 2] {
    [Exit::Shutdown, term()]
}

fn abnormal() -> [Exit; 4] {
    [crash(), Exit::Killed, Exit::Hung, Exit::NoProc]
}

#[test]
fn permanent_normal() {
    after(Restart::Permanent, &[Exit::Normal], "b:pid a:pid", 2);
}

#[test]
fn transient_normal() {
    after(Restart::Transient, &[Exit::Normal], "b:pid a:undefined", 0);
}

#[test]
fn temporary_normal() {
    after(Restart::Temporary, &[Exit::Normal], "b:pid", 0);
}

#[test]
fn permanent_shutdown() {
    after(Restart::Permanent, &orderly(), "b:pid a:pid", 2);
}

#[test]
fn transient_shutdown() {
    after(Restart::Transient, &orderly(), "b:pid a:undefined", 0);
}

#[test]
fn temporary_shutdown() {
    after(Restart::Temporary, &orderly(), "b:pid", 0);
}

#[test]
fn permanent_abnormal() {
    after(Restart::Permanent, &abnormal(), "b:pid a:pid", 2);
}

#[test]
fn transient_abnormal() {
    after(Restart::Transient, &abnormal(), "b:pid a:pid", 2);
}

#[test]
fn temporary_abnormal() {
    after(Restart::Temporary, &abnormal(), "b:pid", 0);
}

/// The node is the application: its start tells where it failed, through all supervisors.
#[test]
fn faulty_application_shutdown() {
    let cast = Cast::default();
    cast.starts("bad", [Start::Panics("no such table")]);
    let middle = sub("middle", Flags::default(), vec![worker("ok"), worker("bad")]);
    let stage = Stage::with_cast(Flags::default(), vec![middle], cast);
    let exit = stage.runtime.wait_up().unwrap_err();
    let mut path = Vec::new();
    let mut at = &exit;
    while let Exit::FailedToStart { child, reason } = at {
        path.push(&**child);
        at = reason;
    }
    assert_eq!(path, ["root", "middle", "bad"]);
    let Exit::Crash { cause: Cause::Panic, message, .. } = at else { panic!("{at}") };
    assert!(message.contains("no such table (at "), "{message}");
    assert_eq!(stage.took(), "start ok, start bad, stop ok");
}

#[test]
fn temporary_bystander() {
    for (strategy, log) in [
        (Strategy::OneForAll, "stop t, start a, start a"),
        (Strategy::RestForOne, "stop t, start a, start a"),
    ] {
        let stage = Stage::up(lenient(strategy), vec![worker("a"), of("t", Restart::Temporary)]);
        stage.exits("a", crash());
        stage.exits("a", crash());
        assert_eq!((stage.which(&stage.sup()).as_str(), stage.took().as_str()), ("a:pid", log));
        assert_eq!(stage.stop_sup(), "shutdown");
    }
}

/// Here no child can cut the tie to its supervisor; what comes nearest is one that hears of nothing.
#[test]
fn child_unlink() {
    let deaf = with("deaf", |spec| spec.shutdown = Shutdown::Timeout(1_000));
    let stage = Stage::up(Flags::default(), vec![deaf]);
    stage.at_stop("deaf", AtStop::Deaf);
    let terminated = stage.sup().terminate_child("deaf");
    stage.until("stop deaf");
    stage.clock.advance(1_000);
    assert_eq!(wait(terminated), Ok(()));
    assert_eq!(stage.which(&stage.sup()), "deaf:undefined");
    assert_eq!(stage.place("deaf").last_exit(), Some(Exit::Killed));
}

#[test]
fn tree() {
    let lower = strict(Strategy::OneForOne, 1);
    let mut second = node_of("s2", lower.clone(), vec![worker("c")]);
    second.spec.restart = Restart::Transient;
    let stage = Stage::up(
        lenient(Strategy::OneForAll),
        vec![
            sub("s1", lower, vec![worker("a"), worker("b")]),
            loket_runtime::NodeSpec::Supervisor(second),
        ],
    );
    let incs = || ["s1", "a", "b", "s2", "c"].map(|name| stage.inc(name));
    wait(stage.handle("s1").start_child(worker("d"))).unwrap();
    stage.took();
    // A crash stays where it is.
    stage.exits("a", crash());
    assert_eq!((incs(), stage.inc("d")), ([1, 2, 1, 1, 1], 1));
    // One too many: both subtrees are started anew, without the child that came by a call.
    stage.exits("b", crash());
    stage.poll("both subtrees", || {
        stage.life("s2") == Some((2, ChildState::Running)) && stage.inc("c") == 2
    });
    assert_eq!(incs(), [2, 3, 2, 2, 2]);
    assert_eq!(stage.which(&stage.handle("s1")), "b:pid a:pid");
    assert!(stage.runtime.node().registry().find("d").is_none());
    // A transient supervisor that was terminated comes back with its group.
    wait(stage.sup().terminate_child("s2")).unwrap();
    assert_eq!(stage.which(&stage.sup()), "s2:undefined s1:pid");
    stage.kills("s1");
    assert_eq!(stage.which(&stage.sup()), "s2:pid s1:pid");
    assert_eq!(stage.inc("c"), 3);
    assert_eq!(stage.stop_sup(), "shutdown");
}
