//! Significant children: whose end by themselves ends the supervisor.

use crate::stage::*;
use AutoShutdown::{AllSignificant, AnySignificant, Never};
use Restart::{Temporary, Transient};
use loket_supervision::machine::*;

fn auto(auto_shutdown: AutoShutdown) -> Flags {
    Flags { auto_shutdown, ..lenient(Strategy::OneForOne) }
}

fn ends() -> [Exit; 5] {
    [Exit::Normal, Exit::Shutdown, term(), crash(), Exit::Killed]
}

#[test]
fn nonsignificant_temporary() {
    for mode in [Never, AnySignificant, AllSignificant] {
        let stage = Stage::up(auto(mode), vec![worker("b")]);
        for end in ends() {
            wait(stage.sup().start_child(of("a", Temporary))).unwrap();
            stage.exits("a", end);
            assert!(stage.lives());
        }
        wait(stage.sup().start_child(of("a", Temporary))).unwrap();
        wait(stage.sup().terminate_child("a")).unwrap();
        assert_eq!((stage.lives(), stage.which(&stage.sup()).as_str()), (true, "b:pid"));
    }
}

#[test]
fn nonsignificant_transient() {
    for mode in [Never, AnySignificant, AllSignificant] {
        for end in ends() {
            let stage = Stage::up(auto(mode), vec![of("a", Transient)]);
            let left = if end.is_orderly() { "a:undefined" } else { "a:pid" };
            stage.exits("a", end);
            assert_eq!((stage.lives(), stage.which(&stage.sup()).as_str()), (true, left));
            wait(stage.sup().terminate_child("a")).unwrap();
            assert!(stage.lives());
        }
    }
}

#[test]
fn significant_temporary() {
    for end in ends() {
        let stage = Stage::up(auto(AnySignificant), vec![worker("b")]);
        wait(stage.sup().start_child(significant("a", Temporary))).unwrap();
        wait(stage.sup().terminate_child("a")).unwrap();
        assert!(stage.lives(), "stopped by a call");
        wait(stage.sup().start_child(significant("a", Temporary))).unwrap();
        stage.took();
        stage.exits("a", end);
        assert_eq!((stage.gone("sup").as_str(), stage.took().as_str()), ("shutdown", "stop b"));
    }
    for end in ends() {
        let all = ["a", "b", "c"].map(|name| significant(name, Temporary));
        let stage = Stage::up(auto(AllSignificant), all.into());
        stage.exits("a", end.clone());
        wait(stage.sup().terminate_child("b")).unwrap();
        assert!(stage.lives(), "one is left");
        stage.exits("c", end);
        assert_eq!(stage.gone("sup"), "shutdown");
    }
}

#[test]
fn significant_transient() {
    let stage = Stage::up(auto(AnySignificant), vec![significant("a", Transient), worker("b")]);
    wait(stage.sup().terminate_child("a")).unwrap();
    assert!(stage.lives(), "stopped by a call");
    wait(stage.sup().restart_child("a")).unwrap();
    stage.exits("a", crash());
    stage.kills("a");
    assert_eq!((stage.inc("a"), stage.lives()), (4, true), "restarted");
    stage.exits("a", Exit::Normal);
    assert_eq!(stage.gone("sup"), "shutdown");

    let both = vec![significant("a", Transient), significant("b", Transient), worker("c")];
    let stage = Stage::up(auto(AllSignificant), both);
    stage.exits("a", Exit::Normal);
    stage.exits("b", crash());
    assert!(stage.lives(), "one is left");
    stage.exits("b", Exit::Shutdown);
    assert_eq!(stage.gone("sup"), "shutdown");
}

#[test]
fn significant_simple() {
    let stage = Stage::new();
    for mode in [AnySignificant, AllSignificant] {
        let flags = Flags { strategy: Strategy::SimpleOneForOne, ..auto(mode) };
        let refused = stage.start(flags, vec![of("job", Transient)]);
        assert_eq!(code(refused), "bad_combination");
    }
    let flags = lenient(Strategy::SimpleOneForOne);
    let refused = stage.start(flags, vec![significant("job", Transient)]);
    assert_eq!(code(refused), "bad_combination");
}

#[test]
fn significant_bystander() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        for (mode, restart) in
            [AnySignificant, AllSignificant].into_iter().zip([Temporary, Transient])
        {
            let flags = Flags { strategy, ..auto(mode) };
            let stage = Stage::up(flags, vec![worker("a"), significant("s", restart)]);
            stage.exits("a", crash());
            assert!(stage.lives(), "{strategy:?} {mode:?}");
            let left = if restart == Temporary { "a:pid" } else { "s:pid a:pid" };
            assert_eq!(stage.which(&stage.sup()), left);
        }
    }
}

