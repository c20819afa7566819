//! The oracle: the serial execution, without crashes, of the turns that have ended, with what they observed.
//!
//! After each group of the ledger it takes the turns that ended, runs their scripts in one go against their records, and keeps what
//! the brain must hold after each. Nothing of the driver, the journal or the store is used. Start reading at [`Oracle::look`].

use crate::guest::{AGENTS, Guest, Next};
use crate::machine::{ATTEMPTS, INBOX, VERSIONS};
use crate::rewind::Known;
use crate::rng::Rng;
use crate::world::{Shared, lock};
use loket_ledger::Steps;
use loket_turn::{
    Effect, EffectClass, EndedTurn, Hash, LetterId, MessageId, RanTurn, Record, SetTimer, TurnNo,
};
use rand_chacha::ChaCha12Rng;
use rand_core::{RngCore, SeedableRng};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a brain holds.
pub(crate) type Brain = BTreeMap<String, String>;

/// A turn that has ended.
struct Turn {
    chain: Hash,
    /// The brain after it.
    brain: Brain,
    /// Its message; `None`: it was skipped.
    message: Option<String>,
    /// Messages that it sent or called with, and how.
    sent: Vec<(String, String)>,
}

/// A brain that took another one's place.
struct Epoch {
    number: u64,
    /// The last turn that had ended then.
    from: u64,
    brain: Brain,
}

/// See the module head.
pub(crate) struct Oracle {
    world: Shared,
    turns: BTreeMap<&'static str, Vec<Turn>>,
    /// The epochs of each agent's brain after the first (rule E7).
    epochs: BTreeMap<&'static str, Vec<Epoch>>,
    letters: BTreeMap<LetterId, String>,
    /// Messages that became dead letters; a letter that was retried is gone, and a lost one may come again.
    condemned: BTreeSet<String>,
}

impl Oracle {
    /// An oracle that has seen nothing.
    pub(crate) fn new(world: Shared) -> Self {
        let turns = AGENTS.iter().map(|agent| (*agent, Vec::new())).collect();
        let epochs = AGENTS.iter().map(|agent| (*agent, Vec::new())).collect();
        Self { world, turns, epochs, letters: BTreeMap::new(), condemned: BTreeSet::new() }
    }

    fn violation(&self, text: String) {
        lock(&self.world).violation(text);
    }

    fn tainted(&self) -> bool {
        lock(&self.world).tainted
    }

    /// Looks at what has ended since the last time. Between two groups only.
    pub(crate) fn look(&mut self, steps: &Steps) {
        for agent in AGENTS {
            let Some((done, _)) = steps.done(agent) else { continue };
            if let Some((waiting, reserved, bound)) = steps.depth(agent)
                && (waiting > INBOX || waiting + reserved > bound)
            {
                self.violation(format!(
                    "the inbox of {agent} holds {waiting} and {reserved} places"
                ));
            }
            while self.known(agent) < done.0 {
                let after = TurnNo(self.known(agent));
                match steps.ended_after(&agent.into(), after) {
                    Ok(turns) if !turns.is_empty() => {
                        for turn in turns {
                            self.exchanged(agent, steps);
                            self.ended(agent, turn);
                        }
                    }
                    Ok(_) => {
                        return self
                            .violation(format!("turn {} of {agent} is nowhere", after.0 + 1));
                    }
                    Err(why) => return self.violation(format!("turns of {agent}: {why}")),
                }
            }
            self.exchanged(agent, steps);
        }
        match steps.letters() {
            Ok(letters) => letters.into_iter().for_each(|letter| {
                let message = letter.message.to_string();
                if self.letters.insert(letter.id, message.clone()).is_none() {
                    self.condemned.insert(message.clone());
                    self.condemned(&letter.agent, &message, &letter.cause);
                }
            }),
            Err(why) => self.violation(format!("letters: {why}")),
        }
    }

