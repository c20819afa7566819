//! A node from its fleet file to its end.

use super::assemble::{self, names};
use super::catalog::{FileCatalog, folder_of, scope_hints};
use super::compiler::engine;
use super::dynamic::{Spawner, Templates, remove_unnamed, static_agents};
use super::emergency::Emergency;
use super::factory::factory;
use super::grants::{GrantIds, set_allowances};
use super::history::Diary;
use super::last_words::ended;
use super::obituaries::{Obituaries, remove, remove_below};
use super::operator::Outsider;
use super::reload::Reloader;
use super::ticks::Beats;
use super::{builtins, console, directory, file, http, leftovers, past, snapshots, socket};
use crate::exit::{self, CliError, Code};
use loket_agent::{Copying, Pools};
use loket_host::driver::Modules;
use loket_host::engine::{Cache, LoadLimits, SLICE};
use loket_kernel::Moment;
use loket_ledger::{FleetName, Options, SqliteLedger};
use loket_runtime::{
    Clock, Hooks, Listening, Node, NodeConfig, OnGone, Runtime, StartError, StopAll, Waiters,
    WatchdogConfig,
};
use loket_store::keep::holds_brains;
use loket_store::{STORE_THREADS, StoreThreads};
use loket_supervision::fleet::{self, Durability, Fleet};
use loket_turn::{AgentName, Ledger, LedgerEvent};
use metrics_exporter_prometheus::PrometheusHandle;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use tokio::sync::mpsc::Sender;

/// Instance slots when the fleet file does not say: turns beyond it wait for a core anyway; each slot reserves address space.
const SLOTS_DEFAULT: u32 = 128;

/// Lanes at most: one per core, and no more than anyone has measured.
const LANES_MAX: usize = 64;

/// How long the threads may take to end once the tree has, milliseconds.
const CLOSE_MS: u64 = 10_000;

/// What `loket run` was asked.
pub(crate) struct RunOptions {
    pub(crate) fleet: PathBuf,
    pub(crate) sets: Vec<String>,
    pub(crate) data: Option<PathBuf>,
    pub(crate) renamed: bool,
    pub(crate) once: bool,
    pub(crate) plain: bool,
    pub(crate) json: bool,
}

/// A fleet file, read and checked, with the engine that its modules were compiled by.
pub(super) struct Checked {
    pub(super) fleet: Fleet,
    pub(super) folder: PathBuf,
    pub(super) data: PathBuf,
    pub(super) slots: u32,
    /// The data directory was written under another name.
    renamed: bool,
    /// Who makes files of brains.
    pub(super) copying: Arc<Copying>,
    pub(super) modules: Arc<Modules>,
    /// The file, and the parameters that it was read with: for reloads.
    file: PathBuf,
    sets: Vec<(String, String)>,
}

/// Runs a fleet to its end.
pub(crate) fn run(options: &RunOptions) -> Result<Code, CliError> {
    let metrics = install_metrics()?;
    let checked = check(options)?;
    let signals = console::Signals::listen()?;
    let lanes = lanes(&checked.fleet);
    let engine = checked.modules.engine();
    let (ticker, tick_us) = (engine.ticker(), u64::try_from(SLICE.as_micros()).unwrap_or(200));
    let node = Node::new(NodeConfig {
        lanes,
        operator_lane: true,
        clock: Clock::machine(Moment(0)),
        watchdog: WatchdogConfig {
            tick: Arc::new(move || ticker.tick()),
            tick_us,
            quarantine_max: checked.fleet.quarantine as usize,
            ..WatchdogConfig::default()
        },
        ..NodeConfig::default()
    })
    .map_err(start_failed)?;
    let waiters = Arc::<Waiters>::default();
    let spawner = Arc::new(OnceLock::new());
    let (lapsing, due) = snapshots::queue();
    let ledger = open_ledger(&checked, &node, &waiters, (&spawner, lapsing))?;
    node.clock().raise(Moment(ledger.high_water_ms()));
    let (system, clock) = (node.system().clone(), node.clock().clone());
    let started = past::no_brain_behind_other_rules(&checked.data)
        .and_then(|()| directory::clear(&checked.data))
        .and_then(|()| start(&checked, node, lanes, waiters, Arc::clone(&ledger), &spawner));
    let (runtime, spare) = started.inspect_err(|_| ledger.stop())?;
    let keeping = snapshots::keeping(&checked, &ledger, clock.clone());
    system.spawn(move || snapshots::take(due, keeping));
    system.spawn(leftovers::look(&checked.data, &ledger, clock));
    let serving = serve(&checked, &runtime, metrics, &spare);
    let code = match serving {
        Ok(operator) => {
            let told = (&*ledger as &dyn Ledger, &spare.reports.endings);
            signals.watch(options, &checked.fleet, &runtime, operator, told)
        }
        Err(error) => {
            runtime.control().stop(true);
            runtime.wait();
            Err(error)
        }
    };
    if matches!(&code, Err(error) if error.exit == exit::STUCK) {
        // Its threads do not end, so nobody waits for them: the process ends without.
        drop(runtime);
    } else if let Err(error) = runtime.close(CLOSE_MS) {
        tracing::warn!("threads were left behind: {error}");
    }
    spare.stop();
    // The socket names a fleet that runs no more. If it cannot be removed, clients are told so when they connect. While the
    // ledger holds the directory's lock it is ours; after that it may be the next process's.
    let _ = std::fs::remove_file(checked.data.join(crate::client::SOCKET));
    ledger.stop();
    code
}

