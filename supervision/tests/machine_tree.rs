//! Supervisors under supervisors, significant children, and code change.
#![allow(clippy::unwrap_used, missing_docs)]

mod machine_world;
use loket_supervision::machine::*;
use machine_world::*;

/// Two machines: `sub` is a child of the upper one. Events of the lower are the upper's outcome.
struct Tree {
    upper: World,
    lower: Option<World>,
    make: fn() -> World,
    /// Lower machines made so far.
    made: u32,
}

impl Tree {
    /// The upper must not decide how `sub` starts and stops: its world leaves that to the lower.
    fn up(flags: Flags, sub: ChildSpec, make: fn() -> World) -> Self {
        let children = vec![child("x"), sub, child("y")];
        let mut upper = World::new(flags, children);
        upper.starts("sub", &[Start::Hangs; 64]);
        upper.stubborn.insert("sub".into());
        upper.feed(Event::Start);
        let mut tree = Self { upper, lower: None, make, made: 0 };
        tree.run();
        assert_eq!(tree.upper.log.last().unwrap(), "up");
        tree.upper.log.clear();
        tree
    }

    fn run(&mut self) {
        loop {
            self.upper.run();
            let Some(&incarnation) = self.upper.alive.get("sub") else { return };
            let state = self.upper.state("sub");
            let (id, before) = (id("sub"), self.upper.log.len());
            if self.lower.is_none() {
                let mut lower = (self.make)();
                lower.feed(Event::Start);
                self.made += 1;
                self.lower = Some(lower);
            }
            let lower = self.lower.as_mut().unwrap();
            if state == Some(ChildState::Stopping) {
                lower.feed(Event::Stop { reason: Exit::Shutdown });
            }
            lower.run();
            if let Some(reason) = lower.exit.clone() {
                self.upper.alive.remove("sub");
                self.lower = None;
                self.upper.feed(Event::Exited { id, incarnation, reason });
            } else if state == Some(ChildState::Starting) && lower.sup.phase() == Phase::Up {
                self.upper.feed(Event::Started { id, incarnation });
            } else if self.upper.log.len() == before {
                return;
            }
        }
    }

    fn lower_exits(&mut self, id: &str, reason: Exit) {
        self.lower.as_mut().unwrap().ends(id, reason);
        self.run();
    }
}

fn two() -> World {
    World::new(Flags { intensity: 1, ..Flags::default() }, vec![child("a"), child("b")])
}

fn two_as_otp() -> World {
    let flags = Flags { intensity: 1, escalation: Escalation::AsOtp, ..Flags::default() };
    World::new(flags, vec![child("a"), child("b")])
}

#[test]
fn a_crash_stays_local_and_an_escalation_restarts_the_subtree_without_dynamic_children() {
    let mut t = Tree::up(lenient(Strategy::OneForOne), ChildSpec::supervisor("sub"), two);
    assert_eq!(t.lower.as_mut().unwrap().code(Call::StartChild(child("dynamic"))), "ok");
    t.lower_exits("a", crash());
    assert_eq!((t.upper.took().as_str(), t.made), ("", 1));
    assert_eq!(t.lower.as_ref().unwrap().which(), "dynamic:pid b:pid a:pid");
    t.lower_exits("a", crash());
    assert_eq!((t.upper.took().as_str(), t.made), ("start sub", 2));
    assert_eq!(t.lower.as_ref().unwrap().which(), "b:pid a:pid");
    let last = t.upper.sup.child("sub").unwrap().last_exit.unwrap();
    assert_eq!((last.code(), last.blame()), ("escalated", Some(Blame::Guest)));
}

#[test]
fn an_escalation_brings_a_transient_supervisor_back_but_as_otp_it_vanishes() {
    for (make, which) in
        [(two as fn() -> World, "y:pid sub:pid x:pid"), (two_as_otp, "y:pid sub:undefined x:pid")]
    {
        let sub = ChildSpec { restart: Restart::Transient, ..ChildSpec::supervisor("sub") };
        let mut t = Tree::up(lenient(Strategy::OneForOne), sub, make);
        t.lower_exits("a", crash());
        t.lower_exits("a", crash());
        assert_eq!(t.upper.which(), which);
    }
}

