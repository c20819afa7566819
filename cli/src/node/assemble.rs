//! From the fleet file to the tree that the runtime runs: the `system` supervisor, then the fleet's own root.

use super::grants::{self, GrantIds, grant_set, grants_of};
use crate::exit::{self, CliError};
use loket_contract::Operation;
use loket_kernel::{Bound, Capability, Grant, GrantSet, Pattern, Scope};
use loket_runtime::{
    ChildKind, DoorSpec, LaneChoice, NodeSpec, PrincipalSpec, STORE_MAILBOX_CAPACITY, Service,
    SupervisorNode, TreeSpec, WorkerNode,
};
use loket_supervision::fleet::{
    AgentSpec, Dynamic, Fleet, Node, ProviderSpec, SupervisorSpec, Watchdog,
};
use loket_supervision::machine::{ChildSpec, Flags};
use std::collections::HashMap;
use std::sync::Arc;

/// Calls that may wait at one of the small providers every fleet has.
const SYSTEM_MAILBOX: usize = 1024;

/// Restarts of the system's children: more in this time means that the machine is at fault, not a moment.
const SYSTEM_INTENSITY: u32 = 10;

/// See [`SYSTEM_INTENSITY`], milliseconds.
const SYSTEM_PERIOD_MS: u64 = 10_000;

/// What the system's children are called, and the principals beside the agents.
pub(crate) mod names {
    pub(crate) const KERNEL: &str = "kernel";
    pub(crate) const LEDGER: &str = "ledger";
    pub(crate) const STORE: &str = "store";
    pub(crate) const TIME: &str = "time";
    pub(crate) const LOG: &str = "log";
    pub(crate) const AGENT: &str = "agent";
    /// All of them.
    pub(crate) const SYSTEM: [&str; 6] = [KERNEL, LEDGER, STORE, TIME, LOG, AGENT];
    pub(crate) const OPERATOR: &str = "@operator";
    pub(crate) const TIMER: &str = "@timer";
}

/// Builds the tree. `last` gives the last incarnation that the ledger knows of a name.
pub(crate) fn tree(
    ids: &GrantIds,
    fleet: &Fleet,
    lanes: usize,
    last: &HashMap<Arc<str>, u64>,
) -> Result<TreeSpec, CliError> {
    let operator = grant_set(ids, &fleet.operator)?;
    let principals = vec![
        PrincipalSpec { name: names::OPERATOR.into(), grants: operator },
        PrincipalSpec { name: names::TIMER.into(), grants: timer(ids)? },
    ];
    let builder = Builder { ids, last, watchdog: fleet.defaults.watchdog };
    Ok(TreeSpec {
        name: fleet.name.as_str().into(),
        principals,
        system: builder.system(lanes)?,
        root: builder.supervisor(&fleet.root)?,
        seed: getrandom::u64().unwrap_or(1),
    })
}

/// The fleet's own root alone, for a reload.
pub(super) fn root(
    ids: &GrantIds,
    fleet: &Fleet,
    last: &HashMap<Arc<str>, u64>,
) -> Result<SupervisorNode, CliError> {
    Builder { ids, last, watchdog: fleet.defaults.watchdog }.supervisor(&fleet.root)
}

/// `@timer` may wake any agent: the fleet file's `every:` says which.
fn timer(ids: &GrantIds) -> Result<Arc<GrantSet>, CliError> {
    let mut scope = Scope::new();
    scope.insert("to", Bound::Names(vec![Pattern::parse("*").map_err(bug)?]));
    let send = Capability::parse("agent.send").map_err(bug)?;
    grants::set(vec![Grant::new(send, Arc::new(scope), None, Vec::new(), None, ids.next())])
}

struct Builder<'a> {
    ids: &'a GrantIds,
    last: &'a HashMap<Arc<str>, u64>,
    /// Bounds of the system's children.
    watchdog: Option<Watchdog>,
}

