//! What all supervisors of a node share, and how a child gets its place: lane, door, row in the kernel's table, routes.
//!
//! Start reading at [`Shared::place_worker`].

use crate::history::Reports;
use crate::node::Hooks;
use crate::registry::{NewPlace, SUPERVISOR};
use crate::role::{Fixed, Role};
use crate::tree::{DoorSpec, LaneChoice, NodeSpec, SupervisorNode, WorkerNode};
use crate::{
    Authority, AuthorityError, Bell, ChildFactory, ChildKind, Clock, Door, Lane, Mailbox, Place,
    Registry, StartError, TreeError,
};
use loket_supervision::machine::Blame;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What all supervisors of a node share.
pub(crate) struct Shared {
    pub(crate) registry: Arc<Registry>,
    pub(crate) authority: Arc<Authority>,
    pub(crate) reports: Reports,
    pub(crate) clock: Clock,
    pub(crate) factory: Arc<dyn ChildFactory>,
    pub(crate) lanes: Arc<[Lane]>,
    /// How many of them are for those who name none.
    pub(crate) placeable: usize,
    pub(crate) system: Lane,
    pub(crate) hooks: Hooks,
    pub(crate) seed: u64,
}

/// Why a child got no place.
#[derive(Debug)]
pub(crate) enum PlaceError {
    Taken(Arc<Place>),
    Authority(AuthorityError),
}

impl From<PlaceError> for StartError {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Taken(place) => TreeError::Twice(Arc::clone(&place.name)).into(),
            PlaceError::Authority(error) => error.into(),
        }
    }
}

impl std::fmt::Display for PlaceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Taken(place) => write!(f, "the name {} is taken", place.name),
            Self::Authority(error) => error.fmt(f),
        }
    }
}

impl Shared {
    /// Gives a child and all below it their places; `last` is the number of its last life in this process.
    ///
    /// # Errors
    /// [`PlaceError`]; nobody has a place then who had none before.
    pub(crate) fn place(
        &self,
        node: &NodeSpec,
        supervisor: Option<&Arc<Place>>,
        last: u64,
    ) -> Result<Arc<Place>, PlaceError> {
        match node {
            NodeSpec::Worker(worker) => self.place_worker(worker, supervisor, last),
            NodeSpec::Supervisor(node) => self.place_supervisor(node, supervisor, last),
        }
    }

    pub(crate) fn place_supervisor(
        &self,
        node: &SupervisorNode,
        supervisor: Option<&Arc<Place>>,
        last: u64,
    ) -> Result<Arc<Place>, PlaceError> {
        let place = self.registry.add(NewPlace {
            name: Arc::clone(&node.spec.id),
            kind: &SUPERVISOR,
            supervisor: supervisor.cloned(),
            lane: self.system.clone(),
            door: Door::Closed,
            principal: None,
            last_incarnation: last,
            serves: false,
            watchdog: None,
            role: Role::supervisor(node),
            grants: None,
        });
        let place = place.map_err(PlaceError::Taken)?;
        for child in node.first_children() {
            if let Err(error) = self.place(child, Some(&place), 0) {
                self.remove(&place.name);
                return Err(error);
            }
        }
        Ok(place)
    }

    /// Gives a worker its place: lane, door, row in the kernel's table, routes.
    pub(crate) fn place_worker(
        &self,
        worker: &WorkerNode,
        supervisor: Option<&Arc<Place>>,
        last: u64,
    ) -> Result<Arc<Place>, PlaceError> {
        let name = &worker.spec.id;
        let last_incarnation = worker.last_incarnation.max(last);
        if let Some(there) = self.registry.find(name) {
            return Err(PlaceError::Taken(there));
        }
        let lane = self.lane(worker.lane);
        let door = match worker.door {
            DoorSpec::Provider { capacity } => Door::Provider(Mailbox::new(capacity)),
            DoorSpec::Native { capacity } => Door::Native(Mailbox::new(capacity)),
            DoorSpec::Kernel => Door::Kernel(lane.kernel().clone()),
            DoorSpec::Store => Door::Provider(lane.store().clone()),
            DoorSpec::Agent => Door::Agent(Bell::default()),
            DoorSpec::Closed => Door::Closed,
        };
        door.called(name, &self.clock);
        let enrol = |grants: &Arc<_>| {
            self.authority.enrol(Arc::clone(name), last_incarnation, Arc::clone(grants))
        };
        let principal = worker.grants.as_ref().map(enrol).transpose();
        let principal = principal.map_err(PlaceError::Authority)?;
        if let (Some(service), Door::Provider(mailbox)) = (&worker.serves, &door)
            && let Err(error) = self.authority.serve(service, lane.index(), mailbox.clone())
        {
            principal.into_iter().for_each(|principal| self.authority.dismiss(principal));
            return Err(PlaceError::Authority(error));
        }
        let place = self.registry.add(NewPlace {
            name: Arc::clone(name),
            kind: worker.kind.word(),
            supervisor: supervisor.cloned(),
            lane,
            door,
            principal,
            last_incarnation,
            serves: worker.serves.is_some(),
            watchdog: worker.watchdog,
            role: Role::Worker(Fixed::of(worker)),
            grants: worker.grants.clone(),
        });
        place.map_err(PlaceError::Taken)
    }

    /// Gives a worker's place what counts without another one: rights and bounds.
    pub(crate) fn renew(&self, place: &Arc<Place>, worker: &WorkerNode) {
        self.registry.watch(place, worker.watchdog);
        let mut last = crate::lock(&place.grants);
        if let (Some(principal), Some(grants)) = (place.principal, &worker.grants)
            && !last.as_ref().is_some_and(|last| Arc::ptr_eq(last, grants))
        {
            self.authority.set_grants(principal, Arc::clone(grants));
            *last = Some(Arc::clone(grants));
        }
    }

    /// Forgets a child and all below it.
    pub(crate) fn remove(&self, name: &str) {
        let Some(place) = self.registry.remove(name) else {
            return;
        };
        if let Some(principal) = place.principal {
            self.authority.dismiss(principal);
        }
        if place.serves
            && let Door::Provider(mailbox) = &place.door
        {
            self.authority.withdraw(mailbox);
        }
        for child in place.children() {
            self.remove(&child.name);
        }
    }

    fn lane(&self, choice: LaneChoice) -> Lane {
        let chosen = match choice {
            LaneChoice::System => None,
            LaneChoice::Lane(index) => self.lanes.get(index),
            LaneChoice::Any => {
                let lanes = self.lanes.iter().take(self.placeable);
                lanes.min_by_key(|lane| lane.placed().load(Ordering::Acquire))
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
