//! Rules by blame and cause.
#![allow(clippy::unwrap_used, missing_docs)]

mod machine_world;
use loket_supervision::machine::*;
use machine_world::*;

fn rule(blame: Option<Blame>, cause: Option<Cause>, action: Action) -> Rule {
    Rule { blame, cause, action }
}

fn up(rules: Vec<Rule>, flags: Flags, children: Vec<ChildSpec>) -> World {
    let ruled = |spec| ChildSpec { rules: rules.clone(), ..spec };
    let mut w = World::new(flags, children.into_iter().map(ruled).collect());
    w.feed(Event::Start);
    w.run();
    w.log.clear();
    w.reports.clear();
    w
}

fn config() -> Exit {
    Exit::crash(Cause::Start, Blame::Config, "no such module")
}

#[test]
fn the_first_rule_that_fits_decides() {
    let rules = vec![
        rule(Some(Blame::Config), Some(Cause::BrainCorrupt), Action::Escalate),
        rule(Some(Blame::Config), None, Action::End),
        rule(Some(Blame::Guest), None, Action::Restart),
        rule(None, Some(Cause::Panic), Action::Escalate),
    ];
    for (reason, log, which) in [
        (config(), "", "b:pid a:undefined"),
        (crash(), "start a", "b:pid a:pid"),
        (Exit::Killed, "start a", "b:pid a:pid"),
        (Exit::Normal, "start a", "b:pid a:pid"),
        (Exit::crash(Cause::Panic, Blame::Host, "bug"), "stop b, exit escalated", ""),
        (Exit::crash(Cause::BrainCorrupt, Blame::Config, ""), "stop b, exit escalated", ""),
    ] {
        let mut w = up(rules.clone(), lenient(Strategy::OneForOne), vec![child("a"), child("b")]);
        w.exits("a", reason.clone());
        assert_eq!(w.took(), log, "{reason:?}");
        if w.exit.is_none() {
            assert_eq!(w.which(), which, "{reason:?}");
        }
    }
}

#[test]
fn an_ended_child_comes_back_by_a_call() {
    let rules = vec![rule(Some(Blame::Config), None, Action::End)];
    let mut w = up(rules, Flags { intensity: 0, ..Flags::default() }, vec![child("a")]);
    w.exits("a", config());
    assert_eq!(w.contexts(), [Context::ChildTerminated, Context::EndedByRule]);
    assert_eq!(w.code(Call::RestartChild(id("a"))), "ok");
    assert_eq!(w.sup.child("a").unwrap().last_exit, Some(config()));
}

#[test]
fn a_failed_restart_obeys_the_rules_too() {
    for (action, log) in [
        (Action::End, "start a"),
        (Action::Escalate, "start a, stop b, exit escalated"),
        (Action::Restart, "start a, start a"),
    ] {
        // The world's failed starts are the configuration's fault.
        let rules = vec![rule(Some(Blame::Config), None, action)];
        let mut w = up(rules, lenient(Strategy::OneForOne), vec![child("a"), child("b")]);
        w.starts("a", &[Start::Fails]);
        w.exits("a", crash());
        assert_eq!(w.took(), log);
    }
}

#[test]
fn what_would_not_be_restarted_ends_as_ever() {
    let rules = vec![rule(None, None, Action::Escalate)];
    let children = vec![temporary("t"), transient("n"), child("p")];
    let mut w = up(rules, lenient(Strategy::OneForOne), children);
    w.exits("t", crash());
    w.exits("n", Exit::Shutdown);
    assert_eq!((w.took().as_str(), w.which().as_str()), ("", "p:pid n:undefined"));
    w.exits("p", Exit::Normal);
    assert_eq!(w.took(), "exit escalated");
}

#[test]
fn a_significant_child_that_a_rule_ends_has_ended() {
    let flags =
        Flags { auto_shutdown: AutoShutdown::AnySignificant, ..lenient(Strategy::OneForOne) };
    let spec = ChildSpec { significant: true, ..transient("n") };
    let mut w = up(vec![rule(None, None, Action::End)], flags, vec![spec]);
    w.exits("n", crash());
    assert_eq!(w.exit, Some(Exit::Shutdown));
    assert_eq!(
        w.contexts(),
        [Context::ChildTerminated, Context::EndedByRule, Context::AutoShutdown]
    );
    let told = &w.reports[2];
    assert_eq!((&*told.offender.id, &told.reason), ("n", &Some(crash())));
    assert_eq!(told.offender.incarnation, Some(1));
}

#[test]
fn a_rule_covers_what_asks_for_as_much_or_more() {
    let (guest, trap) = (Some(Blame::Guest), Some(Cause::Trap));
    let of = |blame, cause| rule(blame, cause, Action::End);
    let host = Some(Blame::Host);
    for (first, later, covers) in [
        (of(None, None), of(None, None), true),
        (of(None, None), of(guest, trap), true),
        (of(guest, None), of(guest, trap), true),
        (of(guest, None), of(guest, None), true),
        (of(None, trap), of(guest, trap), true),
        (of(guest, trap), of(guest, trap), true),
        (of(guest, None), of(None, None), false),
        (of(guest, None), of(host, trap), false),
        (of(None, trap), of(guest, None), false),
        (of(None, trap), of(guest, Some(Cause::Panic)), false),
        (of(guest, trap), of(guest, None), false),
        (of(guest, trap), of(None, trap), false),
    ] {
        assert_eq!(first.covers(&later), covers, "{first:?} {later:?}");
    }
}

#[test]
fn a_rule_for_everything_names_nothing() {
    let named = |rules: &[Rule]| Rule::named(rules, &crash());
    let (panic, guest) = (Some(Cause::Panic), Some(Blame::Guest));
    assert!(!named(&[]) && !named(&[rule(None, None, Action::End)]));
    assert!(named(&[rule(guest, None, Action::End)]) && named(&[rule(None, panic, Action::End)]));
    assert!(!named(&[rule(Some(Blame::Host), None, Action::End)]));
    assert!(!named(&[rule(None, Some(Cause::Trap), Action::End), rule(None, None, Action::End)]));
    assert!(named(&[rule(None, None, Action::End), rule(guest, panic, Action::End)]));
}
