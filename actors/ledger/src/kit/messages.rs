//! Rules A1 to A6: accepting, keys, bounds, removal, dynamic children.

use super::{Subject, failed_with, message, send, staged, wait};
use loket_turn::limits::{BODY_BYTES_MAX, KEY_BYTES_MAX};
use loket_turn::{
    Accept, AcceptError, DynamicChild, Effect, Enrol, LedgerError, LedgerEvent, MessageId, ReplyTo,
    TurnNo,
};

/// A1: an accepted message stands in the inbox, in order of acceptance.
pub fn a1_accepted_messages_wait_in_order(it: &Subject) {
    let turn = it.opened("a");
    let ids = ["x", "y"].map(|body| it.accept("a", body).message);
    assert_ne!(ids[0], ids[1]);
    let first = wait(it.ledger.next("a".into(), 1)).expect("next").expect("one");
    assert_eq!((first.n, first.message.id), (TurnNo(1), ids[0]));
    assert_eq!(first.message.body, b"x");
    let second = wait(it.ledger.end(it.ending(&turn))).expect("end").expect("one");
    assert_eq!((second.n, second.message.id), (TurnNo(2), ids[1]));
    it.nothing_lost(1);
    let told = it.told();
    let arrived = |event: &&LedgerEvent| matches!(event, LedgerEvent::Arrived { .. });
    assert_eq!(told.iter().filter(arrived).count(), 2);
}

/// A1: no message for an agent that is not enrolled.
pub fn a1_an_unknown_receiver_is_refused(it: &Subject) {
    let refused = wait(it.ledger.accept(message("nobody", "x")));
    assert_eq!(refused, Err(AcceptError::NoSuchAgent("nobody".into())));
    it.nothing_lost(0);
}

/// A2: the same key and body is the same message, with its outcome once there is one.
pub fn a2_same_key_same_message(it: &Subject) {
    let turn = it.opened("a");
    let keyed = |body: &str| Accept { key: Some("k".to_owned()), ..message("a", body) };
    let first = wait(it.ledger.accept(keyed("x"))).expect("accepted");
    let again = wait(it.ledger.accept(keyed("x"))).expect("accepted");
    assert_eq!((again.message, again.duplicate), (first.message, true));
    assert_eq!(again.outcome, None);
    it.nothing_lost(1);
    wait(it.ledger.end(it.ending(&turn))).expect("end");
    let late = wait(it.ledger.accept(keyed("x"))).expect("accepted");
    assert_eq!(late.outcome, Some(Ok(b"done".to_vec())));
    it.nothing_lost(0);
}

/// A2: the same key with another body or kind is refused; another sender's or receiver's key is
/// another key.
pub fn a2_a_key_with_another_body_is_refused(it: &Subject) {
    it.enrol(&["a", "b"], 10);
    let keyed = Accept { key: Some("k".to_owned()), ..message("a", "x") };
    let first = wait(it.ledger.accept(keyed.clone())).expect("accepted");
    let reused = AcceptError::KeyReused { key: "k".to_owned() };
    let mut other = keyed.clone();
    other.body = b"y".to_vec();
    assert_eq!(wait(it.ledger.accept(other)), Err(reused.clone()));
    let mut other = keyed.clone();
    other.kind = "order".to_owned();
    assert_eq!(wait(it.ledger.accept(other)), Err(reused));
    for (to, sender) in [("b", "@test"), ("a", "@other")] {
        let mut other = keyed.clone();
        (other.to, other.sender) = (to.into(), sender.into());
        let accepted = wait(it.ledger.accept(other)).expect("accepted");
        assert!(!accepted.duplicate && accepted.message != first.message);
    }
    it.nothing_lost(3);
}

