//! Conformance checks for any engine of the [`Ledger`] trait, one function a rule. An engine's
//! tests call each with a fresh, empty ledger; a check panics where the rule does not hold.
//!
//! The kit never looks behind the trait: what needs a restart, a full disk or a killed process is
//! each engine's own test. Start reading at [`Subject`].

mod brains;
mod budgets;
mod doubts;
mod letters;
mod links;
mod messages;
mod once;
mod people;
mod shared;
mod turns;
mod waits;

pub use brains::*;
pub use budgets::*;
pub use doubts::*;
pub use letters::*;
pub use links::*;
pub use messages::*;
pub use once::*;
pub use people::*;
pub use shared::*;
pub use turns::*;
pub use waits::*;

use crossbeam_channel::Receiver;
use loket_turn::{
    Accept, Accepted, AgentName, Begin, Blame, CallNo, Effect, EffectClass, End, Enrol, Fail,
    Failure, Hash, Intent, IntentId, IntentWrite, Ledger, LedgerEvent, Life, MessageId, Outcome,
    Pending, Record, TurnKey, TurnNo, chain_after, derived_key,
};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

/// A ledger under test, with what it tells.
pub struct Subject {
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// Its events, in order.
    pub events: Receiver<LedgerEvent>,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for an answer on the calling thread.
pub fn wait<T>(mut pending: Pending<T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match pending.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// When the kit's messages are accepted, Unix milliseconds. An engine that forgets keys by its own
/// clock is opened with a clock that stands here.
pub const NOW_MS: u64 = 1_000;

/// A plain message to `to` from `@test`.
pub fn message(to: &str, body: &str) -> Accept {
    Accept {
        to: to.into(),
        sender: "@test".into(),
        kind: "note".to_owned(),
        body: body.as_bytes().to_vec(),
        key: None,
        id: None,
        reply_to: None,
        chain: Vec::new(),
        unless_waiting: false,
        now_ms: NOW_MS,
    }
}

/// The begin that every turn of the kit has.
pub fn begin() -> Begin {
    Begin {
        module: Hash::of(b"module"),
        settings: Hash::of(b"settings"),
        grants: Hash::of(b"grants"),
        memory_bytes: 1 << 20,
        output_bytes: 1 << 16,
        calls_max: 100,
        pure_version: 1,
        time_ms: 2_000,
        seed: u64::MAX - 1,
    }
}

/// A turn number's running hash in the kit.
pub fn turn_hash(n: TurnNo) -> Hash {
    Hash::of(&n.0.to_le_bytes())
}

/// A successful Staged send of `body` to `to`, as call `call`.
pub fn staged(call: u32, to: &str, body: &str) -> Record {
    Record {
        call: CallNo(call),
        class: EffectClass::Staged,
        capability: "agent.send".to_owned(),
        args: body.as_bytes().to_vec(),
        outcome: Some(Ok(b"sent".to_vec())),
        stamp_ms: 2_100,
        intent: None,
        effect: Some(send(call, to, body)),
        took_ms: None,
        used: None,
    }
}

/// The effect of [`staged`].
pub fn send(call: u32, to: &str, body: &str) -> Effect {
    let mut id = [7; 16];
    id[..4].copy_from_slice(&call.to_le_bytes());
    Effect::Send {
        id: MessageId(id),
        to: to.into(),
        kind: "note".to_owned(),
        body: body.as_bytes().to_vec(),
        key: None,
    }
}

impl Subject {
    /// Pins the kit's begin and enrols agents with room for `rows` messages of 100 bytes each.
    pub fn enrol(&self, names: &[&str], rows: u64) -> Vec<Life> {
        for bytes in [&b"module"[..], b"settings", b"grants"] {
            wait(self.ledger.pin(Hash::of(bytes), bytes.into())).expect("pinned");
        }
        let agents = names.iter().map(|name| Enrol {
            agent: AgentName::from(*name),
            inbox_rows: rows,
            inbox_bytes: rows * 100,
            dynamic: None,
        });
        let enrolled = wait(self.ledger.enrol(agents.collect())).expect("enrolled");
        enrolled.into_iter().map(|agent| agent.life).collect()
    }

    /// Enrols one agent and opens it as incarnation 1.
    pub fn opened(&self, name: &str) -> TurnKey {
        let life = self.enrol(&[name], 10)[0];
        wait(self.ledger.open(name.into(), 1)).expect("opened");
        TurnKey { agent: name.into(), life, incarnation: 1, n: TurnNo(1) }
    }

    /// Accepts a plain message.
    pub fn accept(&self, to: &str, body: &str) -> Accepted {
        wait(self.ledger.accept(message(to, body))).expect("accepted")
    }

    /// An end of `turn` with reply `done`, begin included.
    pub fn ending(&self, turn: &TurnKey) -> End {
        let hash = turn_hash(turn.n);
        End {
            turn: turn.clone(),
            begin: Some(begin()),
            records: Vec::new(),
            reply: Ok(b"done".to_vec()),
            hash,
            chain: chain_after(Hash::default(), turn.n, hash),
            effects: Vec::new(),
            counted: Vec::new(),
            now_ms: 3_000,
        }
    }

    /// A Keyed intent as call `call` of `turn`; its key is derived as a journal derives it.
    pub fn intent(&self, turn: &TurnKey, call: u32, args: &str) -> IntentWrite {
        IntentWrite {
            turn: turn.clone(),
            begin: Some(begin()),
            records: Vec::new(),
            intent: Intent {
                id: self.key(turn, call),
                call: CallNo(call),
                class: EffectClass::Keyed,
                capability: "llm.chat".to_owned(),
                args: args.as_bytes().to_vec(),
            },
            charge: None,
            counted: Vec::new(),
            holder: None,
            now_ms: 2_050,
        }
    }

    /// The key of a call in the kit.
    pub fn key(&self, turn: &TurnKey, call: u32) -> IntentId {
        let mut message = [0; 16];
        message[..8].copy_from_slice(&turn.n.0.to_le_bytes());
        derived_key(turn.life, MessageId(message), CallNo(call))
    }

    /// A failed attempt at `turn` that the guest is to blame for.
    pub fn failure(&self, turn: &TurnKey, max_attempts: u32) -> Fail {
        Fail {
            turn: turn.clone(),
            cause: "trap".to_owned(),
            blame: Blame::Guest,
            message: "unreachable executed".to_owned(),
            backtrace: "0: handle".to_owned(),
            max_attempts,
            counted: Vec::new(),
            chain_if_skipped: Hash::of(b"skipped"),
            now_ms: 4_000,
        }
    }

    /// The events told so far. Answers come before the events of their group, so a request is made
    /// in between.
    pub fn told(&self) -> Vec<LedgerEvent> {
        wait(self.ledger.stats()).expect("stats");
        self.events.try_iter().collect()
    }

    /// That nothing is lost, and that `waiting` messages wait.
    pub fn nothing_lost(&self, waiting: u64) {
        let stats = wait(self.ledger.stats()).expect("stats");
        assert_eq!(stats.lost(), 0, "{stats:?}");
        assert_eq!(stats.waiting, waiting, "{stats:?}");
    }
}

/// The code of a failure outcome.
pub fn failed_with(outcome: &Outcome) -> Option<&str> {
    outcome.as_ref().err().map(|failure: &Failure| failure.code.as_str())
}
