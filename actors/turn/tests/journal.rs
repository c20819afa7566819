//! The journal, rule by rule: what a call is answered with, what is kept, what a re-run may do.
#![allow(clippy::unwrap_used)]

use loket_turn::{
    Answered, Begin, CallNo, Effect, EffectClass, Failure, Hash, Journal, Life, Live, MessageId,
    Mode, Outcome, Record, Step, Stop, chain_after, derived_key,
};

const LIFE: Life = Life(3);
const MESSAGE: MessageId = MessageId([5; 16]);

fn begin(calls_max: u32) -> Begin {
    Begin {
        module: Hash::of(b"m"),
        settings: Hash::of(b"s"),
        grants: Hash::of(b"g"),
        memory_bytes: 1,
        output_bytes: 1,
        calls_max,
        pure_version: 1,
        time_ms: 1_000,
        seed: 9,
    }
}

fn journal(mode: Mode, records: Vec<Record>) -> Journal {
    let begun = !records.is_empty();
    Journal::new(LIFE, MESSAGE, mode, begin(100), begun, records)
}

fn send(journal: &mut Journal, capability: &str, args: &str) -> Live {
    match journal.next_call(capability, args.as_bytes()).unwrap() {
        Step::Send(live) => live,
        Step::Answer(outcome) => panic!("answered from a record: {outcome:?}"),
    }
}

fn answered(journal: &mut Journal, capability: &str, args: &str) -> Outcome {
    match journal.next_call(capability, args.as_bytes()).unwrap() {
        Step::Answer(outcome) => outcome,
        Step::Send(live) => panic!("sent: {live:?}"),
    }
}

fn answer(class: EffectClass, outcome: Outcome, stamp_ms: u64) -> Answered {
    Answered { class, outcome, stamp_ms, effect: None, durable: class.has_intent(), took_ms: 7 }
}

fn call(journal: &mut Journal, capability: &str, class: EffectClass, text: &str, stamp_ms: u64) {
    let live = send(journal, capability, "args");
    let outcome = Ok(text.as_bytes().to_vec());
    let _ = journal.finish(&live, capability, b"args", answer(class, outcome, stamp_ms));
}

/// A turn with one call of each kind; its records and its running hash.
fn a_turn() -> (Vec<Record>, Hash) {
    let mut it = journal(Mode::Live, Vec::new());
    call(&mut it, "kv.get", EffectClass::Pure, "1", 1_001);
    call(&mut it, "fs.read", EffectClass::Observe, "2", 1_500);
    let mut kept = it.unwritten().to_vec();
    call(&mut it, "llm.chat", EffectClass::Keyed, "3", 2_000);
    call(&mut it, "log.write", EffectClass::Side, "", 2_100);
    let live = send(&mut it, "agent.send", "args");
    let mut staged = answer(EffectClass::Staged, Ok(b"id".to_vec()), 2_200);
    staged.effect = Some(Box::new(Effect::Stop { agent: "x".into() }));
    let _ = it.finish(&live, "agent.send", b"args", staged);
    let live = send(&mut it, "kv.put", "args");
    let refused = Err(Failure::new("refused", "no grant"));
    let _ = it.finish(&live, "kv.put", b"args", answer(EffectClass::Pure, refused, 2_300));
    let hash = it.end(&Ok(b"reply".to_vec())).unwrap();
    kept.push(keyed_record());
    kept.extend_from_slice(it.unwritten());
    (kept, hash)
}

/// What the ledger keeps of the Keyed call, written by its own intent and result.
fn keyed_record() -> Record {
    Record {
        call: CallNo(3),
        class: EffectClass::Keyed,
        capability: "llm.chat".to_owned(),
        args: b"args".to_vec(),
        outcome: Some(Ok(b"3".to_vec())),
        stamp_ms: 2_000,
        intent: Some(derived_key(LIFE, MESSAGE, CallNo(3))),
        effect: None,
        took_ms: Some(7),
        used: None,
    }
}

