//! How a child's spec becomes an actor: the one match over all kinds of children.

use super::assemble::names;
use super::brains::Files;
use super::catalog::source;
use super::dynamic::enrol;
use super::history::Kept;
use super::reload::{Reloader, Reloads};
use super::start::Checked;
use loket_agent::{AgentProvider, AgentServices};
use loket_chaos::ChaosProvider;
use loket_contract::{ProviderServices, provider_body};
use loket_fs::FsProvider;
use loket_host::driver::{AgentPlan, Handovers, HostServices, LANE_TIME, LaneDoors, agent_body};
use loket_host::engine::Background;
use loket_http::{HttpProvider, StartError};
use loket_ledger::SqliteLedger;
use loket_llm::LlmProvider;
use loket_log::LogProvider;
use loket_runtime::{
    Authority, Body, ChildContext, ChildFactory, ChildKind, ChildPlan, Node, Registry, Slots,
    StopAll, TreeControl, Waiters, kernel_body,
};
use loket_store::{StoreOptions, StoreProvider, StoreThreads, open_brains_max};
use loket_supervision::fleet::{AgentSpec, ProviderSpec};
use loket_supervision::machine::{Blame, Cause, Exit};
use loket_time::TimeProvider;
use loket_turn::{Ledger, OpenTurnMark, OpenTurns, TurnKey};
use std::path::PathBuf;
use std::sync::Arc;

/// Makes the children of this node.
pub(super) struct Factory {
    pub(super) folder: PathBuf,
    pub(super) data: PathBuf,
    pub(super) host: Arc<HostServices>,
    pub(super) authority: Arc<Authority>,
    pub(super) registry: Arc<Registry>,
    pub(super) tree: Arc<dyn TreeControl>,
    pub(super) store_threads: StoreThreads,
    pub(super) agents: AgentServices,
}

impl ChildFactory for Factory {
    fn build(&self, child: &ChildPlan) -> Result<Body, Exit> {
        match &*child.spec {
            ChildKind::Agent(spec) => self.agent(child, spec),
            ChildKind::Provider(spec) => self.provider(spec),
            ChildKind::System(name, index) => self.system(name, *index),
            other => Err(start_failed(format!("no actor for {other:?}"))),
        }
    }
}

fn start_failed(message: impl Into<String>) -> Exit {
    Exit::crash(Cause::Start, Blame::Host, message.into())
}

fn no_thread(error: std::io::Error) -> Exit {
    Exit::crash(Cause::Start, Blame::Environment, format!("no thread: {error}"))
}

impl Factory {
    fn services(&self) -> ProviderServices {
        ProviderServices { ledger: self.host.ledger.clone(), clock: self.host.clock.clone() }
    }

    fn system(&self, name: &str, index: usize) -> Result<Body, Exit> {
        let services = self.services();
        match name {
            names::KERNEL => Ok(kernel_body(Arc::clone(&self.authority), self.host.clock.clone())),
            names::LEDGER => Ok(Box::new(|context| Box::pin(stand(context)))),
            names::STORE => {
                let options = StoreOptions {
                    dir: self.data.clone(),
                    shard: index,
                    threads: self.store_threads.clone(),
                    ledger: self.host.ledger.clone(),
                    clock: self.host.clock.clone(),
                    open_brains: open_brains_max(),
                };
                Ok(provider_body(services, move |_| Ok(StoreProvider::new(options))))
            }
            names::TIME => {
                let clock = self.host.clock.clone();
                let ledger = self.host.ledger.clone();
                Ok(provider_body(services, move |_| Ok(TimeProvider::new(clock, ledger))))
            }
            names::LOG => Ok(provider_body(services, |context| Ok(LogProvider::new(context)))),
            names::AGENT => {
                let agents = self.agents.clone();
                Ok(provider_body(services, move |_| Ok(AgentProvider::new(agents))))
            }
            other => Err(start_failed(format!("no system child {other}"))),
        }
    }

