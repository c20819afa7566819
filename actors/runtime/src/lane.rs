//! Lanes: arbiter threads with their own kernel shard and store shard, and the system arbiter, which never runs a guest.
//!
//! One dedicated thread holds the actix system and is the system arbiter; the lanes' threads are made and joined by it, so that
//! no thread outlives [`Lanes::stop`] unless it is stuck. Start reading at [`Lanes::start`].

use crate::forward::{KERNEL_MAILBOX_CAPACITY, STORE_MAILBOX_CAPACITY};
use crate::lane_thread::LaneThread;
use crate::runner::Runner;
use crate::{CallEnvelope, Mailbox, ProviderWork};
use actix_rt::{Arbiter, ArbiterHandle, System};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Most lanes: beyond the cores of any machine we know, more threads only cost.
const LANES_MAX: usize = 1_024;

/// Why the lanes could not be started or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LanesError {
    /// The system gave no thread.
    #[error("no thread for an arbiter: {0}")]
    Thread(#[from] std::io::Error),
    /// Fewer than 1 or too many.
    #[error("{0} lanes; 1 to {LANES_MAX} are possible")]
    Count(usize),
    /// A lane did not come to its end: something on it is stuck. Its thread ends with the process.
    #[error("a lane did not stop within {0} ms")]
    Stuck(u64),
}

impl LanesError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Thread(_) => "lane_thread",
            Self::Count(_) => "lane_count",
            Self::Stuck(_) => "lane_stuck",
        }
    }
}

/// One arbiter thread. A clone is the same lane.
#[derive(Clone)]
pub struct Lane(Arc<Inner>);

struct Inner {
    index: Option<usize>,
    /// The thread of the lane; another one when it got stuck.
    thread: Mutex<Arc<LaneThread>>,
    kernel: Mailbox<CallEnvelope>,
    store: Mailbox<ProviderWork>,
    /// Children placed here.
    placed: AtomicUsize,
    /// Whether idle receivers take in place.
    in_place: AtomicBool,
}

impl Lane {
    pub(crate) fn new(index: Option<usize>, runner: Runner) -> Self {
        // The system arbiter has no shards.
        let (kernel, store) = match index {
            Some(_) => (KERNEL_MAILBOX_CAPACITY, STORE_MAILBOX_CAPACITY),
            None => (1, 1),
        };
        Self(Arc::new(Inner {
            index,
            thread: Mutex::new(LaneThread::new(runner)),
            kernel: Mailbox::new(kernel),
            store: Mailbox::new(store),
            placed: AtomicUsize::new(0),
            in_place: AtomicBool::new(true),
        }))
    }

    /// Its number, from 0; `None` for the system arbiter.
    pub fn index(&self) -> Option<usize> {
        self.0.index
    }

    /// The door of this lane's kernel shard: where calls of this lane's callers go.
    pub fn kernel(&self) -> &Mailbox<CallEnvelope> {
        &self.0.kernel
    }

    /// The door of this lane's store shard: where the brains of this lane's agents are.
    pub fn store(&self) -> &Mailbox<ProviderWork> {
        &self.0.store
    }

    /// Runs a future that is made on the lane and never leaves it. `false` when the lane has ended.
    ///
    /// The arbiter's queue has no bound of its own: callers are the supervisors, once for each start of a child, and whoever
    /// assembles the node.
    pub fn spawn<F, Fut>(&self, make: F) -> bool
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        self.thread().spawn(make)
    }

    /// Its present thread.
    pub(crate) fn thread(&self) -> Arc<LaneThread> {
        Arc::clone(&crate::lock(&self.0.thread))
    }

    /// Gives it another thread; the doors stay.
    pub(crate) fn renew(&self, arbiter: ArbiterHandle) {
        *crate::lock(&self.0.thread) = LaneThread::new(Runner::Arbiter(arbiter));
    }

    /// Whether idle receivers of this lane take in place.
    pub(crate) fn takes_in_place(&self) -> bool {
        self.0.in_place.load(Ordering::Relaxed)
    }

    /// From now on new incarnations take everything from their queues, or in place again.
    pub(crate) fn set_in_place(&self, in_place: bool) {
        self.0.in_place.store(in_place, Ordering::Relaxed);
    }

    /// Whether both are the same lane.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn placed(&self) -> &AtomicUsize {
        &self.0.placed
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.index {
            Some(index) => write!(f, "Lane({index})"),
            None => f.write_str("Lane(system)"),
        }
    }
}

/// The lanes' threads, by the lanes' numbers: those that are joined at the end.
#[derive(Debug, Default)]
pub(crate) struct Arbiters(Mutex<Vec<Arbiter>>);

impl Arbiters {
    /// Makes a thread in place of a lane's stuck one, which is left to itself. Only on the system arbiter.
    ///
    /// # Errors
    /// The system gave no thread.
    pub(crate) fn renew(&self, index: usize) -> std::io::Result<ArbiterHandle> {
        let arbiter = arbiter()?;
        let handle = arbiter.handle();
        if let Some(place) = crate::lock(&self.0).get_mut(index) {
            *place = arbiter;
        }
        Ok(handle)
    }
}

