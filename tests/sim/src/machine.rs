//! The simulated machine's process: a real node on a stage, put together as `loket run` would, over the present disk.
//!
//! Start reading at [`Process::boot`].

use crate::brains::Files;
use crate::disk::Disk;
use crate::exec::Exec;
use crate::guest::{AGENTS, Code};
use crate::world::{Requests, Shared};
use loket_agent::{
    AgentProvider, AgentServices, Pools, Reload, ReloadFuture, Reports, ReportsFuture,
};
use loket_contract::{ProviderServices, provider_body};
use loket_host::driver::{
    AgentPlan, Handovers, HostServices, LaneDoors, ModuleSource, Modules, agent_body,
};
use loket_host::engine::{Background, Engine, EngineConfig, LoadLimits};
use loket_kernel::Moment;
use loket_ledger::{Durability, Options, SqliteLedger, Steps};
use loket_runtime::{
    Authority, Body, ChildFactory, ChildKind, ChildPlan, Clock, Node, OnUp, Registry, Runtime,
    Slots, StopAll, Waiters, kernel_body,
};
use loket_store::keep::Keeper;
use loket_store::{StoreOptions, StoreProvider, StoreSteps, StoreThreads, open_brains_max};
use loket_supervision::fleet::AgentSpec;
use loket_supervision::machine::{Blame, Cause, Exit};
use loket_time::TimeProvider;
use loket_turn::{Enrol, Enrolled, Failure, Ledger, LedgerEvent};
use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// Lanes of the node.
pub(crate) const LANES: usize = 2;

/// Messages that an inbox holds.
pub(crate) const INBOX: u64 = 4;

/// Attempts that a message gets.
pub(crate) const ATTEMPTS: u32 = 4;

/// Versions of the guests' code.
pub(crate) const VERSIONS: u64 = 4;

/// What all processes of all runs share: the stand-in for compiled code, and an agent's spec.
pub(crate) struct Kit {
    modules: Arc<Modules>,
    spec: AgentSpec,
}

/// The name of the guests' code at a version.
fn source(version: u64) -> ModuleSource {
    ModuleSource::Builtin(format!("guest-{version}"))
}

impl Kit {
    /// The one of this program.
    ///
    /// # Errors
    /// In words, what could not be made.
    pub(crate) fn shared() -> Result<&'static Self, String> {
        static KIT: OnceLock<Result<Kit, String>> = OnceLock::new();
        KIT.get_or_init(Self::make).as_ref().map_err(Clone::clone)
    }

    fn make() -> Result<Self, String> {
        let engine = Engine::new(EngineConfig::with_slots(1)).map_err(|why| why.to_string())?;
        let stand_in: &[u8] = include_bytes!("../../../agents/guests/modules/echo.wasm");
        let builtins = [("stand-in", stand_in)].into_iter().collect();
        let modules = Modules::new(engine, LoadLimits::default(), None, builtins);
        let stand_in = modules.preload(&ModuleSource::Builtin("stand-in".to_owned()))?;
        for version in 0..VERSIONS {
            let bytes = format!("guest, version {version}").into_bytes();
            modules.script(source(version), bytes.into(), &stand_in, Arc::new(Code { version }));
        }
        let spec = crate::fleet::agent()?;
        Ok(Self { modules: Arc::new(modules), spec })
    }
}

/// What is the same for all processes of one run.
pub(crate) struct Plan {
    /// What durable means.
    pub(crate) durability: Durability,
    /// Instance slots.
    pub(crate) slots: u32,
    /// Idle receivers take in place.
    pub(crate) in_place: bool,
    /// The lane of the fake provider.
    pub(crate) out_lane: usize,
    /// The version of the guests' code that is on the disk now.
    pub(crate) version: Arc<AtomicU64>,
    /// The outside.
    pub(crate) world: Shared,
}

/// A process that runs.
pub(crate) struct Process {
    pub(crate) exec: Exec,
    pub(crate) steps: Steps,
    pub(crate) jobs: StoreSteps,
    pub(crate) ledger: Arc<SqliteLedger>,
    pub(crate) clock: Clock,
    pub(crate) runtime: Runtime,
    pub(crate) slots: Slots,
    /// All of the tree is up: from here on `loket run` lets the outside in.
    pub(crate) up: Arc<AtomicBool>,
    /// What the ledger told, for the oracle.
    pub(crate) told: Arc<Mutex<Vec<LedgerEvent>>>,
}

