//! Rules C2, C4, C5, D1, J4 for budgets that more than one grant draws on: a supervisor's and a message's. A call is charged at
//! every level or at none, and settled at every level.

use super::{NOW_MS, PAID, PRICE, Subject, wait};
use loket_turn::{
    Allowance, Amounts, ApprovalId, Ask, Asked, CallNo, Charge, Counted, Decide, IntentWrite,
    IntentWritten, LedgerError, LedgerEvent, Level, ResultWrite, Terms, TurnKey, TurnNo, Unit,
    Used, Verdict, beyond_key,
};
use std::sync::Arc;

/// The kit's supervisors that have budgets: `desk` of tokens and calls in each second, under `root` of money once and for all.
pub fn allowances() -> Vec<Allowance> {
    let desk = vec![(Unit::Tokens, 100), (Unit::Calls, 5), (Unit::Bytes, 1_000)];
    let root = vec![(Unit::Money, 400 * PRICE)];
    let of = |id: &str, limits, per_ms, under: Option<&str>| Allowance {
        terms: Terms { level: Level::supervisor(id), limits, soft: Vec::new(), per_ms },
        under: under.map(Arc::from),
    };
    vec![of("root", root, None, None), of("desk", desk, Some(1_000), Some("root"))]
}

/// Both of them.
pub fn above() -> Arc<[Arc<str>]> {
    [Arc::from("desk"), Arc::from("root")].into()
}

/// The kit's budgets of an agent below `desk`: 70 tokens for its grant, 80 for a message.
pub fn own() -> Vec<Terms> {
    let tokens = |level, most| Terms {
        level,
        limits: vec![(Unit::Tokens, most)],
        soft: Vec::new(),
        per_ms: None,
    };
    vec![tokens(Level::grant(PAID), 70), tokens(Level::Message, 80)]
}

/// An intent that may use so many tokens, through a grant with a budget of its own or without.
pub fn drawing(
    it: &Subject,
    turn: &TurnKey,
    call: u32,
    tokens: u64,
    grant: Option<&str>,
) -> IntentWrite {
    let wants = Amounts::of_call(b"args", Used { tokens, money: PRICE * tokens });
    let charge = Some(Charge { grant: grant.map(Arc::from), wants });
    IntentWrite { charge, ..it.intent(turn, call, "args") }
}

/// Spent and reserved of a unit at a level, for the operator.
fn of(it: &Subject, agent: Option<&str>, level: &Level, unit: Unit) -> (u64, u64) {
    let all = wait(it.ledger.budgets(None)).expect("budgets");
    let whose = all.iter().find(|it| it.agent.as_deref() == agent && it.level == *level);
    let lines = &whose.unwrap_or_else(|| panic!("{level:?} of {agent:?} in {all:?}")).lines;
    let line = lines.iter().find(|line| line.unit == unit).expect("the unit");
    (line.spent, line.reserved)
}

/// Tokens of `a`'s grant and message, tokens of `desk`, money of `root`.
fn levels(it: &Subject) -> [(u64, u64); 4] {
    let (desk, root) = (Level::supervisor("desk"), Level::supervisor("root"));
    [
        of(it, Some("a"), &Level::grant(PAID), Unit::Tokens),
        of(it, Some("a"), &Level::Message, Unit::Tokens),
        of(it, None, &desk, Unit::Tokens),
        of(it, None, &root, Unit::Money),
    ]
}

/// `a` with all levels and `b` with those of the supervisors only, each with two messages.
fn spenders(it: &Subject) -> (TurnKey, TurnKey) {
    let (a, b) = (it.opened("a"), it.opened("b"));
    wait(it.ledger.set_allowances(allowances())).expect("set");
    let set = wait(it.ledger.set_budgets("a".into(), 1, own(), above())).expect("set");
    let told: Vec<_> = set.iter().map(|it| (it.level.clone(), it.under.as_deref())).collect();
    let (desk, root) = (Level::supervisor("desk"), Level::supervisor("root"));
    let under = Some("desk");
    let message = (Level::Message, under);
    let grant = (Level::grant(PAID), under);
    assert_eq!(told, [message, grant, (desk, Some("root")), (root, None)]);
    let set = wait(it.ledger.set_budgets("b".into(), 1, Vec::new(), above())).expect("set");
    assert_eq!(set.len(), 2, "{set:?}");
    for name in ["a", "a", "b", "b"] {
        it.accept(name, "x");
    }
    (a, b)
}

fn result(it: &Subject, turn: &TurnKey, call: u32, used: Option<u64>) -> ResultWrite {
    let used = used.map(|tokens| Used { tokens, money: PRICE * tokens });
    let outcome = Ok(b"four".to_vec());
    ResultWrite { intent: it.key(turn, call), outcome, used, stamp_ms: NOW_MS }
}

