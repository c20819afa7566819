//! What a node is made of, as data: supervisors, workers, who calls, who serves. Whoever assembles a node fills it in.
//!
//! It starts nothing; [`Node::run`](crate::Node::run) does. Start reading at [`TreeSpec`].

use crate::ChildKind;
use loket_kernel::{Capability, GrantSet, NameError};
use loket_supervision::fleet::Watchdog;
use loket_supervision::machine::{
    AutoShutdown, ChildSpec, Flags, Kind, Restart, SpecError, Strategy, Supervisor,
};
use std::collections::HashSet;
use std::sync::Arc;

/// A whole node.
///
/// Its top supervisor is RestForOne over `system` and `root` and never restarts: when either of them gives up or ends, the node
/// ends with that reason. `system` starts first and stops last.
#[derive(Debug, Clone)]
pub struct TreeSpec {
    /// Name of the top supervisor.
    pub name: Arc<str>,
    /// Callers that are no children: `@operator`, `@http`, `@timer`.
    pub principals: Vec<PrincipalSpec>,
    /// What every fleet has.
    pub system: SupervisorNode,
    /// What the fleet file says.
    pub root: SupervisorNode,
    /// Seed of the jitter of restart delays.
    pub seed: u64,
}

/// A caller that is no child. Its incarnation is always 1.
#[derive(Debug, Clone)]
pub struct PrincipalSpec {
    /// Its name.
    pub name: Arc<str>,
    /// What it may do.
    pub grants: Arc<GrantSet>,
}

/// A child of the tree.
#[derive(Debug, Clone)]
pub enum NodeSpec {
    /// With children of its own.
    Supervisor(SupervisorNode),
    /// Without.
    Worker(WorkerNode),
}

/// A supervisor. `spec.id` is its registered name, unique in the node.
#[derive(Debug, Clone)]
pub struct SupervisorNode {
    /// How it is restarted and stopped.
    pub spec: ChildSpec,
    /// How it restarts and stops.
    pub flags: Flags,
    /// In start order; under SimpleOneForOne the template, one worker.
    pub children: Vec<NodeSpec>,
    /// Its dynamic children are gone for good when it ends, as in OTP.
    pub forgets: bool,
}

/// A worker. `spec.id` is its registered name, unique in the node.
#[derive(Debug, Clone)]
pub struct WorkerNode {
    /// How it is restarted and stopped.
    pub spec: ChildSpec,
    /// What the factory makes of it.
    pub kind: Arc<ChildKind>,
    /// How it is reached.
    pub door: DoorSpec,
    /// Where it runs.
    pub lane: LaneChoice,
    /// If it calls: what it may.
    pub grants: Option<Arc<GrantSet>>,
    /// If it serves: what.
    pub serves: Option<Service>,
    /// Bounds of one piece of its work; none: nobody looks.
    pub watchdog: Option<Watchdog>,
    /// The number of its last life in an earlier process, from the ledger; 0 for none.
    pub last_incarnation: u64,
}

/// How a worker is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoorSpec {
    /// A mailbox of its own.
    Provider {
        /// Most calls that may wait.
        capacity: usize,
    },
    /// A mailbox for requests of the node's own children.
    Native {
        /// Most requests that may wait.
        capacity: usize,
    },
    /// The kernel door of its lane.
    Kernel,
    /// The store door of its lane.
    Store,
    /// It is woken.
    Agent,
    /// Not at all.
    Closed,
}

/// Where a worker runs. It stays there for all its lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LaneChoice {
    /// On the lane with the fewest children.
    #[default]
    Any,
    /// On this one.
    Lane(usize),
    /// On the system arbiter: never a guest, never blocking work.
    System,
}

/// What a worker serves. Workers with the same service name are its shards: a call goes to the one on the caller's lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The service's name.
    pub name: Arc<str>,
    /// The full names of its capabilities.
    pub capabilities: Arc<[Capability]>,
}

impl Service {
    /// A service, from names as text.
    ///
    /// # Errors
    /// The first name that is none.
    pub fn new<'n>(
        name: impl Into<Arc<str>>,
        capabilities: impl IntoIterator<Item = &'n str>,
    ) -> Result<Self, NameError> {
        let all: Result<Vec<_>, _> = capabilities.into_iter().map(Capability::parse).collect();
        Ok(Self { name: name.into(), capabilities: all?.into() })
    }
}

/// Why a tree cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The machine refuses a supervisor's flags or its children's specs.
    #[error("supervisor {supervisor}: {error}")]
    Spec {
        /// Which supervisor.
        supervisor: Arc<str>,
        /// Why.
        error: SpecError,
    },
    /// Two children have the same name.
    #[error("two children are called {0}")]
    Twice(Arc<str>),
    /// A lane that the node has not.
    #[error("{name} wants lane {lane}, there are {lanes}")]
    NoLane {
        /// Who.
        name: Arc<str>,
        /// The lane.
        lane: usize,
        /// How many there are.
        lanes: usize,
    },
    /// A kernel or store shard must say on which lane it is.
    #[error("{0} has a lane's door but no lane of its own")]
    NoShardLane(Arc<str>),
    /// The template of a SimpleOneForOne supervisor must be a worker.
    #[error("the template of {0} is a supervisor")]
    Template(Arc<str>),
    /// A service needs a mailbox.
    #[error("{0} serves, but has no mailbox")]
    NoMailbox(Arc<str>),
}

