//! The outside: what the fake provider has done to it, and the rules that it holds against whoever calls.
//!
//! It outlives every simulated process. A request that left stays on its way: it may be carried out, and its answer may come, at any
//! later step, also after whoever sent it has died. Start reading at [`Requests`].

use crate::oracle::Brain;
use crate::rng::Rng;
use loket_contract::{CallView, Flow, Operation, Performed, Provider};
use loket_turn::{EffectClass, Failure, Outcome};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// A call, by its message and number: what it is, whatever key it bears.
type Slot = (String, u32);

/// A request on its way.
#[derive(Debug)]
struct Request {
    slot: Slot,
    key: String,
    once: bool,
    args: Vec<u8>,
    /// Steps of the outside that it takes at least until its next one.
    slow: u32,
    /// What it came to, once it was carried out.
    answer: Option<Vec<u8>>,
    reply: Option<oneshot::Sender<Outcome>>,
}

/// What the guests of a message did of themselves.
#[derive(Debug, Default, Clone)]
pub(crate) struct Traps {
    /// How often they trapped.
    pub(crate) all: u32,
    /// How often for a cause that the next attempt meets again.
    pub(crate) fair: u32,
}

/// The outside world.
#[derive(Debug)]
pub(crate) struct World {
    rng: Rng,
    /// Calls of a hundred that it refuses while it is faulty.
    refused: usize,
    honours_keys: bool,
    requests: Vec<Request>,
    keyed: BTreeMap<Slot, (String, Vec<u8>, Vec<u8>)>,
    once: BTreeMap<Slot, u32>,
    /// Sendings that an operator allowed beyond the first, by the call's key.
    approved: BTreeMap<String, u32>,
    bad_left: u32,
    traps: BTreeMap<String, Traps>,
    /// Calls are refused now and then.
    pub(crate) faulty: bool,
    astray: bool,
    /// Calls of guests that leave an intent for the outside.
    pub(crate) calls: u64,
    /// A guest went astray: what follows is no longer held against anybody but in the outside's own rules.
    pub(crate) tainted: bool,
    /// The first rule that was broken.
    pub(crate) broken: Option<String>,
    /// What happened, for the trace.
    pub(crate) notes: Vec<String>,
    /// What the brain of an agent holds at the beginning of an epoch, by who exchanged it.
    pub(crate) planned: BTreeMap<(String, u64), Brain>,
    /// The last turn of an agent that an operator was shown as over.
    pub(crate) shown: BTreeMap<&'static str, u64>,
    /// Open turns that an operator may have given up.
    pub(crate) given_up: BTreeSet<(String, u64)>,
    seen_keys: BTreeSet<String>,
    begun: BTreeSet<String>,
    /// Calls that were let through to their intent, by message and number.
    begun_calls: BTreeSet<Slot>,
}

/// The world as providers and guests hold it.
pub(crate) type Shared = Arc<Mutex<World>>;