thread_local! {
    static BACKGROUND: RefCell<Background> = RefCell::new(Background::new());
}

fn background() -> Background {
    BACKGROUND.with_borrow(Clone::clone)
}

impl Process {
    /// Starts a process on the disk as it is.
    ///
    /// # Errors
    /// In words, what refused.
    pub(crate) fn boot(plan: &Plan, disk: &Disk, now_ms: u64) -> Result<Self, String> {
        let kit = Kit::shared()?;
        let mut exec = Exec::new();
        exec.prime();
        let clock = Clock::manual(Moment(now_ms));
        let node = Node::staged(LANES, plan.in_place, clock.clone(), exec.stage());
        let (waiters, told) =
            (Arc::<Waiters>::default(), Arc::<Mutex<Vec<LedgerEvent>>>::default());
        let (ledger, mut steps) = open(plan, disk, &node, &waiters, &told)?;
        clock.raise(Moment(ledger.high_water_ms()));
        let enrolled = enrol(&ledger, &mut steps)?;
        let (threads, jobs) = StoreThreads::stepped();
        BACKGROUND.set(Background::new());
        exec.spawn(async { background().drive().await });
        let factory = factory(plan, kit, disk.root(), &node, &ledger, &waiters, &threads);
        let slots = factory.host.slots.clone();
        let tree = crate::fleet::tree(&kit.spec, &enrolled, plan.out_lane)?;
        let up = Arc::<AtomicBool>::default();
        let (top, is_up) = (Arc::clone(&tree.name), Arc::clone(&up));
        let on_up: OnUp = Arc::new(move |name| {
            is_up.fetch_or(name == &*top, Ordering::Relaxed);
        });
        let runtime =
            node.run(tree, Arc::new(factory), Some(on_up)).map_err(|why| why.to_string())?;
        Ok(Self { exec, steps, jobs, ledger, clock, runtime, slots, up, told })
    }
}

fn open(
    plan: &Plan,
    disk: &Disk,
    node: &Node,
    waiters: &Arc<Waiters>,
    told: &Arc<Mutex<Vec<LedgerEvent>>>,
) -> Result<(Arc<SqliteLedger>, Steps), String> {
    let clock = node.clock().clone();
    let options = Options {
        durability: plan.durability,
        clock: Arc::new(move || clock.now().0),
        ..Options::new(disk.root())
    };
    let (registry, waiters, told) =
        (Arc::clone(node.registry()), Arc::clone(waiters), Arc::clone(told));
    let events = move |event: LedgerEvent| {
        told.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(event.clone());
        match event {
            LedgerEvent::Arrived { agent } => {
                registry.wake(&agent);
            }
            other => waiters.on_ledger_event(&other),
        }
    };
    SqliteLedger::open_stepped(options, Box::new(events)).map_err(|why| why.to_string())
}

/// Makes the agents known, before the tree runs.
fn enrol(ledger: &Arc<SqliteLedger>, steps: &mut Steps) -> Result<Vec<Enrolled>, String> {
    let rows = AGENTS.map(|agent| Enrol {
        agent: agent.into(),
        inbox_rows: INBOX,
        inbox_bytes: 1 << 20,
        dynamic: None,
    });
    let mut pending = ledger.enrol(rows.to_vec());
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..8 {
        if let std::task::Poll::Ready(enrolled) = pending.as_mut().poll(&mut cx) {
            return enrolled.map_err(|why| why.to_string());
        }
        steps.step(1);
    }
    Err("the ledger did not answer".to_owned())
}

struct Factory {
    dir: PathBuf,
    host: Arc<HostServices>,
    agents: AgentServices,
    authority: Arc<Authority>,
    registry: Arc<Registry>,
    threads: StoreThreads,
    world: Shared,
    version: Arc<AtomicU64>,
}

/// A fleet of a simulation is never reloaded, and nobody reads its history.
struct Nothing;

impl Reload for Nothing {
    fn reload(&self, _: Option<String>, _: bool) -> ReloadFuture {
        Box::pin(async { Err(Failure::new("not_here", "a simulation")) })
    }
}

