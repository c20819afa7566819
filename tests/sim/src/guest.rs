//! The guests: scripts whose every argument depends on every earlier result.
//!
//! A script is data in a message. The same interpreter serves the agent, call by call through the real driver, and the oracle, which
//! runs a whole turn against its records: what a guest does is the test's own, no rule of the turn stands here. Start reading at
//! [`Guest::next`].

use crate::rng::Rng;
use crate::world::World;
use loket_host::driver::script::{Calls, Ended, Running, Script};
use loket_host::engine;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::sync::{Arc, Mutex};

/// The agents.
pub(crate) const AGENTS: [&str; 2] = ["a", "b"];

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Op {
    /// Writes what is known so far into the brain.
    Put(u8),
    /// Reads the brain.
    Get(u8),
    /// The turn's clock.
    Clock,
    /// The turn's chance.
    Rand,
    /// Sends a message that runs this script.
    Send(u8, Vec<Op>),
    /// Observes the outside.
    Look,
    /// A Keyed effect outside.
    Key,
    /// A Once effect outside.
    Once,
    /// A Keyed effect outside that a person must have approved.
    Held,
    /// Calls an agent with a script.
    Call(u8, Vec<Op>),
    /// Has the agent's own inbox get a message with a script after so many milliseconds.
    After(u32, Vec<Op>),
    /// Sleeps so many milliseconds.
    Sleep(u32),
    /// Skips the next instruction, or not.
    If,
    /// Traps if the last look showed something bad.
    Check,
    /// Traps.
    Poison,
}

/// The body of a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Body {
    /// What to do.
    pub(crate) script: Vec<Op>,
    /// What the sender knew.
    pub(crate) acc: u64,
}

/// Mixes bytes into a number.
pub(crate) fn mix(acc: u64, bytes: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&acc.to_le_bytes());
    hasher.update(bytes);
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    // JSON readers in other languages hold 53 bits; nothing here needs more.
    u64::from_le_bytes(first) >> 12
}

/// What a script that leans goes on with: it looks, does something outside, asks a person, and traps at what it saw.
const fn leaning(last: Option<&Op>) -> Op {
    match last {
        Some(Op::Look) => Op::Key,
        Some(Op::Key) => Op::Held,
        Some(Op::Held) => Op::Check,
        _ => Op::Look,
    }
}

/// A random script.
pub(crate) fn random(rng: &mut Rng, depth: usize) -> Vec<Op> {
    let mut script = Vec::new();
    for _ in 0..=rng.below(5 - 2 * depth.min(2)) {
        if rng.leans() {
            script.push(leaning(script.last()));
            continue;
        }
        let op = match rng.below(38) {
            0..4 => Op::Put(u8::from(rng.percent(50))),
            4..8 => Op::Get(u8::from(rng.percent(50))),
            8..10 => Op::Clock,
            10..12 => Op::Rand,
            12..14 if depth < 2 => Op::Send(u8::from(rng.percent(50)), random(rng, depth + 1)),
            14..18 => Op::Look,
            18..22 => Op::Key,
            22..24 => Op::Once,
            24..27 if depth < 2 => Op::Call(u8::from(rng.percent(50)), random(rng, depth + 1)),
            27..28 => Op::Sleep(1 + u32::try_from(rng.below(3_000)).unwrap_or(0)),
            28..30 => Op::If,
            30..33 => Op::Check,
            33..36 => Op::Held,
            36..38 if depth < 2 => {
                let ms = 1 + u32::try_from(rng.below(3_000)).unwrap_or(0);
                Op::After(ms, random(rng, depth + 1))
            }
            _ => continue,
        };
        script.push(op);
    }
    if rng.percent(4) {
        script.push(Op::Poison);
    }
    script
}

/// What a guest does next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Calls.
    Call(&'static str, Vec<u8>),
    /// Traps.
    Trap(&'static str),
    /// Ends with this answer.
    Done(Vec<u8>),
}

/// A guest in its turn.
#[derive(Debug, Clone)]
pub(crate) struct Guest {
    script: Vec<Op>,
    at: usize,
    acc: u64,
    bad: bool,
    /// Calls made so far.
    pub(crate) calls: u32,
    /// The call that looked last, and the last one that left an intent.
    pub(crate) looked: u32,
    /// See `looked`.
    pub(crate) intended: u32,
    asked: Option<Op>,
}

/// An agent's name by its number.
fn agent(number: u8) -> &'static str {
    AGENTS[usize::from(number) % AGENTS.len()]
}

impl Guest {
    /// A guest of this version for a message's body; one that cannot be read is an empty script.
    pub(crate) fn new(version: u64, body: &[u8]) -> Self {
        let body: Option<Body> = serde_json::from_slice(body).ok();
        let (script, acc) = body.map_or((Vec::new(), 0), |body| (body.script, body.acc));
        Self {
            script,
            at: 0,
            acc: mix(acc, &version.to_le_bytes()),
            bad: false,
            calls: 0,
            looked: 0,
            intended: 0,
            asked: None,
        }
    }