#[test]
fn a_group_restart_above_stops_the_whole_subtree_in_order() {
    let mut t = Tree::up(lenient(Strategy::OneForAll), ChildSpec::supervisor("sub"), two);
    t.upper.ends("x", crash());
    t.run();
    assert_eq!(t.upper.took(), "stop y, stop sub, start x, start sub, start y");
    assert_eq!((t.made, t.upper.which().as_str()), (2, "y:pid sub:pid x:pid"));
}

#[test]
fn an_escalation_that_goes_on_ends_the_upper_one_too() {
    let flags = Flags { intensity: 1, ..Flags::default() };
    let mut t = Tree::up(flags, ChildSpec::supervisor("sub"), two);
    for _ in 0..4 {
        t.lower_exits("b", crash());
    }
    assert_eq!(t.upper.took(), "start sub, stop y, stop x, exit escalated");
    assert_eq!(t.upper.exit.unwrap().blame(), Some(Blame::Guest));
}

#[test]
fn a_subtree_that_cannot_start_is_a_failed_start() {
    fn failing() -> World {
        let mut lower = two();
        lower.starts("b", &[Start::Fails]);
        lower
    }
    let mut t =
        Tree::up(Flags { intensity: 3, ..Flags::default() }, ChildSpec::supervisor("sub"), two);
    t.make = failing;
    t.lower_exits("a", crash());
    t.lower_exits("a", crash());
    assert_eq!(t.upper.took(), "start sub, start sub, start sub, stop y, stop x, exit escalated");
}

fn auto(auto_shutdown: AutoShutdown) -> Flags {
    Flags { auto_shutdown, ..lenient(Strategy::OneForOne) }
}

fn significant(spec: ChildSpec) -> ChildSpec {
    ChildSpec { significant: true, ..spec }
}

#[test]
fn any_significant_ends_at_the_first_end_by_itself() {
    let any = auto(AutoShutdown::AnySignificant);
    let children = || vec![significant(transient("n")), significant(temporary("t")), child("p")];
    for (id, reason, ends) in [
        ("n", Exit::Normal, true),
        ("n", crash(), false),
        ("t", crash(), true),
        ("t", Exit::Killed, true),
        ("p", Exit::Normal, false),
    ] {
        let mut w = World::up(any.clone(), children());
        w.exits(id, reason.clone());
        assert_eq!(w.exit, ends.then_some(Exit::Shutdown), "{id} {reason:?}");
    }
    let mut w = World::up(any, children());
    w.call(Call::TerminateChild(id("n")));
    w.call(Call::TerminateChild(id("t")));
    assert_eq!(w.exit, None, "being terminated is no end by itself");
}

#[test]
fn all_significant_ends_at_the_last_and_a_restarting_one_has_not_ended() {
    let flags = auto(AutoShutdown::AllSignificant);
    let backoff = Some(Backoff {
        first: First::Ms(100),
        min_ms: 100,
        max_ms: 100,
        factor: 1.0,
        jitter: 0.0,
        reset_after_ms: 0,
    });
    let slow = ChildSpec { backoff, ..significant(transient("n")) };
    let mut w = World::up(flags, vec![slow, significant(temporary("t")), transient("plain")]);
    w.exits("plain", Exit::Normal);
    w.exits("n", crash());
    assert_eq!(w.which(), "plain:undefined t:pid n:restarting");
    w.exits("t", Exit::Normal);
    assert_eq!(w.exit, None);
    w.pass(100);
    w.exits("n", Exit::Normal);
    assert_eq!(w.exit, Some(Exit::Shutdown));
}

