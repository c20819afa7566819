//! Store threads: where SQLite may block. One small pool for all shards; a brain travels with its
//! job and comes back with it.
//!
//! A job whose shard is gone closes the brain itself, durably: no brain is lost between a lane and
//! a thread. The queue is bounded; a lane's task waits for room, the lane does not. Start reading
//! at [`StoreThreads::run`].

use crate::brain::{Brain, Owner};
use crate::limits::{JOBS_MAX, REPORT_MS};
use crate::{metrics, wait};
use crossbeam_channel::{Receiver, Sender, bounded};
use loket_crossing::Bulk;
use loket_turn::{AgentName, LedgerError, Life, Pending, TurnNo};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// How much these threads let the others go first, in steps of `nice`: opening ten thousand brains at once is work in bulk, while
/// lanes, ledger and whoever looks at the tree have others waiting for them. A machine that is not busy does not notice.
const NICER_BY: i32 = 10;

enum Job {
    Run(Box<dyn FnOnce() + Send>),
    /// Look for orphans.
    Orphans,
    Stop,
}

/// Tells the ledger that a brain has all turns up to one on disk (rule E6).
pub(crate) type Report =
    Arc<dyn Fn(AgentName, Life, TurnNo) -> Pending<Result<(), LedgerError>> + Send + Sync>;

/// An open brain whose shard has ended, and whom to tell when it is on disk.
pub(crate) struct Orphan {
    pub(crate) brain: Box<Brain>,
    pub(crate) report: Report,
}

/// The pool, shared by all shards. A clone is the same pool.
#[derive(Clone)]
pub struct StoreThreads(Arc<Pool>);

struct Pool {
    jobs: Sender<Job>,
    /// One permit for each free place in `jobs` that is meant for `Run`.
    room: Semaphore,
    orphans: Mutex<Vec<Orphan>>,
    /// An `Orphans` job is in the queue: there is never more than one.
    called: AtomicBool,
    handles: Mutex<Vec<JoinHandle<()>>>,
}

/// The pool was stopped, or the job panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store threads have stopped, or the job failed")]
pub(crate) struct JobLost;

impl StoreThreads {
    /// Starts `threads` threads, one at least.
    ///
    /// # Errors
    /// The machine's, when it has no thread to give.
    pub fn start(threads: usize) -> io::Result<Self> {
        let (pool, inbox) = Self::of(threads);
        for n in 0..threads.max(1) {
            let (pool_of_thread, inbox) = (pool.clone(), inbox.clone());
            let name = format!("loket-store-{n}");
            let spawned = thread::Builder::new().name(name);
            match spawned.spawn(move || pool_of_thread.work(&inbox)) {
                Ok(handle) => lock(&pool.0.handles).push(handle),
                Err(error) => {
                    pool.stop();
                    return Err(error);
                }
            }
        }
        Ok(pool)
    }

    /// A pool without threads: whoever holds the steps does its work. For simulations.
    #[cfg(feature = "simulation")]
    pub fn stepped() -> (Self, StoreSteps) {
        let (pool, inbox) = Self::of(1);
        (pool.clone(), StoreSteps { pool, inbox })
    }

    fn of(threads: usize) -> (Self, Receiver<Job>) {
        // Beside the jobs there is room for what `adopt` and `stop` say.
        let (jobs, inbox) = bounded(JOBS_MAX + threads + 1);
        let pool = Self(Arc::new(Pool {
            jobs,
            room: Semaphore::new(JOBS_MAX),
            orphans: Mutex::default(),
            called: AtomicBool::new(false),
            handles: Mutex::default(),
        }));
        (pool, inbox)
    }

    /// Does what is queued, makes every brain of a stopped shard durable and tells the ledger, ends
    /// the threads. Blocks; call it after the tree has stopped and before the ledger does. Calling
    /// it again does nothing.
    pub fn stop(&self) {
        self.0.room.close();
        let handles: Vec<JoinHandle<()>> = lock(&self.0.handles).drain(..).collect();
        for _ in &handles {
            let _ = self.0.jobs.send(Job::Stop);
        }
        for handle in handles {
            if handle.join().is_err() {
                tracing::error!("a store thread panicked");
            }
        }
        self.close_orphans();
    }