fn told(it: &Subject, write: ResultWrite) {
    let kept = wait(it.ledger.result(write));
    assert!(kept.is_ok(), "{kept:?}");
}

/// C2: what one agent reserves its neighbour under the same supervisor cannot have, and who is refused is charged nowhere.
pub fn c2_a_call_is_charged_at_every_level_or_at_none(it: &Subject) {
    let (a, b) = spenders(it);
    let written = wait(it.ledger.intent(drawing(it, &a, 1, 60, Some(PAID))));
    assert_eq!(written, Ok(IntentWritten::Fresh));
    let money = |tokens: u64| PRICE * tokens;
    assert_eq!(levels(it), [(0, 60), (0, 60), (0, 60), (0, money(60))]);
    let written = wait(it.ledger.intent(drawing(it, &b, 1, 41, None))).expect("answered");
    let IntentWritten::Spent { budget, short } = written else { panic!("{written:?}") };
    assert_eq!((&budget.level, budget.agent.as_deref()), (&Level::supervisor("desk"), None));
    assert_eq!((short.line.unit, short.line.reserved, short.needs), (Unit::Tokens, 60, 41));
    assert_eq!(levels(it), [(0, 60), (0, 60), (0, 60), (0, money(60))], "not even above it");
    let calls = of(it, None, &Level::supervisor("desk"), Unit::Calls);
    assert_eq!(calls, (1, 0), "one call was let through");
    let written = wait(it.ledger.intent(drawing(it, &b, 1, 40, None)));
    assert_eq!(written, Ok(IntentWritten::Fresh), "up to the limit");
    told(it, result(it, &a, 1, Some(20)));
    assert_eq!(levels(it), [(20, 0), (20, 0), (20, 40), (money(20), money(40))]);
    // The desk has tokens for 40 more.
    let written = wait(it.ledger.intent(drawing(it, &a, 2, 50, Some(PAID)))).expect("answered");
    let IntentWritten::Spent { budget, .. } = written else { panic!("{written:?}") };
    assert_eq!(budget.level, Level::supervisor("desk"));
}

/// C4: a second sending is charged once at every level, and a late answer settles nothing again.
pub fn c4_a_second_sending_is_charged_once_at_every_level(it: &Subject) {
    let (a, _) = spenders(it);
    for _ in 0..2 {
        wait(it.ledger.intent(drawing(it, &a, 1, 60, Some(PAID)))).expect("intent");
    }
    let money = |tokens: u64| PRICE * tokens;
    assert_eq!(levels(it), [(0, 60), (0, 60), (0, 60), (0, money(60))]);
    for used in [Some(20), Some(50)] {
        told(it, result(it, &a, 1, used));
        assert_eq!(levels(it), [(20, 0), (20, 0), (20, 0), (money(20), 0)]);
    }
}

/// D1, G1: a message's budget is for all attempts at it, and the next message has its own.
pub fn d1_a_message_has_a_budget_for_all_its_attempts(it: &Subject) {
    let (a, _) = spenders(it);
    wait(it.ledger.intent(drawing(it, &a, 1, 50, None))).expect("intent");
    told(it, result(it, &a, 1, Some(50)));
    wait(it.ledger.fail(it.failure(&a, 3))).expect("noted");
    wait(it.ledger.open("a".into(), 2)).expect("opened");
    wait(it.ledger.set_budgets("a".into(), 2, own(), above())).expect("set");
    let again = TurnKey { incarnation: 2, ..a.clone() };
    let written = wait(it.ledger.intent(drawing(it, &again, 2, 31, None))).expect("answered");
    let IntentWritten::Spent { budget, short } = written else { panic!("{written:?}") };
    assert_eq!((budget.level, short.line.spent), (Level::Message, 50));
    wait(it.ledger.end(it.ending(&again))).expect("ended");
    let spent = of(it, Some("a"), &Level::Message, Unit::Tokens);
    assert_eq!(spent, (50, 0), "it is shown until the next one spends");
    let next = wait(it.ledger.next("a".into(), 2)).expect("next").expect("the next turn");
    let fresh = next.budgets.iter().find(|it| it.level == Level::Message).expect("its budget");
    assert_eq!((fresh.lines[0].spent, fresh.since_ms), (0, 2));
    let next = TurnKey { n: TurnNo(2), ..again };
    let written = wait(it.ledger.intent(drawing(it, &next, 1, 31, None)));
    assert_eq!(written, Ok(IntentWritten::Fresh));
    assert_eq!(of(it, Some("a"), &Level::Message, Unit::Tokens), (0, 31));
}