    /// Takes the brains that took another one's place at the last turn that is known here.
    fn exchanged(&mut self, agent: &'static str, steps: &Steps) {
        let (known, last) = (self.known(agent), self.epoch(agent));
        if steps.epoch(agent).is_none_or(|now| now == last) {
            return;
        }
        let epochs = match steps.epochs(agent) {
            Ok(epochs) => epochs,
            Err(why) => return self.violation(format!("epochs of {agent}: {why}")),
        };
        for (number, from) in epochs.into_iter().filter(|(number, _)| *number > last) {
            if from.0 > known {
                return;
            }
            let plan = lock(&self.world).planned.get(&(agent.to_owned(), number)).cloned();
            let Some(brain) = plan else {
                return self.violation(format!("nobody began epoch {number} of {agent}"));
            };
            let epoch = Epoch { number, from: from.0, brain };
            self.epochs.entry(agent).or_default().push(epoch);
        }
    }

    /// The epoch of an agent's brain.
    pub(crate) fn epoch(&self, agent: &str) -> u64 {
        self.epochs.get(agent).and_then(|all| all.last()).map_or(0, |epoch| epoch.number)
    }

    /// What a brain holds after turn `n` for those that come after it.
    fn brain_after(&self, agent: &str, n: u64) -> Brain {
        let epochs = self.epochs.get(agent).map(Vec::as_slice).unwrap_or_default();
        if let Some(epoch) = epochs.iter().rev().find(|epoch| epoch.from == n) {
            return epoch.brain.clone();
        }
        self.turn(agent, n).map(|turn| turn.brain.clone()).unwrap_or_default()
    }

    fn turn(&self, agent: &str, n: u64) -> Option<&Turn> {
        self.turns.get(agent)?.get(usize::try_from(n.checked_sub(1)?).ok()?)
    }

    /// What is known of an agent's brain, with an earlier state by chance.
    pub(crate) fn known_of(&self, agent: &str, rng: &mut Rng) -> Known {
        let done = self.known(agent);
        let (back, any) = (rng.below(usize::try_from(done).unwrap_or(0)) as u64, done > 0);
        let chain = |n: u64| self.turn(agent, n).map_or_else(Hash::default, |turn| turn.chain);
        let earlier = any.then(|| {
            let brain = self.turn(agent, back).map(|turn| turn.brain.clone()).unwrap_or_default();
            (TurnNo(back), chain(back), brain)
        });
        let epochs = self.epochs.get(agent).map(Vec::as_slice).unwrap_or_default();
        let within = |n: u64| epochs.iter().take_while(|epoch| epoch.from < n).last();
        let of_turns = (1..=done).filter_map(|n| {
            let turn = self.turn(agent, n)?;
            let epoch = within(n).map_or(0, |epoch| epoch.number);
            Some((epoch, TurnNo(n), turn.chain, turn.brain.clone()))
        });
        let of_epochs = epochs.iter().map(|epoch| {
            (epoch.number, TurnNo(epoch.from), chain(epoch.from), epoch.brain.clone())
        });
        let points = of_turns.chain(of_epochs).collect();
        Known { done: TurnNo(done), brain: self.brain_after(agent, done), earlier, points }
    }

    fn known(&self, agent: &str) -> u64 {
        self.turns.get(agent).map_or(0, |turns| turns.len() as u64)
    }

    /// A message has become a dead letter: only for what it did itself, and as often as it may (rules B2, G2, G3).
    fn condemned(&self, agent: &str, message: &str, cause: &str) {
        let traps = lock(&self.world).traps(message);
        if self.tainted() {
            return;
        }
        let given_up = |(whose, _): &(String, u64)| whose == agent;
        if cause == "abandoned" && lock(&self.world).given_up.iter().any(given_up) {
            return;
        }
        if cause != "trap" {
            self.violation(format!("{message} is a dead letter for {cause}"));
        } else if traps.all < ATTEMPTS {
            self.violation(format!("{message} condemned after {} attempts", traps.all));
        } else if traps.fair == 0 {
            self.violation(format!(
                "{message} condemned although each attempt's cause was transient"
            ));
        }
    }

