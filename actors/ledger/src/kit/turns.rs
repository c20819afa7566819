//! Rules B1, C2, C4, D1, E6, F1, G1 to G3, H1, I1, J4: the life of a turn.

use super::{Subject, begin, failed_with, message, send, staged, turn_hash, wait};
use loket_turn::{
    Accept, AcceptError, Blame, CallNo, EffectClass, End, FailVerdict, Failure, Hash,
    IntentWritten, LedgerError, LedgerEvent, MessageId, Record, ReplyTo, ResultWrite, TurnKey,
    TurnNo, Used,
};

fn result(it: &Subject, turn: &TurnKey, call: u32, text: &str, stamp_ms: u64) -> ResultWrite {
    let outcome = Ok(text.as_bytes().to_vec());
    ResultWrite { intent: it.key(turn, call), outcome, used: None, stamp_ms }
}

/// B1: the begin comes with the first durable write, and what it names must be pinned.
pub fn b1_a_turn_needs_its_begin(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    let mut end = it.ending(&turn);
    end.begin = None;
    assert!(matches!(wait(it.ledger.end(end)), Err(LedgerError::NotFound(_))));
    let mut end = it.ending(&turn);
    end.begin = Some(loket_turn::Begin { module: Hash::of(b"never pinned"), ..begin() });
    assert!(matches!(wait(it.ledger.end(end)), Err(LedgerError::NotFound(_))));
    let mut write = it.intent(&turn, 2, "args");
    write.records = vec![staged(1, "a", "later")];
    assert_eq!(wait(it.ledger.intent(write)), Ok(IntentWritten::Fresh));
    let next = wait(it.ledger.next("a".into(), 1)).expect("next").expect("one");
    assert_eq!(next.begin, Some(begin()));
    let calls: Vec<CallNo> = next.records.iter().map(|record| record.call).collect();
    assert_eq!(calls, vec![CallNo(1), CallNo(2)]);
    assert_eq!(next.records[0], staged(1, "a", "later"));
    assert_eq!(next.records[1].outcome, None);
    let hash = Hash::of(b"module");
    assert_eq!(wait(it.ledger.pinned(hash)), Ok(Some(b"module".to_vec())));
    it.nothing_lost(1);
}

/// C4, J4: every write of an older incarnation is refused, in the writer's own step; results are
/// exempt.
pub fn c4_an_older_incarnation_is_fenced(it: &Subject) {
    let old = it.opened("a");
    it.accept("a", "x");
    wait(it.ledger.intent(it.intent(&old, 1, "args"))).expect("intent");
    let fenced = || LedgerError::Fenced { agent: "a".into() };
    wait(it.ledger.open("a".into(), 2)).expect("opened");
    assert_eq!(wait(it.ledger.open("a".into(), 1)), Err(fenced()));
    assert_eq!(wait(it.ledger.intent(it.intent(&old, 2, "x"))), Err(fenced()));
    assert_eq!(wait(it.ledger.intent(it.intent(&old, 1, "args"))), Err(fenced()));
    assert_eq!(wait(it.ledger.end(it.ending(&old))), Err(fenced()));
    assert_eq!(wait(it.ledger.fail(it.failure(&old, 3))), Err(fenced()));
    assert_eq!(wait(it.ledger.park(old.clone(), it.key(&old, 1))), Err(fenced()));
    assert_eq!(wait(it.ledger.next("a".into(), 1)), Err(fenced()));
    let reserved = wait(it.ledger.reserve(old.clone(), "a".into(), 1));
    assert_eq!(reserved, Err(AcceptError::Ledger(fenced())));
    let late = wait(it.ledger.result(result(it, &old, 1, "late", 5_000)));
    assert_eq!(late, Ok((Ok(b"late".to_vec()), 5_000)), "a late answer is still the answer");
    let now = TurnKey { incarnation: 2, ..old.clone() };
    let known = wait(it.ledger.intent(it.intent(&now, 1, "args")));
    let (outcome, stamp_ms) = (Ok(b"late".to_vec()), 5_000);
    assert_eq!(known, Ok(IntentWritten::Known { outcome, stamp_ms }));
    let next = wait(it.ledger.end(it.ending(&now))).expect("end");
    assert_eq!(next, None);
    it.nothing_lost(0);
}

