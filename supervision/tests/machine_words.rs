//! What is said of exits, children and reports: codes, blame and cause, words for people, who a
//! report is about, and why one's own extensions are refused.
#![allow(clippy::unwrap_used, missing_docs)]

mod machine_world;
use loket_supervision::machine::*;
use machine_world::*;

fn escalated(reason: Exit) -> Exit {
    Exit::Escalated {
        child: id("a"),
        reason: Box::new(reason),
        intensity: 1,
        period_ms: 5_000,
        by_rule: false,
    }
}

fn by_rule(reason: Exit) -> Exit {
    match escalated(reason) {
        Exit::Escalated { child, reason, intensity, period_ms, .. } => {
            Exit::Escalated { child, reason, intensity, period_ms, by_rule: true }
        }
        other => other,
    }
}

fn failed(reason: Exit) -> Exit {
    Exit::FailedToStart { child: id("b"), reason: Box::new(reason) }
}

#[test]
fn every_exit_has_a_code_a_blame_and_a_cause() {
    use {Blame::*, Cause::*};
    let trap = Exit::crash(Trap, Provider, "no");
    for (exit, code, blame, cause) in [
        (Exit::Normal, "normal", None, None),
        (Exit::Shutdown, "shutdown", None, None),
        (Exit::ShutdownTerm("t".into()), "shutdown_term", None, None),
        (Exit::Killed, "killed", Some(Environment), None),
        (trap.clone(), "crash", Some(Provider), Some(Trap)),
        (escalated(trap.clone()), "escalated", Some(Provider), Some(Trap)),
        (escalated(failed(trap.clone())), "escalated", Some(Provider), Some(Trap)),
        (failed(trap), "failed_to_start_child", Some(Provider), Some(Trap)),
        (failed(Exit::Normal), "failed_to_start_child", None, None),
        (Exit::StartTimeout, "start_timeout", Some(Guest), Some(Deadline)),
        (Exit::Hung, "hung", Some(Guest), Some(Hung)),
        (Exit::LaneLost, "lane_lost", Some(Host), None),
        (Exit::NoProc, "noproc", Some(Environment), None),
    ] {
        assert_eq!((exit.code(), exit.blame(), exit.cause()), (code, blame, cause), "{exit}");
    }
}

#[test]
fn a_start_that_failed_by_a_lost_lane_is_not_charged_either() {
    for (reason, charged) in [(Exit::LaneLost, false), (crash(), true), (Exit::Killed, true)] {
        assert_eq!(failed(reason.clone()).is_charged(), charged, "{reason}");
        let mut w = World::up(Flags { intensity: 0, ..Flags::default() }, vec![child("b")]);
        w.exits("b", failed(reason));
        assert_eq!(w.exit.is_none(), !charged);
    }
}

#[test]
fn exits_are_told_in_words_down_to_the_first_cause() {
    let trap = Exit::crash(Cause::Trap, Blame::Guest, "divided by zero");
    for (exit, words) in [
        (Exit::Killed, "killed"),
        (Exit::ShutdownTerm("update".into()), "shutdown: update"),
        (trap.clone(), "Trap (Guest to blame): divided by zero"),
        (
            escalated(trap.clone()),
            "gave up: a needed more than 1 restarts in 5000 ms; last exit: Trap (Guest to blame): \
             divided by zero",
        ),
        (
            by_rule(trap.clone()),
            "gave up by a rule for this exit of a: Trap (Guest to blame): divided by zero",
        ),
        (failed(trap), "b failed to start: Trap (Guest to blame): divided by zero"),
    ] {
        assert_eq!(exit.to_string(), words);
    }
}