/// Reads and checks; all findings are printed.
fn check(options: &RunOptions) -> Result<Checked, CliError> {
    let folder = folder_of(&options.fleet);
    let text = file::read_fleet(&options.fleet)?;
    let sets = file::sets(&options.sets)?;
    let name = options.fleet.display().to_string();
    let parse = |catalog: &FileCatalog| {
        fleet::parse(&text, &name, &sets, catalog)
            .map_err(|findings| file::told(&findings, options.json))
    };
    let (first, _) = parse(&FileCatalog::believing(&options.fleet))?;
    let data = options.data.clone().unwrap_or_else(|| folder.join(&first.data));
    let slots = first.slots.unwrap_or(SLOTS_DEFAULT);
    let engine = engine(slots)?;
    directory::make(&data)?;
    let cache = cache_in(&data);
    let modules = Arc::new(Modules::new(engine, LoadLimits::default(), cache, builtins::modules()));
    let (fleet, warnings) = parse(&FileCatalog::with(&options.fleet, Arc::clone(&modules)))?;
    for warning in &warnings {
        tracing::warn!(code = warning.code, "{}", warning.message);
    }
    let (file, renamed) = (options.fleet.clone(), options.renamed);
    let copying = Arc::default();
    Ok(Checked { fleet, folder, data, slots, modules, renamed, copying, file, sets })
}

/// Compiled code is kept in the data directory; without a place for it, it is compiled at each start.
pub(super) fn cache_in(data: &Path) -> Option<Cache> {
    match Cache::new(data.join("modules")) {
        Ok(cache) => Some(cache),
        Err(error) => {
            tracing::warn!("compiled modules are not kept: {error}");
            None
        }
    }
}

/// Lanes of this fleet on this machine.
pub(super) fn lanes(fleet: &Fleet) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    fleet.lanes.map_or(cores, |lanes| lanes as usize).clamp(1, LANES_MAX)
}

/// Installs the recorder of the process's metrics; once.
pub(crate) fn install_metrics() -> Result<PrometheusHandle, CliError> {
    let installed = super::metrics::recorder().and_then(|recorder| recorder.install_recorder());
    let handle = installed.map_err(|error| {
        CliError::new("internal", exit::BUG, format!("metrics cannot be recorded: {error}"))
    })?;
    loket_contract::metrics::describe();
    loket_host::driver::metrics::describe();
    loket_http::metrics::describe();
    loket_crossing::metrics::describe();
    loket_ledger::metrics::describe();
    loket_runtime::metrics::describe();
    loket_store::metrics::describe();
    super::metrics::describe();
    Ok(handle)
}

fn start_failed(error: StartError) -> CliError {
    CliError::new(error.code(), exit::BUG, format!("the node does not start: {error}"))
}

