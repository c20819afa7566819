//! `agent.brain`: snapshots of brains, and another file in a brain's place (rule E7), for operators.
//!
//! The order is the promise: the file and a copy of it are whole and on the disk first, then one step of the ledger names both; a crash
//! in between leaves the old brain. What is exchanged is kept as a snapshot. Start reading at [`switch`].

use crate::copying::Copying;
use crate::once::for_call;
use crate::operator::{failure_of, ledger_failed};
use loket_contract::{CallView, Performed, parse_args};
use loket_runtime::Clock;
use loket_turn::{
    AgentName, BrainStanding, Epoch, Failure, IntentId, Ledger, LedgerError, Life, Outcome,
    Snapshot, Switch, Switched, TurnNo,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

/// Snapshots of one life that are kept; the oldest goes when another is taken.
pub const SNAPSHOTS_MAX: usize = 32;

/// Bytes of a brain that a turn is worth: the copy of a large one waits for more turns, so that copying costs each as much.
const BYTES_PER_TURN: u64 = 16 * 1024;

/// How often the file is made anew because the agent has ended a turn meanwhile.
const TRIES: u32 = 10;

/// Bytes of a reason: a sentence or two.
const REASON_BYTES_MAX: usize = 1_000;

/// Something about files, on its way.
pub type OfFiles<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

/// The files of brains; whoever assembles the node plugs them in.
pub trait Brains: Send + Sync + 'static {
    /// Copies a brain as it is into the snapshots; the moment is the caller's to fill in.
    fn snapshot(&self, life: Life, epoch: Epoch) -> OfFiles<Snapshot>;
    /// Makes the file of the epoch after `at` out of this one, durably. Whether it was the very state that `at` says.
    fn adopt(&self, from: PathBuf, at: BrainStanding) -> OfFiles<bool>;
    /// How large a brain's file is, bytes; 0 when there is none.
    fn bytes(&self, life: Life, epoch: Epoch) -> u64;
    /// Removes a snapshot's file.
    fn remove(&self, name: String) -> OfFiles<()>;
    /// Removes what epochs before the last one left.
    fn forget_before(&self, life: Life, epoch: Epoch);
}

/// A call after its check.
#[derive(Debug)]
pub enum Brain {
    /// `agent.brain.snapshots`.
    List(AgentName),
    /// `agent.brain.snapshot`.
    Snapshot(AgentName),
    /// `agent.brain.switch`.
    Switch(Exchange),
}

/// Another file in a brain's place.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// The agent.
    pub agent: String,
    /// The file, a path that the fleet's process can read.
    pub file: PathBuf,
    /// Why, in words.
    pub reason: String,
    /// The open turn that is given up.
    #[serde(default)]
    pub abandon: Option<u64>,
    /// Only if the file is the very state of the ledger's last turn.
    #[serde(default)]
    pub only_exact: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfAgent {
    agent: String,
}

/// Checks a call of `agent.brain.*`.
pub(crate) fn prepare(call: &CallView<'_>) -> Result<Brain, Failure> {
    let agent = || parse_args::<OfAgent>(call).map(|args| AgentName::from(args.agent));
    match call.operation.capability {
        "agent.brain.snapshots" => agent().map(Brain::List),
        "agent.brain.snapshot" => agent().map(Brain::Snapshot),
        _ => {
            let exchange: Exchange = parse_args(call)?;
            if exchange.reason.len() > REASON_BYTES_MAX {
                let text = format!("the reason is over the limit of {REASON_BYTES_MAX} bytes");
                return Err(Failure::new("too_large", text));
            }
            Ok(Brain::Switch(exchange))
        }
    }
}

/// Why nothing was copied or exchanged.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum KeepingError {
    /// The ledger's word. It may be none (rules J2, J3): then the call is sent again.
    Ledger(LedgerError),
    /// A file's, or a rule's.
    Failed(Failure),
}

