//! Rules C2, C4, D1, G3, J4 for budgets: a charge is written with its call's intent, goes with its result, and is never made twice.

use super::{NOW_MS, Subject, wait};
use loket_turn::{
    Amounts, Budget, Charge, Counted, Fail, IntentWrite, IntentWritten, LedgerError, Level, Line,
    ResultWrite, Terms, TurnKey, TurnNo, Unit, Used,
};
use std::sync::Arc;

/// The capability whose grant has the kit's budget.
pub const PAID: &str = "llm.chat";

/// What a token costs at most, millionths.
pub const PRICE: u64 = 5;

/// The kit's money.
pub const MONEY: u64 = 102 * PRICE;

/// The kit's budget: 3 calls, 100 tokens, 1,000 bytes, and a little more money than 100 tokens cost, in each
/// second.
pub fn terms() -> Terms {
    let limits = vec![(Unit::Calls, 3), (Unit::Tokens, 100), (Unit::Bytes, 1_000)];
    let limits = [limits, vec![(Unit::Money, MONEY)]].concat();
    Terms { level: level(), limits, soft: Vec::new(), per_ms: Some(1_000) }
}

fn level() -> Level {
    Level::grant(PAID)
}

/// No supervisor above.
fn above() -> Arc<[Arc<str>]> {
    Arc::default()
}

/// An intent that may use so many tokens.
pub fn paid(it: &Subject, turn: &TurnKey, call: u32, args: &str, tokens: u64) -> IntentWrite {
    let wants = Amounts::of_call(args.as_bytes(), Used { tokens, money: PRICE * tokens });
    let charge = Some(Charge { grant: Some(PAID.into()), wants });
    IntentWrite { charge, ..it.intent(turn, call, args) }
}

fn result(it: &Subject, turn: &TurnKey, call: u32, tokens: Option<u64>) -> ResultWrite {
    let outcome = Ok(b"four".to_vec());
    let used = tokens.map(|tokens| Used { tokens, money: tokens });
    ResultWrite { intent: it.key(turn, call), outcome, used, stamp_ms: NOW_MS }
}

fn told(it: &Subject, write: ResultWrite) {
    let kept = wait(it.ledger.result(write));
    assert!(kept.is_ok(), "{kept:?}");
}

/// Spent and reserved of a unit of the only budget.
fn of(it: &Subject, unit: Unit) -> (u64, u64) {
    let all = wait(it.ledger.budgets(Some("a".into()))).expect("budgets");
    let line = all[0].lines.iter().find(|line| line.unit == unit).expect("the unit");
    (line.spent, line.reserved)
}

/// An agent with the kit's budget and two messages.
fn spender(it: &Subject) -> TurnKey {
    let turn = it.opened("a");
    let set = wait(it.ledger.set_budgets("a".into(), 1, vec![terms()], above())).expect("set");
    let empty = |unit, limit| Line { unit, limit, soft: None, spent: 0, reserved: 0 };
    let (money, tokens) = ((Unit::Money, MONEY), (Unit::Tokens, 100));
    let lines = [(Unit::Bytes, 1_000), (Unit::Calls, 3), money, tokens];
    let lines = lines.map(|(unit, limit)| empty(unit, limit)).to_vec();
    let (level, agent, under, per_ms) = (level(), Some("a".into()), None, Some(1_000));
    let lifted = false;
    let budget = Budget { level, agent, under, lines, per_ms, since_ms: NOW_MS, lifted };
    assert_eq!(set, vec![budget.clone()]);
    it.accept("a", "x");
    it.accept("a", "y");
    let next = wait(it.ledger.next("a".into(), 1)).expect("next").expect("one");
    assert_eq!(next.budgets, vec![budget]);
    turn
}

/// C2: what a call may cost is reserved with its intent, and what it did cost is spent with its result.
pub fn c2_a_call_is_charged_with_its_intent(it: &Subject) {
    let turn = spender(it);
    let written = wait(it.ledger.intent(paid(it, &turn, 1, "args", 60)));
    assert_eq!(written, Ok(IntentWritten::Fresh));
    assert_eq!(of(it, Unit::Calls), (1, 0));
    assert_eq!(of(it, Unit::Tokens), (0, 60));
    assert_eq!(of(it, Unit::Money), (0, 60 * PRICE));
    assert_eq!(of(it, Unit::Bytes), (4, 0));
    told(it, result(it, &turn, 1, Some(20)));
    assert_eq!(of(it, Unit::Tokens), (20, 0));
    assert_eq!(of(it, Unit::Money), (20, 0), "what its provider says it did cost");
    assert_eq!(of(it, Unit::Bytes), (8, 0));
    // A later answer is no second cost.
    let late = ResultWrite { outcome: Ok(b"other".to_vec()), ..result(it, &turn, 1, Some(90)) };
    told(it, late);
    assert_eq!(of(it, Unit::Tokens), (20, 0));
    assert_eq!(of(it, Unit::Bytes), (8, 0));
}

