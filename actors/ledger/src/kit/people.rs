//! Rule H1: turns that wait for a person or for their time, and timers that become messages.
//!
//! The kit's clock stands at [`NOW_MS`](super::NOW_MS): what is due by then fires, what is due later does not.

use super::doubts::why;
use super::{NOW_MS, Subject, failed_with, wait};
use loket_turn::{
    ApprovalId, Ask, Asked, CallNo, Decide, Effect, IntentId, IntentWritten, LedgerError,
    LedgerEvent, QUESTION, Release, Released, SetTimer, Sleep, TIMER_SENDER, TurnKey, TurnNo,
    Verdict,
};

/// Longer than any wait here should take, and shorter than a test's patience.
const SOON: std::time::Duration = std::time::Duration::from_secs(30);

/// A call of the turn that its grant holds.
pub(super) fn held(it: &Subject, turn: &TurnKey, args: &str) -> Ask {
    Ask {
        turn: turn.clone(),
        begin: Some(super::begin()),
        records: Vec::new(),
        counted: Vec::new(),
        intent: it.key(turn, 1),
        beyond: None,
        call: CallNo(1),
        capability: "mail.send".to_owned(),
        args: args.as_bytes().to_vec(),
        expires_ms: None,
        now_ms: NOW_MS,
    }
}

fn said(id: ApprovalId, verdict: Verdict) -> Decide {
    Decide { id, verdict, by: "@operator".into(), now_ms: NOW_MS + 5 }
}

fn number(asked: Result<Asked, LedgerError>) -> ApprovalId {
    match asked {
        Ok(Asked::Waits { id }) => id,
        other => panic!("it does not wait: {other:?}"),
    }
}

/// H1: a held call waits for its verdict without its turn; approved it may go out, once the turn comes to it again, with the same
/// arguments only. The verdict is given once, and to turns that are open.
pub fn h1_an_approved_call_may_go_out(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    let intent = it.key(&turn, 1);
    let id = number(wait(it.ledger.ask(held(it, &turn, "to: b"))));
    assert_eq!(number(wait(it.ledger.ask(held(it, &turn, "to: b")))), id, "asked once");
    assert_eq!(wait(it.ledger.park(turn.clone(), intent)), Ok(None));
    assert_eq!(wait(it.ledger.park(turn.clone(), intent)), Ok(None), "parked again, counted once");
    let next = wait(it.ledger.next("a".into(), 1)).expect("next").expect("the parked turn");
    assert_eq!(next.parked_on, Some(intent));
    let listed = wait(it.ledger.approvals()).expect("listed");
    assert_eq!(listed.iter().map(|one| (one.id, &*one.state)).collect::<Vec<_>>(), [(id, "waits")]);
    it.told();
    let answer = wait(it.ledger.decide(said(id, Verdict::Answer("yes".into())), None));
    assert!(matches!(answer, Err(LedgerError::NotSo(_))), "{answer:?}");
    let done = wait(it.ledger.decide(said(id, Verdict::Approve), None)).expect("decided");
    assert_eq!((&*done.state, done.by.as_deref()), ("approved", Some("@operator")));
    let told = it.told();
    let woken = told
        .iter()
        .any(|event| matches!(event, LedgerEvent::Result { intent: on, .. } if *on == intent));
    assert!(woken, "{told:?}");
    assert!(matches!(wait(it.ledger.park(turn.clone(), intent)), Ok(Some(_))), "it goes on");
    let next = wait(it.ledger.next("a".into(), 1)).expect("next").expect("the same turn");
    assert_eq!((next.parks, next.parked_on, next.begin), (1, None, Some(super::begin())));
    assert_eq!(wait(it.ledger.ask(held(it, &turn, "to: b"))), Ok(Asked::Approved));
    let twice = wait(it.ledger.decide(said(id, Verdict::Deny(String::new())), None));
    assert!(matches!(twice, Err(LedgerError::NotSo(_))), "{twice:?}");
    let other = number(wait(it.ledger.ask(held(it, &turn, "to: everybody"))));
    assert_ne!(other, id, "another call is another question");
    wait(it.ledger.end(it.ending(&turn))).expect("end");
    assert_eq!(wait(it.ledger.approvals()), Ok(Vec::new()), "nobody waits any more");
    let late = wait(it.ledger.decide(said(other, Verdict::Approve), None));
    assert!(matches!(late, Err(LedgerError::NotSo(_))), "{late:?}");
    it.nothing_lost(0);
}

