//! Rules C4 and G4: Once calls in doubt, agents in quarantine.

use super::{Subject, failed_with, wait};
use loket_turn::{
    CallNo, CallState, DoubtId, EffectClass, Failure, Holder, IntentWritten, LedgerError,
    LedgerEvent, Quarantine, Release, Released, Resolution, ResultWrite, TurnKey, TurnNo,
};

fn holder(incarnation: u64) -> Holder {
    Holder { provider: "web".into(), incarnation }
}

/// Sends the first call of a turn as a Once call that this incarnation of its provider holds.
fn send(it: &Subject, turn: &TurnKey, incarnation: u64) -> Result<IntentWritten, LedgerError> {
    let mut write = it.intent(turn, 1, "once");
    write.intent.class = EffectClass::Once;
    write.holder = Some(holder(incarnation));
    wait(it.ledger.intent(write))
}

/// The numbers of all calls in doubt.
fn doubts(it: &Subject) -> Vec<DoubtId> {
    let doubts = wait(it.ledger.doubts()).expect("doubts");
    doubts.into_iter().map(|doubt| doubt.id).collect()
}

fn answer(
    it: &Subject,
    turn: &TurnKey,
    text: &str,
) -> Result<(loket_turn::Outcome, u64), LedgerError> {
    let outcome = Ok(text.as_bytes().to_vec());
    let write = ResultWrite { intent: it.key(turn, 1), outcome, used: None, stamp_ms: 5_000 };
    wait(it.ledger.result(write))
}

/// C4: in doubt is a Once call only when the provider's incarnation that held it has ended without a result, whatever becomes of
/// its caller meanwhile; a second wish under its key is never a second sending.
pub fn c4_a_once_call_is_in_doubt_only_when_its_holder_ended(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    assert_eq!(send(it, &turn, 3), Ok(IntentWritten::Fresh));
    wait(it.ledger.open("a".into(), 2)).expect("the caller restarts");
    let turn = TurnKey { incarnation: 2, ..turn };
    assert_eq!(send(it, &turn, 3), Ok(IntentWritten::Again));
    let other = Holder { provider: "other".into(), incarnation: 9 };
    for ended in [other, holder(2)] {
        assert_eq!(wait(it.ledger.holder_ended(ended)), Ok(0));
    }
    assert_eq!(
        (doubts(it), wait(it.ledger.state_of(it.key(&turn, 1)))),
        (vec![], Ok(CallState::Held))
    );
    assert_eq!(wait(it.ledger.holder_ended(holder(3))), Ok(1));
    assert_eq!(wait(it.ledger.holder_ended(holder(3))), Ok(0), "told twice, in doubt once");
    let doubt = wait(it.ledger.doubts()).expect("doubts").remove(0);
    assert_eq!((&*doubt.agent, doubt.n, doubt.call), ("a", TurnNo(1), CallNo(1)));
    assert_eq!((doubt.args.as_str(), doubt.held_by.as_deref()), ("once", Some("web")));
    assert_eq!(send(it, &turn, 4), Ok(IntentWritten::Again), "never sent again by itself");
    // An answer that was on its way all the same is the answer, and ends the doubt.
    assert_eq!(answer(it, &turn, "late"), Ok((Ok(b"late".to_vec()), 5_000)));
    assert_eq!(doubts(it), []);
}

/// C4: what was answered is not in doubt, and an end cannot put another outcome in its place.
pub fn c4_an_answered_once_call_is_never_in_doubt(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    send(it, &turn, 1).expect("sent");
    let _ = answer(it, &turn, "done").expect("answered");
    assert_eq!(wait(it.ledger.holder_ended(holder(1))), Ok(0));
    assert_eq!(doubts(it), []);
    let second = it.opened("b");
    it.accept("b", "x");
    send(it, &second, 1).expect("sent");
    let mut end = it.ending(&second);
    let mut record = super::staged(1, "b", "once");
    (record.class, record.effect) = (EffectClass::Once, None);
    (record.intent, record.outcome) =
        (Some(it.key(&second, 1)), Some(Err(Failure::new("refused", ""))));
    end.records.push(record);
    let refused = wait(it.ledger.end(end));
    assert_eq!(refused, Err(LedgerError::OtherOutcome(it.key(&second, 1))));
}