/// C2: a call that its budget does not suffice for leaves no trace: no intent, no record, no charge.
pub fn c2_a_call_beyond_its_budget_writes_nothing(it: &Subject) {
    let turn = spender(it);
    wait(it.ledger.intent(paid(it, &turn, 1, "args", 60))).expect("the first fits");
    let written = wait(it.ledger.intent(paid(it, &turn, 2, "args", 41))).expect("answered");
    let IntentWritten::Spent { budget, short } = written else { panic!("{written:?}") };
    let line = Line { unit: Unit::Tokens, limit: 100, soft: None, spent: 0, reserved: 60 };
    assert_eq!((short.line, short.needs), (line, 41));
    assert_eq!(budget.ends_ms(), Some(NOW_MS + 1_000));
    assert_eq!(of(it, Unit::Calls), (1, 0), "nothing is charged");
    let next = wait(it.ledger.next("a".into(), 1)).expect("next").expect("one");
    assert_eq!(next.records.len(), 1, "nothing is recorded");
    let mut dear = paid(it, &turn, 2, "args", 1);
    let money = MONEY - 60 * PRICE + 1;
    let wants = Amounts::of_call(b"args", Used { tokens: 1, money });
    dear.charge = Some(Charge { grant: Some(PAID.into()), wants });
    let written = wait(it.ledger.intent(dear)).expect("answered");
    let IntentWritten::Spent { short, .. } = written else { panic!("{written:?}") };
    assert_eq!((short.line.unit, short.needs), (Unit::Money, money));
    let written = wait(it.ledger.intent(paid(it, &turn, 2, "args", 40)));
    assert_eq!(written, Ok(IntentWritten::Fresh), "up to the limit it is let through");
}

/// C4: a call that is sent again under its key is charged once.
pub fn c4_a_second_sending_is_charged_once(it: &Subject) {
    let turn = spender(it);
    wait(it.ledger.intent(paid(it, &turn, 1, "args", 60))).expect("intent");
    let again = wait(it.ledger.intent(paid(it, &turn, 1, "args", 60)));
    assert_eq!(again, Ok(IntentWritten::Again));
    wait(it.ledger.open("a".into(), 2)).expect("opened");
    let now = TurnKey { incarnation: 2, ..turn.clone() };
    let again = wait(it.ledger.intent(paid(it, &now, 1, "args", 60)));
    assert_eq!(again, Ok(IntentWritten::Again));
    assert_eq!((of(it, Unit::Calls), of(it, Unit::Tokens)), ((1, 0), (0, 60)));
    told(it, result(it, &turn, 1, Some(20)));
    let known = wait(it.ledger.intent(paid(it, &now, 1, "args", 60))).expect("known");
    assert!(matches!(known, IntentWritten::Known { .. }));
    assert_eq!((of(it, Unit::Calls), of(it, Unit::Tokens)), ((1, 0), (20, 0)));
}

/// C4: when nobody can say what a call has cost, all that was reserved for it is spent.
pub fn c4_what_nobody_accounts_for_is_spent(it: &Subject) {
    let turn = spender(it);
    wait(it.ledger.intent(paid(it, &turn, 1, "args", 60))).expect("intent");
    told(it, result(it, &turn, 1, None));
    assert_eq!(of(it, Unit::Tokens), (60, 0));
    assert_eq!(of(it, Unit::Money), (60 * PRICE, 0));
}

/// D1: what a turn has counted is written with its end, once, and only for the window it was counted in.
pub fn d1_what_was_counted_is_written_with_the_end(it: &Subject) {
    let turn = spender(it);
    let spent = Amounts { calls: 2, bytes: 30, ..Amounts::default() };
    let counted = vec![Counted { level: level(), since_ms: NOW_MS, spent }];
    let mut end = it.ending(&turn);
    end.counted = counted.clone();
    let next = wait(it.ledger.end(end)).expect("ended").expect("a next one");
    assert_eq!((of(it, Unit::Calls), of(it, Unit::Bytes)), ((2, 0), (30, 0)));
    assert_eq!(next.budgets, wait(it.ledger.budgets(None)).expect("budgets"));
    let turn = TurnKey { n: TurnNo(2), ..turn };
    let old = Counted { since_ms: NOW_MS - 1_000, ..counted[0].clone() };
    let mut write = paid(it, &turn, 1, "args", 1);
    write.counted = vec![old];
    wait(it.ledger.intent(write)).expect("intent");
    assert_eq!(of(it, Unit::Calls), (3, 0), "of a window that is over nothing is kept");
}