    /// Runs a job on a thread. When its caller is gone by the time it is done, `orphaned` gets what
    /// came out.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        kind: &'static str,
        job: impl FnOnce() -> T + Send + 'static,
        orphaned: impl FnOnce(T) + Send + 'static,
    ) -> Result<T, JobLost> {
        metrics::job(kind);
        let permit = self.0.room.acquire().await.map_err(|_| JobLost)?;
        permit.forget();
        let (done, out) = oneshot::channel();
        let bulk = Bulk::begin();
        let job = Box::new(move || {
            let _bulk = bulk;
            if let Err(lost) = done.send(job()) {
                orphaned(lost);
            }
        });
        self.0.jobs.try_send(Job::Run(job)).map_err(|_| JobLost)?;
        out.await.map_err(|_| JobLost)
    }

    /// Takes over a brain whose shard has ended: closes it durably. Never blocks.
    pub(crate) fn adopt(&self, orphan: Orphan) {
        lock(&self.0.orphans).push(orphan);
        if !self.0.called.swap(true, Ordering::AcqRel) {
            // There is room for this one; were there none, a thread would look for orphans after
            // its job all the same.
            let _ = self.0.jobs.try_send(Job::Orphans);
        }
    }

    fn work(&self, inbox: &Receiver<Job>) {
        // Of this thread alone, on Linux. Without it all threads are equal.
        let _ = rustix::process::nice(NICER_BY);
        while let Ok(job) = inbox.recv() {
            if !self.take(job) {
                return;
            }
        }
    }

    /// Does one job; `false` when it is the end.
    fn take(&self, job: Job) -> bool {
        match job {
            Job::Run(run) => {
                self.0.room.add_permits(1);
                if catch_unwind(AssertUnwindSafe(run)).is_err() {
                    tracing::error!("a job of the store panicked; its brain is opened anew");
                }
            }
            // Before the look, so that a brain that comes during it is announced again.
            Job::Orphans => self.0.called.store(false, Ordering::Release),
            Job::Stop => return false,
        }
        self.close_orphans();
        true
    }

    fn close_orphans(&self) {
        loop {
            let Some(orphan) = lock(&self.0.orphans).pop() else { return };
            let _bulk = Bulk::begin();
            close(orphan);
        }
    }
}

/// A pool's work, step by step. See [`StoreThreads::stepped`].
#[cfg(feature = "simulation")]
pub struct StoreSteps {
    pool: StoreThreads,
    inbox: Receiver<Job>,
}

#[cfg(feature = "simulation")]
impl StoreSteps {
    /// How many jobs wait.
    pub fn waiting(&self) -> usize {
        self.inbox.len()
    }

    /// Does the oldest job; `false`: there is none.
    pub fn step(&self) -> bool {
        self.inbox.try_recv().is_ok_and(|job| self.pool.take(job))
    }
}

/// A brain that was closed with all its turns up to `n` on the disk, which the ledger is to be told.
pub(crate) struct Closed {
    pub(crate) owner: Owner,
    pub(crate) n: TurnNo,
}

/// Brings a brain to the disk and closes it; tells what the ledger is to be told.
pub(crate) fn shut(mut brain: Box<Brain>) -> Option<Closed> {
    brain.roll_back();
    let owner = brain.owner().clone();
    let agent = &owner.agent;
    match brain.make_durable() {
        Ok(Some(n)) => {
            metrics::checkpointed();
            brain.close_well();
            return Some(Closed { owner, n });
        }
        Ok(None) => tracing::warn!(%agent, "brain closed behind its log: it is in use elsewhere"),
        Err(error) => tracing::warn!(%agent, "brain closed behind its log: {error}"),
    }
    None
}

/// Brings a brain to the disk, closes it, tells the ledger and waits for its word.
pub(crate) fn close(orphan: Orphan) {
    let Orphan { brain, report } = orphan;
    let Some(Closed { owner, n }) = shut(brain) else { return };
    let told = report(owner.agent.clone(), owner.life, n);
    let agent = &owner.agent;
    match wait::block_on(told, Duration::from_millis(REPORT_MS)) {
        // A stopped ledger or a life that is over: nobody wants to know any more.
        Some(Ok(()) | Err(LedgerError::Stopped | LedgerError::NoSuchAgent(_))) => {}
        Some(Err(error)) => tracing::warn!(%agent, "brain durable, not noted: {error}"),
        None => tracing::warn!(%agent, "brain durable; the ledger did not answer"),
    }
}

/// What is behind these locks is never left half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