/// C4: of two incarnations that race with intents, exactly those of one are written.
pub fn c4_racing_incarnations_never_both_write(it: &Subject) {
    for round in 0..50_u64 {
        let name = format!("a{round}");
        let old = it.opened(&name);
        it.accept(&name, "x");
        let new = TurnKey { incarnation: 2, ..old.clone() };
        let (first, second) = std::thread::scope(|scope| {
            let stale = scope.spawn(|| wait(it.ledger.intent(it.intent(&old, 1, "old args"))));
            let fresh = scope.spawn(|| {
                wait(it.ledger.open(name.as_str().into(), 2)).expect("opened");
                wait(it.ledger.intent(it.intent(&new, 1, "new args")))
            });
            (stale.join().expect("thread"), fresh.join().expect("thread"))
        });
        match (first, second) {
            (Ok(IntentWritten::Fresh), Err(LedgerError::OtherArgs(_)))
            | (Err(LedgerError::Fenced { .. }), Ok(IntentWritten::Fresh)) => {}
            both => panic!("one id with two bodies, or none: {both:?}"),
        }
    }
}

/// C4: one id never gets two bodies, and the first durable outcome wins.
pub fn c4_the_first_outcome_wins(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    let write = it.intent(&turn, 1, "args");
    assert_eq!(wait(it.ledger.intent(write.clone())), Ok(IntentWritten::Fresh));
    assert_eq!(wait(it.ledger.intent(write)), Ok(IntentWritten::Again));
    let id = it.key(&turn, 1);
    let other = wait(it.ledger.intent(it.intent(&turn, 1, "other")));
    assert_eq!(other, Err(LedgerError::OtherArgs(id)));
    let mut timeout = result(it, &turn, 1, "", 3_000);
    timeout.outcome = Err(Failure::retryable("timeout", "outcome unknown", Some(7)));
    let kept = wait(it.ledger.result(timeout.clone())).expect("written");
    assert_eq!(kept, (timeout.outcome.clone(), 3_000));
    let late = wait(it.ledger.result(result(it, &turn, 1, "late", 4_000)));
    let first = (timeout.outcome.clone(), 3_000);
    assert_eq!(late, Ok(first), "the answer of the write is the one that counts");
    let read = wait(it.ledger.result_of(id)).expect("read");
    assert_eq!(read, Some((timeout.outcome, 3_000)));
    let told = it.told();
    let results = told.iter().filter(|event| matches!(event, LedgerEvent::Result { .. }));
    assert_eq!(results.count(), 1, "who waits is told of the first one: {told:?}");
    let unknown = wait(it.ledger.result(result(it, &turn, 9, "x", 1)));
    assert!(matches!(unknown, Err(LedgerError::NotFound(_))));
}

/// A2, I1: a call whose key is that of a message which somebody has sent already is answered with it: by its end, or by its cycle.
pub fn a2_a_call_with_the_key_of_a_message_that_waits_is_answered_by_its_end(it: &Subject) {
    let (a, b) = (it.opened("a"), it.opened("b"));
    it.accept("a", "x");
    let sent = Accept { sender: "a".into(), key: Some("k".to_owned()), ..message("b", "work") };
    let first = wait(it.ledger.accept(sent.clone())).expect("accepted");
    for call in [1, 2] {
        wait(it.ledger.intent(it.intent(&a, call, "work"))).expect("intent");
        let intent = it.key(&a, call);
        let reply_to = Some(ReplyTo::Intent { agent: "a".into(), intent });
        let again = Accept { reply_to, id: Some(MessageId([call as u8; 16])), ..sent.clone() };
        for _ in 0..2 {
            let known = wait(it.ledger.accept(again.clone())).expect("accepted");
            assert_eq!((known.message, known.duplicate), (first.message, true));
            assert_eq!(known.outcome, None, "it is not answered yet");
        }
    }
    let result = |call| wait(it.ledger.result_of(it.key(&a, call))).expect("asked");
    assert_eq!((result(1), result(2)), (None, None));
    wait(it.ledger.end(it.ending(&b))).expect("ended");
    let done = |call| result(call).map(|(outcome, _)| outcome);
    assert_eq!(done(1), Some(Ok(b"done".to_vec())));
    assert_eq!(done(2), done(1));
}

/// C2: what a call took from its intent to its first answer, and what it used, can be looked at; and what the driver says of one
/// without an intent.
pub fn c2_what_a_call_took_can_be_looked_at(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    let mut write = it.intent(&turn, 2, "one");
    write.records = vec![Record { took_ms: Some(3), ..staged(1, "a", "later") }];
    let sent_ms = write.now_ms;
    wait(it.ledger.intent(write)).expect("intent");
    let took = || {
        let shown = wait(it.ledger.turn("a".into(), TurnNo(1))).expect("shown");
        shown.records.iter().map(|it| (it.took_ms, it.used)).collect::<Vec<_>>()
    };
    assert_eq!(took(), [(Some(3), None), (None, None)], "before it is answered");
    let used = Some(Used { tokens: 12, money: 34 });
    let first = ResultWrite { used, ..result(it, &turn, 2, "first", sent_ms + 500) };
    let late = ResultWrite {
        used: Some(Used { tokens: 99, money: 99 }),
        ..result(it, &turn, 2, "late", sent_ms + 900)
    };
    for write in [first, late] {
        let _ = wait(it.ledger.result(write)).expect("written");
        assert_eq!(took(), [(Some(3), None), (Some(500), used)], "the first answer's");
    }
}

