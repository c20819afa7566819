//! What OTP does not have: backoff, start timeouts, budgets per child, parallel stop, charge and
//! blame. And that each is neutral when absent: the recorded runs replay on this very core.
#![allow(clippy::unwrap_used, missing_docs)]

mod machine_world;
use loket_supervision::machine::*;
use machine_world::*;

const BACKOFF: Backoff = Backoff {
    first: First::Immediate,
    min_ms: 100,
    max_ms: 1_000,
    factor: 2.0,
    jitter: 0.0,
    reset_after_ms: 60_000,
};

fn backing(id: &str, backoff: Backoff) -> ChildSpec {
    ChildSpec { backoff: Some(backoff), ..child(id) }
}

/// Crashes the child and says after how many milliseconds it was back.
fn delay(w: &mut World, id: &str) -> u64 {
    let before = w.now;
    w.exits(id, crash());
    while !w.alive.contains_key(id) {
        let at = w.next_timer().unwrap();
        w.pass(at - w.now);
    }
    w.now - before
}

#[test]
fn the_first_restart_is_immediate_then_delays_grow_to_the_maximum() {
    let mut w = World::up(lenient(Strategy::OneForOne), vec![backing("a", BACKOFF)]);
    let delays: Vec<u64> = (0..7).map(|_| delay(&mut w, "a")).collect();
    assert_eq!(delays, [0, 100, 200, 400, 800, 1_000, 1_000]);
    w.pass(59_999);
    assert_eq!(delay(&mut w, "a"), 1_000);
    w.pass(60_000);
    assert_eq!(delay(&mut w, "a"), 0, "healthy for long enough");
}

#[test]
fn a_first_delay_in_milliseconds() {
    let backoff = Backoff { first: First::Ms(30), ..BACKOFF };
    let mut w = World::up(lenient(Strategy::OneForOne), vec![backing("a", backoff)]);
    assert_eq!([delay(&mut w, "a"), delay(&mut w, "a")], [30, 100]);
}

#[test]
fn jitter_stays_within_its_share_and_the_maximum_and_is_reproducible() {
    let backoff = Backoff { first: First::Ms(0), factor: 1.0, jitter: 0.5, ..BACKOFF };
    let run = || {
        let mut w = World::up(lenient(Strategy::OneForOne), vec![backing("a", backoff)]);
        (0..200).map(|_| delay(&mut w, "a")).skip(1).collect::<Vec<_>>()
    };
    let delays = run();
    assert_eq!(delays, run());
    assert!(delays.iter().all(|ms| (50..=150).contains(ms)));
    assert!(delays.iter().any(|&ms| ms < 70) && delays.iter().any(|&ms| ms > 130));
}

/// The numbers are those of SplitMix64, reckoned elsewhere.
#[test]
fn jitter_is_the_same_everywhere_for_the_same_seed() {
    let delays = |backoff, number| {
        let mut w = World::up(lenient(Strategy::OneForOne), vec![backing("a", backoff)]);
        assert_eq!(delay(&mut w, "a"), 0);
        (0..number).map(|_| delay(&mut w, "a")).collect::<Vec<_>>()
    };
    let whole = Backoff {
        min_ms: 1_000_000_000,
        max_ms: 2_000_000_000,
        factor: 1.0,
        jitter: 1.0,
        reset_after_ms: u64::MAX,
        ..BACKOFF
    };
    assert_eq!(delays(whole, 4), [779_659_496, 33_576_589, 1_801_521_361, 1_165_860_586]);
    let quarter = Backoff { min_ms: 1_000, max_ms: 1_000_000, factor: 3.0, jitter: 0.25, ..whole };
    assert_eq!(delays(quarter, 5), [944, 2_275, 10_803, 28_119, 79_073]);
}

#[test]
fn a_failed_restart_waits_too() {
    let mut w = World::up(lenient(Strategy::OneForOne), vec![backing("a", BACKOFF)]);
    w.starts("a", &[Start::Fails, Start::Fails]);
    assert_eq!(delay(&mut w, "a"), 300);
    assert_eq!(w.took(), "start a, start a, start a");
}

#[test]
fn a_pending_delay_is_seen_and_cancelled() {
    let mut w = World::up(lenient(Strategy::OneForOne), vec![backing("a", BACKOFF), child("b")]);
    delay(&mut w, "a");
    w.exits("a", crash());
    assert_eq!(w.state("a"), Some(ChildState::Restarting { until: Now(100) }));
    assert_eq!(w.which(), "b:pid a:restarting");
    w.call(Call::TerminateChild(id("a")));
    w.log.clear();
    w.pass(10_000);
    assert_eq!((w.took().as_str(), w.which().as_str()), ("", "b:pid a:undefined"));
}