impl Builder<'_> {
    /// What every fleet has without naming it: a shard of each for each lane, and one for those who call from outside.
    fn system(&self, lanes: usize) -> Result<SupervisorNode, CliError> {
        let alone = |name: &'static str, door, serves| {
            self.part(name.to_owned(), (name, 0), LaneChoice::System, door, serves)
        };
        let mut children = vec![alone(names::LEDGER, DoorSpec::Closed, None)];
        let sharded = [
            (names::KERNEL, DoorSpec::Kernel, None),
            (names::STORE, DoorSpec::Store, Some(loket_store::OPERATIONS)),
            (names::TIME, provider_door(), Some(loket_time::OPERATIONS)),
            (names::AGENT, provider_door(), Some(loket_agent::OPERATIONS)),
        ];
        for (name, door, operations) in sharded {
            let serves = operations.map(|operations| service(name, operations)).transpose()?;
            let shard = |lane: usize| {
                let of = if lane == lanes { "operator".to_owned() } else { lane.to_string() };
                let id = format!("{name}/{of}");
                self.part(id, (name, lane), LaneChoice::Lane(lane), door, serves.clone())
            };
            let shards = (0..=lanes).map(shard).collect();
            children.push(NodeSpec::Supervisor(SupervisorNode {
                spec: ChildSpec::supervisor(name),
                flags: system_flags(),
                children: shards,
                forgets: false,
            }));
        }
        let serves = service(names::LOG, loket_log::OPERATIONS)?;
        children.push(alone(names::LOG, provider_door(), Some(serves)));
        let spec = ChildSpec::supervisor("system");
        Ok(SupervisorNode { spec, flags: system_flags(), children, forgets: false })
    }

    fn part(
        &self,
        id: String,
        (name, index): (&'static str, usize),
        lane: LaneChoice,
        door: DoorSpec,
        serves: Option<Service>,
    ) -> NodeSpec {
        NodeSpec::Worker(WorkerNode {
            spec: ChildSpec::worker(id.as_str()),
            kind: Arc::new(ChildKind::System(name, index)),
            door,
            lane,
            grants: None,
            serves,
            watchdog: self.watchdog,
            last_incarnation: 0,
        })
    }

    fn supervisor(&self, spec: &SupervisorSpec) -> Result<SupervisorNode, CliError> {
        let children: Result<Vec<_>, _> =
            spec.children.iter().map(|node| self.node(node)).collect();
        Ok(SupervisorNode {
            spec: Node::Supervisor(spec.clone()).child_spec(),
            flags: spec.flags(),
            children: children?,
            forgets: spec.dynamic == Dynamic::Otp,
        })
    }

    fn node(&self, node: &Node) -> Result<NodeSpec, CliError> {
        match node {
            Node::Supervisor(spec) => Ok(NodeSpec::Supervisor(self.supervisor(spec)?)),
            Node::Provider(spec) => self.provider(spec),
            Node::Agent(spec) => self.agent(spec),
        }
    }

    fn provider(&self, spec: &ProviderSpec) -> Result<NodeSpec, CliError> {
        let capabilities = spec.capabilities.iter().map(String::as_str);
        let serves = Service::new(spec.id.as_str(), capabilities).map_err(bug)?;
        Ok(NodeSpec::Worker(WorkerNode {
            spec: Node::Provider(spec.clone()).child_spec(),
            kind: Arc::new(ChildKind::Provider(Box::new(spec.clone()))),
            door: DoorSpec::Provider { capacity: spec.mailbox.capacity as usize },
            lane: LaneChoice::Any,
            grants: None,
            serves: Some(serves),
            watchdog: spec.watchdog,
            last_incarnation: 0,
        }))
    }

    fn agent(&self, spec: &AgentSpec) -> Result<NodeSpec, CliError> {
        Ok(NodeSpec::Worker(WorkerNode {
            spec: Node::Agent(spec.clone()).child_spec(),
            kind: Arc::new(ChildKind::Agent(Arc::new(spec.clone()))),
            door: DoorSpec::Agent,
            lane: LaneChoice::Any,
            grants: Some(grants_of(self.ids, spec)?),
            serves: None,
            watchdog: spec.watchdog,
            last_incarnation: self.last.get(spec.id.as_str()).copied().unwrap_or(0),
        }))
    }
}

fn provider_door() -> DoorSpec {
    const { assert!(SYSTEM_MAILBOX <= STORE_MAILBOX_CAPACITY) };
    DoorSpec::Provider { capacity: SYSTEM_MAILBOX }
}

fn service(name: &str, operations: &[Operation]) -> Result<Service, CliError> {
    Service::new(name, operations.iter().map(|operation| operation.capability)).map_err(bug)
}

fn bug(error: impl std::fmt::Display) -> CliError {
    CliError::new("internal", exit::BUG, format!("a capability's name is refused: {error}"))
}

fn system_flags() -> Flags {
    Flags { intensity: SYSTEM_INTENSITY, period_ms: SYSTEM_PERIOD_MS, ..Flags::default() }
}