/// A2, I1: a derived id is accepted once.
pub fn a2_a_derived_id_is_accepted_once(it: &Subject) {
    it.enrol(&["a"], 10);
    let derived = Accept { id: Some(MessageId([3; 16])), ..message("a", "x") };
    let first = wait(it.ledger.accept(derived.clone())).expect("accepted");
    assert_eq!((first.message, first.duplicate), (MessageId([3; 16]), false));
    assert!(wait(it.ledger.accept(derived)).expect("accepted").duplicate);
    it.nothing_lost(1);
}

/// A3: an inbox holds its rows and its bytes and no more; what is over a limit is never cut.
pub fn a3_inboxes_are_bounded(it: &Subject) {
    it.enrol(&["a", "b"], 2);
    it.accept("a", "x");
    it.accept("a", "y");
    let full = wait(it.ledger.accept(message("a", "z")));
    let (depth, capacity) = (2, 2);
    let agent = "a".into();
    assert_eq!(full, Err(AcceptError::Overloaded { agent, depth, capacity }));
    it.accept("b", &"x".repeat(150));
    let full = wait(it.ledger.accept(message("b", &"x".repeat(51))));
    assert!(matches!(full, Err(AcceptError::OverloadedBytes { bytes: 150, capacity: 200, .. })));
    it.accept("b", &"x".repeat(50));
    let mut large = message("a", "");
    large.body = vec![0; BODY_BYTES_MAX + 1];
    assert!(matches!(wait(it.ledger.accept(large)), Err(AcceptError::TooLarge { .. })));
    let mut large = message("a", "");
    large.key = Some("k".repeat(KEY_BYTES_MAX + 1));
    assert!(matches!(wait(it.ledger.accept(large)), Err(AcceptError::TooLarge { .. })));
    it.nothing_lost(4);
}

/// A3, C8: a reserved place is kept for the turn that has it, and given back when it is released.
pub fn a3_reserved_places_count(it: &Subject) {
    let turn = it.opened("a");
    it.enrol(&["b"], 1);
    it.accept("a", "go");
    wait(it.ledger.reserve(turn.clone(), "b".into(), 4)).expect("reserved");
    let second = wait(it.ledger.reserve(turn.clone(), "b".into(), 4));
    assert!(matches!(second, Err(AcceptError::Overloaded { .. })));
    assert!(wait(it.ledger.accept(message("b", "mine"))).is_err());
    let mut end = it.ending(&turn);
    end.records = vec![staged(1, "b", "sent")];
    end.effects = vec![send(1, "b", "sent")];
    wait(it.ledger.end(end)).expect("the end never fails for want of room");
    it.nothing_lost(1);
    it.enrol(&["b"], 2);
    it.accept("b", "last");
    it.accept("a", "again");
    it.enrol(&["c"], 1);
    let turn = super::TurnKey { n: TurnNo(2), ..turn };
    wait(it.ledger.reserve(turn.clone(), "c".into(), 1)).expect("reserved");
    assert!(wait(it.ledger.accept(message("c", "x"))).is_err());
    it.ledger.release(turn);
    it.accept("c", "x");
}

/// A3: a tick is accepted only when none of its kind waits.
pub fn a3_unless_waiting_skips(it: &Subject) {
    it.enrol(&["a"], 10);
    let tick = Accept { unless_waiting: true, ..message("a", "tick") };
    let first = wait(it.ledger.accept(tick.clone())).expect("accepted");
    assert!(!first.skipped);
    let second = wait(it.ledger.accept(tick.clone())).expect("answered");
    assert_eq!((second.skipped, second.message), (true, first.message));
    let mut other = tick;
    other.kind = "other".to_owned();
    assert!(!wait(it.ledger.accept(other)).expect("accepted").skipped);
    it.nothing_lost(2);
}

