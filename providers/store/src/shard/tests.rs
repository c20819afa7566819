//! Order, fences, bounds, what reaches the disk and who is told.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod disk;
mod held;
mod order;
mod turns;

use super::*;
use crate::brain::{Brain, Owner};
use loket_kernel::Moment;
use loket_runtime::{BrainAction, BrainState};
use loket_turn::{Epoch, Hash, LedgerError, MessageId, TurnNo};
use std::future::ready;
use std::sync::Mutex;
use std::time::Duration;
use tokio::task::LocalSet;

pub(super) type Told = Arc<Mutex<Vec<(String, u64, u64)>>>;

/// A shard on a lane of its own.
pub(super) struct Bench {
    pub(super) shard: Shard,
    pub(super) threads: StoreThreads,
    pub(super) clock: Clock,
    pub(super) dir: tempfile::TempDir,
    /// What the ledger was told: agent, life, turn.
    pub(super) told: Told,
}

/// Released brains that these shards keep open.
pub(super) const RELEASED: usize = 1;

/// Runs a test on a lane with a shard of `bound` brains and one store thread.
pub(super) fn on_a_lane<F: Future<Output = ()>>(bound: usize, test: impl FnOnce(Bench) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let threads = StoreThreads::start(1).unwrap();
    let at_most = Duration::from_secs(60);
    LocalSet::new().block_on(&runtime, async {
        let bench = bench(bound, threads.clone());
        tokio::time::timeout(at_most, test(bench)).await.expect("the test hangs");
    });
    threads.stop();
}

pub(super) fn bench(bound: usize, threads: StoreThreads) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(Moment(1_000));
    let told = Told::default();
    let tools = tools(&dir, &threads, &clock, &told, Ok(()));
    Bench { shard: Shard::new(tools, bound, RELEASED), threads, clock, dir, told }
}

pub(super) fn tools(
    dir: &tempfile::TempDir,
    threads: &StoreThreads,
    clock: &Clock,
    told: &Told,
    answer: Result<(), LedgerError>,
) -> Tools {
    let told = Arc::clone(told);
    Tools {
        files: BrainFiles::new(dir.path()),
        threads: threads.clone(),
        clock: clock.clone(),
        report: Arc::new(move |agent, life, n| {
            told.lock().unwrap().push((agent.to_string(), life.0, n.0));
            Box::pin(ready(answer.clone()))
        }),
    }
}

pub(super) type Answer = Result<BrainState, BrainError>;

impl Bench {
    pub(super) fn ask(
        &self,
        agent: &str,
        incarnation: u64,
        what: BrainAction,
    ) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        self.shard.request(BrainRequest { agent: agent.into(), incarnation, what, reply });
        answer
    }

    pub(super) fn asks_to_begin(&self, agent: &str, incarnation: u64) -> oneshot::Receiver<Answer> {
        self.ask(agent, incarnation, begin_of(life_of(agent)))
    }

    pub(super) async fn begin(&self, agent: &str) -> BrainState {
        self.asks_to_begin(agent, 1).await.unwrap().unwrap()
    }

    pub(super) async fn commit(&self, agent: &str, n: u64) -> Answer {
        let what =
            BrainAction::Commit { n: TurnNo(n), chain: Hash::of(&n.to_le_bytes()), more: false };
        self.ask(agent, 1, what).await.unwrap()
    }

    /// A whole turn that sets "k" to its number.
    pub(super) async fn turn(&self, agent: &str, n: u64) {
        self.begin(agent).await;
        let put = format!(r#"{{"key": "k", "value": {n}}}"#);
        self.done(agent, "kv.put", &put).await.unwrap();
        self.commit(agent, n).await.unwrap();
    }

    pub(super) fn call(&self, agent: &str, incarnation: u64, name: &str, args: &str) -> Called {
        let op = Op::parse(&format!("store.brain.{name}"), args.as_bytes()).unwrap();
        let now = Now { message: MessageId([1; 16]), clock_ms: 5 };
        let life = Life(life_of(agent));
        self.shard.call(Call { agent: agent.into(), life, incarnation, now, op })
    }

    pub(super) async fn done(&self, agent: &str, name: &str, args: &str) -> Result<String, String> {
        text(match self.call(agent, 1, name, args) {
            Called::Now(outcome) => outcome,
            Called::Later(outcome) => outcome.await,
        })
    }

    /// Keeps the one store thread busy until the sender is used or dropped.
    pub(super) fn hold_the_thread(&self) -> std::sync::mpsc::Sender<()> {
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let threads = self.threads.clone();
        tokio::task::spawn_local(async move {
            let _ = threads.run("test", move || gate.recv().is_ok(), |_| {}).await;
        });
        go
    }

    pub(super) fn told(&self) -> Vec<(String, u64, u64)> {
        self.told.lock().unwrap().clone()
    }

    /// Lets the lane's tasks run until the ledger was told so often.
    pub(super) async fn told_times(&self, times: usize) {
        while self.told.lock().unwrap().len() < times {
            tokio::task::yield_now().await;
        }
    }
}

/// Every agent of these tests has a life, and so a file, of its own.
pub(super) fn life_of(agent: &str) -> u64 {
    if agent == "ada" { 1 } else { 2 }
}

pub(super) fn begin_of(life: u64) -> BrainAction {
    BrainAction::Begin { life: Life(life), epoch: Epoch(0) }
}

/// The result as text, a failure as its code.
pub(super) fn text(outcome: Outcome) -> Result<String, String> {
    outcome.map(|bytes| String::from_utf8(bytes).unwrap()).map_err(|failure| failure.code)
}

/// Lets every other task of the lane have its turn some times.
pub(super) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// What is in a brain's file, its log left out of account when `without_log`.
pub(super) fn value_on_disk(dir: &std::path::Path, without_log: bool) -> Option<String> {
    let files = BrainFiles::new(dir);
    if without_log {
        for side in ["db-wal", "db-shm"] {
            let _ = std::fs::remove_file(files.path(Life(1), Epoch(0)).with_extension(side));
        }
    }
    let owner = Owner { agent: "ada".into(), life: Life(1), epoch: Epoch(0) };
    let mut brain = Brain::open(&files, owner).unwrap();
    brain.begin(true).unwrap();
    let get = Op::parse("store.brain.kv.get", br#"{"key": "k"}"#).unwrap();
    let got = get.run(&mut brain, Now { message: MessageId([1; 16]), clock_ms: 5 });
    text(got).ok()
}
