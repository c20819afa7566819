//! A node to measure: lanes, kernel shards, store shards, the echo provider, callers and agents, as `loket run` would put them
//! together, on a ledger in a folder of its own.
//!
//! Start reading at [`Bed::new`].

use crate::caller::Desk;
use crate::echo::Probe;
use crate::ends::{Ends, ends};
use crate::factory::{Factory, names};
use crate::law::{ECHO, Law};
use crate::spec::{self, Guest};
use crate::{BenchError, Options, guest};
use futures_executor::block_on;
use loket_host::driver::{Handovers, HostServices, LaneDoors, Modules};
use loket_host::engine::{Engine, EngineConfig, LoadLimits, SLICE};
use loket_kernel::{Address, GrantSet, Moment};
use loket_ledger::{Durability, SqliteLedger};
use loket_runtime::{
    ChildKind, Clock, DoorSpec, LaneChoice, Node, NodeConfig, NodeSpec, PrincipalSpec, Runtime,
    STORE_MAILBOX_CAPACITY, Service, Slots, SupervisorNode, TreeSpec, Waiters, WatchdogConfig,
    WorkerNode,
};
use loket_store::{STORE_THREADS, StoreThreads};
use loket_supervision::fleet::Node as Child;
use loket_supervision::machine::{ChildSpec, Flags};
use loket_turn::{Enrol, Ledger, LedgerEvent, OpenTurnMark, OpenTurns, TurnKey};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Instance slots: those of `loket run`.
const SLOTS: u32 = 128;

/// Calls that may wait at the echo.
const ECHO_MAILBOX: usize = 4_096;

/// How long the threads may take to end, milliseconds.
const CLOSE_MS: u64 = 10_000;

/// The longest that anything measured may be silent.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);

/// What stands on a node.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) lanes: usize,
    pub(crate) durability: Durability,
    /// The lanes that have a shard of the echo provider.
    pub(crate) echoes: Vec<usize>,
    /// Each caller's lane.
    pub(crate) callers: Vec<usize>,
    /// Each agent's guest; all on the first lane.
    pub(crate) agents: Vec<Guest>,
    /// Whether the table is filled with the options' agents.
    pub(crate) crowded: bool,
    /// Brains that a lane's store shard has open.
    pub(crate) open_brains: usize,
}

impl Plan {
    /// One lane with an echo and nobody else.
    pub(crate) fn one_lane(durability: Durability) -> Self {
        let (callers, agents) = (Vec::new(), Vec::new());
        let (echoes, open_brains) = (vec![0], loket_store::open_brains_max());
        Self { lanes: 1, durability, echoes, callers, agents, crowded: false, open_brains }
    }
}

/// A node that runs.
pub(crate) struct Bed {
    runtime: Option<Runtime>,
    pub(crate) clock: Clock,
    pub(crate) ledger: Arc<SqliteLedger>,
    pub(crate) probe: Arc<Probe>,
    pub(crate) desks: Vec<Desk>,
    pub(crate) callers: Vec<Address>,
    pub(crate) agents: Vec<Arc<str>>,
    pub(crate) ends: Ends,
    threads: StoreThreads,
    _dir: TempDir,
}

/// The note of open turns, for the driver.
struct Marks(Arc<loket_ledger::OpenTurns>);

impl OpenTurns for Marks {
    fn enter(&self, turn: &TurnKey, alone: bool) -> OpenTurnMark {
        Box::new(self.0.enter(turn, alone))
    }
}