/// Locks it.
pub(crate) fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// A world of a seed. It refuses the more calls, the more its guests lean (see [`Rng::leaning`]).
    pub(crate) fn new(seed: u64, held: usize) -> Self {
        let mut rng = Rng::new(seed);
        Self {
            honours_keys: rng.percent(50),
            rng,
            refused: 8 + held / 4,
            requests: Vec::new(),
            keyed: BTreeMap::new(),
            once: BTreeMap::new(),
            approved: BTreeMap::new(),
            bad_left: 2,
            traps: BTreeMap::new(),
            faulty: true,
            astray: false,
            calls: 0,
            tainted: false,
            broken: None,
            notes: Vec::new(),
            planned: BTreeMap::new(),
            shown: BTreeMap::new(),
            given_up: BTreeSet::new(),
            seen_keys: BTreeSet::new(),
            begun: BTreeSet::new(),
            begun_calls: BTreeSet::new(),
        }
    }

    /// Notes a broken rule; the first counts.
    pub(crate) fn violation(&mut self, text: impl Into<String>) {
        self.broken.get_or_insert_with(|| text.into());
    }

    /// Requests on their way.
    pub(crate) fn requests(&self) -> usize {
        self.requests.len()
    }

    /// One step of a request: it is carried out, or answered, or its answer is lost.
    pub(crate) fn step(&mut self, rng: &mut Rng) {
        if self.requests.is_empty() {
            return;
        }
        let at = rng.below(self.requests.len());
        if self.faulty && self.requests[at].slow > 0 {
            self.requests[at].slow -= 1;
            return;
        }
        let gone = self.requests[at].reply.as_ref().is_none_or(oneshot::Sender::is_closed);
        match (self.requests[at].answer.take(), gone) {
            // Nobody listens: it may be lost on the way, or arrive all the same.
            (None, true) if rng.percent(50) => {
                let request = self.requests.remove(at);
                self.notes.push(format!("lost {} {}", request.slot.0, request.slot.1));
            }
            (None, _) => {
                let answer = self.carry_out(at);
                self.requests[at].answer = Some(answer);
            }
            (Some(answer), _) => {
                let mut request = self.requests.remove(at);
                if let Some(reply) = request.reply.take() {
                    let told = reply.send(Ok(answer)).is_ok();
                    let slot = &request.slot;
                    self.notes.push(format!("answered {} {} {told}", slot.0, slot.1));
                }
            }
        }
    }

    /// The effect itself.
    fn carry_out(&mut self, at: usize) -> Vec<u8> {
        let Request { slot, key, once, args, .. } = &self.requests[at];
        let (slot, key, once, args) = (slot.clone(), key.clone(), *once, args.clone());
        self.notes.push(format!("effect {} {} {key}", slot.0, slot.1));
        let mut answer = json!({ "id": self.rng.number() >> 12 }).to_string().into_bytes();
        if once {
            let times = self.once.entry(slot.clone()).or_default();
            *times += 1;
            let (times, allowed) = (*times, 1 + self.approved.get(&key).copied().unwrap_or(0));
            if times > allowed {
                self.violation(format!("Once effect {slot:?} repeated without an operator"));
            }
        } else {
            let known = self.keyed.get(&slot).cloned();
            match known {
                Some((first, _, _)) if first != key => {
                    self.violation(format!("Keyed effect {slot:?} seen under two keys"));
                }
                Some((_, before, _)) if before != args => {
                    self.violation(format!("Keyed effect {slot:?} seen with other arguments"));
                }
                Some((_, _, before)) if self.honours_keys => answer = before,
                Some(_) => {}
                None => {
                    if !self.seen_keys.insert(key.clone()) {
                        self.violation(format!("key {key} used for two calls"));
                    }
                    self.keyed.insert(slot, (key, args, answer.clone()));
                }
            }
        }
        answer
    }

    /// An operator lets a Once call out once more.
    pub(crate) fn approve(&mut self, key: &str) {
        *self.approved.entry(key.to_owned()).or_default() += 1;
    }

    /// From here on a guest may go astray once.
    pub(crate) fn lead_astray(&mut self) {
        self.astray = true;
    }

    /// A guest begins to handle a message; whether it, or an earlier run of it, did so before.
    pub(crate) fn begun(&mut self, message: &str) -> bool {
        !self.begun.insert(message.to_owned())
    }

    /// Whether the guest takes another answer for the one that it got.
    pub(crate) fn go_astray(&mut self) -> bool {
        let astray = std::mem::take(&mut self.astray);
        self.tainted |= astray;
        astray
    }

    /// A guest has trapped.
    pub(crate) fn trapped(&mut self, message: &str, why: &str, looked: u32, intended: u32) {
        self.notes.push(format!("trap {message} {why}"));
        let traps = self.traps.entry(message.to_owned()).or_default();
        traps.all += 1;
        traps.fair += u32::from(why == "poison" || looked < intended);
    }

    /// Whether a call was ever let through to its intent, whatever came back: it may have one, also when the process died before
    /// anything left and a later sending was refused, and that pins what came before (rule G2).
    pub(crate) fn may_be_intended(&self, message: &str, call: u32) -> bool {
        self.begun_calls.contains(&(message.to_owned(), call))
    }

    /// The traps of a message.
    pub(crate) fn traps(&self, message: &str) -> Traps {
        self.traps.get(message).cloned().unwrap_or_default()
    }

    fn look(&mut self) -> Vec<u8> {
        let bad = self.bad_left > 0 && self.rng.percent(30);
        self.bad_left -= u32::from(bad);
        json!({ "bad": bad, "seen": self.rng.number() >> 40 }).to_string().into_bytes()
    }
}

const fn operation(capability: &'static str, class: EffectClass) -> Operation {
    let summary = "of the simulated outside";
    Operation { capability, class, scope: &[], flow: Flow::NONE, tokens: false, summary }
}

/// What the fake provider serves.
pub(crate) const OPERATIONS: &[Operation] = &[
    operation("out.look", EffectClass::Observe),
    operation("out.put", EffectClass::Keyed),
    operation("out.once", EffectClass::Once),
    operation("out.held", EffectClass::Keyed),
];

/// The fake provider: one of each effect class that leaves.
pub(crate) struct Requests(pub(crate) Shared);

/// A call after its check.
pub(crate) enum Prepared {
    /// An observation.
    Look,
    /// A request.
    Send {
        /// Which call.
        slot: (String, u32),
        /// Its key.
        key: String,
        /// Not to be repeated.
        once: bool,
        /// What is sent.
        args: Vec<u8>,
    },
}

impl Provider for Requests {
    type Prepared = Prepared;

    fn operations(&self) -> &'static [Operation] {
        OPERATIONS
    }

    fn prepare(&mut self, call: &CallView<'_>) -> Result<Prepared, Failure> {
        let mut world = lock(&self.0);
        let refused = world.refused;
        if world.faulty && world.rng.percent(refused) {
            return Err(Failure::retryable("full", "today's quota is used up", None));
        }
        if call.operation.class == EffectClass::Observe {
            return Ok(Prepared::Look);
        }
        let turn = call.turn.ok_or_else(|| Failure::new("no_turn", "only for turns"))?;
        let slot = (turn.message().to_string(), turn.call());
        world.begun_calls.insert(slot.clone());
        Ok(Prepared::Send {
            slot,
            key: turn.call_key().to_string(),
            once: call.operation.class == EffectClass::Once,
            args: call.args.to_vec(),
        })
    }

    fn perform(&mut self, prepared: Prepared) -> Performed {
        let mut world = lock(&self.0);
        let (slot, key, once, args) = match prepared {
            Prepared::Look => return Performed::Done(Ok(world.look())),
            Prepared::Send { slot, key, once, args } => (slot, key, once, args),
        };
        let (reply, answer) = oneshot::channel();
        world.notes.push(format!("sent {} {}", slot.0, slot.1));
        let slow = if world.rng.percent(30) { 30 } else { 0 };
        let reply = Some(reply);
        world.requests.push(Request { slot, key, once, args, slow, answer: None, reply });
        Performed::Later(Box::pin(async move {
            let lost = || Err(Failure::retryable("lost", "no answer came", None));
            Performed::Done(answer.await.unwrap_or_else(|_| lost()))
        }))
    }
}