#[test]
fn siblings_stopped_by_a_group_restart_do_not_trigger() {
    let flags = Flags { strategy: Strategy::OneForAll, ..auto(AutoShutdown::AnySignificant) };
    let mut w = World::up(
        flags,
        vec![child("p"), significant(temporary("t")), significant(transient("n"))],
    );
    w.exits("p", crash());
    assert_eq!((w.exit.clone(), w.which().as_str()), (None, "n:pid p:pid"));
}

#[test]
fn a_significant_supervisor_takes_its_own_with_it() {
    fn lower() -> World {
        World::new(auto(AutoShutdown::AnySignificant), vec![significant(temporary("t"))])
    }
    let sub = ChildSpec { restart: Restart::Temporary, ..ChildSpec::supervisor("sub") };
    let mut t = Tree::up(auto(AutoShutdown::AnySignificant), significant(sub.clone()), lower);
    t.lower_exits("t", Exit::Normal);
    assert_eq!(t.upper.exit, Some(Exit::Shutdown));
    let mut t = Tree::up(auto(AutoShutdown::AnySignificant), sub, lower);
    t.lower_exits("t", Exit::Normal);
    assert_eq!((t.upper.exit.clone(), t.upper.which().as_str()), (None, "y:pid x:pid"));
}

#[test]
fn code_change_replaces_by_id_keeps_the_removed_and_starts_nothing() {
    let mut w = World::up(lenient(Strategy::OneForOne), vec![child("a"), child("b"), child("c")]);
    w.exits("b", crash());
    w.log.clear();
    let flags = Flags { intensity: 0, ..lenient(Strategy::RestForOne) };
    let children = vec![child("new"), temporary("c"), child("b")];
    assert_eq!(w.code(Call::Change(Change { flags, children })), "ok");
    assert_eq!((w.took().as_str(), w.which().as_str()), ("", "a:pid b:pid c:pid new:undefined"));
    assert_eq!(w.alive["b"], 2, "running children keep running");
    w.exits("c", crash());
    assert_eq!(w.which(), "a:pid b:pid new:undefined");
    w.exits("b", crash());
    // The stamp of b's first restart still counts, and so would any under intensity 0.
    assert_eq!(w.took(), "stop a, exit escalated");
}

#[test]
fn a_code_change_that_is_refused_changes_nothing() {
    let mut w = World::up(lenient(Strategy::OneForOne), vec![child("a")]);
    let flags = Flags { period_ms: 0, ..Flags::default() };
    assert_eq!(w.code(Call::Change(Change { flags, children: vec![] })), "invalid_period");
    let flags = lenient(Strategy::OneForOne);
    let children = vec![significant(transient("a"))];
    assert_eq!(w.code(Call::Change(Change { flags, children })), "bad_combination");
    assert_eq!((w.sup.flags(), w.which().as_str()), (&lenient(Strategy::OneForOne), "a:pid"));
    assert_eq!(w.sup.child("a").unwrap().spec, child("a"));
}

#[test]
fn auto_shutdown_and_significance_change_live() {
    let children = vec![significant(temporary("s")), transient("n")];
    let mut w = World::up(auto(AutoShutdown::AllSignificant), children);
    let flags = auto(AutoShutdown::AnySignificant);
    let children = vec![temporary("s"), significant(transient("n"))];
    w.call(Call::Change(Change { flags, children }));
    w.exits("s", Exit::Normal);
    assert_eq!(w.exit, None);
    w.exits("n", Exit::Normal);
    assert_eq!(w.exit, Some(Exit::Shutdown));
}

#[test]
fn a_hundred_thousand_children_start_and_stop_in_linear_steps() {
    let children = (0..100_000).map(|n| temporary(&format!("c{n}"))).collect();
    let mut w = World::up(lenient(Strategy::OneForOne), children);
    assert_eq!(w.counts()[1], 100_000);
    w.stop();
    assert_eq!(w.log.len(), 100_001);
    assert_eq!(w.log[0], "stop c99999");
}