#[test]
fn a_line_for_a_log_is_one_line_of_bounded_depth_and_length() {
    let trap = Exit::crash(Cause::Trap, Blame::Guest, "a\nb\u{1b}[0m");
    assert_eq!(trap.line(1, 100), "Trap (Guest to blame): a\\nb\\u{1b}[0m");
    let short = Exit::ShutdownTerm("abcdef".into());
    assert_eq!([short.line(1, 16), short.line(1, 17)], ["shutdown: abcdef"; 2]);
    assert_eq!(short.line(1, 12), "shutdown: ab...");
    let deep = escalated(failed(Exit::Poison { reason: Box::new(Exit::Killed) }));
    let up = "gave up: a needed more than 1 restarts in 5000 ms; last exit: ";
    for (depth, rest) in [
        (1, "..."),
        (2, "b failed to start: ..."),
        (3, "b failed to start: the message is a dead letter: ..."),
        (4, "b failed to start: the message is a dead letter: killed"),
        (9, "b failed to start: the message is a dead letter: killed"),
    ] {
        assert_eq!(deep.line(depth, 1_000), format!("{up}{rest}"));
    }
    let ruled = by_rule(Exit::Killed).line(1, 1_000);
    assert_eq!(ruled, "gave up by a rule for this exit of a: ...");
    assert_eq!((deep.line(0, 9).as_str(), deep.to_string()), ("...", deep.line(4, 1_000)));
}

#[test]
fn an_exit_has_its_own_cause_and_those_it_came_of() {
    use Cause::*;
    let trap = Exit::crash(Trap, Blame::Guest, "");
    let poison = Exit::Poison { reason: Box::new(trap.clone()) };
    assert_eq!(
        (poison.code(), poison.blame(), poison.cause()),
        ("poison", Some(Blame::Guest), Some(Trap))
    );
    let all = [Trap, Deadline, Start, Poison, Escalated, Hung, Other];
    for (exit, causes) in [
        (trap.clone(), vec![Trap]),
        (Exit::Normal, vec![]),
        (Exit::Hung, vec![Hung]),
        (Exit::StartTimeout, vec![Deadline, Start]),
        (poison.clone(), vec![Trap, Poison]),
        (failed(trap), vec![Trap, Start]),
        (escalated(failed(poison)), vec![Trap, Start, Poison, Escalated]),
    ] {
        let has: Vec<_> = all.into_iter().filter(|&cause| exit.has_cause(cause)).collect();
        assert_eq!(has, causes, "{exit}");
    }
}

#[test]
fn a_report_says_who_it_is_about() {
    let spec = ChildSpec { significant: true, shutdown: Shutdown::BrutalKill, ..transient("t") };
    let flags =
        Flags { auto_shutdown: AutoShutdown::AllSignificant, ..lenient(Strategy::OneForOne) };
    let mut w = World::up(flags, vec![spec, ChildSpec::supervisor("s")]);
    w.pass(70);
    w.exits("t", crash());
    w.exits("s", Exit::Normal);
    let told: Vec<_> = w
        .reports
        .iter()
        .map(|report| (report.context, report.offender.incarnation, report.at))
        .collect();
    let at = Now(70);
    let expected = [
        (Context::ChildTerminated, Some(1), at),
        (Context::Progress, Some(2), at),
        (Context::ChildTerminated, Some(1), at),
        (Context::Progress, Some(2), at),
    ];
    assert_eq!(told, expected);
    let offender = Offender {
        id: id("t"),
        incarnation: Some(1),
        restart: Restart::Transient,
        significant: true,
        shutdown: Shutdown::BrutalKill,
        kind: Kind::Worker,
    };
    assert_eq!(w.reports[0].offender, offender);
    let supervisor = &w.reports[3].offender;
    assert_eq!((supervisor.kind, supervisor.shutdown), (Kind::Supervisor, Shutdown::Infinity));
    assert_eq!(w.counts(), [2, 2, 1, 1]);
}

#[test]
fn whoever_was_to_be_killed_and_ended_otherwise_is_reported() {
    let spec = |restart| ChildSpec { shutdown: Shutdown::BrutalKill, restart, ..child("a") };
    for (restart, reason, accepted) in [
        (Restart::Permanent, Exit::Killed, true),
        (Restart::Permanent, Exit::Shutdown, false),
        (Restart::Permanent, crash(), false),
        (Restart::Transient, Exit::Shutdown, true),
    ] {
        let mut w = World::up(lenient(Strategy::OneForOne), vec![spec(restart)]);
        // It ends by itself just before it is killed.
        let incarnation = w.alive.remove("a").unwrap();
        w.stop();
        assert_eq!(w.took(), "kill a");
        w.feed(Event::Exited { id: id("a"), incarnation, reason: reason.clone() });
        w.run();
        assert_eq!(w.contexts().is_empty(), accepted, "{restart:?} {reason:?}");
        assert_eq!(w.exit, Some(Exit::Shutdown));
    }
}