/// H1, C4: an approved call that has left, and whose answer went down with the process, is sent again by the next run of its turn:
/// nobody else will ever answer it.
pub fn h1_an_approved_call_that_has_left_holds_nobody_up(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    let intent = it.key(&turn, 1);
    let id = number(wait(it.ledger.ask(held(it, &turn, "to: b"))));
    assert_eq!(wait(it.ledger.park(turn.clone(), intent)), Ok(None));
    wait(it.ledger.decide(said(id, Verdict::Approve), None)).expect("decided");
    let left = wait(it.ledger.intent(it.intent(&turn, 1, "to: b")));
    assert_eq!(left, Ok(IntentWritten::Fresh));
    wait(it.ledger.open("a".into(), 2)).expect("opened");
    let next = wait(it.ledger.next("a".into(), 2)).expect("next").expect("the turn");
    assert_eq!((next.n, next.parked_on), (turn.n, None), "it is run");
}

/// H1: what nobody approves in its time is denied, once, with a code of its own; what was decided before stays so.
pub fn h1_an_approval_expires_once(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    let later = Ask { expires_ms: Some(NOW_MS + 1), ..held(it, &turn, "to: b") };
    let id = number(wait(it.ledger.ask(later)));
    assert!(it.told().iter().all(|event| !matches!(event, LedgerEvent::Result { .. })));
    assert_eq!(wait(it.ledger.approval(id)).expect("shown").expires_ms, Some(NOW_MS + 1));
    let due = Ask { expires_ms: Some(NOW_MS), ..held(it, &turn, "to: c") };
    let id = number(wait(it.ledger.ask(due.clone())));
    let key = due.intent;
    let failed = |event: &LedgerEvent| match event {
        LedgerEvent::Result { intent, outcome, .. } if *intent == key => {
            failed_with(outcome).map(str::to_owned)
        }
        _ => None,
    };
    let first = loop {
        let event = it.events.recv_timeout(SOON).expect("it expires");
        if let Some(code) = failed(&event) {
            break code;
        }
    };
    assert_eq!(first, "approval_expired");
    for _ in 0..2 {
        match wait(it.ledger.ask(due.clone())) {
            Ok(Asked::Denied(why)) => assert_eq!(&*why.code, "approval_expired"),
            other => panic!("{other:?}"),
        }
    }
    let shown = wait(it.ledger.approval(id)).expect("shown");
    assert_eq!((&*shown.state, shown.by.as_deref()), ("expired", Some(TIMER_SENDER)));
    let late = wait(it.ledger.decide(said(id, Verdict::Approve), None));
    assert!(matches!(late, Err(LedgerError::NotSo(_))), "{late:?}");
    assert!(it.told().iter().all(|event| failed(event).is_none()), "it is told once");
}

/// H1: a denied call is told why, at every run of the turn.
pub fn h1_a_denied_call_is_told_the_reason(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    let id = number(wait(it.ledger.ask(held(it, &turn, "to: b"))));
    wait(it.ledger.decide(said(id, Verdict::Deny("not today".into())), None)).expect("decided");
    for _ in 0..2 {
        match wait(it.ledger.ask(held(it, &turn, "to: b"))) {
            Ok(Asked::Denied(why)) => {
                assert_eq!((&*why.code, &*why.message), ("denied", "not today"))
            }
            other => panic!("{other:?}"),
        }
    }
}

