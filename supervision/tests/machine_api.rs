//! The API, start and stop, shutdown times, reports, and what is refused (reference, sections 1.1,
//! 1.2, 1.7, 1.9).
#![allow(clippy::unwrap_used, missing_docs)]

mod machine_world;
use loket_supervision::machine::*;
use machine_world::*;

/// Serves the events that wait now, but not what they bring about.
fn serve_waiting(w: &mut World) {
    for _ in 0..w.queue.len() {
        w.one();
    }
}

#[test]
fn a_start_that_fails_ends_the_start_link_in_reverse_without_retry() {
    let mut w = World::new(lenient(Strategy::OneForOne), vec![child("a"), child("b"), child("c")]);
    w.starts("c", &[Start::Fails]);
    w.feed(Event::Start);
    w.run();
    assert_eq!(w.took(), "start a, start b, start c, stop b, stop a, exit failed_to_start_child");
    assert_eq!(w.contexts().last(), Some(&Context::StartError));
    assert_eq!(w.exit.unwrap().blame(), Some(Blame::Config));
}

#[test]
fn an_ignored_start_keeps_the_spec_unless_temporary() {
    let mut w =
        World::new(lenient(Strategy::OneForOne), vec![child("a"), temporary("t"), child("b")]);
    w.starts("a", &[Start::Ignores]);
    w.starts("t", &[Start::Ignores]);
    w.feed(Event::Start);
    w.run();
    assert_eq!((w.which().as_str(), w.counts()), ("b:pid a:undefined", [2, 1, 0, 2]));
    w.starts("t", &[Start::Ignores]);
    assert_eq!(w.call(Call::StartChild(temporary("t"))), Answer::Started(None));
    assert_eq!(w.which(), "b:pid a:undefined");
    // An ignored restart leaves the child undefined and is a success.
    w.starts("b", &[Start::Ignores]);
    w.exits("b", crash());
    assert_eq!(w.which(), "b:undefined a:undefined");
}

#[test]
fn the_api_protocol() {
    let mut w = World::up(lenient(Strategy::OneForOne), vec![]);
    assert_eq!(w.call(Call::StartChild(child("a"))), Answer::Started(Some(1)));
    let running = Answer::Error(ApiError::AlreadyStarted(1));
    assert_eq!(w.call(Call::StartChild(child("a"))), running);
    assert_eq!(w.code(Call::RestartChild(id("a"))), "running");
    assert_eq!(w.code(Call::DeleteChild(id("a"))), "running");
    assert_eq!(w.code(Call::TerminateChild(id("a"))), "ok");
    assert_eq!(w.code(Call::TerminateChild(id("a"))), "ok");
    assert_eq!(w.code(Call::StartChild(child("a"))), "already_present");
    w.starts("a", &[Start::Fails]);
    assert_eq!(w.code(Call::RestartChild(id("a"))), "start_failed");
    assert_eq!((w.which().as_str(), w.queue.len()), ("a:undefined", 0));
    assert_eq!(w.call(Call::RestartChild(id("a"))), Answer::Started(Some(3)));
    w.call(Call::TerminateChild(id("a")));
    assert_eq!(w.code(Call::DeleteChild(id("a"))), "ok");
    for call in [
        Call::DeleteChild(id("a")),
        Call::RestartChild(id("a")),
        Call::TerminateChild(id("a")),
        Call::GetChildSpec(id("a")),
        Call::WhichChild(id("a")),
    ] {
        assert_eq!(w.code(call), "not_found");
    }
    w.starts("a", &[Start::Fails]);
    assert_eq!(w.code(Call::StartChild(child("a"))), "start_failed");
    assert_eq!(w.which(), "");
    // A spec that comes back continues its lives: four were used up.
    assert_eq!(w.call(Call::StartChild(child("a"))), Answer::Started(Some(5)));
    assert_eq!(w.call(Call::GetChildSpec(id("a"))), Answer::Spec(child("a")));
    assert_eq!(
        w.code(Call::StartChild(ChildSpec { significant: true, ..transient("s") })),
        "bad_combination"
    );
}