/// A start that is no longer wanted may still be declined, or fail: it is over then.
#[test]
fn a_start_that_was_given_up_ends_by_whatever_answers_it() {
    let answers: [fn(ChildId, u64) -> Event; 3] = [
        |id, incarnation| Event::Ignored { id, incarnation },
        |id, incarnation| Event::StartFailed { id, incarnation, reason: crash() },
        |id, incarnation| Event::Exited { id, incarnation, reason: Exit::Killed },
    ];
    for answer in answers {
        let slow = ChildSpec { start_timeout_ms: Some(5), ..child("a") };
        let mut w = World::up(lenient(Strategy::OneForOne), vec![slow]);
        w.starts("a", &[Start::Hangs]);
        w.exits("a", crash());
        let incarnation = w.alive.remove("a").unwrap();
        w.pass(5);
        assert_eq!(w.took(), "start a, kill a");
        w.feed(answer(id("a"), incarnation));
        w.run();
        assert_eq!((w.took().as_str(), w.which().as_str()), ("start a", "a:pid"));
        // The same when the supervisor ends meanwhile.
        w.starts("a", &[Start::Hangs]);
        w.exits("a", crash());
        let incarnation = w.alive.remove("a").unwrap();
        w.stop();
        assert_eq!((w.took().as_str(), w.exit.clone()), ("start a, stop a", None));
        w.feed(answer(id("a"), incarnation));
        w.run();
        assert_eq!(w.exit, Some(Exit::Shutdown));
    }
}

#[test]
fn extensions_that_make_no_sense_are_refused() {
    let good = Backoff {
        first: First::Immediate,
        min_ms: 10,
        max_ms: 10,
        factor: 1.0,
        jitter: 1.0,
        reset_after_ms: 0,
    };
    let code = |spec| {
        let made = Supervisor::new(Flags::default(), vec![spec], 0);
        made.err().map_or("ok", |error| error.code())
    };
    let backing = |backoff| code(ChildSpec { backoff: Some(backoff), ..child("a") });
    assert_eq!(backing(good), "ok");
    assert_eq!(backing(Backoff { jitter: 0.0, min_ms: 0, factor: 9.5, ..good }), "ok");
    for bad in [
        Backoff { factor: 0.99, ..good },
        Backoff { factor: f64::NAN, ..good },
        Backoff { factor: f64::INFINITY, ..good },
        Backoff { jitter: -0.01, ..good },
        Backoff { jitter: 1.01, ..good },
        Backoff { min_ms: 11, ..good },
    ] {
        assert_eq!(backing(bad), "invalid_backoff", "{bad:?}");
    }
    let budget = |period_ms| {
        code(ChildSpec { budget: Some(Budget { intensity: 0, period_ms }), ..child("a") })
    };
    assert_eq!((budget(1), budget(0)), ("ok", "invalid_budget"));
    let timeout = |ms| code(ChildSpec { start_timeout_ms: Some(ms), ..child("a") });
    assert_eq!((timeout(1), timeout(0)), ("ok", "invalid_start_timeout"));
    // Whole seconds are asked for by OTP's window only.
    let window = |window, period_ms| {
        let flags = Flags { window, period_ms, ..Flags::default() };
        Supervisor::new(flags, vec![], 0).is_ok()
    };
    assert!(window(Window::Exact, 1_500) && window(Window::OtpSeconds, 2_000));
}

#[test]
fn the_defaults_of_specs_are_those_of_otp() {
    let (worker, supervisor) = (ChildSpec::worker("a"), ChildSpec::supervisor("a"));
    assert_eq!((worker.kind, worker.shutdown), (Kind::Worker, Shutdown::Timeout(5_000)));
    assert_eq!((supervisor.kind, supervisor.shutdown), (Kind::Supervisor, Shutdown::Infinity));
    for spec in [worker, supervisor] {
        assert_eq!((spec.restart, spec.significant), (Restart::Permanent, false));
        assert_eq!((spec.backoff, spec.start_timeout_ms, spec.budget), (None, None, None));
    }
}