/// H1: the answer to a question is the result of the call; a question is answered, not approved.
pub fn h1_an_answer_is_the_result_of_its_question(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    wait(it.ledger.intent(it.intent(&turn, 1, "which?"))).expect("intent");
    let question =
        |args: &str| Ask { capability: QUESTION.to_owned(), begin: None, ..held(it, &turn, args) };
    let id = number(wait(it.ledger.ask(question("which?"))));
    let approved = wait(it.ledger.decide(said(id, Verdict::Approve), None));
    assert!(matches!(approved, Err(LedgerError::NotSo(_))), "{approved:?}");
    wait(it.ledger.decide(said(id, Verdict::Answer("the red one".into())), None))
        .expect("answered");
    let result = wait(it.ledger.result_of(it.key(&turn, 1))).expect("result");
    assert_eq!(result, Some((Ok(b"the red one".to_vec()), NOW_MS + 5)));
    let never = wait(it.ledger.decide(said(ApprovalId(77), Verdict::Approve), None));
    assert!(matches!(never, Err(LedgerError::NotFound(_))), "{never:?}");
}

/// G4, H1: what was said of a call that an accepted re-run makes again is asked again.
pub fn g4_what_was_said_of_a_call_that_is_made_again_is_asked_again(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    let put = |turn: &TurnKey| {
        wait(it.ledger.intent(it.intent(turn, 1, "which?"))).expect("intent");
        let question = Ask { capability: QUESTION.to_owned(), ..held(it, turn, "which?") };
        wait(it.ledger.ask(question))
    };
    let id = number(put(&turn));
    wait(it.ledger.decide(said(id, Verdict::Deny("no".into())), None)).expect("denied");
    assert!(matches!(put(&turn), Ok(Asked::Denied(_))));
    wait(it.ledger.quarantine(turn.clone(), why(&turn, "diverged", Some(1)))).expect("noted");
    let accepted = wait(it.ledger.release_quarantine("a".into(), Release::AcceptRerun, true, None));
    assert!(matches!(accepted, Ok(Released::Done { .. })), "{accepted:?}");
    wait(it.ledger.open("a".into(), 2)).expect("opened");
    assert_ne!(number(put(&TurnKey { incarnation: 2, ..turn })), id);
}

/// H1, C4: only the present incarnation asks and sleeps.
pub fn h1_an_older_incarnation_asks_nobody(it: &Subject) {
    let old = it.opened("a");
    it.accept("a", "x");
    wait(it.ledger.open("a".into(), 2)).expect("opened");
    let fenced = LedgerError::Fenced { agent: "a".into() };
    assert_eq!(wait(it.ledger.ask(held(it, &old, "to: b"))), Err(fenced.clone()));
    let sleep = Sleep { turn: old.clone(), intent: it.key(&old, 1), due_ms: 1 };
    assert_eq!(wait(it.ledger.sleep(sleep)), Err(fenced));
}

fn timer(n: u8, due_ms: u64, body: &str) -> Effect {
    let (kind, body) = ("wake".to_owned(), body.as_bytes().to_vec());
    let set = SetTimer { id: IntentId([n; 16]), due_ms, kind, body, schedule: None };
    Effect::SetTimer(Box::new(set))
}

/// Waits until so many messages have arrived.
fn arrive(it: &Subject, count: usize) {
    let mut seen = 0;
    while seen < count {
        let event = it.events.recv_timeout(SOON).expect("a message arrives");
        seen += usize::from(matches!(event, LedgerEvent::Arrived { .. }));
    }
}

