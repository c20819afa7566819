//! The scheduler: every future of the simulated process, polled one at a time in an order that the seed decides.
//!
//! A future is polled only when it was woken, as on a lane. What a store shard spawns beside itself runs in a local set, which is
//! one of the futures. Dropping the scheduler drops all of them: the memory of the process is gone. Start reading at [`Exec::step`].

use crate::rng::Rng;
use loket_runtime::{Stage, Staged};
use loket_turn::simulation;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use tokio::task::LocalSet;

type Task = Pin<Box<dyn Future<Output = ()>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which futures were woken.
#[derive(Default)]
struct Ready(Mutex<BTreeSet<usize>>);

struct Bell {
    id: usize,
    ready: Arc<Ready>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        lock(&self.ready.0).insert(self.id);
    }
}

/// Futures on their way to the scheduler: what a node's lanes hand over.
#[derive(Default)]
struct Arrivals(Mutex<VecDeque<(Option<usize>, Staged)>>);

impl Stage for Arrivals {
    fn spawn(&self, lane: Option<usize>, make: Staged) -> bool {
        lock(&self.0).push_back((lane, make));
        true
    }
}

/// The scheduler. See the module head.
pub(crate) struct Exec {
    tasks: RefCell<Vec<Option<Task>>>,
    ready: Arc<Ready>,
    arrivals: Arc<Arrivals>,
    local: LocalSet,
    local_bell: Waker,
    local_woken: Arc<Ready>,
    /// The lane of each future; `None`: it belongs to none.
    lanes: RefCell<Vec<Option<usize>>>,
    /// Futures that are not polled for a while, and for how many steps.
    asleep: BTreeMap<usize, usize>,
    /// Lanes none of whose futures are polled, and for how many steps: a thread that was sent to sleep by the machine.
    lanes_asleep: BTreeMap<usize, usize>,
    /// The machine has more to do than this process.
    busy: bool,
}

/// Steps that a thread is away at most which the machine has given no processor.
const AWAY_STEPS: usize = 150;

/// The number of the local set in the choice between futures.
const LOCAL: usize = usize::MAX;

impl Exec {
    /// A scheduler without futures.
    pub(crate) fn new() -> Self {
        let local_woken = Arc::<Ready>::default();
        let bell = Bell { id: LOCAL, ready: Arc::clone(&local_woken) };
        Self {
            tasks: RefCell::default(),
            ready: Arc::default(),
            arrivals: Arc::default(),
            local: LocalSet::new(),
            local_bell: Waker::from(Arc::new(bell)),
            local_woken,
            lanes: RefCell::default(),
            asleep: BTreeMap::new(),
            lanes_asleep: BTreeMap::new(),
            busy: false,
        }
    }

    /// From here on a thread that stands where it may be interrupted is.
    pub(crate) fn is_on_a_busy_machine(&mut self) {
        self.busy = true;
    }

    /// Lets some of the futures that were woken sleep: each with this chance, for so many steps at most.
    pub(crate) fn slow_down(&mut self, rng: &mut Rng, percent: usize, steps: usize) {
        self.arrive();
        let ready: Vec<usize> = lock(&self.ready.0).iter().copied().collect();
        for id in ready {
            if rng.percent(percent) {
                self.asleep.insert(id, 1 + rng.below(steps));
            }
        }
    }

    /// Lets a lane sleep for so many steps: what is sent to it waits in its mailboxes, and all others go on.
    pub(crate) fn lane_sleeps(&mut self, lane: usize, steps: usize) {
        self.lanes_asleep.insert(lane, steps.max(1));
    }

    /// Nobody sleeps any more.
    pub(crate) fn wake_all(&mut self) {
        self.busy = false;
        self.asleep.clear();
        self.lanes_asleep.clear();
    }

    /// The lane of a future; `None`: it belongs to none.
    pub(crate) fn lane_of(&self, id: usize) -> Option<usize> {
        self.lanes.borrow().get(id).copied().flatten()
    }

    fn is_awake(&self, id: usize) -> bool {
        let lane = self.lane_of(id);
        !self.asleep.contains_key(&id)
            && lane.is_none_or(|lane| !self.lanes_asleep.contains_key(&lane))
    }

    /// Where a node hands its futures over.
    pub(crate) fn stage(&self) -> Arc<dyn Stage> {
        Arc::clone(&self.arrivals) as Arc<dyn Stage>
    }

    /// Takes a future.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.take(None, Box::pin(future));
    }

    fn take(&self, lane: Option<usize>, task: Task) {
        let mut tasks = self.tasks.borrow_mut();
        lock(&self.ready.0).insert(tasks.len());
        tasks.push(Some(task));
        self.lanes.borrow_mut().push(lane);
    }

    fn arrive(&self) {
        let _inside = self.local.enter();
        loop {
            let Some((lane, make)) = lock(&self.arrivals.0).pop_front() else { return };
            self.take(lane, make());
        }
    }

    /// Polls one of the futures that were woken; gives its number, or `None` when there is none.
    pub(crate) fn step(&mut self, rng: &mut Rng) -> Option<usize> {
        self.arrive();
        for sleepers in [&mut self.asleep, &mut self.lanes_asleep] {
            sleepers.retain(|_, left| {
                *left -= 1;
                *left > 0
            });
        }
        let awake: Vec<usize> = {
            let ready = lock(&self.ready.0);
            ready.iter().filter(|id| self.is_awake(**id)).copied().collect()
        };
        let all = awake.len() + lock(&self.local_woken.0).len();
        if all == 0 {
            return None;
        }
        let id = awake.get(rng.below(all)).copied();
        match id {
            Some(id) => {
                self.poll(id);
                if simulation::was_interrupted()
                    && self.busy
                    && let Some(lane) = self.lane_of(id)
                {
                    self.lane_sleeps(lane, 1 + rng.below(AWAY_STEPS));
                }
            }
            None => self.poll_local(),
        }
        self.arrive();
        Some(id.unwrap_or(LOCAL))
    }

    fn poll(&self, id: usize) {
        lock(&self.ready.0).remove(&id);
        let task = self.tasks.borrow_mut().get_mut(id).and_then(Option::take);
        let Some(mut task) = task else { return };
        let waker = Waker::from(Arc::new(Bell { id, ready: Arc::clone(&self.ready) }));
        let _inside = self.local.enter();
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
            && let Some(place) = self.tasks.borrow_mut().get_mut(id)
        {
            *place = Some(task);
        }
    }

    /// Polls the local set; it is asked anew whenever something was spawned into it.
    fn poll_local(&mut self) {
        lock(&self.local_woken.0).clear();
        let mut cx = Context::from_waker(&self.local_bell);
        if let Poll::Ready(()) = Pin::new(&mut self.local).poll(&mut cx) {
            // Empty: it is polled again when it is told of new tasks.
        }
    }

    /// Makes sure that the local set is asked once, so that it can tell when there is work.
    pub(crate) fn prime(&mut self) {
        self.poll_local();
    }
}

impl Drop for Exec {
    fn drop(&mut self) {
        // A future that is dropped may spawn another one, or wake one: neither matters any more.
        let _inside = self.local.enter();
        for _ in 0..8 {
            let tasks: Vec<Task> = self.tasks.borrow_mut().drain(..).flatten().collect();
            lock(&self.arrivals.0).clear();
            if tasks.is_empty() {
                return;
            }
            drop(tasks);
        }
    }
}