#[test]
fn significant_escalation() {
    for counts in [true, false] {
        let lower = Flags { auto_shutdown: AnySignificant, ..strict(Strategy::OneForOne, 1) };
        let mut middle = node_of("m", lower, vec![significant("a", Transient)]);
        (middle.spec.restart, middle.spec.significant) = (Transient, counts);
        let middle = loket_runtime::NodeSpec::Supervisor(middle);
        let stage = Stage::up(auto(AnySignificant), vec![middle, worker("b")]);
        stage.tell("a", Exit::Normal);
        if counts {
            assert_eq!(stage.gone("sup"), "shutdown");
        } else {
            let ended = "b:pid m:undefined";
            stage.poll("the end of m", || stage.which(&stage.sup()) == ended);
            assert!(stage.lives());
        }
    }
}

/// From one mode to another while children run: none of them is touched, and the new mode counts. `ends`: how many of the two
/// significant ones must end by themselves to end the supervisor; `None`: it lives on.
fn upgrade(from: AutoShutdown, to: AutoShutdown, ends: Option<usize>) {
    let children = |mode| -> Vec<loket_runtime::NodeSpec> {
        let child = |name| match mode {
            Never => of(name, Transient),
            _ => significant(name, Transient),
        };
        vec![child("a"), child("b"), worker("c")]
    };
    let stage = Stage::up(auto(from), children(from));
    let sup = stage.sup();
    // Under Never, nobody can be significant, before or after.
    if from == Never {
        assert_eq!(code(wait(sup.start_child(significant("x", Temporary)))), "bad_combination");
        assert_eq!(code(wait(sup.change(auto(Never), children(to)))), "bad_combination");
    }
    if to == Never {
        assert_eq!(code(wait(sup.change(auto(Never), children(from)))), "bad_combination");
    }
    assert_eq!(wait(sup.change(auto(to), children(to))), Ok(()));
    assert_eq!(["a", "b", "c"].map(|name| stage.inc(name)), [1, 1, 1]);
    assert_eq!(stage.took(), "");
    let wanted = if to == Never { "bad_combination" } else { "ok" };
    assert_eq!(code(wait(sup.start_child(significant("x", Temporary)))), wanted);
    if to != Never {
        wait(sup.terminate_child("x")).unwrap();
    }
    for (n, name) in ["a", "b"].into_iter().enumerate() {
        stage.exits(name, Exit::Normal);
        if ends == Some(n + 1) {
            assert_eq!(stage.gone("sup"), "shutdown");
            return;
        }
        assert!(stage.lives(), "after the end of {name}");
    }
    assert_eq!((ends, stage.inc("c")), (None, 1));
}

#[test]
fn significant_upgrade_never_any() {
    upgrade(Never, AnySignificant, Some(1));
}

#[test]
fn significant_upgrade_any_never() {
    upgrade(AnySignificant, Never, None);
}

#[test]
fn significant_upgrade_never_all() {
    upgrade(Never, AllSignificant, Some(2));
}

#[test]
fn significant_upgrade_all_never() {
    upgrade(AllSignificant, Never, None);
}

#[test]
fn significant_upgrade_any_all() {
    upgrade(AnySignificant, AllSignificant, Some(2));
}

#[test]
fn significant_upgrade_all_any() {
    upgrade(AllSignificant, AnySignificant, Some(1));
}

#[test]
fn significant_upgrade_child() {
    let plain = || vec![of("a", Transient), worker("c")];
    let counts = || vec![significant("a", Transient), worker("c")];
    // Not significant any more.
    let stage = Stage::up(auto(AnySignificant), counts());
    assert_eq!(wait(stage.sup().change(auto(AnySignificant), plain())), Ok(()));
    stage.exits("a", Exit::Normal);
    assert!(stage.lives());
    // Significant now.
    let stage = Stage::up(auto(AnySignificant), plain());
    assert_eq!(wait(stage.sup().change(auto(AnySignificant), counts())), Ok(()));
    assert_eq!((stage.inc("a"), stage.took().as_str()), (1, ""));
    stage.exits("a", Exit::Normal);
    assert_eq!(stage.gone("sup"), "shutdown");
    // Not possible under Never.
    let stage = Stage::up(auto(Never), plain());
    assert_eq!(code(wait(stage.sup().change(auto(Never), counts()))), "bad_combination");
    assert!(!wait(stage.sup().childspec("a")).unwrap().significant);
}
