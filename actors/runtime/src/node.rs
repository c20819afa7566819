//! A node: its lanes, registry, authority, clock and tree, put together, run and taken down.
//!
//! Start reading at [`Node::new`], then [`Node::run`].

use crate::control::Control;
use crate::history::Reports;
use crate::quarantine::Quarantine;
use crate::runtime::{Run, RunState, watch};
use crate::shared::Shared;
use crate::signals::Signals;
use crate::supervisor_actor::launch_supervisor;
use crate::{
    Authority, AuthorityError, ChildFactory, Clock, Lane, Lanes, LanesError, Registry,
    RunningGuests, Runtime, TreeControl, TreeError, TreeSpec, Watchdog, WatchdogConfig,
};
use loket_kernel::Moment;
use loket_supervision::machine::Exit;
use loket_supervision::story::Row;
use std::sync::{Arc, OnceLock};

/// What a node is started with.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Lanes; one per core is right.
    pub lanes: usize,
    /// Whether there is one lane more, with the next number, on which nobody is placed who does not name it: for those who call from
    /// outside. What they ask waits for no guest and no supervisor then.
    pub operator_lane: bool,
    /// The clock.
    pub clock: Clock,
    /// Epoch ticks and bounds of polls.
    pub watchdog: WatchdogConfig,
    /// Whether messages for idle receivers are handled in place; off, all go through the queues: slower, and else the same.
    /// The default is what [`IN_PLACE`] says.
    pub in_place: bool,
}

/// The environment variable that has every message go through its receiver's queue when it is `off`. For measuring what
/// delivery in place is worth, and for running the same tests both ways.
pub const IN_PLACE: &str = "LOKET_IN_PLACE";

impl Default for NodeConfig {
    /// One lane, the machine's clock without a high-water mark.
    fn default() -> Self {
        let (clock, watchdog) = (Clock::machine(Moment(0)), WatchdogConfig::default());
        let in_place = std::env::var_os(IN_PLACE).is_none_or(|word| word != "off");
        Self { lanes: 1, operator_lane: false, clock, watchdog, in_place }
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

/// Called on a thread of the node whenever a supervisor, by its name, has all its children up: the place to bring dynamic
/// children back. It must not block.
pub type OnUp = Arc<dyn Fn(&str) + Send + Sync>;

/// Called on a thread of the node when a child has ended for good while its supervisor goes on: its name, and why. It must not
/// block.
pub type OnGone = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// Called on a thread of the node with each supervisor or progress report, in order, [`Row::boot`] not yet filled in. It must not
/// block.
pub type OnReport = Arc<dyn Fn(Row) + Send + Sync>;

/// What whoever assembles a node wants to be told.
#[derive(Clone, Default)]
pub struct Hooks {
    /// See [`OnUp`].
    pub on_up: Option<OnUp>,
    /// See [`OnGone`].
    pub on_gone: Option<OnGone>,
    /// See [`OnReport`].
    pub on_report: Option<OnReport>,
}

impl From<Option<OnUp>> for Hooks {
    fn from(on_up: Option<OnUp>) -> Self {
        Self { on_up, ..Self::default() }
    }
}

/// A node that has threads but no tree yet: what factories need is there already.
#[derive(Debug)]
pub struct Node {
    pub(crate) lanes: Lanes,
    /// How many of them are for those who name none.
    placeable: usize,
    watchdog: Watchdog,
    registry: Arc<Registry>,
    authority: Arc<Authority>,
    clock: Clock,
    control: Control,
    run: Arc<Run>,
}

impl Node {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`StartError::Lanes`], [`StartError::Watchdog`].
    pub fn new(config: NodeConfig) -> Result<Self, StartError> {
        crate::panic::install_hook();
        let lanes = Lanes::start(config.lanes.saturating_add(usize::from(config.operator_lane)))?;
        lanes.lanes().iter().for_each(|lane| lane.set_in_place(config.in_place));
        let registry = Arc::new(Registry::default());
        let mut watched = lanes.lanes().to_vec();
        watched.push(lanes.system().clone());
        let run = Arc::<Run>::default();
        let quarantine = Quarantine {
            registry: Arc::clone(&registry),
            system: lanes.system().clone(),
            arbiters: Arc::clone(&lanes.arbiters),
            run: Arc::clone(&run),
            max: config.watchdog.quarantine_max,
            stuck: Arc::default(),
        };
        let clock = config.clock.clone();
        let watchdog = Watchdog::start(config.watchdog, watched, quarantine, clock);
        let top = Arc::new(OnceLock::new());
        Ok(Self {
            lanes,
            placeable: config.lanes,
            watchdog: watchdog.map_err(StartError::Watchdog)?,
            control: Control { registry: Arc::clone(&registry), top },
            registry,
            authority: Arc::default(),
            clock: config.clock,
            run,
        })
    }

    /// A node whose futures `stage` runs: no thread is started, and nobody watches. For simulations.
    #[cfg(feature = "simulation")]
    pub fn staged(
        lanes: usize,
        in_place: bool,
        clock: Clock,
        stage: Arc<dyn crate::stage::Stage>,
    ) -> Self {
        crate::panic::install_hook();
        let (placeable, lanes) = (lanes, Lanes::staged(lanes, &stage));
        lanes.lanes().iter().for_each(|lane| lane.set_in_place(in_place));
        let registry = Arc::<Registry>::default();
        let top = Arc::new(OnceLock::new());
        Self {
            lanes,
            placeable,
            watchdog: Watchdog::absent(),
            control: Control { registry: Arc::clone(&registry), top },
            registry,
            authority: Arc::default(),
            clock,
            run: Arc::default(),
        }
    }

    /// The lanes.
    pub fn lanes(&self) -> &Arc<[Lane]> {
        self.lanes.lanes()
    }

    /// The lane of those who call from outside, [`NodeConfig::operator_lane`]; without one, the last of the others.
    pub fn operator_lane(&self) -> &Lane {
        self.lanes.lanes().last().unwrap_or(self.lanes.system())
    }

    /// The system arbiter, which the supervisors share.
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
        hooks: impl Into<Hooks>,
    ) -> Result<Runtime, StartError> {
        for principal in &tree.principals {
            let (name, grants) = (Arc::clone(&principal.name), Arc::clone(&principal.grants));
            self.authority.enrol(name, 1, grants)?;
        }
        let (seed, hooks) = (tree.seed, hooks.into());
        let top = tree.into_top(self.lanes.lanes().len())?;
        let shared = Arc::new(Shared {
            registry: Arc::clone(&self.registry),
            authority: Arc::clone(&self.authority),
            clock: self.clock.clone(),
            factory,
            lanes: Arc::clone(self.lanes.lanes()),
            placeable: self.placeable,
            system: self.lanes.system().clone(),
            reports: Reports(hooks.on_report.clone()),
            hooks,
            seed,
        });
        let place = shared.place_supervisor(&top, None, 0).map_err(StartError::from)?;
        let _ = self.control.top.set(Arc::clone(&place.name));
        let (run, signals) = (Arc::clone(&self.run), Signals::default());
        launch_supervisor(&shared, &place, signals.clone(), 1);
        let run_too = Arc::clone(&run);
        if !self.lanes.system().spawn(move || watch(signals, place, run_too)) {
            run.set(RunState::Ended(Exit::LaneLost));
        }
        Ok(Runtime { node: self, run })
    }
}