#[test]
fn a_timer_of_an_earlier_delay_does_not_shorten_a_later_one() {
    let mut w = World::up(lenient(Strategy::OneForOne), vec![backing("a", BACKOFF)]);
    delay(&mut w, "a");
    w.exits("a", crash()); // due at 100
    w.pass(50);
    w.call(Call::TerminateChild(id("a")));
    w.call(Call::RestartChild(id("a")));
    w.exits("a", crash()); // due at 250
    w.log.clear();
    w.pass(199);
    assert_eq!(w.took(), "");
    w.pass(1);
    assert_eq!((w.now, w.took().as_str()), (250, "start a"));
}

#[test]
fn an_attempt_is_stamped_when_it_fires() {
    // Two crashes 150 ms apart in a window of 120 ms, but their restarts only 50 ms apart.
    let backoff = Backoff { first: First::Ms(100), min_ms: 0, ..BACKOFF };
    let flags = Flags { intensity: 1, period_ms: 120, ..Flags::default() };
    let mut w = World::up(flags, vec![backing("a", backoff)]);
    w.exits("a", crash());
    w.pass(150);
    assert_eq!(w.took(), "start a");
    w.exits("a", crash());
    assert_eq!(w.exit.as_ref().map(Exit::code), Some("escalated"));
}

#[test]
fn a_group_waits_for_the_backoff_and_is_then_restarted_as_a_whole() {
    let backoff = Backoff { first: First::Ms(100), ..BACKOFF };
    let mut w = World::up(
        lenient(Strategy::OneForAll),
        vec![child("a"), backing("b", backoff), child("c")],
    );
    w.exits("b", crash());
    assert_eq!(w.took(), "");
    w.pass(100);
    assert_eq!(w.took(), "stop c, stop a, start a, start b, start c");
    // A group restart for another child's sake overtakes the delay.
    w.exits("b", crash());
    w.exits("a", crash());
    w.log.clear();
    w.pass(10_000);
    assert_eq!((w.took().as_str(), w.which().as_str()), ("", "c:pid b:pid a:pid"));
}

#[test]
fn a_start_that_takes_too_long_is_killed_and_has_failed() {
    let spec = ChildSpec { start_timeout_ms: Some(500), ..child("a") };
    let mut w = World::up(lenient(Strategy::OneForOne), vec![spec, child("b")]);
    w.starts("a", &[Start::Hangs]);
    w.exits("a", crash());
    w.pass(499);
    assert_eq!(w.took(), "start a");
    w.pass(1);
    assert_eq!(w.took(), "kill a, start a");
    let reasons: Vec<_> = w.reports.iter().filter_map(|r| r.reason.clone()).collect();
    assert_eq!(reasons, [crash(), Exit::StartTimeout]);
}

#[test]
fn a_start_that_succeeds_after_its_timeout_has_failed_all_the_same() {
    let spec = ChildSpec { start_timeout_ms: Some(500), ..child("a") };
    let mut sup = Supervisor::new(Flags::default(), vec![spec], 0).unwrap();
    let orders = sup.step(Event::Start, Now(0));
    let Some(Order::SetTimer { timer, at }) = orders.last().cloned() else { panic!() };
    assert_eq!(at, Now(500));
    let kill = Order::Kill { id: id("a"), incarnation: 1 };
    assert_eq!(sup.step(Event::Timer(timer), at), [kill]);
    assert_eq!(sup.step(Event::Started { id: id("a"), incarnation: 1 }, at), []);
    let gone = Event::Exited { id: id("a"), incarnation: 1, reason: Exit::Killed };
    let last = sup.step(gone, at).pop();
    let reason = Box::new(Exit::StartTimeout);
    assert_eq!(last, Some(Order::Exit { reason: Exit::FailedToStart { child: id("a"), reason } }));
}

#[test]
fn a_late_start_timeout_kills_nobody() {
    let spec = ChildSpec { start_timeout_ms: Some(500), ..child("a") };
    let mut w = World::up(lenient(Strategy::OneForOne), vec![spec]);
    w.pass(10_000);
    assert_eq!((w.took().as_str(), w.which().as_str()), ("", "a:pid"));
}

#[test]
fn a_stop_takes_over_from_a_hanging_start() {
    for (shutdown, log) in [
        (Shutdown::BrutalKill, "kill b, stop a, exit shutdown"),
        (Shutdown::Timeout(10), "stop b, kill b, stop a, exit shutdown"),
    ] {
        let slow = ChildSpec { shutdown, start_timeout_ms: Some(5), ..child("b") };
        let mut w = World::new(lenient(Strategy::OneForOne), vec![child("a"), slow, child("c")]);
        w.starts("b", &[Start::Hangs]);
        w.stubborn.insert("b".into());
        w.feed(Event::Start);
        w.run();
        assert_eq!(w.took(), "start a, start b");
        w.stop();
        w.pass(10_000);
        assert_eq!(w.took(), log);
    }
}

