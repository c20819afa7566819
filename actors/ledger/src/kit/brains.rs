//! Rule E7: another file in a brain's place.

use super::doubts::why;
use super::people::held;
use super::{NOW_MS, Subject, message, wait};
use loket_turn::{
    BrainStanding, Epoch, Hash, LedgerError, Life, Snapshot, Switch, Switched, TurnKey, TurnNo,
};

fn switch(it: &Subject, name: &str) -> Switch {
    let from = wait(it.ledger.brain_standing(name.into())).expect("a standing");
    Switch {
        from,
        exact: false,
        abandon: None,
        reason: "test".to_owned(),
        first: None,
        now_ms: NOW_MS,
    }
}

fn switched(it: &Subject, how: Switch) -> Switched {
    wait(it.ledger.switch_brain(how, None)).expect("an answer")
}

/// E7: after a switch the incarnation that works on the old file writes nothing more, until it has taken over anew.
pub fn e7_who_works_on_the_old_brain_writes_nothing_more(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    let done = switched(it, switch(it, "a"));
    assert_eq!(done, Switched::Done { epoch: Epoch(1), letter: None });
    let is_late = |error: LedgerError| matches!(error, LedgerError::Switched { .. });
    assert!(wait(it.ledger.end(it.ending(&turn))).is_err_and(is_late), "it ended a turn");
    assert!(wait(it.ledger.intent(it.intent(&turn, 1, "x"))).is_err_and(is_late), "it sent a call");
    assert!(wait(it.ledger.fail(it.failure(&turn, 1))).is_err_and(is_late), "it made a letter");
    assert!(wait(it.ledger.next("a".into(), 1)).is_err_and(is_late), "it took a turn");
    let state = wait(it.ledger.open("a".into(), 1)).expect("opened");
    assert_eq!((state.epoch, state.done), (Epoch(1), TurnNo(0)));
    wait(it.ledger.end(it.ending(&turn))).expect("it works on the new file now");
    it.nothing_lost(0);
}

/// J4, E7: who takes over from an older standing is refused and fences nobody, so that nothing it has asked for behind it is written.
pub fn j4_a_take_over_from_an_older_standing_is_refused_and_fences_nobody(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    let standing = || wait(it.ledger.brain_standing("a".into())).expect("stands");
    let next = TurnKey { incarnation: 2, ..turn.clone() };
    let refused = |from: BrainStanding| {
        let (opening, ending) = (it.ledger.open_from(from, 2), it.ledger.end(it.ending(&next)));
        assert!(matches!(wait(opening), Err(LedgerError::Switched { .. })), "it took over");
        assert!(matches!(wait(ending), Err(LedgerError::Fenced { .. })), "it ended a turn");
    };
    let old = standing();
    assert_eq!(switched(it, switch(it, "a")), Switched::Done { epoch: Epoch(1), letter: None });
    refused(old);
    refused(BrainStanding { done: TurnNo(1), ..standing() });
    refused(BrainStanding { life: Life(turn.life.0 + 1), ..standing() });
    refused(BrainStanding { chain: Hash::of(b"other"), ..standing() });
    let state = wait(it.ledger.open_from(standing(), 2)).expect("it stands so");
    assert_eq!((state.epoch, state.next.map(|next| next.n)), (Epoch(1), Some(TurnNo(1))));
    assert!(wait(it.ledger.next("a".into(), 1)).is_err(), "the older one is fenced");
    wait(it.ledger.end(it.ending(&next))).expect("ended");
    it.nothing_lost(0);
}

/// J4, G4, A4: nor does who was quarantined, or removed, meanwhile.
pub fn j4_who_may_not_go_on_takes_over_nothing_without_asking(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    let standing = wait(it.ledger.brain_standing("a".into())).expect("stands");
    let refused = || {
        let opening = wait(it.ledger.open_from(standing.clone(), 2));
        assert!(matches!(opening, Err(LedgerError::Switched { .. })), "{opening:?}");
    };
    wait(it.ledger.quarantine(turn.clone(), why(&turn, "deaths", None))).expect("noted");
    assert_eq!(wait(it.ledger.brain_standing("a".into())).as_ref(), Ok(&standing));
    refused();
    wait(it.ledger.remove("a".into(), "over".to_owned())).expect("removed");
    refused();
}