impl Bed {
    pub(crate) fn new(plan: &Plan, options: &Options) -> Result<Self, BenchError> {
        let dir = tempfile::Builder::new().prefix(".loket-bench-").tempdir_in(&options.dir);
        let dir = dir.map_err(|error| {
            BenchError::Setup(format!("no folder in {}: {error}", options.dir.display()))
        })?;
        let engine = Engine::new(EngineConfig::with_slots(SLOTS)).map_err(BenchError::setup)?;
        let (ticker, tick_us) = (engine.ticker(), u64::try_from(SLICE.as_micros()).unwrap_or(200));
        let watchdog = WatchdogConfig {
            tick: Arc::new(move || ticker.tick()),
            tick_us,
            ..WatchdogConfig::default()
        };
        let clock = Clock::machine(Moment(0));
        let config = NodeConfig {
            lanes: plan.lanes,
            clock: clock.clone(),
            watchdog,
            ..NodeConfig::default()
        };
        let node = Node::new(config).map_err(BenchError::setup)?;
        let waiters = Arc::<Waiters>::default();
        let (ledger, ends) = open_ledger(&dir, plan.durability, &node, &waiters)?;
        let enrolled = enrol(&ledger, plan)?;
        let threads = StoreThreads::start(STORE_THREADS).map_err(BenchError::setup)?;
        let probe = Probe::new(clock.clone())?;
        let desks: Vec<Desk> = plan.callers.iter().map(|_| Desk::new(1)).collect();
        let modules = modules(engine);
        let factory = Factory {
            dir: dir.path().to_owned(),
            host: Arc::new(host(&node, &ledger, &waiters, modules)),
            authority: Arc::clone(node.authority()),
            registry: Arc::clone(node.registry()),
            store_threads: threads.clone(),
            probe: Arc::clone(&probe),
            desks: desks.clone(),
            open_brains: plan.open_brains,
        };
        let tree = tree(plan, options)?;
        let runtime = node.run(tree, Arc::new(factory), None).map_err(BenchError::setup)?;
        runtime.wait_up().map_err(BenchError::setup)?;
        let address = |index| {
            let place = runtime.node().registry().find(&format!("caller/{index}"));
            let place = place.and_then(|place| Some((place.principal()?, place.incarnation())));
            place.map(|(principal, incarnation)| Address { principal, incarnation })
        };
        let callers: Option<Vec<_>> = (0..plan.callers.len()).map(address).collect();
        let callers = callers.ok_or_else(|| BenchError::setup("a caller is no principal"))?;
        let agents = enrolled;
        let runtime = Some(runtime);
        let _dir = dir;
        Ok(Self { runtime, clock, ledger, probe, desks, callers, agents, ends, threads, _dir })
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.control().stop(false);
            // What does not end in time ends with the process.
            if runtime.wait_at_most(CLOSE_MS).is_some() {
                let _ = runtime.close(CLOSE_MS);
            }
        }
        self.threads.stop();
        self.ledger.stop();
    }
}

fn agent_name(index: usize) -> Arc<str> {
    format!("agent/{index}").into()
}

fn enrol(ledger: &Arc<SqliteLedger>, plan: &Plan) -> Result<Vec<Arc<str>>, BenchError> {
    let names: Vec<_> = (0..plan.agents.len()).map(agent_name).collect();
    let rows = names.iter().map(|agent| Enrol {
        agent: Arc::clone(agent),
        inbox_rows: 100_000,
        inbox_bytes: 64 << 20,
        dynamic: None,
    });
    block_on(ledger.enrol(rows.collect())).map_err(BenchError::setup)?;
    Ok(names)
}

fn modules(engine: Engine) -> Modules {
    let all =
        [(guest::CALLING, guest::CALLING_WAT.as_bytes()), (guest::WRITING, guest::WRITING_WASM)];
    Modules::new(engine, LoadLimits::default(), None, all.into_iter().collect())
}

fn open_ledger(
    dir: &TempDir,
    durability: Durability,
    node: &Node,
    waiters: &Arc<Waiters>,
) -> Result<(Arc<SqliteLedger>, Ends), BenchError> {
    let clock = node.clock().clone();
    let options = loket_ledger::Options {
        durability,
        clock: Arc::new(move || clock.now().0),
        ..loket_ledger::Options::new(dir.path())
    };
    let (registry, waiters, clock) =
        (Arc::clone(node.registry()), Arc::clone(waiters), node.clock().clone());
    let (teller, ends) = ends();
    let events = move |event: LedgerEvent| match event {
        LedgerEvent::Arrived { agent } => {
            registry.wake(&agent);
        }
        other => {
            waiters.on_ledger_event(&other);
            if let LedgerEvent::Finished { agent, outcome, .. } = other {
                teller.tell((agent, outcome, clock.monotonic_ns()));
            }
        }
    };
    let ledger = SqliteLedger::open(options, Box::new(events)).map_err(BenchError::setup)?;
    Ok((ledger, ends))
}