#[test]
fn start_child_appends_and_a_later_stop_is_in_reverse() {
    let mut w = World::up(lenient(Strategy::OneForOne), vec![child("b"), child("c")]);
    w.call(Call::StartChild(child("a")));
    assert_eq!(w.which(), "a:pid c:pid b:pid");
    w.log.clear();
    w.stop();
    assert_eq!(w.took(), "stop a, stop c, stop b, exit shutdown");
}

#[test]
fn queries_are_answered_while_a_child_starts_and_other_calls_wait_their_turn() {
    let mut w = World::up(lenient(Strategy::OneForOne), vec![child("a"), child("b")]);
    w.starts("a", &[Start::Hangs]);
    w.exits("a", crash());
    assert_eq!(w.call(Call::CountChildren), Answer::Counts(w.sup.counts()));
    assert!(matches!(w.call(Call::WhichChildren), Answer::Children(all) if all.len() == 2));
    assert!(matches!(w.call(Call::WhichChild(id("a"))), Answer::Child(_)));
    let tag = w.post(Call::TerminateChild(id("b")));
    serve_waiting(&mut w);
    assert_eq!(w.replies.get(&tag), None);
    w.feed(Event::Started { id: id("a"), incarnation: 2 });
    w.run();
    assert_eq!(w.replies.remove(&tag), Some(Answer::Done));
    assert_eq!(w.took(), "start a, stop b");
}

#[test]
fn waiting_calls_are_bounded() {
    let mut w = World::up(lenient(Strategy::OneForOne), vec![child("a")]);
    w.starts("a", &[Start::Hangs]);
    w.exits("a", crash());
    for _ in 0..=MAX_DEFERRED_CALLS {
        w.post(Call::RestartChild(id("a")));
    }
    w.run();
    let busy = Answer::Error(ApiError::Busy(MAX_DEFERRED_CALLS));
    assert_eq!(w.replies.values().collect::<Vec<_>>(), [&busy]);
    w.stop();
    // A child that hangs in its start is asked to stop like any other, and who waits is told.
    assert_eq!(w.took(), "start a, stop a, exit shutdown");
    let stopping = Answer::Error(ApiError::Stopping);
    assert_eq!(w.replies.values().filter(|&r| *r == stopping).count(), MAX_DEFERRED_CALLS);
}

#[test]
fn calls_that_were_served_wait_no_more() {
    let mut w = World::up(lenient(Strategy::OneForOne), vec![child("a")]);
    for _ in 0..=MAX_DEFERRED_CALLS {
        assert_eq!(w.code(Call::RestartChild(id("a"))), "running");
    }
}

#[test]
fn the_call_whose_start_is_under_way_is_told() {
    let mut w = World::up(lenient(Strategy::OneForOne), vec![child("a")]);
    w.call(Call::CountChildren);
    assert_eq!(w.sup.serving(), None);
    w.starts("b", &[Start::Hangs]);
    let tag = w.post(Call::StartChild(child("b")));
    w.run();
    assert_eq!(w.sup.serving(), Some(tag));
    w.feed(Event::Started { id: id("b"), incarnation: 1 });
    w.run();
    assert_eq!((w.sup.serving(), w.replies.contains_key(&tag)), (None, true));
}

#[test]
fn stop_call_ends_with_normal_and_answers_at_the_end() {
    let mut w = World::up(lenient(Strategy::OneForOne), vec![child("a")]);
    w.stubborn.insert("a".into());
    let tag = w.post(Call::Stop);
    let twice = w.post(Call::Stop);
    w.run();
    assert!(w.replies.is_empty());
    assert_eq!(w.code(Call::StartChild(child("x"))), "stopping");
    w.pass(5_000);
    assert_eq!(w.took(), "stop a, kill a, exit normal");
    assert_eq!((&w.replies[&tag], &w.replies[&twice]), (&Answer::Done, &Answer::Done));
    assert_eq!(w.code(Call::WhichChildren), "noproc");
}

#[test]
fn shutdown_kinds() {
    let with = |id: &str, shutdown| ChildSpec { shutdown, ..child(id) };
    let children = vec![
        with("brutal", Shutdown::BrutalKill),
        with("slow", Shutdown::Timeout(1_000)),
        with("ever", Shutdown::Infinity),
    ];
    let mut w = World::up(lenient(Strategy::OneForOne), children);
    w.stubborn.extend(["slow".into(), "ever".into()]);
    w.stop();
    w.pass(1_000_000);
    assert_eq!(w.took(), "stop ever", "infinity has no timer, and nobody else is asked meanwhile");
    w.exits("ever", Exit::Shutdown);
    w.pass(999);
    assert_eq!(w.took(), "stop slow");
    w.pass(1);
    assert_eq!(w.took(), "kill slow, kill brutal, exit shutdown");
    // `killed` is what brutal_kill means, but an error after a timeout.
    assert_eq!(w.contexts(), [Context::ShutdownError]);
    assert_eq!(&*w.reports[0].offender.id, "slow");
}