/// D1: what a turn counts without an intent is written at every level, too.
pub fn d1_what_was_counted_is_written_at_every_level(it: &Subject) {
    let (a, _) = spenders(it);
    let spent = Amounts { calls: 2, bytes: 30, ..Amounts::default() };
    let desk = Level::supervisor("desk");
    let mut end = it.ending(&a);
    end.counted = vec![Counted { level: desk.clone(), since_ms: NOW_MS, spent }];
    wait(it.ledger.end(end)).expect("ended");
    assert_eq!(of(it, None, &desk, Unit::Calls), (2, 0));
    assert_eq!(of(it, None, &desk, Unit::Bytes), (30, 0));
}

/// A4, C5: what an agent that is gone had reserved of its supervisors' budgets is spent, and nothing stays reserved.
pub fn c5_who_is_gone_has_spent_what_it_had_reserved(it: &Subject) {
    let (a, b) = spenders(it);
    wait(it.ledger.intent(drawing(it, &a, 1, 60, Some(PAID)))).expect("intent");
    wait(it.ledger.remove("a".into(), "gone".to_owned())).expect("removed");
    let desk = Level::supervisor("desk");
    assert_eq!(of(it, None, &desk, Unit::Tokens), (60, 0));
    let left = wait(it.ledger.intent(drawing(it, &b, 1, 40, None)));
    assert_eq!(left, Ok(IntentWritten::Fresh));
}

/// J4: other limits of a supervisor leave what is spent; one that is not named any more goes, and so does what was reserved of it.
pub fn j4_a_supervisors_budget_is_set_again(it: &Subject) {
    let (a, _) = spenders(it);
    wait(it.ledger.intent(drawing(it, &a, 1, 60, Some(PAID)))).expect("intent");
    let mut less = allowances();
    less.retain(|one| one.terms.level == Level::supervisor("desk"));
    less[0].terms.limits = vec![(Unit::Tokens, 70)];
    wait(it.ledger.set_allowances(less)).expect("set");
    let desk = Level::supervisor("desk");
    assert_eq!(of(it, None, &desk, Unit::Tokens), (0, 60));
    let all = wait(it.ledger.budgets(Some("a".into()))).expect("budgets");
    assert!(all.iter().all(|it| it.level != Level::supervisor("root")), "{all:?}");
    told(it, result(it, &a, 1, Some(20)));
    assert_eq!(of(it, None, &desk, Unit::Tokens), (20, 0));
    wait(it.ledger.set_allowances(Vec::new())).expect("set");
    let all = wait(it.ledger.budgets(Some("a".into()))).expect("budgets");
    assert_eq!(all.len(), 2, "{all:?}");
}

/// The desk's budget, with a soft limit of 50 tokens.
pub fn soft_allowances() -> Vec<Allowance> {
    let mut all = allowances();
    for one in all.iter_mut().filter(|one| one.terms.level == Level::supervisor("desk")) {
        one.terms.soft = vec![(Unit::Tokens, 50)];
    }
    all
}

/// A question whether a call may go beyond the desk's soft limit.
pub fn ask(it: &Subject, turn: &TurnKey, call: u32, args: &str) -> Ask {
    let level = Level::supervisor("desk");
    Ask {
        turn: turn.clone(),
        begin: Some(super::begin()),
        records: Vec::new(),
        counted: Vec::new(),
        intent: beyond_key(it.key(turn, call), &level),
        beyond: Some(level),
        call: CallNo(call),
        capability: PAID.to_owned(),
        args: args.as_bytes().to_vec(),
        expires_ms: None,
        now_ms: NOW_MS,
    }
}

fn number(asked: Result<Asked, LedgerError>) -> ApprovalId {
    match asked {
        Ok(Asked::Waits { id }) => id,
        other => panic!("it does not wait: {other:?}"),
    }
}

fn said(it: &Subject, id: ApprovalId, verdict: Verdict) {
    let decide = Decide { id, verdict, by: "@operator".into(), now_ms: NOW_MS + 5 };
    wait(it.ledger.decide(decide, None)).expect("decided");
}