impl From<LedgerError> for KeepingError {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl From<Failure> for KeepingError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<KeepingError> for Failure {
    fn from(error: KeepingError) -> Self {
        match error {
            KeepingError::Ledger(error) => failure_of(&error),
            KeepingError::Failed(failure) => failure,
        }
    }
}

/// Who does it.
#[derive(Clone)]
pub struct Keeping {
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The files.
    pub brains: Arc<dyn Brains>,
    /// The node's clock.
    pub clock: Clock,
    /// How many ended turns are kept.
    pub keep_turns: u64,
    /// Who makes and names files.
    pub copying: Arc<Copying>,
}

pub(crate) fn perform(keeping: Keeping, what: Brain, of: Option<IntentId>) -> Performed {
    Performed::Later(Box::pin(async move {
        let done = match what {
            Brain::List(agent) => list(&keeping, agent).await,
            Brain::Snapshot(agent) => snapshot(&keeping, agent).await,
            Brain::Switch(exchange) => switch(&keeping, exchange, of).await,
        };
        match done {
            Ok(answer) => Performed::json(&answer),
            Err(KeepingError::Ledger(error)) => ledger_failed(&error),
            Err(KeepingError::Failed(failure)) => Performed::failed(failure),
        }
    }))
}

/// The snapshots of an agent's brain, oldest first.
///
/// # Errors
/// The ledger's.
pub async fn list(keeping: &Keeping, agent: AgentName) -> Result<Value, KeepingError> {
    let found = keeping.ledger.snapshots(agent.clone()).await?;
    Ok(json!({"agent": agent, "snapshots": found}))
}

/// Takes a snapshot.
///
/// # Errors
/// The ledger's, or a file's.
pub async fn snapshot(keeping: &Keeping, agent: AgentName) -> Result<Value, KeepingError> {
    let _alone = keeping.copying.of(&agent).await;
    let at = keeping.ledger.brain_standing(agent.clone()).await?;
    let taken = take(keeping, &agent, &at, false).await?;
    Ok(json!({"agent": agent, "snapshot": taken}))
}

/// Takes a snapshot that the turns which are kept can be run again from, unless there is one already or the brain is too large for so
/// few turns (rule E6). Whether one was taken.
///
/// # Errors
/// The ledger's, or a file's.
pub async fn snapshot_if_due(keeping: &Keeping, agent: AgentName) -> Result<bool, KeepingError> {
    let _alone = keeping.copying.of(&agent).await;
    let at = keeping.ledger.brain_standing(agent.clone()).await?;
    let all = keeping.ledger.snapshots(agent.clone()).await?;
    let turns = match all.iter().map(|it| it.n.0).max() {
        Some(newest) => at.done.0.saturating_sub(newest),
        None => at.done.0,
    };
    let large = keeping.brains.bytes(at.life, at.epoch) > turns.saturating_mul(BYTES_PER_TURN);
    if large || (!all.is_empty() && turns < keeping.keep_turns) {
        return Ok(false);
    }
    take(keeping, &agent, &at, true).await?;
    Ok(true)
}

async fn take(
    keeping: &Keeping,
    agent: &AgentName,
    at: &BrainStanding,
    automatic: bool,
) -> Result<Snapshot, KeepingError> {
    let taken = copied(keeping, at.life, at.epoch).await?;
    let taken = Snapshot { automatic, ..taken };
    keeping.ledger.note_snapshot(agent.clone(), taken.clone()).await?;
    trim(keeping, agent, at.done).await?;
    Ok(taken)
}

async fn copied(keeping: &Keeping, life: Life, epoch: Epoch) -> Result<Snapshot, KeepingError> {
    let taken = keeping.brains.snapshot(life, epoch).await?;
    Ok(Snapshot { at_ms: keeping.clock.now().0, ..taken })
}

/// Forgets the snapshots that are kept no longer.
async fn trim(keeping: &Keeping, agent: &AgentName, done: TurnNo) -> Result<(), KeepingError> {
    let mut all = keeping.ledger.snapshots(agent.clone()).await?;
    all.sort_by_key(|it| it.at_ms);
    // The row first: a row without a file would promise what is not there.
    for old in over(&all, done.0.saturating_sub(keeping.keep_turns)) {
        keeping.ledger.drop_snapshot(old.clone()).await?;
        keeping.brains.remove(old.file.clone()).await?;
    }
    Ok(())
}

/// Snapshots that are kept no longer, of all in the order of time: the oldest that somebody asked for, beyond the most; and the
/// automatic ones before the newest up to this turn, for nothing before that one is kept.
fn over(all: &[Snapshot], window: u64) -> impl Iterator<Item = &Snapshot> {
    let asked = all.iter().filter(|it| !it.automatic);
    let many = all.iter().filter(|it| !it.automatic).count().saturating_sub(SNAPSHOTS_MAX);
    let base = all.iter().map(|it| it.n.0).filter(|n| *n <= window).max().unwrap_or(0);
    asked.take(many).chain(all.iter().filter(move |it| it.automatic && it.n.0 < base))
}

/// Puts another file in the place of an agent's brain (rule E7); once for a call of a turn.
///
/// # Errors
/// `open_turn`, `brain_busy`, the ledger's, or a file's.
pub async fn switch(
    keeping: &Keeping,
    exchange: Exchange,
    of: Option<IntentId>,
) -> Result<Value, KeepingError> {
    let agent: AgentName = exchange.agent.clone().into();
    let _alone = keeping.copying.of(&agent).await;
    for _ in 0..TRIES {
        if let Some(answer) = answered(keeping, of).await? {
            return Err(LedgerError::Answered(Box::new(answer)).into());
        }
        let at = keeping.ledger.brain_standing(agent.clone()).await?;
        let exact = keeping.brains.adopt(exchange.file.clone(), at.clone()).await?;
        if exchange.only_exact && !exact {
            return Err(moved(&agent).into());
        }
        // Each time that it has moved on: what is given up is what is kept.
        let before = kept_before(keeping, &agent, &at).await;
        // What the epoch begins with: its turns can be run again from there. A file without a switch is nobody's, and goes.
        let first = copied(keeping, at.life, Epoch(at.epoch.0 + 1)).await?;
        let file = first.file.clone();
        let switch = Switch {
            from: at.clone(),
            exact,
            abandon: exchange.abandon.map(TurnNo),
            reason: exchange.reason.clone(),
            first: Some(first),
            now_ms: keeping.clock.now().0,
        };
        let say = told(agent.clone(), at.done, before);
        let of = for_call(of, &keeping.clock, say.clone());
        // A write that failed may stand all the same (rule J2): the copy stays until it is seen to be nobody's.
        let switched = keeping.ledger.switch_brain(switch, of).await?;
        match &switched {
            Switched::Moved => keeping.brains.remove(file).await?,
            Switched::Open(n) => {
                keeping.brains.remove(file).await?;
                return Err(open_turn(&agent, *n).into());
            }
            Switched::Done { epoch, .. } => {
                keeping.brains.forget_before(at.life, *epoch);
                if let Err(failure) = trim(keeping, &agent, at.done).await {
                    tracing::warn!(%agent, "old snapshots stay: {}", Failure::from(failure));
                }
                return Ok(say(&switched).unwrap_or_default());
            }
        }
    }
    Err(moved(&agent).into())
}

/// The result of the call, if it was done before.
async fn answered(keeping: &Keeping, of: Option<IntentId>) -> Result<Option<Outcome>, LedgerError> {
    let Some(call) = of else { return Ok(None) };
    Ok(keeping.ledger.result_of(call).await?.map(|(outcome, _)| outcome))
}

/// How who asked is told of an exchange after turn `done`.
fn told(
    agent: AgentName,
    done: TurnNo,
    before: Option<Snapshot>,
) -> impl Fn(&Switched) -> Option<Value> + Clone + Send + 'static {
    move |switched| {
        let Switched::Done { epoch, letter } = switched else { return None };
        // The turn that was given up is skipped, and counts.
        let n = done.0 + u64::from(letter.is_some());
        Some(json!({
            "agent": agent, "epoch": epoch, "n": n, "letter": letter, "before": before,
        }))
    }
}

fn moved(agent: &AgentName) -> Failure {
    let text = format!(
        "{agent} has ended turns while its brain was to be exchanged: try again, or stop the fleet first"
    );
    Failure::retryable("brain_busy", text, None)
}

/// What is given up stays as a snapshot; of a damaged file there is none to be had.
async fn kept_before(keeping: &Keeping, agent: &AgentName, at: &BrainStanding) -> Option<Snapshot> {
    match take(keeping, agent, at, false).await {
        Ok(taken) => Some(taken),
        Err(failure) => {
            let failure = Failure::from(failure);
            tracing::warn!(%agent, "the brain before the exchange is not kept: {failure}");
            None
        }
    }
}

fn open_turn(agent: &AgentName, n: TurnNo) -> Failure {
    let text = format!(
        "turn {n} of {agent} is open: its records would not fit another brain. Wait for its end, or give it up with \
         --abandon {n}: its message becomes a dead letter"
    );
    Failure::new("open_turn", text)
}
