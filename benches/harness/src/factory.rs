//! How the children of a measured node become actors: the bodies of `loket run`, and a provider and callers of our own.

use crate::caller::{Desk, caller_body};
use crate::echo::{Echo, Probe};
use crate::guest;
use loket_contract::{ProviderServices, provider_body};
use loket_host::driver::{AgentPlan, HostServices, LANE_TIME, ModuleSource, agent_body};
use loket_host::engine::Background;
use loket_runtime::{Authority, Body, ChildFactory, ChildKind, ChildPlan, Registry, kernel_body};
use loket_store::{StoreOptions, StoreProvider, StoreThreads};
use loket_supervision::fleet::AgentSpec;
use loket_supervision::machine::{Blame, Cause, Exit};
use std::path::PathBuf;
use std::sync::Arc;

/// Words of the node's own children.
pub(crate) mod names {
    pub(crate) const KERNEL: &str = "kernel";
    pub(crate) const STORE: &str = "store";
    pub(crate) const ECHO: &str = "echo";
    pub(crate) const CALLER: &str = "caller";
}

pub(crate) struct Factory {
    pub(crate) dir: PathBuf,
    pub(crate) host: Arc<HostServices>,
    pub(crate) authority: Arc<Authority>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) store_threads: StoreThreads,
    pub(crate) probe: Arc<Probe>,
    pub(crate) desks: Vec<Desk>,
    /// Of the one store shard.
    pub(crate) open_brains: usize,
}

fn start_failed(message: impl Into<String>) -> Exit {
    Exit::crash(Cause::Start, Blame::Host, message.into())
}

impl ChildFactory for Factory {
    fn build(&self, child: &ChildPlan) -> Result<Body, Exit> {
        match &*child.spec {
            ChildKind::Agent(spec) => self.agent(child, spec),
            ChildKind::System(name, index) => self.system(name, *index),
            other => Err(start_failed(format!("no actor for {other:?}"))),
        }
    }
}

impl Factory {
    fn system(&self, name: &str, index: usize) -> Result<Body, Exit> {
        let (ledger, clock) = (self.host.ledger.clone(), self.host.clock.clone());
        let services = ProviderServices { ledger: ledger.clone(), clock: clock.clone() };
        match name {
            names::KERNEL => Ok(kernel_body(Arc::clone(&self.authority), clock)),
            names::STORE => {
                let (dir, threads) = (self.dir.clone(), self.store_threads.clone());
                let open_brains = self.open_brains;
                let options =
                    StoreOptions { dir, shard: index, threads, ledger, clock, open_brains };
                Ok(provider_body(services, move |_| Ok(StoreProvider::new(options))))
            }
            names::ECHO => {
                let probe = Arc::clone(&self.probe);
                Ok(provider_body(services, move |_| Ok(Echo(probe))))
            }
            names::CALLER => match self.desks.get(index) {
                Some(desk) => Ok(caller_body(desk.clone(), clock)),
                None => Err(start_failed(format!("no desk for caller {index}"))),
            },
            other => Err(start_failed(format!("no child {other}"))),
        }
    }

    fn agent(&self, child: &ChildPlan, spec: &Arc<AgentSpec>) -> Result<Body, Exit> {
        let place = self.registry.find(&child.name);
        let Some(principal) = place.and_then(|place| place.principal()) else {
            return Err(start_failed(format!("{} is no principal", child.name)));
        };
        let grants = self.authority.table().grants(principal).cloned().unwrap_or_default();
        let plan = AgentPlan {
            name: Arc::clone(&child.name),
            principal,
            spec: Arc::clone(spec),
            settings: "{}".into(),
            grants,
            enrol: None,
        };
        let module = if spec.module == guest::CALLING { guest::CALLING } else { guest::WRITING };
        let source = ModuleSource::Builtin(module.to_owned());
        Ok(agent_body(Arc::clone(&self.host), plan, source, lane_background))
    }
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