/// All arbiters of a node.
#[derive(Debug)]
pub struct Lanes {
    pub(crate) arbiters: Arc<Arbiters>,
    pub(crate) lanes: Arc<[Lane]>,
    pub(crate) system: Lane,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) ended: crossbeam_channel::Receiver<()>,
    pub(crate) thread: Option<JoinHandle<()>>,
}

type Made = Result<(Vec<Lane>, Lane), std::io::Error>;

impl Lanes {
    /// Starts the system arbiter and `count` lanes.
    ///
    /// # Errors
    /// [`LanesError::Count`], [`LanesError::Thread`].
    pub fn start(count: usize) -> Result<Self, LanesError> {
        if !(1..=LANES_MAX).contains(&count) {
            return Err(LanesError::Count(count));
        }
        let (made, ready) = crossbeam_channel::bounded::<Made>(1);
        let (stop, stopped) = oneshot::channel::<()>();
        let (over, ended) = crossbeam_channel::bounded(1);
        let arbiters = Arc::<Arbiters>::default();
        let threads = Arc::clone(&arbiters);
        let run = move || {
            run_system(count, &made, stopped, &threads);
            let _ = over.send(());
        };
        let thread = std::thread::Builder::new().name("loket-system".to_owned()).spawn(run)?;
        let (lanes, system) = match ready.recv() {
            Ok(made) => made?,
            Err(_) => return Err(std::io::Error::other("the system thread ended").into()),
        };
        let (stop, thread) = (Some(stop), Some(thread));
        Ok(Self { arbiters, lanes: lanes.into(), system, stop, ended, thread })
    }

    /// The lanes, in order of their numbers.
    pub fn lanes(&self) -> &Arc<[Lane]> {
        &self.lanes
    }

    /// The system arbiter.
    pub fn system(&self) -> &Lane {
        &self.system
    }

    /// Ends all threads: what still runs on them is dropped. Call it when the tree has ended.
    ///
    /// # Errors
    /// [`LanesError::Stuck`] when a thread has not ended within `timeout_ms`; it is left behind.
    pub fn stop(mut self, timeout_ms: u64) -> Result<(), LanesError> {
        self.stop.take();
        if self.ended.recv_timeout(Duration::from_millis(timeout_ms)).is_err() {
            return Err(LanesError::Stuck(timeout_ms));
        }
        if let Some(thread) = self.thread.take() {
            // A panic of the system thread was printed where it happened.
            let _ = thread.join();
        }
        Ok(())
    }
}

/// A thread for a lane, which stays awake for a little while it expects an answer.
fn arbiter() -> std::io::Result<Arbiter> {
    let arbiter = Arbiter::try_new()?;
    arbiter.spawn(loket_crossing::keep_awake());
    Ok(arbiter)
}

fn run_system(
    count: usize,
    made: &crossbeam_channel::Sender<Made>,
    stopped: oneshot::Receiver<()>,
    threads: &Arbiters,
) {
    let runner = System::new();
    runner.block_on(async move {
        let mut arbiters = Vec::with_capacity(count);
        for _ in 0..count {
            match arbiter() {
                Ok(arbiter) => arbiters.push(arbiter),
                Err(error) => {
                    let _ = made.send(Err(error));
                    return stop_all(arbiters);
                }
            }
        }
        let lane = |(index, arbiter): (usize, &Arbiter)| {
            Lane::new(Some(index), Runner::Arbiter(arbiter.handle()))
        };
        let lanes = arbiters.iter().enumerate().map(lane).collect();
        let system = Lane::new(None, Runner::Arbiter(System::current().arbiter().clone()));
        *crate::lock(&threads.0) = arbiters;
        let _ = made.send(Ok((lanes, system)));
        // Ready too when the `Lanes` are dropped without a stop.
        let _ = stopped.await;
        let arbiters = std::mem::take(&mut *crate::lock(&threads.0));
        stop_all(arbiters);
    });
}

fn stop_all(arbiters: Vec<Arbiter>) {
    for arbiter in &arbiters {
        arbiter.stop();
    }
    for arbiter in arbiters {
        let _ = arbiter.join();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_lane_is_a_thread_of_its_own_and_ends_with_the_stop() {
        let lanes = Lanes::start(2).unwrap();
        let (tell, told) = crossbeam_channel::bounded(8);
        struct Ends(crossbeam_channel::Sender<std::thread::ThreadId>);
        impl Drop for Ends {
            fn drop(&mut self) {
                let _ = self.0.send(std::thread::current().id());
            }
        }
        for lane in lanes.lanes().iter().chain([lanes.system()]) {
            let tell = tell.clone();
            assert!(lane.spawn(move || async move {
                let _ends = Ends(tell.clone());
                let _ = tell.send(std::thread::current().id());
                std::future::pending::<()>().await;
            }));
        }
        let mut ids: Vec<_> = (0..3).map(|_| told.recv().unwrap()).collect();
        ids.dedup();
        assert_eq!(ids.len(), 3);
        let lane = lanes.lanes()[0].clone();
        lanes.stop(10_000).unwrap();
        assert_eq!(told.try_iter().count(), 3, "what ran was dropped on the way out");
        assert!(!lane.spawn(|| async {}));
    }

    #[test]
    fn no_lanes_and_far_too_many_are_refused() {
        assert_eq!(Lanes::start(0).unwrap_err().code(), "lane_count");
        assert_eq!(Lanes::start(LANES_MAX + 1).unwrap_err().code(), "lane_count");
    }
}