#[test]
fn c1_only_what_its_class_asks_is_recorded() {
    let (records, _) = a_turn();
    let kept: Vec<(u32, &str)> =
        records.iter().map(|record| (record.call.0, record.class.as_str())).collect();
    // C6: the refusal of a Pure call is recorded as well.
    assert_eq!(kept, vec![(2, "observe"), (3, "keyed"), (5, "staged"), (6, "pure")]);
}

#[test]
fn f1_catch_up_answers_from_the_records_and_arrives_at_the_same_hash() {
    let (records, hash) = a_turn();
    let mut it = journal(Mode::CatchUp, records);
    let live = send(&mut it, "kv.get", "args");
    assert!(live.pure_only && live.resend.is_none());
    let _ = it.finish(&live, "kv.get", b"args", answer(EffectClass::Pure, Ok(b"1".to_vec()), 9));
    assert_eq!(answered(&mut it, "fs.read", "args"), Ok(b"2".to_vec()));
    assert_eq!(answered(&mut it, "llm.chat", "args"), Ok(b"3".to_vec()));
    let live = send(&mut it, "log.write", "args");
    assert!(live.pure_only, "nothing is sent, logged or paid");
    let _ = it.finish(&live, "log.write", b"args", answer(EffectClass::Side, Ok(Vec::new()), 9));
    assert_eq!(answered(&mut it, "agent.send", "args"), Ok(b"id".to_vec()));
    let refused = answered(&mut it, "kv.put", "args").unwrap_err();
    assert_eq!(refused.code, "refused");
    assert_eq!(it.effects(), vec![Effect::Stop { agent: "x".into() }]);
    assert!(it.unwritten().is_empty() && it.unwritten_begin().is_none());
    assert_eq!(it.end(&Ok(b"reply".to_vec())).unwrap(), hash);
}

#[test]
fn c1_a_call_that_passes_leaves_what_a_finished_one_does() {
    use EffectClass::{Keyed, Observe, Once, Pure, Side, Staged};
    for class in [Pure, Side, Staged, Observe, Keyed, Once] {
        let both = [true, false].map(|may_pass| {
            let mut it = journal(Mode::Live, Vec::new());
            let live = send(&mut it, "a.b", "args");
            let passes = may_pass && it.passes(&live, class, "a.b", b"args", b"result");
            assert_eq!(passes, may_pass && matches!(class, Pure | Side), "{class:?}");
            if !passes {
                let outcome = Ok(b"result".to_vec());
                let _ = it.finish(&live, "a.b", b"args", answer(class, outcome, 1_700));
            }
            let left = (it.unwritten().to_vec(), it.clock_ms(), it.calls());
            (left, it.end(&Ok(Vec::new())).unwrap())
        });
        assert_eq!(both[0], both[1], "{class:?}");
    }
    // One whose intent is out has a record that wants its result, whatever class is told today.
    let open = Record { call: CallNo(1), outcome: None, ..keyed_record() };
    let mut it = journal(Mode::Live, vec![open]);
    let live = send(&mut it, "llm.chat", "args");
    assert!(!it.passes(&live, Pure, "llm.chat", b"args", b"result"));
}

#[test]
fn f1_another_result_gives_another_hash() {
    let (records, hash) = a_turn();
    let replay = |pure: &str, reply: &str| {
        let mut it = journal(Mode::CatchUp, records.clone());
        let live = send(&mut it, "kv.get", "args");
        let outcome = Ok(pure.as_bytes().to_vec());
        let _ = it.finish(&live, "kv.get", b"args", answer(EffectClass::Pure, outcome, 9));
        for capability in ["fs.read", "llm.chat"] {
            answered(&mut it, capability, "args").unwrap();
        }
        let live = send(&mut it, "log.write", "args");
        let _ = it.finish(&live, "log.write", b"args", answer(EffectClass::Side, Ok(vec![]), 9));
        answered(&mut it, "agent.send", "args").unwrap();
        answered(&mut it, "kv.put", "args").unwrap_err();
        it.end(&Ok(reply.as_bytes().to_vec())).unwrap()
    };
    assert_eq!(replay("1", "reply"), hash);
    assert_ne!(replay("0", "reply"), hash, "a Pure result is in the hash");
    assert_ne!(replay("1", "other"), hash, "so is the reply");
}

