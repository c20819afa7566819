//! What all supervisors of a node share, and how a child gets its place: lane, door, row in the kernel's table, routes.
//!
//! Start reading at [`Shared::place_worker`].

use crate::node::Hooks;
use crate::registry::{NewPlace, SUPERVISOR};
use crate::tree::{DoorSpec, LaneChoice, NodeSpec, SupervisorNode, WorkerNode};
use crate::{
    Authority, AuthorityError, ChildFactory, ChildKind, Clock, Door, History, Lane, Mailbox, Place,
    Registry, StartError, TreeError,
};
use loket_supervision::machine::Blame;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What all supervisors of a node share.
pub(crate) struct Shared {
    pub(crate) registry: Arc<Registry>,
    pub(crate) authority: Arc<Authority>,
    pub(crate) history: Arc<History>,
    pub(crate) clock: Clock,
    pub(crate) factory: Arc<dyn ChildFactory>,
    pub(crate) lanes: Arc<[Lane]>,
    pub(crate) system: Lane,
    pub(crate) hooks: Hooks,
    pub(crate) seed: u64,
}

/// Why a worker got no place.
#[derive(Debug)]
pub(crate) enum PlaceError {
    Taken(Arc<Place>),
    Authority(AuthorityError),
}

impl Shared {
    pub(crate) fn place_supervisor(
        &self,
        node: &SupervisorNode,
        supervisor: Option<&Arc<Place>>,
    ) -> Result<Arc<Place>, StartError> {
        let name = Arc::clone(&node.spec.id);
        let place = self.registry.add(NewPlace {
            name: Arc::clone(&name),
            kind: SUPERVISOR,
            supervisor: supervisor.cloned(),
            lane: self.system.clone(),
            door: Door::Closed,
            principal: None,
            last_incarnation: 0,
        });
        let place = place.map_err(|_| TreeError::Twice(name))?;
        let simple = node.is_simple();
        for child in &node.children {
            match child {
                // A template is nobody yet.
                NodeSpec::Worker(_) if simple => {}
                NodeSpec::Supervisor(child) => drop(self.place_supervisor(child, Some(&place))?),
                NodeSpec::Worker(child) => {
                    let placed = self.place_worker(child, Some(&place));
                    placed.map_err(|error| match error {
                        PlaceError::Taken(place) => TreeError::Twice(place.name.clone()).into(),
                        PlaceError::Authority(error) => StartError::from(error),
                    })?;
                }
            }
        }
        Ok(place)
    }

    /// Gives a worker its place: lane, door, row in the kernel's table, routes.
    pub(crate) fn place_worker(
        &self,
        worker: &WorkerNode,
        supervisor: Option<&Arc<Place>>,
    ) -> Result<Arc<Place>, PlaceError> {
        let name = &worker.spec.id;
        if let Some(there) = self.registry.find(name) {
            return Err(PlaceError::Taken(there));
        }
        let lane = self.lane(worker.lane);
        let door = match worker.door {
            DoorSpec::Provider { capacity } => Door::Provider(Mailbox::new(capacity)),
            DoorSpec::Kernel => Door::Kernel(lane.kernel().clone()),
            DoorSpec::Store => Door::Provider(lane.store().clone()),
            DoorSpec::Agent => Door::Agent(Arc::default()),
            DoorSpec::Closed => Door::Closed,
        };
        let enrol = |grants: &Arc<_>| {
            let (name, last) = (Arc::clone(name), worker.last_incarnation);
            self.authority.enrol(name, last, Arc::clone(grants))
        };
        let principal = worker.grants.as_ref().map(enrol).transpose();
        let principal = principal.map_err(PlaceError::Authority)?;
        if let (Some(service), Door::Provider(mailbox)) = (&worker.serves, &door) {
            let served = self.authority.serve(service, lane.index(), mailbox.clone());
            served.map_err(PlaceError::Authority)?;
        }
        let place = self.registry.add(NewPlace {
            name: Arc::clone(name),
            kind: worker.kind.as_str(),
            supervisor: supervisor.cloned(),
            lane,
            door,
            principal,
            last_incarnation: worker.last_incarnation,
        });
        place.map_err(PlaceError::Taken)
    }

    /// Forgets a dynamic child.
    pub(crate) fn remove_worker(&self, name: &str) {
        if let Some(place) = self.registry.remove(name)
            && let Some(principal) = place.principal
        {
            self.authority.dismiss(principal);
        }
    }

    fn lane(&self, choice: LaneChoice) -> Lane {
        let chosen = match choice {
            LaneChoice::System => None,
            LaneChoice::Lane(index) => self.lanes.get(index),
            LaneChoice::Any => {
                self.lanes.iter().min_by_key(|lane| lane.placed().load(Ordering::Acquire))
            }
        };
        chosen.unwrap_or(&self.system).clone()
    }
}

/// Who is to blame when native code of this child panics.
pub(crate) fn blame_of(kind: &ChildKind, door: &Door) -> Blame {
    match (kind, door) {
        (ChildKind::Provider(_), _) | (ChildKind::System(..), Door::Provider(_)) => Blame::Provider,
        _ => Blame::Host,
    }
}