/// C2: what the turn has counted is judged with the call that takes it to the ledger.
pub fn c2_what_was_counted_is_judged_with_the_call(it: &Subject) {
    let turn = spender(it);
    let spent = Amounts { calls: 3, ..Amounts::default() };
    let mut write = paid(it, &turn, 1, "args", 1);
    write.counted = vec![Counted { level: level(), since_ms: NOW_MS, spent }];
    let written = wait(it.ledger.intent(write)).expect("answered");
    let IntentWritten::Spent { short, .. } = written else { panic!("{written:?}") };
    assert_eq!((short.line.unit, short.line.spent, short.needs), (Unit::Calls, 3, 1));
    assert_eq!(of(it, Unit::Calls), (0, 0), "it goes out with what is written");
}

/// G1, G3: the calls of an attempt that failed were made; what a skipped turn had reserved is spent, and nothing stays reserved.
pub fn g3_a_skipped_turn_spends_what_it_had_reserved(it: &Subject) {
    let turn = spender(it);
    wait(it.ledger.intent(paid(it, &turn, 1, "args", 60))).expect("intent");
    let spent = Amounts { calls: 1, ..Amounts::default() };
    let counted = vec![Counted { level: level(), since_ms: NOW_MS, spent }];
    let fail = Fail { counted: counted.clone(), ..it.failure(&turn, 2) };
    wait(it.ledger.fail(fail.clone())).expect("noted");
    assert_eq!((of(it, Unit::Calls), of(it, Unit::Tokens)), ((2, 0), (0, 60)));
    wait(it.ledger.fail(fail)).expect("a letter");
    assert_eq!((of(it, Unit::Calls), of(it, Unit::Tokens)), ((3, 0), (60, 0)));
    let late = wait(it.ledger.result(result(it, &turn, 1, Some(5))));
    assert!(late.is_ok(), "a late answer is still the answer: {late:?}");
    assert_eq!(of(it, Unit::Tokens), (60, 0), "it was accounted for");
}

/// J4: the present incarnation alone sets budgets; what is spent stays spent, other limits included, and what is not named goes.
pub fn j4_spent_stays_spent_when_budgets_are_set_again(it: &Subject) {
    let turn = spender(it);
    wait(it.ledger.intent(paid(it, &turn, 1, "args", 60))).expect("intent");
    wait(it.ledger.open("a".into(), 2)).expect("opened");
    let old = wait(it.ledger.set_budgets("a".into(), 1, Vec::new(), above()));
    assert_eq!(old, Err(LedgerError::Fenced { agent: "a".into() }));
    let more = Terms { limits: vec![(Unit::Tokens, 200)], ..terms() };
    let set = wait(it.ledger.set_budgets("a".into(), 2, vec![more], above())).expect("set");
    let line = Line { unit: Unit::Tokens, limit: 200, soft: None, spent: 0, reserved: 60 };
    assert_eq!(set[0].lines, vec![line]);
    let state = wait(it.ledger.open("a".into(), 2)).expect("opened");
    assert!(state.has_budgets);
    let set = wait(it.ledger.set_budgets("a".into(), 2, Vec::new(), above())).expect("set");
    assert_eq!(set, Vec::new());
    told(it, result(it, &turn, 1, Some(20)));
    assert!(!wait(it.ledger.open("a".into(), 2)).expect("opened").has_budgets);
}

/// A4: the budgets of an agent go with its life.
pub fn a4_budgets_go_with_the_life(it: &Subject) {
    let turn = spender(it);
    wait(it.ledger.intent(paid(it, &turn, 1, "args", 60))).expect("intent");
    wait(it.ledger.remove("a".into(), "gone".to_owned())).expect("removed");
    assert_eq!(wait(it.ledger.budgets(None)), Ok(Vec::new()));
    let again = it.opened("a");
    let set = wait(it.ledger.set_budgets("a".into(), again.incarnation, vec![terms()], above()));
    let lines = &set.expect("set")[0].lines;
    assert!(lines.iter().all(|line| (line.spent, line.reserved) == (0, 0)), "{lines:?}");
}
