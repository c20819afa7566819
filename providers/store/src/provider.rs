//! The store as a provider: its operations, and how a call becomes one on a brain.

use crate::brain::BrainFiles;
use crate::limits::{OPEN_BRAINS_MAX, OPEN_BRAINS_MIN, RELEASED_OPEN_MAX};
use crate::ops::{Now, Op};
use crate::shard::{Call, Called, Shard, Tools};
use crate::threads::{Report, StoreThreads};
use loket_contract::{CallView, Flow, Operation, Performed, Provider};
use loket_runtime::{BrainRequest, Clock};
use loket_turn::{EffectClass, Failure, Ledger, Outcome};
use rustix::process::{Resource, getrlimit};
use serde_json::value::RawValue;
use std::path::PathBuf;
use std::sync::Arc;

const fn pure(capability: &'static str, summary: &'static str) -> Operation {
    Operation {
        capability,
        class: EffectClass::Pure,
        scope: &[],
        flow: Flow::NONE,
        tokens: false,
        summary,
    }
}

/// The capability that answers the agent's name and the turn's settings.
const SETTINGS: &str = "store.brain.settings";

/// All that the store serves. A grant on `store.brain` is for the caller's own brain; no other can
/// be named, so there is no scope.
pub const OPERATIONS: &[Operation] = &[
    pure("store.brain.kv.get", "the value of a key"),
    pure("store.brain.kv.put", "sets the value of a key"),
    pure("store.brain.kv.delete", "removes a key"),
    pure("store.brain.kv.list", "entries by prefix, in key order"),
    pure("store.brain.memory.add", "remembers texts"),
    pure("store.brain.memory.search", "finds remembered texts, best first"),
    pure("store.brain.memory.forget", "forgets by ids or source"),
    pure("store.brain.memory.count", "how many texts are remembered"),
    pure(SETTINGS, "the agent's own name and settings"),
];

/// How a shard of the store is made.
#[derive(Clone)]
pub struct StoreOptions {
    /// The fleet's data directory; brains lie under `brains/` in it.
    pub dir: PathBuf,
    /// Which shard, from 0: for logs.
    pub shard: usize,
    /// The threads that all shards share.
    pub threads: StoreThreads,
    /// Told what is on disk (rule E6).
    pub ledger: Arc<dyn Ledger>,
    /// The node's clock: only for when to make brains durable, never for what a guest sees.
    pub clock: Clock,
    /// Most brains that the shard has open, [`open_brains_max`] in a node that serves.
    pub open_brains: usize,
}

/// One shard of the store: the brains of one lane's agents.
pub struct StoreProvider {
    shard: Shard,
}

impl StoreProvider {
    /// A shard without open brains. Nothing is touched on disk yet.
    ///
    /// # Panics
    /// Outside an arbiter: its background pass is a task of the lane.
    pub fn new(options: StoreOptions) -> Self {
        let StoreOptions { dir, shard, threads, ledger, clock, open_brains } = options;
        let report: Report = Arc::new(move |agent, life, n| ledger.brain_durable(agent, life, n));
        let files = BrainFiles::new(&dir);
        tracing::debug!(shard, open_brains, "store shard");
        Self::of(Tools { files, threads, report, clock }, open_brains)
    }

    fn of(tools: Tools, open_brains: usize) -> Self {
        let released_max = (RELEASED_OPEN_MAX / lanes()).max(1);
        Self { shard: Shard::new(tools, open_brains, released_max) }
    }
}

fn lanes() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Most brains that a shard may have open: half of the process's descriptors for all of them, three each, shared by the lanes.
#[must_use]
pub fn open_brains_max() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let brains = usize::try_from(descriptors / 2 / 3).unwrap_or(usize::MAX) / lanes();
    brains.clamp(OPEN_BRAINS_MIN, OPEN_BRAINS_MAX)
}

/// A call that was checked.
#[derive(Debug)]
pub struct Prepared(pub(crate) What);

#[derive(Debug)]
pub(crate) enum What {
    Settings(Outcome),
    Brain(Call),
}

/// `{}` and nothing else.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NoArgs {}

#[derive(serde::Serialize)]
struct Settings<'a> {
    agent: &'a str,
    settings: &'a RawValue,
}

fn settings(agent: &str, text: &str) -> Outcome {
    let written = serde_json::from_str(text)
        .and_then(|settings| serde_json::to_vec(&Settings { agent, settings }));
    written.map_err(|error| Failure::new("internal", format!("the settings: {error}")))
}

impl Provider for StoreProvider {
    type Prepared = Prepared;

    fn operations(&self) -> &'static [Operation] {
        OPERATIONS
    }

    fn prepare(&mut self, call: &CallView<'_>) -> Result<Prepared, Failure> {
        prepare(call)
    }

    fn perform(&mut self, prepared: Prepared) -> Performed {
        let call = match prepared.0 {
            What::Settings(outcome) => return Performed::Done(outcome),
            What::Brain(call) => call,
        };
        match self.shard.call(call) {
            Called::Now(outcome) => Performed::Done(outcome),
            Called::Later(answer) => {
                Performed::Later(Box::pin(async move { Performed::Done(answer.await) }))
            }
        }
    }

    fn brain(&mut self, request: BrainRequest) {
        self.shard.request(request);
    }
}

/// Reads a call's arguments and refuses what is over a limit; nothing is touched.
pub(crate) fn prepare(call: &CallView<'_>) -> Result<Prepared, Failure> {
    let name = call.operation.capability;
    let Some(turn) = call.turn else {
        let message = format!("{name} is for agents: a caller without turns has no brain");
        return Err(Failure::new("no_turn", message));
    };
    if name == SETTINGS {
        let NoArgs {} = loket_contract::parse_args(call)?;
        return Ok(Prepared(What::Settings(settings(&turn.key().agent, turn.settings()))));
    }
    let op = Op::parse(name, call.args)?;
    let key = turn.key();
    Ok(Prepared(What::Brain(Call {
        agent: Arc::clone(&key.agent),
        life: key.life,
        incarnation: key.incarnation,
        now: Now { message: turn.message(), clock_ms: turn.clock_ms() },
        op,
    })))
}

#[cfg(test)]
mod tests;