#[test]
fn which_reasons_are_accepted_from_a_child_that_is_stopped() {
    let all = [
        (Restart::Permanent, Exit::Shutdown, true),
        (Restart::Permanent, Exit::Normal, false),
        (Restart::Permanent, Exit::ShutdownTerm("t".into()), false),
        (Restart::Transient, Exit::Normal, true),
        (Restart::Temporary, Exit::ShutdownTerm("t".into()), true),
        (Restart::Temporary, Exit::Killed, false),
        (Restart::Transient, crash(), false),
    ];
    for (restart, reason, accepted) in all {
        let mut w =
            World::up(lenient(Strategy::OneForOne), vec![ChildSpec { restart, ..child("a") }]);
        w.stubborn.insert("a".into());
        w.stop();
        w.exits("a", reason.clone());
        assert_eq!(w.contexts().is_empty(), accepted, "{restart:?} {reason:?}");
        assert_eq!(w.exit, Some(Exit::Shutdown));
    }
}

#[test]
fn a_late_shutdown_timer_kills_nobody() {
    let mut w = World::up(lenient(Strategy::OneForOne), vec![child("a")]);
    w.call(Call::TerminateChild(id("a")));
    w.call(Call::RestartChild(id("a")));
    assert_eq!(w.timers.len(), 1);
    w.pass(10_000);
    assert_eq!(w.took(), "stop a, start a");
}

#[test]
fn progress_reports_tell_dynamic_starts_apart() {
    let mut w = World::new(lenient(Strategy::OneForOne), vec![child("a")]);
    w.feed(Event::Start);
    w.run();
    w.call(Call::StartChild(child("b")));
    w.exits("b", crash());
    let dynamic: Vec<bool> = w
        .reports
        .iter()
        .filter(|report| report.context == Context::Progress)
        .map(|report| report.dynamic)
        .collect();
    assert_eq!(dynamic, [false, true, false]);
}

#[test]
fn what_otp_refuses_is_refused() {
    let ok = Flags::default();
    let code = |flags: Flags, specs: Vec<ChildSpec>| {
        Supervisor::new(flags, specs, 0).err().map(|error| error.code())
    };
    let simple = Flags { strategy: Strategy::SimpleOneForOne, ..ok.clone() };
    let any = Flags { auto_shutdown: AutoShutdown::AnySignificant, ..ok.clone() };
    let significant = |spec: ChildSpec| ChildSpec { significant: true, ..spec };
    let otp = Window::OtpSeconds;
    for (flags, specs, expected) in [
        (Flags { period_ms: 0, ..ok.clone() }, vec![], "invalid_period"),
        (Flags { period_ms: 1_500, window: otp, ..ok.clone() }, vec![], "invalid_period"),
        (Flags { max_children: Some(0), ..ok.clone() }, vec![], "invalid_max_children"),
        (ok.clone(), vec![child("a"), child("a")], "duplicate_child_name"),
        (ok.clone(), vec![child("")], "missing_id"),
        (ok.clone(), vec![significant(transient("a"))], "bad_combination"),
        (any.clone(), vec![significant(child("a"))], "bad_combination"),
        (
            Flags { strategy: Strategy::SimpleOneForOne, ..any.clone() },
            vec![child("a")],
            "bad_combination",
        ),
        (simple.clone(), vec![], "bad_start_spec"),
        (simple.clone(), vec![child("a"), child("b")], "bad_start_spec"),
    ] {
        assert_eq!(code(flags, specs), Some(expected));
    }
    assert_eq!(code(ok, vec![child("a"), transient("b")]), None);
    assert_eq!(code(any, vec![significant(temporary("a"))]), None);
    assert_eq!(code(simple, vec![child("a")]), None);
}