#[test]
fn f1_a_record_without_a_result_is_never_sent_in_catch_up() {
    let (mut records, _) = a_turn();
    records.truncate(2);
    records[1].outcome = None;
    let mut it = journal(Mode::CatchUp, records);
    let live = send(&mut it, "kv.get", "args");
    let _ = it.finish(&live, "kv.get", b"args", answer(EffectClass::Pure, Ok(b"1".to_vec()), 9));
    answered(&mut it, "fs.read", "args").unwrap();
    let stop = it.next_call("llm.chat", b"args").unwrap_err();
    assert!(matches!(stop, Stop::Diverged(it) if it.recorded.contains("no result")));
}

#[test]
fn c11_another_call_or_other_args_diverge() {
    let (records, _) = a_turn();
    for (capability, args) in [("fs.list", "args"), ("fs.read", "other")] {
        let mut it = journal(Mode::Live, records.clone());
        send(&mut it, "kv.get", "args");
        let Stop::Diverged(diverged) = it.next_call(capability, args.as_bytes()).unwrap_err()
        else {
            panic!("not a divergence");
        };
        assert_eq!(diverged.call, CallNo(2));
        assert_eq!(diverged.recorded, "fs.read args");
        assert_eq!(diverged.rerun, format!("{capability} {args}"));
    }
}

#[test]
fn c11_a_turn_that_ends_before_its_records_diverges() {
    let (records, _) = a_turn();
    let mut it = journal(Mode::CatchUp, records);
    let diverged = it.end(&Ok(Vec::new())).unwrap_err();
    assert_eq!((diverged.call, diverged.rerun.as_str()), (CallNo(2), "(the turn ended)"));
}

#[test]
fn g2_after_the_last_kept_record_calls_go_out_again() {
    let (mut records, _) = a_turn();
    records.truncate(2);
    let mut it = journal(Mode::Live, records);
    assert!(send(&mut it, "kv.get", "args").pure_only, "before the last kept record only Pure");
    answered(&mut it, "fs.read", "args").unwrap();
    answered(&mut it, "llm.chat", "args").unwrap();
    let live = send(&mut it, "fs.read", "fresh");
    assert!(!live.pure_only && live.resend.is_none());
    assert_eq!(live.call, CallNo(4));
}

#[test]
fn c3_a_lost_answer_is_asked_for_again_under_the_same_key() {
    let (mut records, _) = a_turn();
    records.truncate(2);
    records[1].outcome = None;
    let mut it = journal(Mode::Live, records.clone());
    send(&mut it, "kv.get", "args");
    answered(&mut it, "fs.read", "args").unwrap();
    let live = send(&mut it, "llm.chat", "args");
    assert!(live.resend == Some(EffectClass::Keyed) && !live.pure_only);
    assert_eq!(Some(live.key()), records[1].intent);
    let _ =
        it.finish(&live, "llm.chat", b"args", answer(EffectClass::Keyed, Ok(b"3".to_vec()), 7_000));
    assert_eq!(it.clock_ms(), 7_000);
    assert!(it.unwritten().is_empty(), "its result is durable");
    let mut it = journal(Mode::Live, records);
    send(&mut it, "kv.get", "args");
    answered(&mut it, "fs.read", "args").unwrap();
    assert!(it.next_call("llm.chat", b"other").is_err(), "never the same key with other args");
}

#[test]
fn c6_a_failure_of_a_resent_call_goes_out_with_the_next_write() {
    let (mut records, _) = a_turn();
    records.truncate(2);
    records[1].outcome = None;
    let mut it = journal(Mode::Live, records);
    send(&mut it, "kv.get", "args");
    answered(&mut it, "fs.read", "args").unwrap();
    let live = send(&mut it, "llm.chat", "args");
    let mut refused = answer(EffectClass::Keyed, Err(Failure::new("refused", "revoked")), 8_000);
    refused.durable = false;
    let _ = it.finish(&live, "llm.chat", b"args", refused);
    let unwritten: Vec<CallNo> = it.unwritten().iter().map(|record| record.call).collect();
    assert_eq!(unwritten, vec![CallNo(3)]);
}