#[test]
fn a_child_s_own_budget_comes_in_addition() {
    let budget = Some(Budget { intensity: 1, period_ms: 1_000 });
    let mut w = World::up(
        lenient(Strategy::OneForOne),
        vec![ChildSpec { budget, ..child("a") }, child("b")],
    );
    for _ in 0..5 {
        w.exits("b", crash());
        w.exits("a", crash());
        w.pass(1_001);
    }
    assert_eq!(w.exit, None);
    w.exits("a", crash());
    w.exits("a", crash());
    let Some(Exit::Escalated { intensity, period_ms, .. }) = w.exit else { panic!() };
    assert_eq!((intensity, period_ms), (1, 1_000));
}

#[test]
fn parallel_stop_asks_all_at_once() {
    let with = |id: &str, ms| ChildSpec { shutdown: Shutdown::Timeout(ms), ..child(id) };
    let flags = Flags { stop: Stop::Parallel, ..lenient(Strategy::OneForAll) };
    let mut w = World::up(flags, vec![with("a", 300), with("b", 200), with("c", 100)]);
    w.stubborn.extend(["a".into(), "b".into(), "c".into()]);
    w.exits("b", crash());
    w.pass(299);
    assert_eq!(w.took(), "stop c, stop a, kill c");
    w.pass(1);
    assert_eq!(w.took(), "kill a, start a, start b, start c");
    w.stop();
    w.pass(300);
    assert_eq!(w.took(), "stop c, stop b, stop a, kill c, kill b, kill a, exit shutdown");
}

#[test]
fn a_lost_lane_is_not_charged() {
    let mut w =
        World::up(Flags { intensity: 0, ..Flags::default() }, vec![child("a"), temporary("t")]);
    for _ in 0..10 {
        w.exits("a", Exit::LaneLost);
    }
    w.exits("t", Exit::LaneLost);
    assert_eq!((w.which().as_str(), w.exit.clone()), ("a:pid", None));
    // Nor is it when it waits for a backoff.
    let backoff = Backoff { first: First::Ms(10), ..BACKOFF };
    let flags = Flags { intensity: 0, ..Flags::default() };
    let mut w = World::up(flags, vec![backing("a", backoff)]);
    w.exits("a", Exit::LaneLost);
    w.pass(10);
    assert_eq!(w.took(), "start a");
}

#[test]
fn charge_by_letter_counts_letters_and_failed_starts_but_not_exits() {
    let spec = ChildSpec { charge: Charge::Letter, ..child("a") };
    let flags = Flags { intensity: 1, ..Flags::default() };
    let mut w = World::up(flags.clone(), vec![spec.clone(), child("b")]);
    for _ in 0..10 {
        w.exits("a", crash());
    }
    for id in ["b", "b", "nobody", "a"] {
        w.feed(Event::Letter { id: id.into() });
    }
    w.run();
    assert_eq!(w.exit, None);
    w.log.clear();
    w.feed(Event::Letter { id: id("a") });
    w.run();
    assert_eq!(w.took(), "stop b, stop a, exit escalated");
    let mut w = World::up(flags, vec![spec]);
    w.starts("a", &[Start::Fails; 9]);
    w.exits("a", crash());
    assert_eq!(w.took(), "start a, start a, exit escalated");
}

#[test]
fn incarnations_continue_where_an_earlier_process_ended() {
    let mut w = World::new(lenient(Strategy::OneForOne), vec![child("a"), child("b")]);
    w.sup.seed_incarnation(id("a"), 41);
    w.sup.seed_incarnation(id("later"), 9);
    w.feed(Event::Start);
    w.run();
    assert_eq!((w.alive["a"], w.alive["b"]), (42, 1));
    assert_eq!(w.call(Call::StartChild(child("later"))), Answer::Started(Some(10)));
    w.sup.seed_incarnation(id("a"), 90);
    w.exits("a", crash());
    assert_eq!(w.alive["a"], 43, "a life that runs is not renumbered");
    // A seed that was taken back counts for nothing.
    w.sup.seed_incarnation(id("other"), 70);
    w.sup.unseed("other");
    assert_eq!(w.call(Call::StartChild(child("other"))), Answer::Started(Some(1)));
}

#[test]
fn blame_is_looked_up_through_escalations() {
    let inner = Exit::crash(Cause::ProviderDown, Blame::Provider, "down");
    let one = |reason| Exit::Escalated {
        child: id("a"),
        reason: Box::new(reason),
        intensity: 1,
        period_ms: 5_000,
        by_rule: false,
    };
    assert_eq!(one(one(inner)).blame(), Some(Blame::Provider));
    assert_eq!(one(Exit::Normal).blame(), None);
}