fn host(
    node: &Node,
    ledger: &Arc<SqliteLedger>,
    waiters: &Arc<Waiters>,
    modules: Modules,
) -> HostServices {
    let doors = node
        .lanes()
        .iter()
        .map(|lane| LaneDoors { kernel: lane.kernel().clone(), store: lane.store().clone() });
    HostServices {
        ledger: Arc::clone(ledger) as Arc<dyn Ledger>,
        handovers: Handovers::default(),
        open_turns: Arc::new(Marks(ledger.open_turns())),
        slots: Slots::new(SLOTS),
        authority: Arc::clone(node.authority()),
        waiters: Arc::clone(waiters),
        clock: node.clock().clone(),
        modules: Arc::new(modules),
        doors: Arc::new(doors.collect()),
        running_guests: node.running_guests().clone(),
        stop_all: loket_runtime::StopAll::default(),
        together: Arc::default(),
        pure_version: loket_store::PURE_VERSION,
    }
}

fn tree(plan: &Plan, options: &Options) -> Result<TreeSpec, BenchError> {
    let mut law = Law::default();
    let mut principals = Vec::new();
    if plan.crowded {
        principals = law.crowd(options.agents, options.grants)?;
        let rows = options.rows.iter().map(|(name, grants)| {
            let name = format!("fleet/{name}").into();
            PrincipalSpec { name, grants: Arc::clone(grants) }
        });
        principals.extend(rows);
    }
    let mut root = Vec::new();
    for (index, lane) in plan.callers.iter().enumerate() {
        let grants = Some(law.grants(options.grants)?);
        root.push(WorkerNode { grants, ..worker(names::CALLER, index, *lane, DoorSpec::Closed) });
    }
    let mut root: Vec<_> = root.into_iter().map(NodeSpec::Worker).collect();
    for (index, guest) in plan.agents.iter().enumerate() {
        root.push(agent(index, *guest, law.grants(options.grants)?)?);
    }
    Ok(TreeSpec {
        name: "bench".into(),
        principals,
        system: supervisor("system", system(plan)?),
        root: supervisor("root", root),
        seed: 1,
    })
}

fn system(plan: &Plan) -> Result<Vec<NodeSpec>, BenchError> {
    let service = |name: &str, all: &[&str]| {
        Service::new(name, all.iter().copied()).map(Some).map_err(BenchError::setup)
    };
    let store: Vec<_> = loket_store::OPERATIONS.iter().map(|known| known.capability).collect();
    let mut all = Vec::new();
    for lane in 0..plan.lanes {
        all.push(worker(names::KERNEL, lane, lane, DoorSpec::Kernel));
        let serves = service(names::STORE, &store)?;
        all.push(WorkerNode { serves, ..worker(names::STORE, lane, lane, DoorSpec::Store) });
    }
    const { assert!(ECHO_MAILBOX <= STORE_MAILBOX_CAPACITY) };
    for lane in &plan.echoes {
        let serves = service(names::ECHO, &[ECHO])?;
        let door = DoorSpec::Provider { capacity: ECHO_MAILBOX };
        all.push(WorkerNode { serves, ..worker(names::ECHO, *lane, *lane, door) });
    }
    Ok(all.into_iter().map(NodeSpec::Worker).collect())
}

fn supervisor(id: &str, children: Vec<NodeSpec>) -> SupervisorNode {
    // Guests of `restart` trap as fast as they can: that is what is measured.
    let flags = Flags { intensity: u32::MAX, ..Flags::default() };
    SupervisorNode { spec: ChildSpec::supervisor(id), flags, children, forgets: false }
}

fn worker(name: &'static str, index: usize, lane: usize, door: DoorSpec) -> WorkerNode {
    WorkerNode {
        spec: ChildSpec::worker(format!("{name}/{index}").as_str()),
        kind: Arc::new(ChildKind::System(name, index)),
        door,
        lane: LaneChoice::Lane(lane),
        grants: None,
        serves: None,
        watchdog: None,
        last_incarnation: 0,
    }
}

fn agent(index: usize, guest: Guest, grants: Arc<GrantSet>) -> Result<NodeSpec, BenchError> {
    let spec = spec::agent(&agent_name(index), guest)?;
    Ok(NodeSpec::Worker(WorkerNode {
        spec: Child::Agent(spec.clone()).child_spec(),
        kind: Arc::new(ChildKind::Agent(Arc::new(spec))),
        door: DoorSpec::Agent,
        lane: LaneChoice::Lane(0),
        grants: Some(grants),
        serves: None,
        watchdog: None,
        last_incarnation: 0,
    }))
}
