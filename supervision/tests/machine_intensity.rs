//! OTP's restart intensity, edge by edge (reference, section 1.4), which the recorded runs cannot
//! show: their period never ends.
#![allow(clippy::unwrap_used, missing_docs)]

mod machine_world;
use loket_supervision::machine::*;
use machine_world::*;

fn flags(intensity: u32, period_ms: u64, window: Window) -> Flags {
    Flags { intensity, period_ms, window, ..Flags::default() }
}

#[test]
fn intensity_0_ends_the_supervisor_at_the_first_restart_but_not_at_an_end() {
    let children = vec![temporary("t"), transient("n"), child("p")];
    let mut w = World::up(flags(0, 5_000, Window::Exact), children);
    w.exits("t", crash());
    w.exits("n", Exit::Normal);
    assert_eq!(w.took(), "");
    assert_eq!(w.which(), "p:pid n:undefined");
    w.exits("p", Exit::Normal);
    assert_eq!(w.took(), "exit escalated");
    assert_eq!(w.contexts().last(), Some(&Context::Shutdown));
}

#[test]
fn whole_seconds_give_up_at_1_90_s_early_in_a_second() {
    let mut w = World::up(flags(1, 1_000, Window::OtpSeconds), vec![child("a")]);
    w.pass(20);
    w.exits("a", crash());
    w.pass(1_900);
    w.exits("a", crash());
    assert_eq!(w.took(), "start a, exit escalated");
}

#[test]
fn whole_seconds_survive_1_15_s_late_in_a_second() {
    let mut w = World::up(flags(1, 1_000, Window::OtpSeconds), vec![child("a")]);
    w.pass(900);
    w.exits("a", crash());
    w.pass(1_150);
    w.exits("a", crash());
    assert_eq!(w.took(), "start a, start a");
}

#[test]
fn the_exact_window_ends_after_the_period_to_the_millisecond() {
    for (gap, survives) in [(1_000, false), (1_001, true)] {
        let mut w = World::up(flags(1, 1_000, Window::Exact), vec![child("a")]);
        w.pass(20);
        w.exits("a", crash());
        w.pass(gap);
        w.exits("a", crash());
        assert_eq!(w.exit.is_none(), survives, "gap {gap}");
    }
}

#[test]
fn crashes_outside_the_window_never_trip_the_limit() {
    for window in [Window::Exact, Window::OtpSeconds] {
        let mut w = World::up(flags(1, 1_000, window), vec![child("a")]);
        for _ in 0..50 {
            w.pass(2_100);
            w.exits("a", crash());
        }
        assert_eq!(w.exit, None);
        assert_eq!(w.sup.child("a").unwrap().restarts, 50);
    }
}

#[test]
fn intensity_n_allows_n_restarts_and_the_siblings_share_them() {
    let mut w = World::up(flags(2, 5_000, Window::Exact), vec![child("a"), child("b")]);
    w.exits("a", crash());
    w.exits("b", crash());
    assert_eq!(w.took(), "start a, start b");
    w.exits("a", crash());
    assert_eq!(w.took(), "stop b, exit escalated");
}

#[test]
fn a_failing_start_burns_the_intensity_without_delay() {
    let mut w = World::up(flags(1_000, 5_000, Window::Exact), vec![child("a")]);
    w.starts("a", &[Start::Fails; 2_000]);
    w.exits("a", crash());
    // 1,000 attempts are allowed; the retry after the last of them is one too many.
    assert_eq!(w.log.len(), 1_001);
    assert_eq!(w.log.last().unwrap(), "exit escalated");
    assert_eq!(w.now, 0);
}

#[test]
fn two_at_once_count_once_under_one_for_all_and_twice_under_one_for_one() {
    for (strategy, survives) in [(Strategy::OneForAll, true), (Strategy::OneForOne, false)] {
        let flags = Flags { strategy, ..flags(1, 5_000, Window::Exact) };
        let mut w = World::up(flags, vec![child("a"), child("b")]);
        w.ends("a", Exit::Killed);
        w.ends("b", Exit::Killed);
        w.run();
        assert_eq!(w.exit.is_none(), survives, "{strategy:?}");
    }
}

#[test]
fn giving_up_stops_the_others_in_reverse_and_says_whose_restart_was_too_many() {
    let mut w = World::up(flags(0, 5_000, Window::Exact), vec![child("a"), child("b"), child("c")]);
    w.exits("b", crash());
    assert_eq!(w.took(), "stop c, stop a, exit escalated");
    let Some(Exit::Escalated { child, reason, intensity, period_ms, by_rule: false }) =
        w.exit.clone()
    else {
        panic!()
    };
    assert_eq!((&*child, *reason, intensity, period_ms), ("b", crash(), 0, 5_000));
    assert_eq!(w.contexts(), [Context::ChildTerminated, Context::Shutdown]);
    assert_eq!(&*w.reports[1].offender.id, "b");
}

#[test]
fn as_otp_giving_up_is_plain_shutdown() {
    let flags = Flags { escalation: Escalation::AsOtp, ..flags(0, 5_000, Window::Exact) };
    let mut w = World::up(flags, vec![child("a")]);
    w.exits("a", crash());
    assert_eq!(w.exit, Some(Exit::Shutdown));
    let reason = w.reports.last().unwrap().reason.as_ref().unwrap();
    assert_eq!(reason.code(), "escalated");
}