#[test]
fn c2_what_an_intent_took_along_is_written_once() {
    let mut it = journal(Mode::Live, Vec::new());
    assert!(it.unwritten_begin().is_some());
    call(&mut it, "fs.read", EffectClass::Observe, "1", 1_100);
    assert_eq!(it.unwritten().len(), 1);
    call(&mut it, "llm.chat", EffectClass::Keyed, "2", 1_200);
    assert!(it.unwritten().is_empty() && it.unwritten_begin().is_none());
    call(&mut it, "fs.read", EffectClass::Observe, "3", 1_300);
    let unwritten: Vec<CallNo> = it.unwritten().iter().map(|record| record.call).collect();
    assert_eq!(unwritten, vec![CallNo(3)]);
    it.mark_written();
    assert!(it.unwritten().is_empty());
}

#[test]
fn c2_a_refused_keyed_call_pins_nothing() {
    let mut it = journal(Mode::Live, Vec::new());
    let live = send(&mut it, "llm.chat", "args");
    let mut refused = answer(EffectClass::Keyed, Err(Failure::new("refused", "no grant")), 1_100);
    refused.durable = false;
    let _ = it.finish(&live, "llm.chat", b"args", refused);
    assert_eq!(it.unwritten()[0].intent, None);
    assert!(it.unwritten_begin().is_some());
}

#[test]
fn c9_the_clock_stands_until_a_recorded_answer_moves_it() {
    let mut it = journal(Mode::Live, Vec::new());
    assert_eq!(it.clock_ms(), 1_000);
    call(&mut it, "kv.get", EffectClass::Pure, "1", 5_000);
    call(&mut it, "log.write", EffectClass::Side, "", 5_000);
    assert_eq!(it.clock_ms(), 1_000);
    call(&mut it, "fs.read", EffectClass::Observe, "2", 1_500);
    assert_eq!(it.clock_ms(), 1_500);
    call(&mut it, "fs.read", EffectClass::Observe, "3", 1_400);
    assert_eq!(it.clock_ms(), 1_500, "never backwards");
    let mut again = journal(Mode::CatchUp, it.unwritten().to_vec());
    send(&mut again, "kv.get", "args");
    send(&mut again, "log.write", "args");
    assert_eq!(again.clock_ms(), 1_000);
    answered(&mut again, "fs.read", "args").unwrap();
    assert_eq!(again.clock_ms(), 1_500);
}

#[test]
fn c10_calls_and_bytes_are_bounded() {
    let mut it = Journal::new(LIFE, MESSAGE, Mode::Live, begin(2), false, Vec::new());
    call(&mut it, "kv.get", EffectClass::Pure, "1", 1);
    call(&mut it, "kv.get", EffectClass::Pure, "1", 1);
    assert_eq!(it.next_call("kv.get", b"").unwrap_err(), Stop::TooManyCalls { limit: 2 });
    assert_eq!(it.calls(), 2);
    let large =
        Record { args: vec![0; loket_turn::limits::RECORD_BYTES_PER_TURN_MAX], ..keyed_record() };
    let mut it = journal(Mode::Live, vec![large]);
    assert_eq!(it.next_call("kv.get", b"").unwrap_err(), Stop::TooManyBytes);
}

#[test]
fn c3_keys_and_chains_depend_on_every_part() {
    let key = derived_key(LIFE, MESSAGE, CallNo(1));
    assert_eq!(key, derived_key(LIFE, MESSAGE, CallNo(1)));
    assert_ne!(key, derived_key(Life(4), MESSAGE, CallNo(1)));
    assert_ne!(key, derived_key(LIFE, MessageId([6; 16]), CallNo(1)));
    assert_ne!(key, derived_key(LIFE, MESSAGE, CallNo(2)));
    let (a, b) = (Hash::of(b"a"), Hash::of(b"b"));
    let chain = chain_after(a, loket_turn::TurnNo(1), b);
    assert_ne!(chain, chain_after(b, loket_turn::TurnNo(1), a));
    assert_ne!(chain, chain_after(a, loket_turn::TurnNo(2), b));
}
