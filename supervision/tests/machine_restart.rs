//! What is restarted, and what is seen and can be called while a child is restarting (reference,
//! sections 1.3, 1.5, 1.6).
#![allow(clippy::unwrap_used, missing_docs)]

mod machine_world;
use loket_supervision::machine::*;
use machine_world::*;

/// `a` has crashed and its restart has failed: the retry waits behind what the test posts now.
fn restarting(strategy: Strategy, children: &[&str], failing: &str) -> World {
    let specs = children.iter().map(|id| child(id)).collect();
    let mut w = World::up(lenient(strategy), specs);
    w.starts(failing, &[Start::Fails]);
    w.ends(children[0], crash());
    while !matches!(w.state(failing), Some(ChildState::Restarting { .. })) {
        assert!(w.one());
    }
    w.log.clear();
    w
}

#[test]
fn a_restarting_child_is_seen_as_such_and_counted_but_not_active() {
    let mut w = restarting(Strategy::OneForOne, &["a", "b"], "a");
    assert_eq!(w.which(), "b:pid a:restarting");
    assert_eq!(w.counts(), [2, 1, 0, 2]);
    assert_eq!(w.sup.child("a").unwrap().incarnation, None);
    w.run();
    assert_eq!(w.took(), "start a");
    assert_eq!(w.counts(), [2, 2, 0, 2]);
}

#[test]
fn calls_that_came_first_are_served_before_the_retry() {
    let mut w = restarting(Strategy::OneForOne, &["a", "b"], "a");
    let retry = w.queue.pop_front().unwrap();
    assert!(matches!(retry, Event::Timer(_)));
    assert_eq!(w.code(Call::StartChild(child("a"))), "already_present");
    assert_eq!(w.code(Call::RestartChild(id("a"))), "restarting");
    assert_eq!(w.code(Call::DeleteChild(id("a"))), "restarting");
    assert_eq!(w.code(Call::TerminateChild(id("a"))), "ok");
    assert_eq!(w.which(), "b:pid a:undefined");
    // The retry that was on its way finds nothing to do.
    w.feed(retry);
    w.run();
    assert_eq!(w.took(), "");
    assert_eq!(w.code(Call::RestartChild(id("a"))), "ok");
    assert_eq!(w.code(Call::RestartChild(id("a"))), "running");
}

#[test]
fn a_retry_does_not_touch_a_child_that_was_deleted_and_started_anew() {
    let mut w = restarting(Strategy::OneForOne, &["a"], "a");
    let retry = w.queue.pop_front().unwrap();
    w.call(Call::TerminateChild(id("a")));
    w.call(Call::DeleteChild(id("a")));
    w.starts("a", &[Start::Ignores]);
    assert_eq!(w.call(Call::StartChild(child("a"))), Answer::Started(None));
    w.log.clear();
    w.feed(retry);
    w.run();
    assert_eq!((w.took().as_str(), w.which().as_str()), ("", "a:undefined"));
}

#[test]
fn the_supervisor_can_be_stopped_during_a_restart_loop() {
    let mut w = restarting(Strategy::OneForOne, &["a", "b"], "a");
    w.queue.push_front(Event::Stop { reason: Exit::Shutdown });
    w.run();
    assert_eq!(w.took(), "stop b, exit shutdown");
}

#[test]
fn one_for_all_with_a_failing_sibling_stops_and_starts_all_again() {
    let mut w = World::up(lenient(Strategy::OneForAll), vec![child("a"), child("b"), child("c")]);
    w.starts("b", &[Start::Fails]);
    w.exits("a", crash());
    assert_eq!(w.took(), "stop c, stop b, start a, start b, stop a, start a, start b, start c");
}

#[test]
fn rest_for_one_with_a_failing_later_child_retries_from_it_on() {
    let mut w = World::up(lenient(Strategy::RestForOne), vec![child("a"), child("b"), child("c")]);
    w.starts("b", &[Start::Fails]);
    w.exits("a", crash());
    assert_eq!(w.took(), "stop c, stop b, start a, start b, start b, start c");
}

#[test]
fn terminating_the_restarting_child_leaves_its_later_siblings_undefined() {
    let mut w = restarting(Strategy::RestForOne, &["a", "b", "c"], "b");
    let retry = w.queue.pop_front().unwrap();
    assert_eq!(w.which(), "c:undefined b:restarting a:pid");
    w.call(Call::TerminateChild(id("b")));
    w.feed(retry);
    w.run();
    assert_eq!((w.which().as_str(), w.took().as_str()), ("c:undefined b:undefined a:pid", ""));
}

#[test]
fn a_crash_that_came_first_is_served_before_the_retry() {
    let mut w = restarting(Strategy::OneForOne, &["a", "b"], "a");
    w.ends("b", crash());
    let crash_of_b = w.queue.pop_back().unwrap();
    w.queue.push_front(crash_of_b);
    w.run();
    assert_eq!(w.took(), "start b, start a");
}