/// `a` and `b` wait at the soft limit of their desk: the ids under which.
fn waiters(it: &Subject) -> (TurnKey, TurnKey, ApprovalId, ApprovalId) {
    let (a, b) = spenders(it);
    wait(it.ledger.set_allowances(soft_allowances())).expect("set");
    let written = wait(it.ledger.intent(drawing(it, &a, 1, 50, Some(PAID))));
    assert_eq!(written, Ok(IntentWritten::Fresh), "up to the soft limit nobody is asked");
    let beyond = Ok(IntentWritten::Beyond(Level::supervisor("desk")));
    assert_eq!(wait(it.ledger.intent(drawing(it, &a, 2, 10, None))), beyond);
    assert_eq!(wait(it.ledger.intent(drawing(it, &b, 1, 10, None))), beyond);
    assert_eq!(of(it, None, &Level::supervisor("desk"), Unit::Tokens), (0, 50), "nothing more");
    let (of_a, of_b) = (ask(it, &a, 2, "args"), ask(it, &b, 1, "args"));
    let (asked_a, asked_b) = (number(wait(it.ledger.ask(of_a))), number(wait(it.ledger.ask(of_b))));
    for turn in [&a, &b] {
        let key = beyond_key(it.key(turn, if turn.agent == a.agent { 2 } else { 1 }), &desk());
        assert_eq!(wait(it.ledger.park(turn.clone(), key)), Ok(None));
    }
    (a, b, asked_a, asked_b)
}

fn desk() -> Level {
    Level::supervisor("desk")
}

/// H1: at a soft limit a call waits for a person. Approved, the budget may be spent to its limits until its window ends: whoever
/// waits for it goes on, and nobody else is asked.
pub fn h1_an_approved_soft_limit_lets_all_go_on_to_the_hard_one(it: &Subject) {
    let (a, b, asked, _) = waiters(it);
    let shown = wait(it.ledger.approval(asked)).expect("shown");
    assert_eq!((shown.budget, &*shown.state), (Some(desk()), "waits"));
    it.told();
    said(it, asked, Verdict::Approve);
    let woken = it.told();
    let woken = woken.iter().filter(|event| matches!(event, LedgerEvent::Result { .. })).count();
    assert_eq!(woken, 2, "both go on");
    assert_eq!(wait(it.ledger.approvals()), Ok(Vec::new()), "nobody waits any more");
    let next = wait(it.ledger.next("b".into(), 1)).expect("next").expect("its turn");
    assert_eq!(next.parked_on, None);
    assert!(next.budgets.iter().any(|it| it.level == desk() && it.lifted), "{next:?}");
    assert_eq!(wait(it.ledger.ask(ask(it, &b, 1, "args"))), Ok(Asked::Approved));
    let fresh = Ok(IntentWritten::Fresh);
    assert_eq!(wait(it.ledger.intent(drawing(it, &a, 2, 10, None))), fresh);
    assert_eq!(wait(it.ledger.intent(drawing(it, &b, 1, 10, None))), fresh);
    assert_eq!(wait(it.ledger.ask(ask(it, &b, 2, "args"))), Ok(Asked::Approved), "not asked anew");
    let written = wait(it.ledger.intent(drawing(it, &b, 2, 31, None))).expect("answered");
    assert!(matches!(written, IntentWritten::Spent { .. }), "the hard limit stays: {written:?}");
}

/// H1: denied, the one call is refused, with the reason; others wait on.
pub fn h1_a_denied_soft_limit_refuses_the_one_call(it: &Subject) {
    let (a, b, asked, other) = waiters(it);
    said(it, asked, Verdict::Deny("enough for today".into()));
    match wait(it.ledger.ask(ask(it, &a, 2, "args"))) {
        Ok(Asked::Denied(why)) => {
            assert_eq!((&*why.code, &*why.message), ("denied", "enough for today"));
        }
        other => panic!("{other:?}"),
    }
    let beyond = Ok(IntentWritten::Beyond(desk()));
    assert_eq!(wait(it.ledger.intent(drawing(it, &a, 2, 10, None))), beyond);
    assert_eq!(wait(it.ledger.intent(drawing(it, &b, 1, 10, None))), beyond);
    let waiting = wait(it.ledger.approvals()).expect("listed");
    assert_eq!(waiting.iter().map(|it| it.id).collect::<Vec<_>>(), [other]);
    assert_ne!(number(wait(it.ledger.ask(ask(it, &a, 3, "args")))), asked, "the next is asked");
}

/// H1: a person's word is for the very call and its arguments: with others it is asked again.
pub fn h1_a_soft_limits_word_is_for_these_arguments(it: &Subject) {
    let (a, _, asked, other) = waiters(it);
    assert_ne!(number(wait(it.ledger.ask(ask(it, &a, 2, "other")))), asked);
    let gone = wait(it.ledger.approval(asked));
    assert!(matches!(gone, Err(LedgerError::NotFound(_))), "{gone:?}");
    said(it, other, Verdict::Deny(String::new()));
}

/// H1: whoever waits at a soft limit goes on when the budget is full again.
pub fn h1_a_soft_limit_waits_for_the_next_window_at_most(it: &Subject) {
    let (_, _, asked, _) = waiters(it);
    let shown = wait(it.ledger.approval(asked)).expect("shown");
    assert_eq!(shown.expires_ms, Some(NOW_MS + 1_000), "the end of the window");
}