impl Reports for Nothing {
    fn latest(&self, _: Option<String>, _: usize) -> ReportsFuture {
        Box::pin(async { Err("a simulation".to_owned()) })
    }
}

fn factory(
    plan: &Plan,
    kit: &Kit,
    dir: PathBuf,
    node: &Node,
    sqlite: &Arc<SqliteLedger>,
    waiters: &Arc<Waiters>,
    threads: &StoreThreads,
) -> Factory {
    let ledger: Arc<dyn Ledger> = Arc::clone(sqlite) as _;
    let doors = node
        .lanes()
        .iter()
        .map(|lane| LaneDoors { kernel: lane.kernel().clone(), store: lane.store().clone() });
    let host = HostServices {
        ledger: Arc::clone(&ledger),
        handovers: Handovers::default(),
        open_turns: sqlite.open_turns(),
        slots: Slots::new(plan.slots),
        authority: Arc::clone(node.authority()),
        waiters: Arc::clone(waiters),
        clock: node.clock().clone(),
        modules: Arc::clone(&kit.modules),
        doors: Arc::new(doors.collect()),
        running_guests: node.running_guests().clone(),
        stop_all: StopAll::default(),
        together: Arc::default(),
        pure_version: loket_store::PURE_VERSION,
    };
    let agents = AgentServices {
        ledger,
        tree: node.control(),
        waiters: Arc::clone(waiters),
        clock: node.clock().clone(),
        brains: Arc::new(Files(Keeper::new(&dir))),
        keep_turns: 0,
        copying: Arc::default(),
        acts: Arc::default(),
        pools: Arc::new(Pools::default()),
        reports: Arc::new(Nothing),
        reload: Arc::new(Nothing),
    };
    Factory {
        dir,
        host: Arc::new(host),
        agents,
        authority: Arc::clone(node.authority()),
        registry: Arc::clone(node.registry()),
        threads: threads.clone(),
        world: Arc::clone(&plan.world),
        version: Arc::clone(&plan.version),
    }
}

fn failed(message: impl Into<String>) -> Exit {
    Exit::crash(Cause::Start, Blame::Host, message.into())
}

impl ChildFactory for Factory {
    fn build(&self, child: &ChildPlan) -> Result<Body, Exit> {
        match &*child.spec {
            ChildKind::Agent(spec) => self.agent(child, spec),
            ChildKind::System(name, index) => self.system(name, *index),
            other => Err(failed(format!("no actor for {other:?}"))),
        }
    }
}

impl Factory {
    fn system(&self, name: &str, index: usize) -> Result<Body, Exit> {
        let (ledger, clock) = (self.host.ledger.clone(), self.host.clock.clone());
        let services = ProviderServices { ledger: ledger.clone(), clock: clock.clone() };
        Ok(match name {
            "kernel" => kernel_body(Arc::clone(&self.authority), clock),
            "store" => {
                let (dir, threads) = (self.dir.clone(), self.threads.clone());
                let open_brains = open_brains_max();
                let options =
                    StoreOptions { dir, shard: index, threads, ledger, clock, open_brains };
                provider_body(services, move |_| Ok(StoreProvider::new(options)))
            }
            "time" => provider_body(services, move |_| Ok(TimeProvider::new(clock, ledger))),
            "agent" => {
                let own = self.agents.clone();
                provider_body(services, move |_| Ok(AgentProvider::new(own)))
            }
            "out" => {
                let world = Arc::clone(&self.world);
                provider_body(services, move |_| Ok(Requests(world)))
            }
            other => return Err(failed(format!("no child {other}"))),
        })
    }

    fn agent(&self, child: &ChildPlan, spec: &AgentSpec) -> Result<Body, Exit> {
        let place = self.registry.find(&child.name);
        let principal = place.and_then(|place| place.principal());
        let principal = principal.ok_or_else(|| failed("the agent is no principal"))?;
        let grants = self.authority.table().grants(principal).cloned().unwrap_or_default();
        let plan = AgentPlan {
            name: Arc::clone(&child.name),
            principal,
            spec: Arc::new(spec.clone()),
            settings: "{}".into(),
            grants,
            enrol: None,
        };
        let source = source(self.version.load(Ordering::Relaxed) % VERSIONS);
        Ok(agent_body(self.host.clone(), plan, source, background))
    }
}
