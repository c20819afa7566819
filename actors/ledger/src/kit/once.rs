//! Rules C3, C4, A6: what a call of a turn asks the ledger for is done once, and who was removed stays so.

use super::{NOW_MS, Subject, message, wait};
use loket_turn::{
    AcceptError, AgentName, DynamicChild, Enrol, Epoch, FailVerdict, ForCall, Hash, IntentId,
    LedgerError, LedgerEvent, Outcome, RetriedLetter, Snapshot, Switch, Switched, TurnKey, TurnNo,
};

fn of_call<T>(call: IntentId, said: &'static str) -> Option<ForCall<T>> {
    Some(ForCall { call, now_ms: NOW_MS, say: Box::new(move |_| Some(said.into())) })
}

fn before<T: std::fmt::Debug>(done: Result<T, LedgerError>) -> Outcome {
    match done {
        Err(LedgerError::Answered(before)) => *before,
        other => panic!("it was done again: {other:?}"),
    }
}

/// C4: a letter that a turn's call retries becomes one message, and the call has its result with it.
pub fn c4_a_letter_is_retried_once_for_a_call(it: &Subject) {
    let desk = it.opened("desk");
    it.accept("desk", "poison");
    let FailVerdict::Letter { letter } = wait(it.ledger.fail(it.failure(&desk, 1))).expect("fail")
    else {
        panic!("no letter")
    };
    let op = it.opened("op");
    it.accept("op", "retry it");
    let call = it.key(&op, 1);
    wait(it.ledger.intent(it.intent(&op, 1, "retry"))).expect("intent");
    it.told();
    let sent = wait(it.ledger.retry_letter(letter, true, of_call(call, "sent"))).expect("sent");
    assert!(matches!(sent, RetriedLetter::Sent { .. }), "{sent:?}");
    let (outcome, _) = wait(it.ledger.result_of(call)).expect("read").expect("its result");
    assert_eq!(outcome, Ok(b"sent".to_vec()));
    let told = it.told();
    let is_told =
        told.iter().any(|it| matches!(it, LedgerEvent::Result { intent, .. } if *intent == call));
    assert!(is_told, "{told:?}");
    let again = wait(it.ledger.retry_letter(letter, true, of_call(call, "again")));
    assert_eq!(before(again), Ok(b"sent".to_vec()));
    it.nothing_lost(2);
}

/// C4, E7: another brain is put in place once for a call, with the copy that its epoch begins with; what comes to nothing leaves the
/// call without a result.
pub fn c4_a_brain_is_exchanged_once_for_a_call(it: &Subject) {
    let TurnKey { life, .. } = it.opened("desk");
    let op = it.opened("op");
    it.accept("op", "exchange it");
    let call = it.key(&op, 1);
    wait(it.ledger.intent(it.intent(&op, 1, "exchange"))).expect("intent");
    let first = Snapshot {
        life,
        epoch: Epoch(1),
        n: TurnNo(0),
        chain: Hash::default(),
        at_ms: NOW_MS,
        file: "first.db".to_owned(),
        automatic: false,
    };
    let standing = || wait(it.ledger.brain_standing("desk".into())).expect("stands");
    let switch = |from| Switch {
        from,
        exact: false,
        abandon: None,
        reason: "test".to_owned(),
        first: Some(first.clone()),
        now_ms: NOW_MS,
    };
    let mut elsewhere = standing();
    elsewhere.done = TurnNo(9);
    let say = |done: &Switched| matches!(done, Switched::Done { .. }).then(|| b"done".to_vec());
    let of = || Some(ForCall { call, now_ms: NOW_MS, say: Box::new(say) });
    assert_eq!(wait(it.ledger.switch_brain(switch(elsewhere), of())), Ok(Switched::Moved));
    assert_eq!(wait(it.ledger.snapshots("desk".into())), Ok(vec![]), "a switch that was none");
    assert_eq!(wait(it.ledger.result_of(call)), Ok(None));
    let done = wait(it.ledger.switch_brain(switch(standing()), of()));
    assert_eq!(done, Ok(Switched::Done { epoch: Epoch(1), letter: None }));
    assert_eq!(wait(it.ledger.snapshots("desk".into())), Ok(vec![first.clone()]));
    let again = wait(it.ledger.switch_brain(switch(standing()), of()));
    assert_eq!((before(again), standing().epoch), (Ok(b"done".to_vec()), Epoch(1)));
    let files = wait(it.ledger.files()).expect("files");
    assert!(files.lives.contains_key(&life) && files.snapshots.contains("first.db"), "{files:?}");
    wait(it.ledger.remove("desk".into(), "over".to_owned())).expect("removed");
    let files = wait(it.ledger.files()).expect("files");
    assert!(!files.lives.contains_key(&life) && files.snapshots.is_empty(), "{files:?}");
}

/// A6: the bounds of an inbox are set of who lives; nobody who was removed meanwhile begins a life by it, and its end is told.
pub fn a6_bounds_are_set_of_who_lives_and_begin_no_life(it: &Subject) {
    let under = DynamicChild { agent: "w/1".into(), under: "w".into(), settings: "{}".to_owned() };
    let child =
        Enrol { agent: "w/1".into(), inbox_rows: 5, inbox_bytes: 500, dynamic: Some(under) };
    wait(it.ledger.enrol(vec![child])).expect("enrolled");
    wait(it.ledger.rebound("w/1".into(), 1, 500)).expect("it lives");
    it.accept("w/1", "one");
    let full = wait(it.ledger.accept(message("w/1", "two")));
    assert!(matches!(full, Err(AcceptError::Overloaded { capacity: 1, .. })), "{full:?}");
    it.told();
    wait(it.ledger.remove("w/1".into(), "over".to_owned())).expect("removed");
    let told = it.told();
    let gone = [AgentName::from("w/1")];
    let stops = told.iter().filter(|it| matches!(it, LedgerEvent::Stopped(all) if *all == gone));
    assert_eq!(stops.count(), 1, "{told:?}");
    let gone = wait(it.ledger.rebound("w/1".into(), 1, 500));
    assert!(matches!(gone, Err(LedgerError::NoSuchAgent(_))), "{gone:?}");
    assert_eq!(wait(it.ledger.dynamic_children()), Ok(vec![]));
}
