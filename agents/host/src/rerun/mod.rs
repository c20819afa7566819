//! A turn run again beside the fleet, to look at it: with its records, its message and a copy of the brain as it was.
//!
//! No provider is called, nothing is written but into the copy, and no ledger is told. Strictly, it tells whether the turn still makes
//! the calls that its records hold (rule C11); with other code, what that code does differently. Start reading at [`run_again`].

mod answers;

use answers::Answers;
pub use answers::By;

use crate::engine::{self, Abort, Host, Module, RunLimits, SliceVerdict};
use loket_contract::rerun::Sandbox;
use loket_kernel::GrantSet;
use loket_runtime::TurnContext;
use loket_turn::{
    AgentName, Begin, CallNo, Diverged, EffectClass, Failure, Hash, Journal, Life, Message, Mode,
    Outcome, Record, TurnKey, TurnNo,
};
use std::sync::{Arc, Mutex};

/// Bytes of calls and results that are kept to be shown; what is beyond is counted, and the turn runs on.
const SHOWN_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Table elements that a turn may have: the most that a fleet file can give. What the turn had is not in its begin.
const TABLE_ELEMENTS: usize = 10_000_000;

/// A turn to run again.
pub struct Again<'a> {
    /// The agent.
    pub agent: &'a AgentName,
    /// Its life.
    pub life: Life,
    /// The turn.
    pub n: TurnNo,
    /// Its message.
    pub message: &'a Message,
    /// Its begin.
    pub begin: &'a Begin,
    /// Its records.
    pub records: &'a [Record],
    /// Its settings, a JSON object.
    pub settings: Arc<str>,
    /// The grants pinned at its begin.
    pub grants: Arc<GrantSet>,
}

/// A call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its number.
    pub call: CallNo,
    /// Its class.
    pub class: EffectClass,
    /// The capability.
    pub capability: String,
    /// The arguments.
    pub args: Vec<u8>,
    /// What it was answered.
    pub outcome: Outcome,
    /// From its record; otherwise computed anew.
    pub recorded: bool,
}

/// A call that nothing here can answer: it has no record, and nothing is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// Its number.
    pub call: CallNo,
    /// Its class, where it is known here.
    pub class: Option<EffectClass>,
    /// The capability.
    pub capability: String,
    /// The arguments.
    pub args: Vec<u8>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With an answer, and this running hash over all calls; the hash means something only by number.
    Answered(Outcome, Hash),
    /// At a call that its record does not hold (rule C11), or before one that it does.
    Diverged(Diverged),
    /// At a call that has no record.
    Unanswered(Unanswered),
    /// Short of an answer: a trap, a limit, the end of its time.
    Failed(String),
}

/// A run.
#[derive(Debug)]
pub struct Ran {
    /// The calls, in order.
    pub calls: Vec<Made>,
    /// Calls that were too large to be kept for showing.
    pub not_shown: u32,
    /// How it ended.
    pub end: End,
    /// Records that no call asked for.
    pub left: Vec<Record>,
}

/// Runs a turn again. `until` says when its time is over; somebody must tick the engine meanwhile.
pub async fn run_again(
    module: &Module,
    it: &Again<'_>,
    by: By,
    sandbox: &mut Sandbox,
    until: &dyn Fn() -> bool,
) -> Ran {
    let limits = RunLimits {
        memory_bytes: usize::try_from(it.begin.memory_bytes).unwrap_or(usize::MAX),
        table_elements: TABLE_ELEMENTS,
        output_bytes: usize::try_from(it.begin.output_bytes).unwrap_or(usize::MAX),
        ..RunLimits::default()
    };
    let context = Arc::new(context(it));
    let answers = Answers::new(by, it.begin, it.records, Arc::clone(&context));
    let mut replay =
        Replay { sandbox, answers, calls: Vec::new(), bytes: 0, not_shown: 0, end: None, until };
    let id = it.message.id.to_string();
    let mail = engine::Message {
        id: &id,
        sender: &it.message.sender,
        kind: &it.message.kind,
        body: &it.message.body,
    };
    let ran = module.run(&limits, mail, &mut replay).await;
    let end = match (replay.end.take(), ran) {
        (Some(end), _) => end,
        (None, Err(error)) => End::Failed(error.cause.to_string()),
        (None, Ok(answer)) => {
            let reply = answer.map_err(from_guest);
            match replay.answers.end(&reply) {
                Ok(hash) => End::Answered(reply, hash),
                Err(found) => End::Diverged(found),
            }
        }
    };
    let Replay { answers, calls, not_shown, .. } = replay;
    Ran { calls, not_shown, end, left: answers.left() }
}

fn context(it: &Again<'_>) -> TurnContext {
    let (agent, records) = (it.agent.clone(), it.records.to_vec());
    let mut on_the_way = it.message.chain.clone();
    on_the_way.push(agent.clone());
    let journal =
        Journal::new(it.life, it.message.id, Mode::CatchUp, it.begin.clone(), true, records);
    TurnContext {
        key: TurnKey { agent, life: it.life, incarnation: 0, n: it.n },
        message: it.message.id,
        on_the_way,
        seed: it.begin.seed,
        settings: Arc::clone(&it.settings),
        pinned: Arc::clone(&it.grants),
        journal: Mutex::new(journal),
        purse: None,
    }
}

/// The guest's way out, which leads nowhere.
struct Replay<'a> {
    sandbox: &'a mut Sandbox,
    answers: Answers,
    calls: Vec<Made>,
    bytes: usize,
    not_shown: u32,
    end: Option<End>,
    until: &'a dyn Fn() -> bool,
}

impl Replay<'_> {
    fn keep(&mut self, made: Made) {
        let outcome = match &made.outcome {
            Ok(result) => result.len(),
            Err(failure) => failure.message.len(),
        };
        self.bytes += made.args.len() + made.capability.len() + outcome;
        match self.bytes <= SHOWN_BYTES_MAX {
            true => self.calls.push(made),
            false => self.not_shown += 1,
        }
    }
}

impl Host for Replay<'_> {
    async fn call(&mut self, capability: String, args: Vec<u8>) -> Result<engine::Answer, Abort> {
        match self.answers.answer(self.sandbox, capability, args) {
            Ok(made) => {
                let outcome = made.outcome.clone();
                self.keep(made);
                Ok(outcome.map_err(to_guest))
            }
            Err(end) => {
                self.end = Some(end);
                Err(Abort::Divergence)
            }
        }
    }

    fn slice(&mut self) -> SliceVerdict {
        if (self.until)() { SliceVerdict::Deadline } else { SliceVerdict::Continue }
    }
}

fn to_guest(failure: Failure) -> engine::Failure {
    let Failure { code, message, retryable, retry_after_ms } = failure;
    engine::Failure { code, message, retryable, retry_after_ms }
}

fn from_guest(failure: engine::Failure) -> Failure {
    let engine::Failure { code, message, retryable, retry_after_ms } = failure;
    Failure { code, message, retryable, retry_after_ms }
}
