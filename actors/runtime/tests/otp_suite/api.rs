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