/// E7: a file that was made for another state is not taken: the agent has ended a turn since, or it was exchanged already.
pub fn e7_a_file_of_another_state_is_not_taken(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    let old = switch(it, "a");
    wait(it.ledger.end(it.ending(&turn))).expect("ended");
    assert_eq!(switched(it, old), Switched::Moved);
    let now = switch(it, "a");
    assert!(matches!(switched(it, now.clone()), Switched::Done { .. }));
    assert_eq!(switched(it, now), Switched::Moved, "once");
}

/// E7: a turn with records is put on no other brain, unless it is given up by its number, or the file is exactly what it has.
pub fn e7_an_open_turn_is_given_up_by_its_number_only(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    wait(it.ledger.intent(it.intent(&turn, 1, "x"))).expect("intent");
    let how = switch(it, "a");
    assert_eq!(how.from.open, Some(TurnNo(1)));
    assert_eq!(switched(it, how.clone()), Switched::Open(TurnNo(1)));
    let other = Switch { abandon: Some(TurnNo(2)), ..how.clone() };
    assert_eq!(switched(it, other), Switched::Open(TurnNo(1)));
    let exact = Switch { exact: true, ..how };
    assert!(matches!(switched(it, exact), Switched::Done { letter: None, .. }));
    wait(it.ledger.open("a".into(), 1)).expect("opened");
    let open = wait(it.ledger.next("a".into(), 1)).expect("asked").expect("it is still there");
    assert_eq!((open.n, open.records.len()), (TurnNo(1), 1), "it goes on with its records");
    let given_up = Switch { abandon: Some(TurnNo(1)), ..switch(it, "a") };
    let Switched::Done { epoch, letter: Some(letter) } = switched(it, given_up) else {
        panic!("not given up")
    };
    assert_eq!(epoch, Epoch(2));
    let letter = wait(it.ledger.letter(letter)).expect("the letter");
    assert_eq!((&*letter.summary.cause, letter.effects.len()), ("abandoned", 1));
    let state = wait(it.ledger.open("a".into(), 1)).expect("opened");
    assert_eq!((state.done, state.next), (TurnNo(1), None));
    it.nothing_lost(0);
}

/// E7: nor is a turn that has asked a person, before it has a record or is parked: what it asked came of the brain it began on.
pub fn e7_a_turn_that_asked_a_person_is_open(it: &Subject) {
    let turn = it.opened("a");
    it.accept("a", "x");
    wait(it.ledger.ask(held(it, &turn, "to: a"))).expect("asked");
    let how = switch(it, "a");
    assert_eq!(how.from.open, Some(TurnNo(1)));
    assert_eq!(switched(it, how), Switched::Open(TurnNo(1)));
}

/// E7: snapshots are a life's own, listed in order, and forgotten one by one.
pub fn e7_snapshots_are_noted_and_forgotten(it: &Subject) {
    let TurnKey { life, .. } = it.opened("a");
    let snapshot = |n| Snapshot {
        life,
        epoch: Epoch(0),
        n: TurnNo(n),
        chain: Hash::of(b"chain"),
        at_ms: NOW_MS,
        file: format!("{n}.db"),
        automatic: n == 2,
    };
    for n in [2, 1] {
        wait(it.ledger.note_snapshot("a".into(), snapshot(n))).expect("noted");
    }
    let all = wait(it.ledger.snapshots("a".into())).expect("listed");
    assert_eq!(all, [snapshot(1), snapshot(2)]);
    let foreign = Snapshot { life: Life(life.0 + 1), ..snapshot(3) };
    assert!(wait(it.ledger.note_snapshot("a".into(), foreign)).is_err());
    wait(it.ledger.drop_snapshot(snapshot(1))).expect("forgotten");
    assert_eq!(wait(it.ledger.snapshots("a".into())).expect("listed"), [snapshot(2)]);
    wait(it.ledger.accept(message("a", "x"))).expect("accepted");
}
