//! A node: its lanes, registry, authority, clock and tree, put together, run and taken down.
//!
//! Start reading at [`Node::new`], then [`Node::run`].

use crate::control::Control;
use crate::registry::{NewPlace, SUPERVISOR};
use crate::signals::{Signal, Signals};
use crate::supervisor_actor::launch_supervisor;
use crate::tree::{DoorSpec, LaneChoice, NodeSpec, SupervisorNode, WorkerNode};
use crate::{
    Authority, AuthorityError, ChildFactory, ChildKind, Clock, Door, History, Lane, Lanes,
    LanesError, Mailbox, Place, Registry, RunningGuests, TreeControl, TreeError, TreeSpec,
    Watchdog, WatchdogConfig,
};
use loket_kernel::Moment;
use loket_supervision::machine::{Blame, Event, Exit};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What a node is started with.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Lanes; one per core is right.
    pub lanes: usize,
    /// The clock.
    pub clock: Clock,
    /// Epoch ticks and bounds of polls.
    pub watchdog: WatchdogConfig,
}

impl Default for NodeConfig {
    /// One lane, the machine's clock without a high-water mark.
    fn default() -> Self {
        let (clock, watchdog) = (Clock::machine(Moment(0)), WatchdogConfig::default());
        Self { lanes: 1, clock, watchdog }
    }
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No lanes.
    #[error(transparent)]
    Lanes(#[from] LanesError),
    /// The tree makes no sense.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A caller or a service could not be taken in.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// No thread for the watchdog.
    #[error("no thread for the watchdog: {0}")]
    Watchdog(std::io::Error),
}

impl StartError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Lanes(error) => error.code(),
            Self::Tree(error) => error.code(),
            Self::Authority(error) => error.code(),
            Self::Watchdog(_) => "watchdog_thread",
        }
    }
}

/// Called on the system arbiter whenever a supervisor, by its name, has all its children up: the place to bring dynamic
/// children back. It must not block.
pub type OnUp = Arc<dyn Fn(&str) + Send + Sync>;

/// A node that has threads but no tree yet: what factories need is there already.
#[derive(Debug)]
pub struct Node {
    lanes: Lanes,
    watchdog: Watchdog,
    registry: Arc<Registry>,
    authority: Arc<Authority>,
    history: Arc<History>,
    clock: Clock,
    control: Control,
}

/// What all supervisors of a node share.
pub(crate) struct Shared {
    pub(crate) registry: Arc<Registry>,
    pub(crate) authority: Arc<Authority>,
    pub(crate) history: Arc<History>,
    pub(crate) clock: Clock,
    pub(crate) factory: Arc<dyn ChildFactory>,
    pub(crate) lanes: Arc<[Lane]>,
    pub(crate) system: Lane,
    pub(crate) on_up: Option<OnUp>,
    pub(crate) seed: u64,
}

/// Why a worker got no place.
#[derive(Debug)]
pub(crate) enum PlaceError {
    Taken(Arc<Place>),
    Authority(AuthorityError),
}

impl Node {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`StartError::Lanes`], [`StartError::Watchdog`].
    pub fn new(config: NodeConfig) -> Result<Self, StartError> {
        crate::panic::install_hook();
        let lanes = Lanes::start(config.lanes)?;
        let registry = Arc::new(Registry::default());
        let mut watched = lanes.lanes().to_vec();
        watched.push(lanes.system().clone());
        let (names, clock) = (Arc::clone(&registry), config.clock.clone());
        let watchdog = Watchdog::start(config.watchdog, watched, names, clock);
        let top = Arc::new(OnceLock::new());
        Ok(Self {
            lanes,
            watchdog: watchdog.map_err(StartError::Watchdog)?,
            control: Control { registry: Arc::clone(&registry), top },
            registry,
            authority: Arc::default(),
            history: Arc::default(),
            clock: config.clock,
        })
    }

    /// The lanes.
    pub fn lanes(&self) -> &Arc<[Lane]> {
        self.lanes.lanes()
    }

    /// The system arbiter: for the control socket and the like.
    pub fn system(&self) -> &Lane {
        self.lanes.system()
    }

    /// Who is where.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The owner of the kernel's table.
    pub fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// What supervisors reported.
    pub fn history(&self) -> &Arc<History> {
        &self.history
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Where running guests are counted.
    pub fn running_guests(&self) -> &RunningGuests {
        self.watchdog.guests()
    }

    /// The tree in one's hands; of no use before [`run`](Self::run).
    pub fn control(&self) -> Arc<dyn TreeControl> {
        Arc::new(self.control.clone())
    }

    /// Takes everybody in and starts the tree. The start goes on after the return: see [`Runtime::wait_up`].
    ///
    /// # Errors
    /// [`StartError::Tree`], [`StartError::Authority`]; nothing runs then.
    pub fn run(
        self,
        tree: TreeSpec,
        factory: Arc<dyn ChildFactory>,
        on_up: Option<OnUp>,
    ) -> Result<Runtime, StartError> {
        for principal in &tree.principals {
            let (name, grants) = (Arc::clone(&principal.name), Arc::clone(&principal.grants));
            self.authority.enrol(name, 1, grants)?;
        }
        let seed = tree.seed;
        let top = tree.into_top(self.lanes.lanes().len())?;
        let shared = Arc::new(Shared {
            registry: Arc::clone(&self.registry),
            authority: Arc::clone(&self.authority),
            history: Arc::clone(&self.history),
            clock: self.clock.clone(),
            factory,
            lanes: Arc::clone(self.lanes.lanes()),
            system: self.lanes.system().clone(),
            on_up,
            seed,
        });
        let place = shared.place_supervisor(&top, None)?;
        let _ = self.control.top.set(Arc::clone(&place.name));
        let (run, signals) = (Arc::new(Run::default()), Signals::default());
        launch_supervisor(&shared, top, &place, signals.clone(), 1);
        let run_too = Arc::clone(&run);
        if !self.lanes.system().spawn(move || watch(signals, place, run_too)) {
            run.set(RunState::Ended(Exit::LaneLost));
        }
        Ok(Runtime { node: self, run })
    }
}