/// C4, C6: an end may bring the outcome of an intent that has none; it cannot change one.
pub fn c4_an_end_cannot_change_a_result(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    wait(it.ledger.intent(it.intent(&turn, 1, "one"))).expect("intent");
    wait(it.ledger.intent(it.intent(&turn, 2, "two"))).expect("intent");
    let _ = wait(it.ledger.result(result(it, &turn, 1, "late", 2_500))).expect("written");
    let record = |call: u32, args: &str| Record {
        call: CallNo(call),
        class: EffectClass::Keyed,
        capability: "llm.chat".to_owned(),
        args: args.as_bytes().to_vec(),
        outcome: Some(Err(Failure::new("refused", "revoked"))),
        stamp_ms: 2_600,
        intent: Some(it.key(&turn, call)),
        effect: None,
        took_ms: None,
        used: None,
    };
    let mut end = it.ending(&turn);
    end.records = vec![record(2, "two"), record(1, "one")];
    let refused = wait(it.ledger.end(end.clone()));
    assert_eq!(refused, Err(LedgerError::OtherOutcome(it.key(&turn, 1))));
    assert_eq!(wait(it.ledger.result_of(it.key(&turn, 2))), Ok(None), "all of it or nothing");
    end.records.truncate(1);
    wait(it.ledger.end(end)).expect("end");
    let ended = wait(it.ledger.ended_after("a".into(), TurnNo(0))).expect("ended");
    let records = &ended[0].ran.as_ref().expect("ran").records;
    assert_eq!(records[0].outcome, Some(Ok(b"late".to_vec())));
    assert_eq!(records[1], record(2, "two"));
}

/// D1, I1: the end of the callee is the result of the caller, in one step.
pub fn d1_the_end_answers_the_caller(it: &Subject) {
    let caller = it.opened("caller");
    let callee = it.opened("callee");
    it.accept("caller", "go");
    wait(it.ledger.intent(it.intent(&caller, 1, "ask"))).expect("intent");
    let intent = it.key(&caller, 1);
    let call = Accept {
        id: Some(MessageId(intent.0)),
        sender: "caller".into(),
        chain: vec!["caller".into()],
        reply_to: Some(ReplyTo::Intent { agent: "caller".into(), intent }),
        ..message("callee", "ask")
    };
    wait(it.ledger.accept(call.clone())).expect("accepted");
    assert_eq!(wait(it.ledger.park(caller.clone(), intent)), Ok(None));
    it.told();
    let next = wait(it.ledger.next("callee".into(), 1)).expect("next").expect("one");
    assert_eq!(next.message.chain, vec!["caller".into()]);
    wait(it.ledger.end(it.ending(&callee))).expect("end");
    let done: loket_turn::Outcome = Ok(b"done".to_vec());
    let told = it.told();
    let answered = told.iter().any(|event| {
        matches!(event, LedgerEvent::Result { agent, intent: id, outcome, stamp_ms: 3_000 }
            if **agent == *"caller" && *id == intent && *outcome == done)
    });
    assert!(answered, "{told:?}");
    let finished = told.iter().any(|event| {
        matches!(event, LedgerEvent::Finished { agent, outcome, .. }
            if **agent == *"callee" && *outcome == done)
    });
    assert!(finished, "{told:?}");
    let again = wait(it.ledger.accept(call)).expect("the outcome");
    assert_eq!(again.outcome, Some(done.clone()));
    assert_eq!(wait(it.ledger.park(caller.clone(), intent)), Ok(Some(done.clone())));
    let next = wait(it.ledger.next("caller".into(), 1)).expect("next").expect("one");
    assert_eq!((next.parks, &next.records[0].outcome), (1, &Some(done)));
    it.nothing_lost(1);
}

/// D1: a turn that is over cannot end or write again.
pub fn d1_a_turn_ends_once(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    wait(it.ledger.end(it.ending(&turn))).expect("end");
    assert!(matches!(wait(it.ledger.end(it.ending(&turn))), Err(LedgerError::NotFound(_))));
    let late = wait(it.ledger.intent(it.intent(&turn, 1, "x")));
    assert!(matches!(late, Err(LedgerError::NotFound(_))));
    it.nothing_lost(0);
}

