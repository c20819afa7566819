//! What others have come to know of a worker, so that it stays as long as the worker's place: who needs another gets another place.

use crate::Place;
use crate::tree::{DoorSpec, LaneChoice, NodeSpec, Service, WorkerNode};

/// Those parts of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fixed {
    door: DoorSpec,
    lane: LaneChoice,
    calls: bool,
    serves: Option<Service>,
}

impl Fixed {
    pub(crate) fn of(worker: &WorkerNode) -> Self {
        let WorkerNode { door, lane, grants, serves, .. } = worker;
        Self { door: *door, lane: *lane, calls: grants.is_some(), serves: serves.clone() }
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
    /// What keeps it from being the place of this child.
    pub(crate) fn fixed_against(&self, child: &NodeSpec) -> Option<&'static str> {
        match (&self.fixed, child) {
            (None, NodeSpec::Supervisor(_)) => None,
            (Some(fixed), NodeSpec::Worker(node)) => fixed.differs(&Fixed::of(node)),
            _ => Some("type"),
        }
    }
}