/// Opens the ledger; what it tells is handed to wakers, waiters and the spawner.
fn open_ledger(
    checked: &Checked,
    node: &Node,
    waiters: &Arc<Waiters>,
    (spawner, lapsing): (&Arc<OnceLock<Spawner>>, Sender<AgentName>),
) -> Result<Arc<SqliteLedger>, CliError> {
    let clock = node.clock().clone();
    let options = Options {
        durability: match checked.fleet.durability {
            Durability::Power => loket_ledger::Durability::Power,
            Durability::Process => loket_ledger::Durability::Process,
        },
        clock: Arc::new(move || clock.now().0),
        keep_turns: checked.fleet.keep_turns.into(),
        // Looked for before the lock is held: brains are only ever made once there is a ledger.
        must_be_there: holds_brains(&checked.data).map_err(|error| past::of_file(&error))?,
        fleet: Some(FleetName { name: checked.fleet.name.to_string(), renamed: checked.renamed }),
        ..Options::new(&checked.data)
    };
    let (registry, waiters) = (Arc::clone(node.registry()), Arc::clone(waiters));
    let (spawner, system) = (Arc::clone(spawner), node.system().clone());
    let events = move |event: LedgerEvent| match event {
        LedgerEvent::Arrived { agent } => {
            registry.wake(&agent);
        }
        LedgerEvent::Spawned(rows) => {
            if let Some(spawner) = spawner.get().cloned() {
                system.spawn(move || async move { drop(spawner.start(rows).await) });
            }
        }
        LedgerEvent::Stopped(agents) => {
            for ended in spawner.get().map_or_else(Vec::new, |spawner| spawner.stop(agents)) {
                system.spawn(move || ended);
            }
        }
        // Told of again when there is no room.
        LedgerEvent::Lapses { agent } => drop(lapsing.try_send(agent)),
        LedgerEvent::Reopened => {
            waiters.on_ledger_event(&LedgerEvent::Reopened);
            registry.wake_all();
            if let Some(spawner) = spawner.get().cloned() {
                system.spawn(move || spawner.bring_back_all());
            }
        }
        other => waiters.on_ledger_event(&other),
    };
    SqliteLedger::open(options, Box::new(events)).map_err(|error| {
        CliError::new(
            error.code(),
            exit::DATA,
            format!("the data directory cannot be used: {error}"),
        )
    })
}

/// What lives beside the tree and is stopped after it.
struct Spare {
    threads: StoreThreads,
    /// The ledger hears of ends as long as there is anybody to end.
    _obituaries: Listening,
    reports: Arc<Diary>,
    reloader: Arc<Reloader>,
    all: StopAll,
}

impl Spare {
    fn stop(&self) {
        self.threads.stop();
        self.reports.stop();
    }
}

/// Enrols the agents, builds the tree, runs it.
fn start(
    checked: &Checked,
    node: Node,
    lanes: usize,
    waiters: Arc<Waiters>,
    sqlite: Arc<SqliteLedger>,
    spawner_cell: &Arc<OnceLock<Spawner>>,
) -> Result<(Runtime, Spare), CliError> {
    let ledger: Arc<dyn Ledger> = Arc::clone(&sqlite) as _;
    let failed = |error: loket_turn::LedgerError| {
        CliError::new(error.code(), exit::DATA, format!("the ledger cannot be read: {error}"))
    };
    let ids = Arc::<GrantIds>::default();
    let enrolled = wait(ledger.enrol(static_agents(&checked.fleet.root))).map_err(failed)?;
    wait(set_allowances(&*ledger, &checked.fleet.root)).map_err(failed)?;
    let last = enrolled.into_iter().map(|row| (row.agent, row.incarnation)).collect();
    let tree = assemble::tree(&ids, &checked.fleet, lanes, &last)?;
    let templates = Arc::new(Templates::of(&checked.fleet.root));
    wait(remove_unnamed(&templates, &checked.fleet.root, &*ledger)).map_err(failed)?;
    let spawner = Spawner::new(&templates, &ledger, node.control());
    let _ = spawner_cell.set(spawner.clone());
    let threads = StoreThreads::start(STORE_THREADS).map_err(|error| {
        CliError::new("no_thread", exit::BUG, format!("no thread for the store: {error}"))
    })?;
    let reports = Diary::open(&checked.data)?;
    let reloader = Arc::new(Reloader {
        file: checked.file.clone(),
        sets: checked.sets.clone(),
        modules: Arc::clone(&checked.modules),
        ids,
        ledger: Arc::clone(&ledger),
        tree: node.control(),
        authority: Arc::clone(node.authority()),
        spawner: spawner.clone(),
        pools: Arc::new(Pools::new(templates.pools())),
        beats: OnceLock::new(),
        current: Mutex::new(checked.fleet.clone().into()),
        renewing: Arc::default(),
    });
    let kept = Arc::new(reports.kept());
    let factory = factory(checked, &node, waiters, &sqlite, &threads, (&reloader, kept));
    let all = factory.host.stop_all.clone();
    let system = node.system().clone();
    let on_up = move |name: &str| {
        let (spawner, name) = (spawner.clone(), name.to_owned());
        system.spawn(move || spawner.bring_back(name));
    };
    let on_gone = on_gone(&node, &reloader, Arc::clone(&ledger), templates);
    node.authority().explain_scopes(scope_hints());
    let (told, clock) = (Arc::clone(&ledger), node.clock().clone());
    let obituaries = Arc::new(Obituaries { ledger: told, clock });
    let obituaries = node.registry().relations().listen(obituaries).map_err(|error| {
        CliError::new(error.code(), exit::BUG, format!("the ledger cannot listen: {error}"))
    })?;
    let diary = Arc::clone(&reports);
    let hooks = Hooks {
        on_up: Some(Arc::new(on_up)),
        on_gone: Some(on_gone),
        on_report: Some(Arc::new(move |row| diary.keep(&row))),
    };
    let runtime = node.run(tree, Arc::new(factory), hooks).map_err(start_failed)?;
    Ok((runtime, Spare { threads, reports, reloader, all, _obituaries: obituaries }))
}