/// F1, E6: ended and skipped turns are kept for catch-up, until the brain has them durably and no
/// longer.
pub fn e6_turns_are_kept_until_the_brain_has_them(it: &Subject) {
    let mut turn = it.opened("a");
    for n in 1..=4_u64 {
        it.accept("a", &format!("m{n}"));
        turn.n = TurnNo(n);
        if n == 3 {
            let verdict = wait(it.ledger.fail(it.failure(&turn, 1))).expect("fail");
            assert!(matches!(verdict, FailVerdict::Letter { .. }));
            continue;
        }
        let mut end: End = it.ending(&turn);
        end.records = vec![staged(1, "nobody", "x")];
        wait(it.ledger.end(end)).expect("end");
    }
    let ended = wait(it.ledger.ended_after("a".into(), TurnNo(0))).expect("ended");
    let kept: Vec<(u64, bool)> = ended.iter().map(|it| (it.n.0, it.ran.is_some())).collect();
    assert_eq!(kept, vec![(1, true), (2, true), (3, false), (4, true)]);
    assert_eq!(ended[2].chain, Hash::of(b"skipped"));
    let ran = ended[1].ran.as_ref().expect("ran");
    assert_eq!(ran.message.body, b"m2");
    assert_eq!((&ran.begin, ran.hash), (&begin(), turn_hash(TurnNo(2))));
    assert_eq!(ran.records, vec![staged(1, "nobody", "x")]);
    wait(it.ledger.brain_durable("a".into(), turn.life, TurnNo(2))).expect("noted");
    let left = wait(it.ledger.ended_after("a".into(), TurnNo(2))).expect("ended");
    assert_eq!(left.len(), 2, "what the brain lacks stays");
    wait(it.ledger.brain_durable("a".into(), turn.life, TurnNo(99))).expect("noted");
    it.accept("a", "m5");
    let next = wait(it.ledger.next("a".into(), 1)).expect("next").expect("one");
    assert_eq!((next.n, next.message.body.as_slice()), (TurnNo(5), &b"m5"[..]));
    assert_eq!(wait(it.ledger.ended_after("a".into(), TurnNo(4))), Ok(vec![]));
    it.nothing_lost(1);
}

/// G1, G2: a failed attempt keeps the records up to the last intent; without one the retry is a new
/// begin.
pub fn g2_a_retry_keeps_what_was_sent(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    let fail = |max| wait(it.ledger.fail(it.failure(&turn, max)));
    assert_eq!(fail(9), Ok(FailVerdict::Retry { attempts: 1 }));
    let next = wait(it.ledger.next("a".into(), 1)).expect("next").expect("one");
    assert_eq!((next.attempts, next.begin, next.records.len()), (1, None, 0));
    let mut write = it.intent(&turn, 2, "args");
    write.records = vec![staged(1, "a", "kept")];
    wait(it.ledger.intent(write)).expect("intent");
    assert_eq!(fail(9), Ok(FailVerdict::Retry { attempts: 2 }));
    let next = wait(it.ledger.next("a".into(), 1)).expect("next").expect("one");
    assert_eq!((next.attempts, next.begin, next.records.len()), (2, Some(begin()), 2));
    let mut machine = it.failure(&turn, 1);
    machine.blame = Blame::Environment;
    let verdict = wait(it.ledger.fail(machine));
    assert_eq!(verdict, Ok(FailVerdict::Retry { attempts: 2 }), "B2: only the guest's count");
    it.nothing_lost(1);
}

/// C8: the places of kept Staged records stay reserved after a failed attempt, and no others.
pub fn c8_kept_records_keep_their_places(it: &Subject) {
    let turn = it.opened("a");
    it.enrol(&["b", "c"], 1);
    it.accept("a", "x");
    for to in ["b", "c"] {
        wait(it.ledger.reserve(turn.clone(), to.into(), 1)).expect("reserved");
    }
    let mut write = it.intent(&turn, 2, "args");
    write.records = vec![staged(1, "b", "k")];
    wait(it.ledger.intent(write)).expect("intent");
    wait(it.ledger.fail(it.failure(&turn, 9))).expect("fail");
    assert!(wait(it.ledger.accept(message("b", "x"))).is_err(), "the kept send has its place");
    it.accept("c", "x");
    let mut end = it.ending(&turn);
    end.effects = vec![send(1, "b", "k")];
    wait(it.ledger.end(end)).expect("end");
    it.nothing_lost(2);
    assert_eq!(failed_with(&Ok(Vec::new())), None);
}