/// D1: what a turn sets is set with its end, fires into the agent's own inbox when it is due and not before, and is taken back by
/// its own agent only.
pub fn d1_timers_fire_when_due(it: &Subject) {
    let turn = it.opened("a");
    let other = it.opened("b");
    it.accept("a", "x");
    it.accept("b", "x");
    it.told();
    let mut end = it.ending(&turn);
    let timers =
        [timer(1, NOW_MS, "now"), timer(2, NOW_MS + 1, "later"), timer(3, NOW_MS + 2, "never")];
    end.effects = timers.into_iter().collect();
    wait(it.ledger.end(end)).expect("end");
    let mut theirs = it.ending(&other);
    theirs.effects = vec![Effect::CancelTimer { id: IntentId([3; 16]) }];
    wait(it.ledger.end(theirs)).expect("end");
    arrive(it, 1);
    let left = wait(it.ledger.timers(Some("a".into()))).expect("timers");
    assert_eq!(left.iter().map(|timer| timer.due_ms).collect::<Vec<_>>(), [NOW_MS + 1, NOW_MS + 2]);
    let next = wait(it.ledger.next("a".into(), 1)).expect("next").expect("the timer's message");
    let message = &next.message;
    assert_eq!(
        (&*message.sender, &*message.kind, &*message.body),
        (TIMER_SENDER, "wake", &b"now"[..])
    );
    let turn = TurnKey { n: TurnNo(2), ..turn };
    let mut end = it.ending(&turn);
    end.effects = vec![Effect::CancelTimer { id: IntentId([3; 16]) }];
    assert_eq!(wait(it.ledger.end(end)), Ok(None), "it fired once");
    assert_eq!(wait(it.ledger.cancel_timer(IntentId([2; 16]), None)), Ok(true));
    assert_eq!(wait(it.ledger.cancel_timer(IntentId([2; 16]), None)), Ok(false));
    assert_eq!(wait(it.ledger.timers(None)), Ok(Vec::new()));
    it.nothing_lost(0);
}

/// A3: a due timer whose agent has a full inbox waits for room, and is not lost.
pub fn a3_a_timer_waits_for_room(it: &Subject) {
    let turn = it.opened("a");
    for _ in 0..10 {
        it.accept("a", "x");
    }
    it.told();
    let mut end = it.ending(&turn);
    end.effects = vec![timer(1, NOW_MS, "1"), timer(2, NOW_MS, "2")];
    wait(it.ledger.end(end)).expect("end");
    arrive(it, 1);
    // One place was free; the end of the next turn frees another.
    it.nothing_lost(10);
    assert_eq!(wait(it.ledger.timers(None)).expect("timers").len(), 1);
    let turn = TurnKey { n: TurnNo(2), ..turn };
    wait(it.ledger.end(it.ending(&turn))).expect("end");
    arrive(it, 1);
    assert_eq!(wait(it.ledger.timers(None)), Ok(Vec::new()));
    it.nothing_lost(10);
}

/// H1: a sleep ends with its result when it is due; the first time that was said stands.
pub fn h1_a_sleep_ends_at_its_time(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    wait(it.ledger.intent(it.intent(&turn, 1, "sleep"))).expect("intent");
    let intent = it.key(&turn, 1);
    let sleep = |due_ms| Sleep { turn: turn.clone(), intent, due_ms };
    wait(it.ledger.sleep(sleep(NOW_MS + 1))).expect("sleeps");
    wait(it.ledger.sleep(sleep(1))).expect("sleeps already");
    it.told();
    assert_eq!(wait(it.ledger.result_of(intent)), Ok(None));
    assert_eq!(wait(it.ledger.cancel_timer(intent, None)), Ok(false), "a sleep is no timer");
    wait(it.ledger.end(it.ending(&turn))).expect("end");
    it.accept("a", "y");
    let turn = TurnKey { n: TurnNo(2), ..turn };
    wait(it.ledger.intent(it.intent(&turn, 1, "sleep"))).expect("intent");
    let intent = it.key(&turn, 1);
    it.told();
    wait(it.ledger.sleep(Sleep { turn, intent, due_ms: NOW_MS })).expect("sleeps");
    let deadline = it.events.recv_timeout(SOON).expect("it wakes");
    assert!(
        matches!(deadline, LedgerEvent::Result { intent: on, .. } if on == intent),
        "{deadline:?}"
    );
    let (outcome, _) = wait(it.ledger.result_of(intent)).expect("result").expect("there");
    assert_eq!(failed_with(&outcome), None);
}
