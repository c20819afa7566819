//! Stopping a supervisor: in time, out of time, and while its children end by themselves.

use crate::stage::*;
use loket_supervision::machine::*;

fn shutdown(id: &str, how: Shutdown) -> loket_runtime::NodeSpec {
    with(id, |spec| spec.shutdown = how)
}

#[test]
fn sup_stop_infinity() {
    let lower = sub("s", Flags::default(), vec![worker("b")]);
    let children = vec![shutdown("a", Shutdown::Infinity), lower];
    let stage = Stage::up(Flags::default(), children);
    let (a, s) = (stage.place("a"), stage.place("s"));
    let stopping = stage.root().terminate_child("sup");
    stage.at_stop("a", AtStop::Deaf);
    stage.until("stop a");
    stage.clock.advance(1_000_000_000);
    assert_eq!(stage.life("a"), Some((1, ChildState::Stopping)), "whatever time it takes");
    stage.tell("a", Exit::Shutdown);
    assert_eq!(wait(stopping), Ok(()));
    assert_eq!((a.last_exit(), s.last_exit()), (Some(Exit::Shutdown), Some(Exit::Shutdown)));
}

#[test]
fn sup_stop_timeout() {
    let second = Shutdown::Timeout(1_000);
    let stage = Stage::up(Flags::default(), vec![shutdown("busy", second), shutdown("b", second)]);
    let (busy, b) = (stage.place("busy"), stage.place("b"));
    stage.at_stop("busy", AtStop::Deaf);
    let stopping = stage.root().terminate_child("sup");
    stage.until("stop busy");
    stage.clock.advance(999);
    assert_eq!(stage.life("busy"), Some((1, ChildState::Stopping)));
    stage.clock.advance(1);
    assert_eq!(wait(stopping), Ok(()));
    assert_eq!((busy.last_exit(), b.last_exit()), (Some(Exit::Killed), Some(Exit::Shutdown)));
    assert_eq!(stage.gone("sup"), "shutdown");
}

#[test]
fn sup_stop_timeout_dynamic() {
    let template = shutdown("job", Shutdown::Timeout(1_000));
    let stage = Stage::up(lenient(Strategy::SimpleOneForOne), vec![template]);
    let places = ["busy", "x", "y"].map(|name| {
        stage.instance(name).unwrap();
        stage.place(name)
    });
    stage.at_stop("busy", AtStop::Deaf);
    let stopping = stage.root().terminate_child("sup");
    for line in ["stop busy", "stop x", "stop y"] {
        stage.until(line);
    }
    stage.clock.advance(1_000);
    assert_eq!(wait(stopping), Ok(()));
    let exits = places.map(|place| place.last_exit().unwrap());
    assert_eq!(exits, [Exit::Killed, Exit::Shutdown, Exit::Shutdown]);
}

#[test]
fn sup_stop_brutal_kill() {
    let children = vec![shutdown("brutal", Shutdown::BrutalKill), worker("b")];
    let stage = Stage::up(Flags::default(), children);
    let (brutal, b) = (stage.place("brutal"), stage.place("b"));
    assert_eq!(stage.stop_sup(), "shutdown");
    assert_eq!((brutal.last_exit(), b.last_exit()), (Some(Exit::Killed), Some(Exit::Shutdown)));
    assert_eq!(stage.took(), "stop b", "the other was not asked");
}

#[test]
fn sup_stop_brutal_kill_dynamic() {
    let template = shutdown("job", Shutdown::BrutalKill);
    let stage = Stage::up(lenient(Strategy::SimpleOneForOne), vec![template]);
    let places: Vec<_> = (0..10)
        .map(|n| {
            stage.instance(&format!("x{n}")).unwrap();
            stage.place(&format!("x{n}"))
        })
        .collect();
    stage.took();
    assert_eq!(stage.stop_sup(), "shutdown");
    assert!(places.iter().all(|place| place.last_exit() == Some(Exit::Killed)));
    assert_eq!(stage.took(), "");
}

/// Every restart type with every reason, ending by themselves while the supervisor waits for the last child of all.
#[test]
fn sup_stop_race() {
    let reasons = [Exit::Normal, Exit::Shutdown, term(), Exit::Killed, crash()];
    for early in [true, false] {
        let mut children = Vec::new();
        for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
            for n in 0..reasons.len() {
                children.push(of(&format!("{restart:?} {n}"), restart));
            }
        }
        let names: Vec<String> =
            children.iter().map(|child| spec_of(child).id.to_string()).collect();
        // The last is stopped first.
        children.push(shutdown("gate", Shutdown::Infinity));
        let stage = Stage::up(strict(Strategy::OneForOne, 0), children);
        let places: Vec<_> = names.iter().map(|name| stage.place(name)).collect();
        stage.at_stop("gate", AtStop::Deaf);
        let stopping = stage.root().terminate_child("sup");
        stage.until("stop gate");
        for (n, name) in names.iter().enumerate() {
            let reason = reasons[n % reasons.len()].clone();
            match early {
                true => stage.tell(name, reason),
                false => stage.at_stop(name, AtStop::Ends(reason)),
            }
        }
        stage.tell("gate", Exit::Shutdown);
        assert_eq!(wait(stopping), Ok(()));
        assert_eq!(stage.gone("sup"), "shutdown");
        for (n, place) in places.iter().enumerate() {
            assert_eq!(
                place.last_exit().as_ref(),
                Some(&reasons[n % reasons.len()]),
                "{}",
                names[n]
            );
        }
        assert!(!stage.took().contains("start"), "nobody was restarted");
    }
}

#[test]
fn sup_stop_non_shutdown_exit_dynamic() {
    let stage = Stage::up(lenient(Strategy::SimpleOneForOne), vec![of("job", Restart::Transient)]);
    let ends = [("x", Exit::Normal), ("y", crash()), ("z", term()), ("k", Exit::Killed)];
    for (name, exit) in &ends {
        stage.instance(name).unwrap();
        stage.at_stop(name, AtStop::Ends(exit.clone()));
    }
    let places = ["x", "y", "z", "k"].map(|name| stage.place(name));
    assert_eq!(stage.stop_sup(), "shutdown");
    for (place, (_, exit)) in places.iter().zip(&ends) {
        assert_eq!(place.last_exit().as_ref(), Some(exit));
    }
    // What is not in order is reported.
    let told = |name| stage.reports(name).contains(&Context::ShutdownError);
    assert_eq!(["x", "y", "z", "k"].map(told), [false, true, false, true]);
}
