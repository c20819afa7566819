//! Rules G3 and A4: dead letters.

use super::{Subject, failed_with, message, wait};
use loket_turn::{
    Accept, Blame, FailVerdict, LedgerError, LedgerEvent, LetterId, MessageId, ReplyTo,
    RetriedLetter, TurnKey, TurnNo,
};

fn letter_of(it: &Subject, turn: &TurnKey, max_attempts: u32) -> LetterId {
    match wait(it.ledger.fail(it.failure(turn, max_attempts))).expect("fail") {
        FailVerdict::Letter { letter } => letter,
        retry => panic!("{retry:?}"),
    }
}

/// G3: the last attempt makes a letter with the whole reason, skips the turn and fails who waits,
/// in one step.
pub fn g3_the_last_attempt_makes_a_letter(it: &Subject) {
    let caller = it.opened("caller");
    let turn = it.opened("a");
    it.accept("caller", "go");
    wait(it.ledger.intent(it.intent(&caller, 1, "ask"))).expect("intent");
    let intent = it.key(&caller, 1);
    let poison = Accept {
        id: Some(MessageId([5; 16])),
        reply_to: Some(ReplyTo::Intent { agent: "caller".into(), intent }),
        ..message("a", "poison")
    };
    wait(it.ledger.accept(poison)).expect("accepted");
    it.accept("a", "next");
    let first = wait(it.ledger.fail(it.failure(&turn, 2)));
    assert_eq!(first, Ok(FailVerdict::Retry { attempts: 1 }));
    let id = letter_of(it, &turn, 2);
    let letter = wait(it.ledger.letter(id)).expect("letter");
    assert_eq!((letter.summary.attempts, letter.summary.cause.as_str()), (2, "trap"));
    assert_eq!(letter.summary.message, MessageId([5; 16]));
    assert_eq!((letter.blame, letter.backtrace.as_str()), (Blame::Guest, "0: handle"));
    assert_eq!(letter.letter.body, b"poison");
    let (outcome, stamp) = wait(it.ledger.result_of(intent)).expect("read").expect("result");
    assert_eq!((failed_with(&outcome), stamp), (Some("dead_letter"), 4_000));
    let told = it.told();
    assert!(told.iter().any(|event| matches!(event, LedgerEvent::Result { .. })));
    let next = wait(it.ledger.next("a".into(), 1)).expect("next").expect("the agent lives on");
    assert_eq!((next.n, next.message.body.as_slice()), (TurnNo(2), &b"next"[..]));
    assert_eq!((next.attempts, next.records.len()), (0, 0));
    it.nothing_lost(2);
}

/// G3: a retry is a new message at the inbox's end; effects are confirmed first.
pub fn g3_a_retry_is_a_new_message(it: &Subject) {
    let turn = it.opened("a");
    let old = it.accept("a", "poison").message;
    it.accept("a", "other");
    wait(it.ledger.intent(it.intent(&turn, 1, "pay"))).expect("intent");
    let id = letter_of(it, &turn, 1);
    let asked = wait(it.ledger.retry_letter(id, false, None)).expect("asked");
    let RetriedLetter::NeedsConfirmation { effects } = asked else {
        panic!("{asked:?}");
    };
    assert!(effects[0].contains("llm.chat pay"), "{effects:?}");
    let sent = wait(it.ledger.retry_letter(id, true, None)).expect("sent");
    let RetriedLetter::Sent { message } = sent else {
        panic!("{sent:?}");
    };
    assert_ne!(message, old);
    let again = wait(it.ledger.retry_letter(id, true, None));
    assert!(matches!(again, Err(LedgerError::NotFound(_))), "a letter is retried once");
    let turn = TurnKey { n: TurnNo(2), ..turn };
    let next = wait(it.ledger.end(it.ending(&turn))).expect("end").expect("one");
    assert_eq!((next.n, next.message.id), (TurnNo(3), message));
    assert_eq!(next.message.body, b"poison");
    it.nothing_lost(1);
}

/// G3: a dropped letter is forgotten and still counted.
pub fn g3_a_dropped_letter_is_counted(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "poison");
    let id = letter_of(it, &turn, 1);
    wait(it.ledger.drop_letter(id, None)).expect("dropped");
    assert_eq!(wait(it.ledger.letters()), Ok(vec![]));
    let again = wait(it.ledger.drop_letter(id, None));
    assert!(matches!(again, Err(LedgerError::NotFound(_))));
    let stats = wait(it.ledger.stats()).expect("stats");
    assert_eq!((stats.letters_made, stats.letters), (1, 0));
    it.nothing_lost(0);
}
