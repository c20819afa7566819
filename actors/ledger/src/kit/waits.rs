//! Rule H2: agents that wait for each other are told.

use super::{Subject, failed_with, message, wait};
use loket_turn::{Accept, AgentName, IntentId, LedgerEvent, MessageId, ReplyTo, TurnKey};

/// A ring of agents, each in a turn of its own message.
pub struct Ring {
    turns: Vec<TurnKey>,
}

impl Ring {
    /// So many agents, in the middle of their first turns.
    pub fn of(it: &Subject, names: &[&str]) -> Self {
        let turns = names.iter().map(|name| it.opened(name)).collect();
        names.iter().for_each(|name| drop(it.accept(name, "go")));
        Self { turns }
    }

    /// The open turn of an agent.
    pub fn turn(&self, of: usize) -> TurnKey {
        self.turns[of].clone()
    }

    /// The first call of the turn of agent `from`: to agent `to`. Its key, and what it came to.
    pub fn call(&self, it: &Subject, from: usize, to: usize) -> IntentId {
        let (turn, callee) = (&self.turns[from], &self.turns[to].agent);
        wait(it.ledger.intent(it.intent(turn, 1, callee))).expect("intent");
        let intent = it.key(turn, 1);
        wait(it.ledger.accept(self.message(turn, callee, intent))).expect("accepted");
        intent
    }

    /// The message of that call.
    fn message(&self, turn: &TurnKey, callee: &AgentName, intent: IntentId) -> Accept {
        Accept {
            id: Some(MessageId(intent.0)),
            sender: turn.agent.clone(),
            chain: vec![turn.agent.clone()],
            reply_to: Some(ReplyTo::Intent { agent: turn.agent.clone(), intent }),
            ..message(callee, "ask")
        }
    }
}

/// H2: the call that closes a cycle, of two or of many, is answered `cycle`; the others wait on, and
/// the message of the refused call stays and runs.
pub fn h2_the_call_that_closes_a_cycle_is_told(it: &Subject) {
    let ring = Ring::of(it, &["a", "b", "c"]);
    let open = [ring.call(it, 0, 1), ring.call(it, 1, 2)];
    for intent in open {
        assert_eq!(wait(it.ledger.result_of(intent)), Ok(None), "a chain is no cycle");
    }
    it.told();
    let closing = ring.call(it, 2, 0);
    let (outcome, _) = wait(it.ledger.result_of(closing)).expect("result").expect("an answer");
    assert_eq!(failed_with(&outcome), Some("cycle"));
    let text = outcome.as_ref().expect_err("a failure").message.clone();
    assert!(text.contains("c -> a -> b -> c"), "{text}");
    let told = it.told();
    let woken = told.iter().any(|event| {
        matches!(event, LedgerEvent::Result { agent, intent, .. }
            if **agent == *"c" && *intent == closing)
    });
    assert!(woken, "{told:?}");
    assert_eq!(wait(it.ledger.park(ring.turns[2].clone(), closing)), Ok(Some(outcome)));
    it.nothing_lost(6);
    for intent in open {
        assert_eq!(wait(it.ledger.result_of(intent)), Ok(None));
    }
    // C goes on with the failure and ends: its next message is B's call, and so on around.
    let end = it.ending(&ring.turns[2]);
    let next = wait(it.ledger.end(end)).expect("end").expect("the message of B");
    assert_eq!(&*next.message.sender, "b");
    it.nothing_lost(5);
}

/// H2: who has been answered, or has ended, is waited for by nobody.
pub fn h2_what_was_answered_closes_no_cycle(it: &Subject) {
    let ring = Ring::of(it, &["a", "b", "c"]);
    let answer = |intent| {
        let outcome = Ok(Vec::new());
        let write = loket_turn::ResultWrite { intent, outcome, used: None, stamp_ms: 5_000 };
        let _ = wait(it.ledger.result(write)).expect("answered");
    };
    answer(ring.call(it, 0, 1));
    // The message of a call that was given up before it was accepted.
    let (turn, callee) = (&ring.turns[2], &ring.turns[1].agent);
    wait(it.ledger.intent(it.intent(turn, 1, callee))).expect("intent");
    let given_up = it.key(turn, 1);
    answer(given_up);
    wait(it.ledger.accept(ring.message(turn, callee, given_up))).expect("accepted");
    let back = ring.call(it, 1, 0);
    assert_eq!(wait(it.ledger.result_of(back)), Ok(None));
    // A waits for nobody, B for A, and C for nobody: A may call C, and C may not be taken for one who waits for B.
    wait(it.ledger.end(it.ending(&ring.turns[0]))).expect("end");
    let turn = TurnKey { n: loket_turn::TurnNo(2), ..ring.turns[0].clone() };
    wait(it.ledger.intent(it.intent(&turn, 1, "c"))).expect("intent");
    let onward = it.key(&turn, 1);
    let callee = &ring.turns[2].agent;
    wait(it.ledger.accept(ring.message(&turn, callee, onward))).expect("accepted");
    assert_eq!(wait(it.ledger.result_of(onward)), Ok(None));
}