    fn ended(&mut self, agent: &'static str, turn: EndedTurn) {
        let mut brain = self.brain_after(agent, self.known(agent));
        let (mut message, mut sent) = (None, Vec::new());
        if let Some(ran) = &turn.ran {
            let id = ran.message.id.to_string();
            let all = self.turns.values().flatten();
            if all.filter_map(|turn| turn.message.as_deref()).any(|other| other == id) {
                self.violation(format!("the turn of {id} ended twice"));
            }
            sent = sent_by(&ran.records);
            if !self.tainted()
                && let Err(why) = serial(ran, &mut brain)
            {
                self.violation(format!("turn {} of {agent} is no serial execution: {why}", turn.n));
            }
            message = Some(id);
        }
        let turn = Turn { chain: turn.chain, brain, message, sent };
        self.turns.entry(agent).or_default().push(turn);
    }

    /// A process has started: what had ended is there, but for what a loss of power may take (`lossy`).
    pub(crate) fn reborn(&mut self, steps: &Steps, lossy: bool) {
        for agent in AGENTS {
            let Some((done, chain)) = steps.done(agent) else { continue };
            let known = self.known(agent);
            if done.0 < known && lossy {
                if let Some(turns) = self.turns.get_mut(agent) {
                    turns.truncate(usize::try_from(done.0).unwrap_or(usize::MAX));
                }
            } else if done.0 < known {
                self.violation(format!("turn {known} of {agent} had ended and is lost"));
            }
            let shown = lock(&self.world).shown.get(agent).copied().unwrap_or(0);
            if done.0 < shown && lossy {
                lock(&self.world).shown.insert(agent, done.0);
            } else if done.0 < shown {
                self.violation(format!("turn {shown} of {agent} was shown as over and is lost"));
            }
            self.epochs_reborn(agent, steps, lossy);
            let there =
                self.turns.get(agent).and_then(|turns| turns.get(done.0.checked_sub(1)? as usize));
            if there.is_some_and(|turn| turn.chain != chain) {
                self.violation(format!("turn {} of {agent} has another past", done.0));
            }
        }
        if lossy {
            // Letters that were lost may come again.
            let there: BTreeSet<LetterId> =
                steps.letters().unwrap_or_default().iter().map(|letter| letter.id).collect();
            self.letters.retain(|id, _| there.contains(id));
        }
    }

    fn epochs_reborn(&mut self, agent: &'static str, steps: &Steps, lossy: bool) {
        let epochs = steps.epochs(agent).unwrap_or_default();
        let last = epochs.last().map_or(0, |(number, _)| *number);
        if self.epoch(agent) > last && !lossy {
            let number = self.epoch(agent);
            self.violation(format!("epoch {number} of {agent} had begun and is lost"));
        }
        if let Some(all) = self.epochs.get_mut(agent) {
            all.retain(|epoch| epoch.number <= last);
        }
    }

    /// Whether a message has come to its end.
    pub(crate) fn is_over(&self, message: &str) -> bool {
        self.turns.values().flatten().any(|turn| turn.message.as_deref() == Some(message))
            || self.condemned.contains(message)
    }

    /// Messages that ended turns have sent, and how.
    pub(crate) fn sent(&self) -> Vec<(String, String)> {
        self.turns.values().flatten().flat_map(|turn| turn.sent.clone()).collect()
    }

    /// How many turns have ended.
    pub(crate) fn turns(&self) -> usize {
        self.turns.values().map(Vec::len).sum()
    }

    /// How far an agent is, and what its brain must hold.
    pub(crate) fn brain(&self, agent: &str) -> (u64, Brain) {
        let done = self.known(agent);
        (done, self.brain_after(agent, done))
    }
}

