//! One turn's calls against its records: the decision what a call is answered with.
//!
//! The driver asks [`Journal::next_call`] before each call and tells [`Journal::finish`] after each live one. The same type serves a
//! fresh turn, a retry or resumed turn (records up to the last intent are kept, rule G2) and catch-up (rule F1). It never
//! performs a call.

use crate::limits::RECORD_BYTES_PER_TURN_MAX;
use crate::simulation::{Mutation, broken};
use crate::{
    Begin, CallNo, Effect, EffectClass, Hash, Intent, IntentId, Life, MessageId, Outcome, Record,
    RunningHash, derived_key,
};
use serde::{Deserialize, Serialize};

/// Why a turn is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// To handle its message: calls without a record go out.
    Live,
    /// To bring a brain up to a turn that has ended: nothing goes out (rule F1).
    CatchUp,
}

/// What the driver does with a call.
#[derive(Debug)]
pub enum Step {
    /// Answer it from the record, without admission, provider or cost.
    Answer(Outcome),
    /// Send it to the kernel.
    Send(Live),
}

/// A call that goes to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Its number.
    pub call: CallNo,
    /// The life that its key is derived from.
    pub life: Life,
    /// The message that its key is derived from.
    pub message: MessageId,
    /// It stands in the re-run part of a turn: only a Pure operation may be performed, against the pinned grants (rule F1).
    pub pure_only: bool,
    /// An intent of this key and class is in the ledger already. A Keyed call is sent again under the same key; a Once call waits.
    pub resend: Option<EffectClass>,
}

impl Live {
    /// Its key, should it be Keyed or Once (rule C3), and the id of what it stages. Derived when it is asked for: most calls are
    /// neither, and the derivation costs more than the rest of such a call here.
    pub fn key(&self) -> IntentId {
        derived_key(self.life, self.message, self.call)
    }
}

/// The re-run made another call than the record holds (rule C11), or arrived at another end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diverged {
    /// Where.
    pub call: CallNo,
    /// What the record says, `capability args`.
    pub recorded: String,
    /// What the re-run did.
    pub rerun: String,
}

/// Why a turn cannot make another call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// See [`Diverged`].
    Diverged(Diverged),
    /// More calls than the agent's limit (rule C10).
    TooManyCalls {
        /// The limit.
        limit: u32,
    },
    /// More bytes of records than [`RECORD_BYTES_PER_TURN_MAX`] (rule C10).
    TooManyBytes,
}

/// The calls of one turn.
#[derive(Debug)]
pub struct Journal {
    life: Life,
    message: MessageId,
    mode: Mode,
    begin: Begin,
    begun: bool,
    records: Vec<Record>,
    /// How many of `records` the ledger has.
    written: usize,
    /// Where in `records` the next recorded call stands.
    cursor: usize,
    /// The last call number that the kept records reach.
    recorded_to: CallNo,
    last: CallNo,
    clock_ms: u64,
    hash: RunningHash,
    bytes: usize,
}

/// How much of a call is shown in a divergence, bytes: enough to recognise it.
const SHOWN_BYTES: usize = 400;

fn shown(capability: &str, args: &[u8]) -> String {
    let cut = &args[..args.len().min(SHOWN_BYTES)];
    format!("{capability} {}", String::from_utf8_lossy(cut))
}

impl Journal {
    /// A turn of `life` for `message`. `records` are the kept ones in order of their numbers; `begun` says whether `begin` came
    /// from the ledger.
    pub fn new(
        life: Life,
        message: MessageId,
        mode: Mode,
        begin: Begin,
        begun: bool,
        records: Vec<Record>,
    ) -> Self {
        let recorded_to = records.last().map_or(CallNo(0), |record| record.call);
        let bytes = records.iter().map(Record::bytes).sum();
        Self {
            life,
            message,
            mode,
            clock_ms: begin.time_ms,
            begin,
            begun,
            written: records.len(),
            records,
            cursor: 0,
            recorded_to,
            last: CallNo(0),
            hash: RunningHash::default(),
            bytes,
        }
    }

    /// Decides the next call.
    ///
    /// # Errors
    /// [`Stop`] when the turn cannot go on.
    pub fn next_call(&mut self, capability: &str, args: &[u8]) -> Result<Step, Stop> {
        let call = CallNo(self.last.0.saturating_add(1));
        if call.0 > self.begin.calls_max {
            return Err(Stop::TooManyCalls { limit: self.begin.calls_max });
        }
        if self.bytes > RECORD_BYTES_PER_TURN_MAX {
            return Err(Stop::TooManyBytes);
        }
        self.last = call;
        let mut resend = None;
        if let Some(record) = self.records.get(self.cursor).filter(|record| record.call == call) {
            let other = record.capability != capability || record.args != args;
            if other && !broken(Mutation::IntentNoArgs) {
                return Err(Stop::Diverged(Diverged {
                    call,
                    recorded: shown(&record.capability, &record.args),
                    rerun: shown(capability, args),
                }));
            }
            if let Some(outcome) = record.outcome.clone() {
                self.clock_ms = self.clock_ms.max(record.stamp_ms);
                self.cursor += 1;
                self.hash.call(call, capability, args, &outcome);
                return Ok(Step::Answer(outcome));
            }
            if self.mode == Mode::CatchUp {
                // A turn that has ended has every result; nothing is sent to mend a record that lacks one (rule F1).
                return Err(Stop::Diverged(Diverged {
                    call,
                    recorded: format!("{} (no result)", shown(&record.capability, &record.args)),
                    rerun: shown(capability, args),
                }));
            }
            resend = Some(record.class);
        }
        Ok(Step::Send(Live {
            call,
            life: self.life,
            message: self.message,
            pure_only: resend.is_none() && (self.mode == Mode::CatchUp || call <= self.recorded_to),
            resend,
        }))
    }