/// C4: an operator's word ends a doubt, once, and the one who waits is told.
pub fn c4_only_an_operator_resolves_a_doubt(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    send(it, &turn, 1).expect("sent");
    wait(it.ledger.holder_ended(holder(1))).expect("ended");
    let first = doubts(it)[0];
    it.told();
    wait(it.ledger.resolve_doubt(first, Resolution::Retry, None)).expect("resolved");
    let key = it.key(&turn, 1);
    assert!(
        it.told()
            .iter()
            .any(|event| { matches!(event, LedgerEvent::Resend { intent, .. } if *intent == key) })
    );
    assert_eq!((doubts(it), wait(it.ledger.state_of(key))), (vec![], Ok(CallState::MaySend)));
    assert_eq!(wait(it.ledger.holder_ended(holder(1))), Ok(0), "nobody holds it");
    assert_eq!(send(it, &turn, 2), Ok(IntentWritten::Fresh), "one more sending");
    assert_eq!(send(it, &turn, 2), Ok(IntentWritten::Again), "and not two");
    assert_eq!(wait(it.ledger.holder_ended(holder(2))), Ok(1), "in doubt again");
    let second = doubts(it)[0];
    assert_ne!(first, second);
    let gone = wait(it.ledger.resolve_doubt(first, Resolution::Retry, None));
    assert!(matches!(gone, Err(LedgerError::NotFound(_))), "{gone:?}");
    let failed = Err(Failure::new("resolved_failed", "closed"));
    wait(it.ledger.resolve_doubt(second, Resolution::Is(failed), None)).expect("resolved");
    let (outcome, _) = wait(it.ledger.result_of(key)).expect("read").expect("an outcome");
    assert_eq!((failed_with(&outcome), doubts(it)), (Some("resolved_failed"), vec![]));
}

pub(super) fn why(turn: &TurnKey, cause: &str, call: Option<u32>) -> Quarantine {
    let reason = "call 1: two stories".to_owned();
    Quarantine { cause: cause.to_owned(), reason, n: turn.n, call: call.map(CallNo), at_ms: 6_000 }
}

/// G4: a quarantine outlives incarnations, the inbox accepts, and a skip makes a dead letter of the message with all it has done.
pub fn g4_a_quarantine_stays_until_the_turn_is_skipped(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    wait(it.ledger.intent(it.intent(&turn, 1, "paid"))).expect("sent");
    wait(it.ledger.quarantine(turn.clone(), why(&turn, "diverged", Some(1)))).expect("noted");
    let state = wait(it.ledger.open("a".into(), 2)).expect("opened");
    assert_eq!(state.quarantine, Some(why(&turn, "diverged", Some(1))));
    let stale = wait(it.ledger.quarantine(turn.clone(), why(&turn, "corrupt", None)));
    assert!(matches!(stale, Err(LedgerError::Fenced { .. })), "{stale:?}");
    it.accept("a", "y");
    let row = wait(it.ledger.quarantines()).expect("rows").remove(0);
    assert_eq!((&*row.agent, row.ended, row.waiting, row.effects.len()), ("a", false, 2, 1));
    let skipped = wait(it.ledger.release_quarantine("a".into(), Release::Skip, false, None));
    let Ok(Released::Done { letter: Some(letter) }) = skipped else { panic!("{skipped:?}") };
    let letter = wait(it.ledger.letter(letter)).expect("the letter");
    assert_eq!((letter.summary.cause.as_str(), letter.effects.len()), ("quarantined", 1));
    let state = wait(it.ledger.open("a".into(), 3)).expect("opened");
    assert_eq!((state.quarantine, state.done), (None, TurnNo(1)));
    assert_eq!(state.next.expect("the next message").message.body, b"y");
    it.nothing_lost(1);
}

/// G4: to accept a re-run drops the records that it does not agree with; effects among them are confirmed first.
pub fn g4_an_accepted_rerun_asks_before_it_repeats(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    wait(it.ledger.intent(it.intent(&turn, 1, "paid"))).expect("sent");
    wait(it.ledger.quarantine(turn.clone(), why(&turn, "diverged", Some(1)))).expect("noted");
    let accept = |confirmed| {
        wait(it.ledger.release_quarantine("a".into(), Release::AcceptRerun, confirmed, None))
    };
    let Ok(Released::NeedsConfirmation { effects }) = accept(false) else { panic!("it asks") };
    assert_eq!(effects.len(), 1);
    assert_eq!(accept(true), Ok(Released::Done { letter: None }));
    let state = wait(it.ledger.open("a".into(), 2)).expect("opened");
    assert_eq!(state.quarantine, None);
    let next = state.next.expect("the same message");
    assert_eq!((next.n, next.records.len(), next.begin), (TurnNo(1), 0, None), "a new begin");
    assert!(matches!(accept(true), Err(LedgerError::NotFound(_))), "only once");
}