impl TreeError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Spec { error, .. } => error.code(),
            Self::Twice(_) => "duplicate_name",
            Self::NoLane { .. } | Self::NoShardLane(_) => "no_lane",
            Self::Template(_) => "bad_template",
            Self::NoMailbox(_) => "no_mailbox",
        }
    }
}

impl NodeSpec {
    /// The child's spec as the machine wants it.
    pub(crate) fn spec(&self) -> ChildSpec {
        match self {
            Self::Supervisor(node) => ChildSpec { kind: Kind::Supervisor, ..node.spec.clone() },
            Self::Worker(node) => ChildSpec { kind: Kind::Worker, ..node.spec.clone() },
        }
    }

    /// Checks it and all below it; `names` are those that are taken.
    pub(crate) fn check(
        &self,
        lanes: usize,
        names: &mut HashSet<Arc<str>>,
    ) -> Result<(), TreeError> {
        if !names.insert(Arc::clone(self.name())) {
            return Err(TreeError::Twice(Arc::clone(self.name())));
        }
        match self {
            Self::Supervisor(node) => check(node, lanes, names),
            Self::Worker(node) => node.check(lanes),
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        match self {
            Self::Supervisor(node) => &node.spec.id,
            Self::Worker(node) => &node.spec.id,
        }
    }
}

impl SupervisorNode {
    pub(crate) fn specs(&self) -> Vec<ChildSpec> {
        self.children.iter().map(NodeSpec::spec).collect()
    }

    /// The children that it starts with: a template is nobody yet.
    pub(crate) fn first_children(&self) -> &[NodeSpec] {
        if self.is_simple() { &[] } else { &self.children }
    }

    pub(crate) fn names(&self) -> HashSet<Arc<str>> {
        self.first_children().iter().map(|child| Arc::clone(child.name())).collect()
    }

    pub(crate) fn is_simple(&self) -> bool {
        self.flags.strategy == Strategy::SimpleOneForOne
    }
}

impl TreeSpec {
    /// The top supervisor; checks the whole tree.
    pub(crate) fn into_top(self, lanes: usize) -> Result<SupervisorNode, TreeError> {
        let part = |mut node: SupervisorNode| {
            node.spec.restart = Restart::Transient;
            node.spec.significant = true;
            // It is never restarted: a delay would only keep up what has ended.
            node.spec.backoff = None;
            NodeSpec::Supervisor(node)
        };
        let flags = Flags {
            strategy: Strategy::RestForOne,
            intensity: 0,
            auto_shutdown: AutoShutdown::AnySignificant,
            ..Flags::default()
        };
        let children = vec![part(self.system), part(self.root)];
        let top = SupervisorNode {
            spec: ChildSpec::supervisor(self.name),
            flags,
            children,
            forgets: false,
        };
        let mut names = HashSet::from([Arc::clone(&top.spec.id)]);
        check(&top, lanes, &mut names)?;
        Ok(top)
    }
}

fn check(
    node: &SupervisorNode,
    lanes: usize,
    names: &mut HashSet<Arc<str>>,
) -> Result<(), TreeError> {
    let supervisor = Arc::clone(&node.spec.id);
    let fits = |error| TreeError::Spec { supervisor: Arc::clone(&supervisor), error };
    Supervisor::new(node.flags.clone(), node.specs(), 0).map_err(fits)?;
    if node.is_simple() && matches!(&*node.children, [NodeSpec::Supervisor(_)]) {
        return Err(TreeError::Template(supervisor));
    }
    // A template is nobody yet: it may be called as its supervisor is.
    let mut nobody = HashSet::new();
    let names = if node.is_simple() { &mut nobody } else { names };
    node.children.iter().try_for_each(|child| child.check(lanes, names))
}

impl WorkerNode {
    pub(crate) fn check(&self, lanes: usize) -> Result<(), TreeError> {
        let name = || Arc::clone(&self.spec.id);
        let of_lane = matches!(self.door, DoorSpec::Kernel | DoorSpec::Store);
        match self.lane {
            LaneChoice::Lane(lane) if lane >= lanes => {
                return Err(TreeError::NoLane { name: name(), lane, lanes });
            }
            LaneChoice::Any | LaneChoice::System if of_lane => {
                return Err(TreeError::NoShardLane(name()));
            }
            _ => {}
        }
        let mailbox = matches!(self.door, DoorSpec::Provider { .. } | DoorSpec::Store);
        if self.serves.is_some() && !mailbox {
            return Err(TreeError::NoMailbox(name()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use loket_supervision::machine::{Backoff, First};

    #[test]
    fn what_says_how_the_root_would_be_restarted_says_nothing() {
        let part = |id: &str| SupervisorNode {
            spec: ChildSpec::supervisor(id),
            flags: Flags::default(),
            children: Vec::new(),
            forgets: false,
        };
        let mut root = part("root");
        root.spec.backoff = Some(Backoff {
            first: First::Immediate,
            min_ms: 1,
            max_ms: 1,
            factor: 1.0,
            jitter: 0.0,
            reset_after_ms: 1,
        });
        let (name, principals, seed) = ("fleet".into(), Vec::new(), 1);
        let tree = TreeSpec { name, principals, seed, system: part("system"), root };
        let top = tree.into_top(1).unwrap();
        let specs = top.specs();
        assert_eq!(specs.iter().map(|spec| &*spec.id).collect::<Vec<_>>(), ["system", "root"]);
        // With a delay it would wait with a fleet that has ended.
        assert!(specs.iter().all(|spec| spec.backoff.is_none() && spec.significant));
    }
}