#[test]
fn before_its_start_and_after_its_end_there_is_nobody() {
    let mut w = World::new(lenient(Strategy::OneForOne), vec![child("a")]);
    assert_eq!(w.sup.phase(), Phase::New);
    assert_eq!(w.code(Call::WhichChildren), "noproc");
    w.stop();
    assert_eq!((w.took().as_str(), w.sup.phase()), ("exit shutdown", Phase::Ended));
    w.feed(Event::Start);
    w.stop();
    assert_eq!((w.took().as_str(), w.code(Call::Stop)), ("", "noproc"));
}

#[test]
fn a_second_start_is_of_no_effect() {
    let mut w = World::up(lenient(Strategy::OneForOne), vec![child("a")]);
    w.feed(Event::Start);
    w.run();
    assert_eq!((w.took().as_str(), w.sup.phase()), ("", Phase::Up));
}

#[test]
fn a_stop_during_the_first_start_ends_what_is_up() {
    let mut w = World::new(lenient(Strategy::OneForOne), vec![child("a"), child("b"), child("c")]);
    w.starts("b", &[Start::Hangs]);
    w.feed(Event::Start);
    w.run();
    assert_eq!(w.sup.phase(), Phase::Starting);
    w.feed(Event::Stop { reason: Exit::ShutdownTerm("update".into()) });
    w.run();
    assert_eq!(w.took(), "start a, start b, stop b, stop a, exit shutdown_term");
}

#[test]
fn time_does_not_run_backwards() {
    let spec = ChildSpec { shutdown: Shutdown::Timeout(10), ..child("a") };
    let mut w = World::up(lenient(Strategy::OneForOne), vec![spec]);
    w.pass(1_000);
    w.exits("a", crash());
    w.stubborn.insert("a".into());
    let orders = w.sup.step(Event::Stop { reason: Exit::Shutdown }, Now(3));
    let Some(Order::SetTimer { at, .. }) = orders.last() else { panic!() };
    assert_eq!(*at, Now(1_010));
}

#[test]
fn states_are_the_views_in_short() {
    let mut w = World::up(lenient(Strategy::OneForOne), vec![child("a"), transient("b")]);
    w.exits("b", Exit::Normal);
    let states: Vec<_> = w.sup.states().map(|(id, state)| (id.to_string(), state)).collect();
    let expected = [("a".into(), ChildState::Running), ("b".into(), ChildState::Undefined)];
    assert_eq!(states, expected);
}

#[test]
fn what_a_caller_had_done_to_a_child_is_reported_once_and_of_that_child_alone() {
    let slow = Backoff {
        first: First::Ms(5_000),
        min_ms: 5_000,
        max_ms: 5_000,
        factor: 1.0,
        jitter: 0.0,
        reset_after_ms: 60_000,
    };
    let waiting = ChildSpec { backoff: Some(slow), ..child("late") };
    let mut w = World::up(lenient(Strategy::OneForAll), vec![child("a"), waiting]);
    let told = |w: &mut World| {
        let one = |r: Report| (r.context, r.offender.id.to_string(), r.reason, r.dynamic);
        std::mem::take(&mut w.reports).into_iter().map(one).collect::<Vec<_>>()
    };
    w.call(Call::TerminateChild(id("a")));
    assert_eq!(told(&mut w), [(Context::Stopped, "a".into(), Some(Exit::Shutdown), false)]);
    // There is nothing to stop any more.
    w.call(Call::TerminateChild(id("a")));
    assert_eq!(told(&mut w), []);
    w.starts("a", &[Start::Fails]);
    assert_eq!(w.code(Call::RestartChild(id("a"))), "start_failed");
    w.starts("new", &[Start::Fails]);
    assert_eq!(w.code(Call::StartChild(child("new"))), "start_failed");
    let failed = told(&mut w);
    let names: Vec<_> = failed.iter().map(|it| (it.0, &*it.1, it.3)).collect();
    let error = Context::StartError;
    assert_eq!(names, [(error, "a", true), (error, "new", true)], "{failed:?}");
    w.exits("late", crash());
    told(&mut w);
    w.call(Call::TerminateChild(id("late")));
    assert_eq!(told(&mut w), [(Context::Stopped, "late".into(), None, false)]);
    // The end of the supervisor is asked of it, not of its children.
    w.stop();
    assert_eq!(told(&mut w), []);
}