/// Who ended for good is no agent any more, nor are those below it.
fn on_gone(
    node: &Node,
    reloader: &Reloader,
    told: Arc<dyn Ledger>,
    pools: Arc<Templates>,
) -> OnGone {
    let (system, renewing) = (node.system().clone(), Arc::clone(&reloader.renewing));
    let stopping = Arc::clone(&reloader.spawner.stopping);
    Arc::new(move |name: &str, why: &str| {
        if renewing.holds(name) || stopping.holds(name) {
            return;
        }
        let removal = remove(&*told, Arc::from(name), why.to_owned());
        let below = pools.knows(name).then(|| remove_below(&told, name));
        system.spawn(move || async move {
            removal.await;
            if let Some(below) = below {
                below.await;
            }
        });
    })
}

/// Opens the doors to the outside once the tree is up.
fn serve(
    checked: &Checked,
    runtime: &Runtime,
    metrics: PrometheusHandle,
    spare: &Spare,
) -> Result<Outsider, CliError> {
    let (node, reloader) = (runtime.node(), &spare.reloader);
    if let Err(exit) = runtime.wait_up() {
        return Err(ended(&exit, &checked.fleet.name, &spare.reports.endings));
    }
    let lane = node.operator_lane();
    let outsider = |name| Outsider::new(node.authority(), name, lane.kernel().clone());
    let (Some(operator), Some(timer)) = (outsider(names::OPERATOR), outsider(names::TIMER)) else {
        return Err(CliError::new("internal", exit::BUG, "the operator is no principal"));
    };
    let listener = socket::bind(&checked.data).map_err(|error| {
        let text = format!("no control socket in {}: {error}", checked.data.display());
        CliError::new("C010", exit::DATA, text)
    })?;
    let (caller, emergency) = (operator.clone(), Emergency::of(runtime, &spare.all));
    lane.spawn(move || socket::serve(listener, caller, emergency));
    let kept = metrics.clone();
    node.system().spawn(move || super::metrics::upkeep(kept));
    if let Some(listen) = &checked.fleet.listen {
        let listener = http::bind(listen)
            .map_err(|why| CliError::new("C011", exit::USAGE, format!("`listen`: {why}")))?;
        let pages = http::Pages::of(metrics, runtime, &reloader.ledger);
        lane.spawn(move || http::serve(listener, pages));
    }
    let beats = Beats::new(timer, node.system().clone());
    beats.follow(&checked.fleet.root);
    let _ = reloader.beats.set(beats);
    Ok(operator)
}

/// Blocks on an answer of the ledger. For the main thread only.
pub(super) fn wait<T>(pending: impl Future<Output = T>) -> T {
    futures_executor::block_on(pending)
}