#[test]
fn a_group_restart_brings_back_the_ended_and_the_terminated_but_not_temporaries() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        let children = vec![child("a"), transient("n"), temporary("t"), child("p")];
        let mut w = World::up(lenient(strategy), children);
        w.exits("n", Exit::Normal);
        w.call(Call::TerminateChild(id("p")));
        w.log.clear();
        w.exits("a", crash());
        assert_eq!(w.took(), "stop t, start a, start n, start p", "{strategy:?}");
        assert_eq!(w.which(), "p:pid n:pid a:pid");
    }
}

#[test]
fn every_reason_with_every_restart_type() {
    let reasons = [
        (Exit::Normal, true),
        (Exit::Shutdown, true),
        (Exit::ShutdownTerm("t".into()), true),
        (Exit::Killed, false),
        (crash(), false),
        (Exit::NoProc, false),
        (Exit::Hung, false),
        (Exit::StartTimeout, false),
    ];
    for (reason, orderly) in reasons {
        let children = vec![child("p"), transient("n"), temporary("t")];
        let mut w = World::up(lenient(Strategy::OneForOne), children);
        for id in ["p", "n", "t"] {
            w.exits(id, reason.clone());
        }
        let (started, which) = match orderly {
            true => ("start p", "n:undefined p:pid"),
            false => ("start p, start n", "n:pid p:pid"),
        };
        assert_eq!((w.took().as_str(), w.which().as_str()), (started, which), "{reason:?}");
        let reported = w.contexts().iter().filter(|&&c| c == Context::ChildTerminated).count();
        assert_eq!(reported, if orderly { 1 } else { 3 }, "{reason:?}");
    }
}

#[test]
fn exits_of_earlier_lives_and_of_strangers_are_ignored() {
    let mut w = World::up(lenient(Strategy::OneForAll), vec![child("a"), child("b")]);
    w.exits("a", crash());
    w.log.clear();
    for (id, incarnation) in [("a", 1), ("a", 3), ("b", 1), ("stranger", 1)] {
        w.feed(Event::Exited { id: id.into(), incarnation, reason: crash() });
        w.feed(Event::StartFailed { id: id.into(), incarnation, reason: crash() });
        w.feed(Event::Started { id: id.into(), incarnation });
        w.feed(Event::Ignored { id: id.into(), incarnation });
    }
    w.run();
    assert_eq!((w.took().as_str(), w.which().as_str()), ("", "b:pid a:pid"));
}

#[test]
fn a_second_exit_of_the_same_life_is_ignored() {
    let mut w = World::up(lenient(Strategy::OneForOne), vec![child("a"), child("b")]);
    w.starts("a", &[Start::Hangs]);
    w.exits("a", crash());
    // The supervisor is busy with a; b's exit waits, and comes twice.
    w.ends("b", crash());
    let again = w.queue.back().unwrap().clone();
    w.feed(again);
    w.run();
    assert_eq!(w.state("b"), Some(ChildState::Exited));
    assert_eq!(w.counts(), [2, 1, 0, 2], "a is starting; b is dead");
    w.feed(Event::Started { id: id("a"), incarnation: 2 });
    w.run();
    assert_eq!(w.took(), "start a, start b");
}

/// Beyond OTP: a report says whose restart it is part of.
#[test]
fn what_a_restart_does_is_reported_as_its_work() {
    let children = vec![child("a"), temporary("t"), transient("b"), child("c")];
    let mut w = World::up(lenient(Strategy::OneForAll), children);
    let told = |w: &mut World| {
        let one =
            |r: Report| (r.context, r.offender.id.to_string(), r.because.map(|it| it.to_string()));
        std::mem::take(&mut w.reports).into_iter().map(one).collect::<Vec<_>>()
    };
    let of = |context, id: &str, because: &str| (context, id.to_owned(), Some(because.to_owned()));
    assert!(told(&mut w).iter().all(|(_, _, because)| because.is_none()));
    w.starts("b", &[Start::Fails]);
    w.exits("c", crash());
    assert_eq!(
        told(&mut w),
        [
            (Context::ChildTerminated, "c".to_owned(), None),
            of(Context::Stopped, "t", "c"),
            of(Context::Progress, "a", "c"),
            of(Context::StartError, "b", "c"),
            of(Context::Progress, "a", "b"),
            of(Context::Progress, "b", "b"),
            of(Context::Progress, "c", "b"),
        ]
    );
    w.call(Call::TerminateChild(id("a")));
    w.call(Call::RestartChild(id("a")));
    assert!(told(&mut w).iter().all(|(_, _, because)| because.is_none()));

    // What happens meanwhile is not its work.
    w.starts("b", &[Start::Hangs]);
    w.exits("c", crash());
    told(&mut w);
    w.feed(Event::Slow { id: id("a"), incarnation: w.alive["a"] });
    w.run();
    assert_eq!(told(&mut w), [(Context::Slow, "a".to_owned(), None)]);
}