fn sent_by(records: &[Record]) -> Vec<(String, String)> {
    let one = |record: &Record| match (&record.effect, record.intent, &record.outcome) {
        (Some(Effect::Send { id, .. }), _, Some(Ok(_))) => {
            Some((id.to_string(), "sent".to_owned()))
        }
        (Some(Effect::SetTimer(timer)), _, Some(Ok(_))) => {
            Some((of_timer(timer), format!("a timer due at {}", timer.due_ms)))
        }
        (_, Some(intent), Some(Ok(_))) if record.capability == "agent.call" => {
            Some((intent.to_string(), "a call".to_owned()))
        }
        _ => None,
    };
    let with_call = |record: &Record| {
        let (id, how) = one(record)?;
        Some((id, format!("{how}, call {}", record.call.0)))
    };
    records.iter().filter_map(with_call).collect()
}

/// The id of the one message that a timer becomes.
fn of_timer(timer: &SetTimer) -> String {
    let fields = [b"timer".as_slice(), &timer.id.0, &timer.due_ms.to_le_bytes()].concat();
    let mut id = [0; 16];
    id.copy_from_slice(&Hash::of(&fields).0[..16]);
    MessageId(id).to_string()
}

/// Which version of the guests' code these bytes are.
fn version(module: Hash) -> Option<u64> {
    (0..VERSIONS).find(|version| Hash::of(format!("guest, version {version}").as_bytes()) == module)
}

/// One turn in one go: every call is the recorded one, or Pure and computed here.
fn serial(ran: &RanTurn, brain: &mut Brain) -> Result<(), String> {
    let version = version(ran.begin.module).ok_or("it ran a module that there never was")?;
    let mut guest = Guest::new(version, &ran.message.body);
    let mut clock_ms = ran.begin.time_ms;
    let mut records = ran.records.iter().peekable();
    loop {
        let (name, args) = match guest.next() {
            Next::Call(name, args) => (name, args),
            Next::Trap(why) => return Err(format!("it traps: {why}")),
            Next::Done(_) => break,
        };
        let call = guest.calls;
        let answer = match records.next_if(|record| record.call.0 == call) {
            Some(record) if record.capability != name || record.args != args => {
                return Err(format!("call {call} is {name}, recorded is {}", record.capability));
            }
            Some(record) => {
                clock_ms = clock_ms.max(record.stamp_ms);
                let outcome = record.outcome.clone().ok_or(format!("call {call} has no result"))?;
                if record.class == EffectClass::Pure && outcome.is_ok() {
                    return Err(format!("call {call} is Pure and recorded"));
                }
                outcome.map_err(|failure| failure.code)
            }
            None => Ok(pure(name, &args, brain, clock_ms, [ran.begin.seed, u64::from(call)])
                .ok_or(format!("call {call}, {name}, has no record"))?),
        };
        guest.answer(&answer);
    }
    match records.next() {
        Some(record) => Err(format!("call {} was recorded and never made", record.call)),
        None => Ok(()),
    }
}

fn pure(
    name: &str,
    args: &[u8],
    brain: &mut Brain,
    clock_ms: u64,
    seed: [u64; 2],
) -> Option<Vec<u8>> {
    let args: Value = serde_json::from_slice(args).ok()?;
    let key = args["key"].as_str().unwrap_or_default().to_owned();
    let answer = match name {
        "store.brain.kv.put" => {
            brain.insert(key, args["value"].to_string());
            json!({})
        }
        "store.brain.kv.get" => {
            let value = brain.get(&key).and_then(|text| serde_json::from_str(text).ok());
            json!({ "value": value.unwrap_or(Value::Null) })
        }
        "time.now" => json!({ "ms": clock_ms }),
        "random.bytes" => {
            let mut from = [0; 32];
            from[..8].copy_from_slice(&seed[0].to_le_bytes());
            from[8..16].copy_from_slice(&seed[1].to_le_bytes());
            let mut bytes = [0; 8];
            ChaCha12Rng::from_seed(from).fill_bytes(&mut bytes);
            json!({ "hex": hex::encode(bytes) })
        }
        _ => return None,
    };
    Some(answer.to_string().into_bytes())
}