    /// Notes a live call that succeeded and of which only the running hash keeps something, as [`finish`](Self::finish) would; false,
    /// with nothing noted, when this is not such a call.
    pub fn passes(
        &mut self,
        live: &Live,
        class: EffectClass,
        capability: &str,
        args: &[u8],
        result: &[u8],
    ) -> bool {
        let passes = live.resend.is_none() && !class.records_success();
        if passes {
            self.hash.success(live.call, capability, args, result);
        }
        passes
    }

    /// Notes how a live call came out, and gives the outcome back, for the guest. `stamp_ms` is when it was answered; `durable`
    /// that the ledger has intent and result already, so that the end of the turn need not write them.
    pub fn finish(
        &mut self,
        live: &Live,
        capability: &str,
        args: &[u8],
        answer: Answered,
    ) -> Outcome {
        let Answered { class, outcome, stamp_ms, effect, durable, took_ms } = answer;
        self.hash.call(live.call, capability, args, &outcome);
        let kept = class.records_success() || (outcome.is_err() && class != EffectClass::Side);
        // Most calls are not kept: their arguments and results, which may be large, are not copied.
        if live.resend.is_none() && !kept {
            return outcome;
        }
        let told = outcome.clone();
        if live.resend.is_some() {
            if let Some(record) = self.records.get_mut(self.cursor) {
                let before = record.bytes();
                record.outcome = Some(outcome);
                record.stamp_ms = stamp_ms;
                self.bytes += record.bytes().saturating_sub(before);
                self.clock_ms = self.clock_ms.max(stamp_ms);
                if !durable {
                    // A failure that only the guest saw goes out with the next write (rule C6).
                    self.written = self.written.min(self.cursor);
                }
            }
            self.cursor += 1;
        } else {
            self.clock_ms = self.clock_ms.max(stamp_ms);
            let record = Record {
                call: live.call,
                class,
                capability: capability.to_owned(),
                args: args.to_vec(),
                outcome: Some(outcome),
                stamp_ms,
                intent: durable.then_some(live.key()),
                effect: effect.map(|effect| *effect),
                took_ms: Some(took_ms),
                used: None,
            };
            self.bytes += record.bytes();
            // A durable result went out with all records before it (rule C2).
            self.records.insert(self.cursor, record);
            self.cursor += 1;
            if durable {
                self.written = self.cursor;
                self.begun = true;
            }
        }
        told
    }

    /// The records that the ledger does not have yet, in order. They go out with the next intent or with the end.
    pub fn unwritten(&self) -> &[Record] {
        &self.records[self.written.min(self.records.len())..]
    }

    /// Notes that the ledger has begin and all records so far.
    pub fn mark_written(&mut self) {
        self.begun = true;
        self.written = self.records.len();
    }

    /// The begin of the turn, for the first durable write only (rule B1).
    pub fn unwritten_begin(&self) -> Option<&Begin> {
        (!self.begun).then_some(&self.begin)
    }

    /// The begin of the turn.
    pub fn begin(&self) -> &Begin {
        &self.begin
    }

    /// The intent to write for a live call of class Keyed or Once.
    pub fn intent(live: &Live, class: EffectClass, capability: &str, args: &[u8]) -> Intent {
        Intent {
            id: live.key(),
            call: live.call,
            class,
            capability: capability.to_owned(),
            args: args.to_vec(),
        }
    }

    /// The turn's clock, Unix milliseconds (rule C9).
    pub fn clock_ms(&self) -> u64 {
        self.clock_ms
    }

    /// Calls made so far.
    pub fn calls(&self) -> u32 {
        self.last.0
    }

    /// What the turn staged, in order (rule D1).
    pub fn effects(&self) -> Vec<Effect> {
        self.records
            .iter()
            .filter(|record| matches!(record.outcome, Some(Ok(_))))
            .filter_map(|record| record.effect.clone())
            .collect()
    }

    /// Ends the turn: the running hash over all calls and results and the answer (rule D1).
    ///
    /// # Errors
    /// [`Diverged`] when records are left that the re-run did not ask for.
    pub fn end(&mut self, reply: &Outcome) -> Result<Hash, Diverged> {
        if let Some(record) = self.records.get(self.cursor) {
            return Err(Diverged {
                call: record.call,
                recorded: shown(&record.capability, &record.args),
                rerun: "(the turn ended)".to_owned(),
            });
        }
        self.hash.outcome(reply);
        Ok(self.hash.finish())
    }
}

/// How a live call was answered.
#[derive(Debug)]
pub struct Answered {
    /// The operation's class. A refusal has none: `Pure` is given, and its failure is recorded all the same (rule C6).
    pub class: EffectClass,
    /// What came back.
    pub outcome: Outcome,
    /// When, Unix milliseconds.
    pub stamp_ms: u64,
    /// What was staged; in a box, since few calls stage anything.
    pub effect: Option<Box<Effect>>,
    /// The ledger has intent and result already.
    pub durable: bool,
    /// How long it took, milliseconds; 0 for what was answered at once.
    pub took_ms: u64,
}
