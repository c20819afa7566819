//! Budgets as values: windows, what a call may need, what a turn counts before the ledger has it (rules C2, D1).
#![allow(clippy::unwrap_used)]

use loket_turn::{
    Amounts, BUDGET_SPENT, Budget, Level, Line, Purse, Refused, Together, Undrawn, Unit,
    budget_number, shared_number,
};

const NUMBERED: &str = "http";

fn budget(limits: &[(Unit, u64)], per_ms: Option<u64>) -> Budget {
    let lines =
        limits.iter().map(|&(unit, limit)| Line { unit, limit, soft: None, spent: 0, reserved: 0 });
    let (level, agent, under) = (Level::grant(NUMBERED), Some("a".into()), None);
    let (lines, lifted) = (lines.collect(), false);
    Budget { level, agent, under, lines, per_ms, since_ms: 1_000, lifted }
}

fn alone(budget: Budget) -> Purse {
    Purse::new(vec![budget]).unwrap()
}

fn purse(limits: &[(Unit, u64)], per_ms: Option<u64>) -> (Purse, u64) {
    (alone(budget(limits, per_ms)), budget_number(NUMBERED))
}

#[track_caller]
fn refused(drawn: Result<(), Undrawn>) -> Refused {
    match drawn {
        Err(Undrawn::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

#[test]
fn d1_what_a_turn_counts_goes_out_once() {
    let (mut purse, number) = purse(&[(Unit::Calls, 3), (Unit::Bytes, 100)], None);
    purse.draw(number, b"1234", 1_000, None).unwrap();
    purse.answered(number, 6, false, None);
    // The ledger counts this one's itself.
    purse.answered(number, 50, true, None);
    let counted = purse.counted();
    assert_eq!(counted.len(), 1);
    assert_eq!(counted[0].spent, Amounts { calls: 1, bytes: 10, ..Amounts::default() });
    purse.written();
    assert!(purse.counted().is_empty());
    purse.charged(number, Amounts { calls: 1, tokens: 9, bytes: 4, money: 7 }, None);
    assert!(purse.counted().is_empty(), "the ledger has it");
    purse.draw(number, b"", 1_000, None).unwrap();
    let Refused { unit, level, failure } = refused(purse.draw(number, b"", 1_000, None));
    assert_eq!((unit, level), (Unit::Calls, "grant"));
    assert_eq!((&*failure.code, failure.retryable), (BUDGET_SPENT, false));
    assert_eq!(purse.counted()[0].spent.calls, 1, "what was refused is not counted");
}

#[test]
fn d1_of_a_window_that_is_over_nothing_is_kept() {
    let (mut purse, number) = purse(&[(Unit::Calls, 1)], Some(100));
    purse.draw(number, b"", 1_099, None).unwrap();
    let Refused { failure, .. } = refused(purse.draw(number, b"", 1_099, None));
    assert_eq!((failure.retryable, failure.retry_after_ms), (true, Some(1)));
    purse.draw(number, b"", 1_350, None).unwrap();
    let counted = purse.counted();
    assert_eq!((counted[0].since_ms, counted[0].spent.calls), (1_300, 1));
}

#[test]
fn c2_what_can_never_fit_is_not_to_be_tried_again() {
    let budget = budget(&[(Unit::Tokens, 100)], Some(1_000));
    let wants = |tokens| Amounts { calls: 1, tokens, ..Amounts::default() };
    assert_eq!(budget.afford(&wants(100)), Ok(()));
    assert_eq!(budget.afford(&wants(0)), Ok(()));
    let short = budget.afford(&wants(101)).unwrap_err();
    let failure = budget.refusal(&short, 1_400);
    assert!(!failure.retryable, "no window is large enough: {failure}");
    for word in ["100 tokens", "may need 101", "ends in 1 s", "`tokens: 101` or more"] {
        assert!(failure.message.contains(word), "{word:?} is not in {failure}");
    }
    assert!(budget.afford(&wants(u64::MAX)).is_err(), "sums end at the largest number");
}

#[test]
fn c2_money_is_told_in_whole_ones() {
    for (millionths, shown) in [
        (0, "0"),
        (1, "0.000001"),
        (2_500_000, "2.5"),
        (3_000_000, "3"),
        (1_000_250_000, "1000.25"),
    ] {
        assert_eq!(Unit::Money.show(millionths), shown);
    }
    assert_eq!(Unit::Tokens.show(2_500_000), "2500000");
    let mut budget = budget(&[(Unit::Money, 2_500_000)], None);
    budget.lines[0].spent = 2_000_000;
    let wants = Amounts { calls: 1, money: 750_000, ..Amounts::default() };
    let failure = budget.refusal(&budget.afford(&wants).unwrap_err(), 1_000);
    for word in
        ["is 2.5 money", "2 are spent", "may need 0.75", "`money: \"2.75\"` or more in the budget"]
    {
        assert!(failure.message.contains(word), "{word:?} is not in {failure}");
    }
}

#[test]
fn c2_without_bytes_left_nothing_is_asked() {
    let mut budget = budget(&[(Unit::Bytes, 10)], None);
    let nothing = Amounts { calls: 1, ..Amounts::default() };
    assert_eq!(budget.afford(&nothing), Ok(()));
    budget.lines[0].spent = 10;
    assert!(budget.afford(&nothing).is_err(), "its answer would be beyond the limit");
}

#[test]
fn a_budget_that_the_turn_does_not_know_lets_nothing_through() {
    let (mut purse, number) = purse(&[(Unit::Calls, 3)], None);
    assert!(purse.draw(number ^ 1, b"", 1_000, None).is_err());
    assert!(purse.charge(number ^ 1, Amounts::default()).is_err());
    assert!(Purse::new(Vec::new()).is_none());
}

/// D1, H1: with a question that ends a run goes what stands before its last record; the calls behind that are made, and counted, again.
#[test]
fn d1_a_run_that_begins_anew_counts_what_it_makes_again_once() {
    let (mut purse, number) = purse(&[(Unit::Calls, 9)], None);
    purse.draw(number, b"", 1_000, None).unwrap();
    purse.recorded();
    purse.draw(number, b"", 1_000, None).unwrap();
    purse.draw(number, b"", 1_000, None).unwrap();
    assert_eq!(purse.counted_with_records()[0].spent.calls, 1);
    purse.written_with_records();
    assert!(purse.counted_with_records().is_empty());
    assert_eq!(purse.counted()[0].spent.calls, 2, "it goes out with the next intent, or the end");
    purse.written();
    assert!(purse.counted().is_empty());
}

/// H1: beyond the soft limit a person is asked, and nothing is counted until that one has said yes; then up to the limit.
#[test]
fn h1_a_soft_limit_asks_until_it_is_lifted() {
    let mut soft = budget(&[(Unit::Calls, 3)], Some(100));
    soft.lines[0].soft = Some(1);
    let level = soft.level.clone();
    let (mut purse, number) = (alone(soft), budget_number(NUMBERED));
    purse.draw(number, b"", 1_000, None).unwrap();
    let asks = Err(Undrawn::Beyond(level.clone()));
    assert_eq!(purse.draw(number, b"", 1_000, None), asks);
    assert_eq!(purse.counted()[0].spent.calls, 1);
    purse.lift(&level);
    purse.draw(number, b"", 1_000, None).unwrap();
    purse.draw(number, b"", 1_000, None).unwrap();
    refused(purse.draw(number, b"", 1_000, None));
    purse.draw(number, b"", 1_100, None).unwrap();
    assert_eq!(purse.draw(number, b"", 1_100, None), asks, "a new window asks anew");
}

/// The desk's budget as the ledger has it: two calls are spent.
fn desk(since_ms: u64) -> Budget {
    let mut desk = budget(&[(Unit::Calls, 5)], Some(100));
    (desk.level, desk.agent, desk.since_ms) = (Level::supervisor("desk"), None, since_ms);
    desk.lines[0].spent = 2;
    desk
}

/// D1: turns that run at the same time below one supervisor stay within its budget together; what one gives up the others may have,
/// and what it has written they may not.
#[test]
fn d1_turns_below_one_supervisor_see_what_each_other_count() {
    let (mut together, number) = (Together::default(), shared_number());
    let begun = |together: &mut Together| {
        let purse = Purse::new(vec![desk(1_000)]).unwrap();
        assert!(purse.is_shared());
        purse.tell(together);
        purse
    };
    let (mut a, mut b) = (begun(&mut together), begun(&mut together));
    let mut draw = |purse: &mut Purse, at_ms| purse.draw(number, b"", at_ms, Some(&mut together));
    draw(&mut a, 1_000).unwrap();
    draw(&mut a, 1_000).unwrap();
    draw(&mut b, 1_000).unwrap();
    let Refused { unit, level, failure } = refused(draw(&mut b, 1_000));
    assert_eq!((unit, level), (Unit::Calls, "supervisor"));
    assert!(failure.message.contains("5 are spent"), "{failure}");
    a.give_back(&mut together);
    let mut draw = |purse: &mut Purse, at_ms| purse.draw(number, b"", at_ms, Some(&mut together));
    draw(&mut b, 1_000).unwrap();
    draw(&mut b, 1_000).unwrap();
    refused(draw(&mut b, 1_000));
    assert_eq!(b.counted()[0].spent.calls, 3, "each counts its own");
    b.written();
    b.give_back(&mut together);
    let mut next = begun(&mut together);
    refused(next.draw(number, b"", 1_000, Some(&mut together)));
    next.draw(number, b"", 1_100, Some(&mut together)).unwrap();
    assert_eq!(next.counted()[0].since_ms, 1_100, "a new window is full again");
}
