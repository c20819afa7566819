//! The simulated fleet: its agents' specs and grants, and its tree.
//!
//! Start reading at [`tree`].

use crate::guest::AGENTS;
use crate::machine::LANES;
use crate::world;
use loket_contract::Operation;
use loket_kernel::{Bound, Capability, Grant, GrantId, GrantSet, Pattern, Scope};
use loket_runtime::{
    ChildKind, DoorSpec, LaneChoice, NodeSpec, Service, SupervisorNode, TreeSpec, WorkerNode,
};
use loket_supervision::fleet::{
    self, AgentSpec, CapabilityFact, Catalog, ConfigError, ModuleFact, Node as Child, ProviderFacts,
};
use loket_supervision::machine::{ChildSpec, Flags};
use loket_turn::Enrolled;
use std::sync::Arc;

/// What a fleet file would say of an agent.
const FLEET: &str = r#"Fleet(version: 1, name: "sim", root: Supervisor(children: [
    Agent(id: "a", module: "guest", max_attempts: 4, park_after: "1s"),
]))"#;

/// Nothing but modules, which are there.
struct Facts;

impl Catalog for Facts {
    fn provider_kinds(&self) -> Vec<String> {
        Vec::new()
    }

    fn check_provider(&self, kind: &str, _: &str) -> Result<ProviderFacts, ConfigError> {
        Err(ConfigError { message: format!("there is no provider {kind}"), offset: None })
    }

    fn system_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn builtin_capabilities(&self) -> Vec<CapabilityFact> {
        Vec::new()
    }

    fn module(&self, _: &str) -> ModuleFact {
        ModuleFact::Ok
    }
}

/// The spec that both agents share.
pub(crate) fn agent() -> Result<AgentSpec, String> {
    let (fleet, _) = fleet::parse(FLEET, "sim.ron", &[], &Facts).map_err(|findings| {
        findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    })?;
    let agents = fleet.root.children.into_iter().find_map(|child| match child {
        Child::Agent(spec) => Some(spec),
        _ => None,
    });
    agents.ok_or_else(|| "the fleet has no agent".to_owned())
}

fn grants(first: u64) -> Result<Arc<GrantSet>, String> {
    let anyone = Bound::Names(vec![Pattern::parse("*").map_err(|why| why.to_string())?]);
    let grant = |(at, name): (usize, &str)| {
        let mut scope = Scope::new();
        if name.starts_with("agent.") {
            scope.insert("to", anyone.clone());
        }
        let held = match name {
            "out" => vec![Capability::parse("out.held").map_err(|why| why.to_string())?],
            _ => Vec::new(),
        };
        let name = Capability::parse(name).map_err(|why| why.to_string())?;
        let id = GrantId(first + at as u64);
        Ok(Grant::new(name, Arc::new(scope), None, held, None, id))
    };
    let names = ["store.brain", "time", "random", "agent.send", "agent.call", "out"];
    let all: Result<Vec<_>, String> = names.into_iter().enumerate().map(grant).collect();
    Ok(Arc::new(GrantSet::new(all?).map_err(|why| why.to_string())?))
}

fn supervisor(id: &str, children: Vec<NodeSpec>) -> SupervisorNode {
    // Children are killed as often as the dice want: nobody gives up for it.
    let flags = Flags { intensity: u32::MAX, ..Flags::default() };
    SupervisorNode { spec: ChildSpec::supervisor(id), flags, children, forgets: false }
}

fn worker(
    name: &'static str,
    (index, lane): (usize, usize),
    door: DoorSpec,
    serves: Option<Service>,
) -> NodeSpec {
    NodeSpec::Worker(WorkerNode {
        spec: ChildSpec::worker(format!("{name}/{index}").as_str()),
        kind: Arc::new(ChildKind::System(name, index)),
        door,
        lane: LaneChoice::Lane(lane),
        grants: None,
        serves,
        watchdog: None,
        last_incarnation: 0,
    })
}

/// The tree: what every fleet has on each lane, the fake provider, the agents.
pub(crate) fn tree(
    spec: &AgentSpec,
    enrolled: &[Enrolled],
    out_lane: usize,
) -> Result<TreeSpec, String> {
    let service = |name: &str, all: &[Operation]| {
        let all = all.iter().map(|operation| operation.capability);
        Service::new(name, all).map(Some).map_err(|why| why.to_string())
    };
    let door = DoorSpec::Provider { capacity: 64 };
    let mut system = Vec::new();
    for lane in 0..LANES {
        let at = (lane, lane);
        system.push(worker("kernel", at, DoorSpec::Kernel, None));
        let store = service("store", loket_store::OPERATIONS)?;
        system.push(worker("store", at, DoorSpec::Store, store));
        system.push(worker("time", at, door, service("time", loket_time::OPERATIONS)?));
        system.push(worker("agent", at, door, service("agent", loket_agent::OPERATIONS)?));
    }
    system.push(worker("out", (0, out_lane), door, service("out", world::OPERATIONS)?));
    let mut root = Vec::new();
    for (at, name) in AGENTS.iter().enumerate() {
        let own = AgentSpec { id: (*name).to_owned(), ..spec.clone() };
        let last =
            enrolled.iter().find(|row| &*row.agent == *name).map_or(0, |row| row.incarnation);
        root.push(NodeSpec::Worker(WorkerNode {
            spec: Child::Agent(own.clone()).child_spec(),
            kind: Arc::new(ChildKind::Agent(Arc::new(own))),
            door: DoorSpec::Agent,
            lane: LaneChoice::Lane(at % LANES),
            grants: Some(grants(100 * at as u64 + 1)?),
            serves: None,
            watchdog: None,
            last_incarnation: last,
        }));
    }
    let (system, root) = (supervisor("system", system), supervisor("root", root));
    Ok(TreeSpec { name: "sim".into(), principals: Vec::new(), system, root, seed: 1 })
}