/// A4: removal makes the inbox dead letters and fails who waits, in one step; the next life is
/// another.
pub fn a4_removal_leaves_letters_and_failures(it: &Subject) {
    let caller = it.opened("caller");
    let life = it.enrol(&["a"], 10)[0];
    it.accept("caller", "go");
    let call = it.intent(&caller, 1, "ask");
    wait(it.ledger.intent(call)).expect("intent");
    let intent = it.key(&caller, 1);
    let call = Accept {
        id: Some(MessageId([9; 16])),
        reply_to: Some(ReplyTo::Intent { agent: "caller".into(), intent }),
        ..message("a", "ask")
    };
    wait(it.ledger.accept(call.clone())).expect("accepted");
    it.accept("a", "other");
    let removed = wait(it.ledger.remove("a".into(), "reload".to_owned())).expect("removed");
    assert_eq!(removed.letters, 2);
    let (outcome, _) = wait(it.ledger.result_of(intent)).expect("read").expect("result");
    assert_eq!(failed_with(&outcome), Some("down"));
    let again = wait(it.ledger.accept(call)).expect("the outcome");
    assert_eq!(again.outcome.as_ref().and_then(failed_with), Some("down"));
    let letters = wait(it.ledger.letters()).expect("letters");
    assert_eq!(letters.iter().filter(|letter| letter.cause == "removed").count(), 2);
    let gone = wait(it.ledger.next("a".into(), 0));
    assert_eq!(gone, Err(LedgerError::NoSuchAgent("a".into())));
    assert!(it.enrol(&["a"], 10)[0] > life, "a life is never minted twice");
    it.nothing_lost(1);
}

/// A4: what a turn sends to a receiver that is gone by its end is a dead letter; the end stands.
pub fn a4_a_receiver_gone_meanwhile_is_a_letter(it: &Subject) {
    let turn = it.opened("a");
    it.enrol(&["b"], 1);
    it.accept("a", "go");
    wait(it.ledger.reserve(turn.clone(), "b".into(), 4)).expect("reserved");
    wait(it.ledger.remove("b".into(), "gone".to_owned())).expect("removed");
    let mut end = it.ending(&turn);
    end.effects = vec![send(1, "b", "sent")];
    wait(it.ledger.end(end)).expect("end");
    let letters = wait(it.ledger.letters()).expect("letters");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].cause, "no_such_agent");
    it.nothing_lost(0);
}

/// A6: spawns and stops of a turn are rows by its end; a child spawned in the turn can be sent to
/// in it.
pub fn a6_dynamic_children_are_rows(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "go");
    let child = DynamicChild { agent: "w/1".into(), under: "w".into(), settings: "{}".to_owned() };
    let spawn = Effect::Spawn { under: "w".into(), agent: "w/1".into(), settings: "{}".to_owned() };
    let mut end = it.ending(&turn);
    end.effects = vec![spawn, send(2, "w/1", "hello")];
    wait(it.ledger.end(end)).expect("end");
    let children = wait(it.ledger.dynamic_children()).expect("children");
    assert_eq!(children, vec![child.clone()]);
    let enrol =
        Enrol { agent: "w/1".into(), inbox_rows: 5, inbox_bytes: 500, dynamic: Some(child) };
    let enrolled = wait(it.ledger.enrol(vec![enrol])).expect("enrolled");
    assert_eq!(enrolled[0].waiting, 1);
    let told = it.told();
    assert!(
        told.iter().any(|event| matches!(event, LedgerEvent::Spawned(list) if list.len() == 1))
    );
    it.accept("a", "stop it");
    let turn = super::TurnKey { n: TurnNo(2), ..turn };
    let mut end = it.ending(&turn);
    end.effects = vec![Effect::Stop { agent: "w/1".into() }];
    wait(it.ledger.end(end)).expect("end");
    assert_eq!(wait(it.ledger.dynamic_children()).expect("children"), vec![]);
    let told = it.told();
    assert!(
        told.iter().any(
            |event| matches!(event, LedgerEvent::Stopped(list) if *list == vec!["w/1".into()])
        )
    );
    assert_eq!(wait(it.ledger.letters()).expect("letters").len(), 1);
    it.nothing_lost(0);
}