/// Hears of the top supervisor's start and end.
async fn watch(signals: Signals, top: Arc<Place>, run: Arc<Run>) {
    loop {
        signals.arrived().await;
        while let Some(signal) = signals.pop() {
            match signal {
                Signal::Machine(Event::Started { .. }) => {
                    top.status().state = crate::PlaceState::Running;
                    run.set(RunState::Up);
                }
                Signal::Machine(
                    Event::Exited { reason, .. } | Event::StartFailed { reason, .. },
                ) => {
                    {
                        let mut status = top.status();
                        status.state = crate::PlaceState::Stopped;
                        (status.life, status.last_exit) = (None, Some(reason.clone()));
                    }
                    top.close();
                    return run.set(RunState::Ended(reason));
                }
                _ => {}
            }
        }
    }
}

impl Shared {
    fn place_supervisor(
        &self,
        node: &SupervisorNode,
        supervisor: Option<&Arc<Place>>,
    ) -> Result<Arc<Place>, StartError> {
        let name = Arc::clone(&node.spec.id);
        let place = self.registry.add(NewPlace {
            name: Arc::clone(&name),
            kind: SUPERVISOR,
            supervisor: supervisor.cloned(),
            lane: self.system.clone(),
            door: Door::Closed,
            principal: None,
            last_incarnation: 0,
        });
        let place = place.map_err(|_| TreeError::Twice(name))?;
        let simple = node.is_simple();
        for child in &node.children {
            match child {
                // A template is nobody yet.
                NodeSpec::Worker(_) if simple => {}
                NodeSpec::Supervisor(child) => drop(self.place_supervisor(child, Some(&place))?),
                NodeSpec::Worker(child) => {
                    let placed = self.place_worker(child, Some(&place));
                    placed.map_err(|error| match error {
                        PlaceError::Taken(place) => TreeError::Twice(place.name.clone()).into(),
                        PlaceError::Authority(error) => StartError::from(error),
                    })?;
                }
            }
        }
        Ok(place)
    }

    /// Gives a worker its place: lane, door, row in the kernel's table, routes.
    pub(crate) fn place_worker(
        &self,
        worker: &WorkerNode,
        supervisor: Option<&Arc<Place>>,
    ) -> Result<Arc<Place>, PlaceError> {
        let name = &worker.spec.id;
        if let Some(there) = self.registry.find(name) {
            return Err(PlaceError::Taken(there));
        }
        let lane = self.lane(worker.lane);
        let door = match worker.door {
            DoorSpec::Provider { capacity } => Door::Provider(Mailbox::new(capacity)),
            DoorSpec::Kernel => Door::Kernel(lane.kernel().clone()),
            DoorSpec::Store => Door::Provider(lane.store().clone()),
            DoorSpec::Agent => Door::Agent(Arc::default()),
            DoorSpec::Closed => Door::Closed,
        };
        let enrol = |grants: &Arc<_>| {
            let (name, last) = (Arc::clone(name), worker.last_incarnation);
            self.authority.enrol(name, last, Arc::clone(grants))
        };
        let principal = worker.grants.as_ref().map(enrol).transpose();
        let principal = principal.map_err(PlaceError::Authority)?;
        if let (Some(service), Door::Provider(mailbox)) = (&worker.serves, &door) {
            let served = self.authority.serve(service, lane.index(), mailbox.clone());
            served.map_err(PlaceError::Authority)?;
        }
        let place = self.registry.add(NewPlace {
            name: Arc::clone(name),
            kind: worker.kind.as_str(),
            supervisor: supervisor.cloned(),
            lane,
            door,
            principal,
            last_incarnation: worker.last_incarnation,
        });
        place.map_err(PlaceError::Taken)
    }