    /// The next thing it does.
    pub(crate) fn next(&mut self) -> Next {
        loop {
            let Some(op) = self.script.get(self.at).cloned() else {
                return Next::Done(json!({ "acc": self.acc }).to_string().into_bytes());
            };
            self.at += 1;
            let acc = self.acc;
            let body = |script: &Vec<Op>| Body { script: script.clone(), acc };
            let (name, args) = match &op {
                Op::If => {
                    self.at += usize::from(acc & 1 == 1);
                    continue;
                }
                Op::Check if self.bad => return Next::Trap("bad"),
                Op::Check => continue,
                Op::Poison => return Next::Trap("poison"),
                Op::Put(key) => {
                    ("store.brain.kv.put", json!({"key": format!("k{key}"), "value": acc}))
                }
                Op::Get(key) => ("store.brain.kv.get", json!({ "key": format!("k{key}") })),
                Op::Clock => ("time.now", json!({})),
                Op::Rand => ("random.bytes", json!({"n": 8})),
                Op::Look => ("out.look", json!({})),
                Op::Key => ("out.put", json!({ "acc": acc })),
                Op::Once => ("out.once", json!({ "acc": acc })),
                Op::Held => ("out.held", json!({ "acc": acc })),
                Op::After(ms, script) => {
                    ("time.after", json!({"ms": ms, "kind": "script", "body": body(script)}))
                }
                Op::Sleep(ms) => ("time.sleep", json!({ "ms": ms })),
                Op::Send(to, script) => (
                    "agent.send",
                    json!({"to": agent(*to), "kind": "script", "body": body(script)}),
                ),
                Op::Call(to, script) => (
                    "agent.call",
                    json!({"to": agent(*to), "kind": "script", "body": body(script)}),
                ),
            };
            self.calls += 1;
            self.asked = Some(op);
            return Next::Call(name, args.to_string().into_bytes());
        }
    }

    /// The answer to its call.
    pub(crate) fn answer(&mut self, answer: &Result<Vec<u8>, String>) {
        let op = self.asked.take();
        let refused = matches!(answer, Err(code) if code != "dead_letter");
        match (&op, answer) {
            (Some(Op::Look), Ok(seen)) => {
                self.looked = self.calls;
                let seen: Value = serde_json::from_slice(seen).unwrap_or_default();
                self.bad = seen["bad"] == true;
            }
            (Some(Op::Look), Err(_)) => self.bad = false,
            (Some(Op::Key | Op::Once | Op::Held | Op::Call(..) | Op::Sleep(_)), _) if !refused => {
                self.intended = self.calls;
            }
            _ => {}
        }
        let bytes = match answer {
            Ok(bytes) => seen(op.as_ref(), bytes),
            Err(code) => code.as_bytes().to_vec(),
        };
        self.acc = mix(mix(self.acc, &[u8::from(answer.is_ok())]), &bytes);
    }
}

/// The part of an answer that a guest uses: of some only one member, so that the oracle need not write what stands beside it.
fn seen(op: Option<&Op>, answer: &[u8]) -> Vec<u8> {
    let member = match op {
        Some(Op::Get(_)) => "value",
        Some(Op::Clock) => "ms",
        Some(Op::Rand) => "hex",
        _ => return answer.to_vec(),
    };
    // What is no JSON is another answer.
    serde_json::from_slice::<Value>(answer)
        .map_or_else(|_| answer.to_vec(), |answer| answer[member].to_string().into_bytes())
}

/// The code of an agent, at a version.
pub(crate) struct Code {
    /// The version: another one computes otherwise.
    pub(crate) version: u64,
}

thread_local! {
    /// The world that the guests of this thread tell of their traps. Only the oracle looks at it.
    static TOLD: RefCell<Option<Arc<Mutex<World>>>> = const { RefCell::new(None) };
}

/// From here on guests of this thread tell this world.
pub(crate) fn tell(world: Option<Arc<Mutex<World>>>) {
    TOLD.set(world);
}

fn told<T>(tell: impl FnOnce(&mut World) -> T) -> Option<T> {
    let world = TOLD.with_borrow(Clone::clone)?;
    let mut world = world.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    Some(tell(&mut world))
}

impl Script for Code {
    fn handle<'a>(&'a self, message: engine::Message<'a>, calls: &'a mut dyn Calls) -> Running<'a> {
        Box::pin(async move {
            let mut guest = Guest::new(self.version, message.body);
            let again = told(|world| world.begun(message.id)) == Some(true);
            loop {
                match guest.next() {
                    Next::Call(name, args) => {
                        let line = format!("call {} {} {name}", message.id, guest.calls);
                        told(|world| {
                            world.notes.push(line);
                            world.calls +=
                                u64::from(matches!(&*name, "out.put" | "out.once" | "out.held"));
                        });
                        let answer = calls.call(name.to_owned(), args).await?;
                        let mut answer = answer.map_err(|failure| failure.code);
                        // Injected non-determinism: a re-run takes another answer for the one it got.
                        if again
                            && let Ok(bytes) = &mut answer
                            && told(World::go_astray) == Some(true)
                        {
                            bytes.push(b'!');
                        }
                        guest.answer(&answer);
                        let calls = guest.calls;
                        if told(|world| world.may_be_intended(message.id, calls)) == Some(true) {
                            guest.intended = calls;
                        }
                    }
                    Next::Done(answer) => return Ok(Ok(answer)),
                    Next::Trap(why) => {
                        told(|world| world.trapped(message.id, why, guest.looked, guest.intended));
                        return Err(Ended::Trap(why.to_owned()));
                    }
                }
            }
        })
    }
}