    fn provider(&self, spec: &ProviderSpec) -> Result<Body, Exit> {
        let services = self.services();
        let refused = |(message, _): (String, Option<usize>)| {
            Exit::crash(Cause::Start, Blame::Config, message)
        };
        match spec.kind.as_str() {
            "Llm" => {
                let config = loket_llm::parse_config(&spec.config).map_err(refused)?;
                Ok(provider_body(services, move |_| LlmProvider::new(&config).map_err(no_thread)))
            }
            "Fs" => {
                let folder = self.folder.clone();
                Ok(provider_body(services, move |_| FsProvider::new(folder).map_err(no_thread)))
            }
            "Http" => {
                let config = loket_http::parse_config(&spec.config).map_err(refused)?;
                let secret = |name: &str| std::env::var(name).ok();
                let make = move |_: &ChildContext| {
                    HttpProvider::new(config, secret).map_err(|error| match error {
                        StartError::Thread(error) => no_thread(error),
                        other => Exit::crash(Cause::Start, Blame::Config, other.to_string()),
                    })
                };
                Ok(provider_body(services, make))
            }
            "Chaos" => {
                let tree = Arc::clone(&self.tree);
                Ok(provider_body(services, move |_| Ok(ChaosProvider::new(tree))))
            }
            other => Err(start_failed(format!("no provider {other}"))),
        }
    }

    fn agent(&self, child: &ChildPlan, spec: &Arc<AgentSpec>) -> Result<Body, Exit> {
        let place = self.registry.find(&child.name);
        let Some(principal) = place.and_then(|place| place.principal()) else {
            return Err(start_failed(format!("{} is no principal", child.name)));
        };
        let table = self.authority.table();
        let grants = table.grants(principal).cloned().unwrap_or_default();
        let settings = serde_json::to_string(&spec.settings)
            .map_err(|error| start_failed(format!("settings as JSON: {error}")))?;
        // A dynamic child is UNDER/NAME; no id of the file has a slash.
        let of_file = !child.name.contains('/');
        let plan = AgentPlan {
            enrol: of_file.then(|| Box::new(enrol(Arc::clone(&child.name), spec, None))),
            name: Arc::clone(&child.name),
            principal,
            spec: Arc::clone(spec),
            settings: settings.into(),
            grants,
        };
        let source = source(&self.folder, &spec.module);
        Ok(agent_body(Arc::clone(&self.host), plan, source, lane_background))
    }
}

/// The ledger's place in the tree: its thread is the process's, and ends after everybody else.
async fn stand(mut context: ChildContext) -> Exit {
    context.control.started();
    context.control.stop().await;
    Exit::Shutdown
}

/// The background queue of the lane this is called on; made, and set going, at the first call.
fn lane_background() -> Background {
    thread_local! {
        static BACKGROUND: Background = {
            let background = Background::measured(LANE_TIME);
            tokio::task::spawn_local(background.clone().drive());
            background
        };
    }
    BACKGROUND.with(Background::clone)
}

/// The note of open turns, for the driver.
struct Marks(Arc<loket_ledger::OpenTurns>);

impl OpenTurns for Marks {
    fn enter(&self, turn: &TurnKey, alone: bool) -> OpenTurnMark {
        Box::new(self.0.enter(turn, alone))
    }
}

/// The factory of a node.
pub(super) fn factory(
    checked: &Checked,
    node: &Node,
    waiters: Arc<Waiters>,
    sqlite: &Arc<SqliteLedger>,
    threads: &StoreThreads,
    (reloader, reports): (&Arc<Reloader>, Arc<Kept>),
) -> Factory {
    let ledger: Arc<dyn Ledger> = Arc::clone(sqlite) as _;
    let doors = node
        .lanes()
        .iter()
        .map(|lane| LaneDoors { kernel: lane.kernel().clone(), store: lane.store().clone() });
    let host = HostServices {
        ledger: Arc::clone(&ledger),
        handovers: Handovers::default(),
        open_turns: Arc::new(Marks(sqlite.open_turns())),
        slots: Slots::new(checked.slots),
        authority: Arc::clone(node.authority()),
        waiters: Arc::clone(&waiters),
        clock: node.clock().clone(),
        modules: Arc::clone(&checked.modules),
        doors: Arc::new(doors.collect()),
        running_guests: node.running_guests().clone(),
        stop_all: StopAll::default(),
        together: Arc::default(),
        pure_version: loket_store::PURE_VERSION,
    };
    Factory {
        folder: checked.folder.clone(),
        data: checked.data.clone(),
        authority: Arc::clone(node.authority()),
        registry: Arc::clone(node.registry()),
        tree: node.control(),
        store_threads: threads.clone(),
        agents: AgentServices {
            ledger,
            tree: node.control(),
            waiters,
            clock: node.clock().clone(),
            pools: Arc::clone(&reloader.pools),
            reports,
            reload: Arc::new(Reloads(Arc::clone(reloader))),
            keep_turns: checked.fleet.keep_turns.into(),
            copying: Arc::clone(&checked.copying),
            brains: Arc::new(Files::new(&checked.data)),
            acts: Arc::default(),
        },
        host: Arc::new(host),
    }
}
