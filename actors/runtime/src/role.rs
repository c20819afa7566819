//! What a place has for what its child is: a supervisor's has the places below it, a worker's what others have come to know of it.
//!
//! A place never changes its role: who needs another gets another place. Start reading at [`Role`].

use crate::siblings::Siblings;
use crate::tree::{DoorSpec, LaneChoice, NodeSpec, Service, WorkerNode};
use crate::{Place, SupervisorNode};
use std::sync::{Arc, Mutex, MutexGuard};

/// See the module's head. One or the other, for ten thousand places have it.
#[derive(Debug)]
pub(crate) enum Role {
    Supervisor {
        children: Mutex<Siblings>,
        /// What it starts with, at this start or the next: flags and first children.
        plan: Mutex<Arc<SupervisorNode>>,
    },
    Worker(Fixed),
}

impl Role {
    pub(crate) fn supervisor(node: &SupervisorNode) -> Self {
        let plan = Mutex::new(Arc::new(node.clone()));
        Self::Supervisor { children: Mutex::default(), plan }
    }
}

/// What others have come to know of a worker, so that it stays as long as its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fixed {
    door: DoorSpec,
    lane: LaneChoice,
    calls: bool,
    serves: Option<Box<Service>>,
}

impl Fixed {
    pub(crate) fn of(worker: &WorkerNode) -> Self {
        let WorkerNode { door, lane, grants, serves, .. } = worker;
        Self {
            door: *door,
            lane: *lane,
            calls: grants.is_some(),
            serves: serves.clone().map(Box::new),
        }
    }

    fn differs(&self, other: &Self) -> Option<&'static str> {
        let parts = [
            (self.door != other.door, "door"),
            (self.lane != other.lane, "lane"),
            (self.calls != other.calls, "right to call"),
            (self.serves != other.serves, "service"),
        ];
        parts.into_iter().find_map(|(differs, part)| differs.then_some(part))
    }
}

impl Place {
    /// The places below it, locked; nothing for a worker.
    pub(crate) fn siblings(&self) -> Option<MutexGuard<'_, Siblings>> {
        match &self.role {
            Role::Supervisor { children, .. } => Some(crate::lock(children)),
            Role::Worker(_) => None,
        }
    }

    /// The places right below it in start order.
    pub(crate) fn children(&self) -> Vec<Arc<Self>> {
        self.siblings().map(|children| children.all()).unwrap_or_default()
    }

    /// What it starts with; nothing for a worker.
    pub(crate) fn plan(&self) -> Option<Arc<SupervisorNode>> {
        match &self.role {
            Role::Supervisor { plan, .. } => Some(Arc::clone(&crate::lock(plan))),
            Role::Worker(_) => None,
        }
    }

    /// Gives a supervisor what it starts with next.
    pub(crate) fn set_plan(&self, node: Arc<SupervisorNode>) {
        if let Role::Supervisor { plan, .. } = &self.role {
            *crate::lock(plan) = node;
        }
    }

    /// What keeps it from being the place of this child.
    pub(crate) fn fixed_against(&self, child: &NodeSpec) -> Option<&'static str> {
        match (&self.role, child) {
            (Role::Supervisor { .. }, NodeSpec::Supervisor(_)) => None,
            (Role::Worker(fixed), NodeSpec::Worker(node)) => fixed.differs(&Fixed::of(node)),
            _ => Some("type"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::CellControl;

    /// Two counts of an `Arc` are beside each: allocators have a size of 256 bytes, and the next takes half as much again.
    #[test]
    fn h1_what_every_child_has_is_small() {
        let sizes = [size_of::<Place>(), size_of::<CellControl>()];
        assert!(sizes.iter().all(|size| *size <= 240), "place and control: {sizes:?} bytes");
    }
}