    /// Forgets a dynamic child.
    pub(crate) fn remove_worker(&self, name: &str) {
        if let Some(place) = self.registry.remove(name)
            && let Some(principal) = place.principal
        {
            self.authority.dismiss(principal);
        }
    }

    fn lane(&self, choice: LaneChoice) -> Lane {
        let chosen = match choice {
            LaneChoice::System => None,
            LaneChoice::Lane(index) => self.lanes.get(index),
            LaneChoice::Any => {
                self.lanes.iter().min_by_key(|lane| lane.placed().load(Ordering::Acquire))
            }
        };
        chosen.unwrap_or(&self.system).clone()
    }
}

/// Who is to blame when native code of this child panics.
pub(crate) fn blame_of(kind: &ChildKind, door: &Door) -> Blame {
    match (kind, door) {
        (ChildKind::Provider(_), _) | (ChildKind::System(..), Door::Provider(_)) => Blame::Provider,
        _ => Blame::Host,
    }
}

#[derive(Debug, Clone)]
enum RunState {
    Starting,
    Up,
    Ended(Exit),
}

#[derive(Debug)]
struct Run {
    state: Mutex<RunState>,
    changed: Condvar,
    notify: Notify,
}

impl Default for Run {
    fn default() -> Self {
        let state = Mutex::new(RunState::Starting);
        Self { state, changed: Condvar::new(), notify: Notify::new() }
    }
}

impl Run {
    fn set(&self, state: RunState) {
        *crate::lock(&self.state) = state;
        self.changed.notify_all();
        self.notify.notify_waiters();
    }

    /// Blocks until `found` finds something in the state.
    fn wait<T>(&self, found: impl Fn(&RunState) -> Option<T>) -> T {
        let mut state = crate::lock(&self.state);
        loop {
            if let Some(found) = found(&state) {
                return found;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A node that runs. Dropping it ends its threads, not in order: [`TreeControl::stop`] and [`wait`](Self::wait) come first.
#[derive(Debug)]
pub struct Runtime {
    node: Node,
    run: Arc<Run>,
}

impl Runtime {
    /// The node's parts.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The tree in one's hands.
    pub fn control(&self) -> Arc<dyn TreeControl> {
        self.node.control()
    }

    /// Blocks until all children are up. Not for arbiters.
    ///
    /// # Errors
    /// The reason why the tree ended instead.
    pub fn wait_up(&self) -> Result<(), Exit> {
        self.run.wait(|state| match state {
            RunState::Starting => None,
            RunState::Up => Some(Ok(())),
            RunState::Ended(exit) => Some(Err(exit.clone())),
        })
    }

    /// Blocks until the tree has ended, and says why. Not for arbiters.
    pub fn wait(&self) -> Exit {
        self.run.wait(|state| match state {
            RunState::Ended(exit) => Some(exit.clone()),
            _ => None,
        })
    }

    /// Blocks until the tree has ended, at most `timeout_ms`: a child that is stuck in its thread ends for no kill, and then
    /// only the end of the process helps. Not for arbiters.
    pub fn wait_at_most(&self, timeout_ms: u64) -> Option<Exit> {
        let running = |state: &mut RunState| !matches!(state, RunState::Ended(_));
        let state = crate::lock(&self.run.state);
        let timeout = Duration::from_millis(timeout_ms);
        let waited = self.run.changed.wait_timeout_while(state, timeout, running);
        match &*waited.unwrap_or_else(PoisonError::into_inner).0 {
            RunState::Ended(exit) => Some(exit.clone()),
            _ => None,
        }
    }

    /// Ready when the tree has ended.
    pub async fn ended(&self) -> Exit {
        loop {
            let mut changed = std::pin::pin!(self.run.notify.notified());
            // From here on `notify_waiters` reaches us.
            changed.as_mut().enable();
            if let RunState::Ended(exit) = &*crate::lock(&self.run.state) {
                return exit.clone();
            }
            changed.await;
        }
    }

    /// Ends the threads, once the tree has ended.
    ///
    /// # Errors
    /// [`LanesError::Stuck`] after `timeout_ms`.
    pub fn close(self, timeout_ms: u64) -> Result<(), LanesError> {
        self.node.lanes.stop(timeout_ms)
    }
}
