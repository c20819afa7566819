//! Who is where: each child's place by its name, for any thread, and the tree as it is shown.
//!
//! A place outlives the incarnations of its child. Supervisors write here what their machines say; nobody decides from it. The
//! path of a call never looks here. Start reading at [`Registry::find`].

use crate::cell::CellControl;
use crate::place_state::Status;
use crate::role::Role;
use crate::signals::{Signal, Signals};
use crate::{Door, Lane, PlaceState, Relations, TreeView};
use loket_kernel::{GrantSet, Principal};
use loket_supervision::fleet::Watchdog;
use loket_supervision::machine::{ChildState, ChildView, Exit};
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// A child's place in the tree.
#[derive(Debug)]
pub struct Place {
    pub(crate) number: u64,
    pub(crate) name: Arc<str>,
    /// Thin: there is a place in memory for each child that sleeps.
    kind: &'static &'static str,
    pub(crate) supervisor: Option<Arc<Place>>,
    pub(crate) lane: Lane,
    pub(crate) door: Door,
    pub(crate) principal: Option<Principal>,
    /// Whether it is a shard of a service.
    pub(crate) serves: bool,
    pub(crate) role: Role,
    /// What it was given as its rights last.
    pub(crate) grants: Mutex<Option<Arc<GrantSet>>>,
    pub(crate) incarnation: AtomicU64,
    pub(crate) status: Mutex<Status>,
}

/// A living incarnation, as its supervisor and the operator reach it.
#[derive(Debug, Clone)]
pub(crate) enum Life {
    Cell(Arc<CellControl>),
    Supervisor(Signals),
}

impl Life {
    pub(crate) fn stop(&self) {
        match self {
            Self::Cell(control) => control.stop(),
            Self::Supervisor(signals) => signals.push(Signal::Stop(Exit::Shutdown)),
        }
    }

    pub(crate) fn kill(&self) {
        match self {
            Self::Cell(control) => control.kill(),
            Self::Supervisor(signals) => signals.push(Signal::Kill),
        }
    }
}

/// Bytes of a [`Place`] at most, so that it has the allocator's class of 224 with its counts.
const PLACE_BYTES_MAX: usize = 208;
const _: () = assert!(size_of::<Place>() <= PLACE_BYTES_MAX);

impl Place {
    /// The child's registered name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// `supervisor`, `agent`, `provider` or `system`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The registered name of its supervisor; `None` for the top.
    pub fn supervisor(&self) -> Option<&Arc<str>> {
        self.supervisor.as_ref().map(|place| &place.name)
    }

    /// Where it runs.
    pub fn lane(&self) -> &Lane {
        &self.lane
    }

    /// How it is reached.
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// Its row in the kernel's table, if it calls.
    pub fn principal(&self) -> Option<Principal> {
        self.principal
    }

    /// The number of its present or last life; 0 before the first.
    pub fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::Acquire)
    }

    /// Where it is in its life.
    pub fn state(&self) -> PlaceState {
        self.status().shown()
    }

    /// Restarts since its supervisor started it.
    pub fn restarts(&self) -> u64 {
        u64::from(self.status().restarts)
    }

    /// Its last exit.
    pub fn last_exit(&self) -> Option<Exit> {
        self.status().last_exit.as_deref().cloned()
    }

    /// When it is started again, on the monotonic clock; only while it waits for that.
    pub(crate) fn restart_at_ms(&self) -> Option<u64> {
        self.status().restart_at_ms.map(NonZeroU64::get)
    }

    pub(crate) fn status(&self) -> MutexGuard<'_, Status> {
        crate::lock(&self.status)
    }

    pub(crate) fn life(&self) -> Option<Life> {
        self.status().life.clone()
    }

    /// Its cell, if it is a worker that lives.
    pub(crate) fn cell(&self) -> Option<Arc<CellControl>> {
        match self.life()? {
            Life::Cell(control) => Some(control),
            Life::Supervisor(_) => None,
        }
    }

    /// Its door gives nothing more to who was attached until now; gives who that is. A start sees all of it or nothing.
    pub(crate) fn fence(&self) -> Option<Arc<CellControl>> {
        let status = self.status();
        self.door.fence();
        match &status.life {
            Some(Life::Cell(control)) => Some(Arc::clone(control)),
            _ => None,
        }
    }

    /// Its signals, if it is a supervisor that lives.
    pub(crate) fn signals(&self) -> Option<Signals> {
        match self.life()? {
            Life::Supervisor(signals) => Some(signals),
            Life::Cell(_) => None,
        }
    }

    /// Notes what the machine says; gives the restarts since the last time.
    pub(crate) fn note(&self, view: &ChildView) -> u64 {
        let mut status = self.status();
        status.state = match view.state {
            ChildState::Running => PlaceState::Running,
            ChildState::Starting => PlaceState::Starting,
            ChildState::Restarting { .. } => PlaceState::Restarting,
            ChildState::Stopping | ChildState::Exited => PlaceState::Stopping,
            ChildState::Undefined => PlaceState::Stopped,
        };
        let restart_at_ms = match view.state {
            ChildState::Restarting { until } => NonZeroU64::new(until.0.max(1)),
            _ => None,
        };
        if std::mem::replace(&mut status.restart_at_ms, restart_at_ms) != restart_at_ms {
            self.door.expect(restart_at_ms.map(NonZeroU64::get));
        }
        let more = view.restarts.saturating_sub(status.restarts.into());
        status.restarts = u32::try_from(view.restarts).unwrap_or(u32::MAX);
        if view.last_exit.is_some() {
            status.last_exit = view.last_exit.clone().map(Box::new);
        }
        more
    }

    /// Nobody at or below this place will run again: whoever waits there learns it.
    pub(crate) fn close(&self) {
        self.door.close();
        self.children().iter().for_each(|child| child.close());
    }
}

/// All places of a node by name.
#[derive(Debug, Default)]
pub struct Registry {
    pub(crate) places: RwLock<HashMap<Arc<str>, Arc<Place>>>,
    /// Those with bounds for their work, by their numbers.
    watched: Mutex<HashMap<u64, (Arc<Place>, Watchdog)>>,
    next_number: AtomicU64,
    restarts: AtomicU64,
    relations: Relations,
}

impl Drop for Registry {
    /// A place holds its supervisor's, and that holds its children's: without this a node's mailboxes outlive it, megabytes each time.
    fn drop(&mut self) {
        let places = self.places.get_mut().unwrap_or_else(PoisonError::into_inner);
        for place in places.values() {
            place.siblings().map(|mut children| std::mem::take(&mut *children));
        }
    }
}

impl Registry {
    /// The place of this name.
    pub fn find(&self, name: &str) -> Option<Arc<Place>> {
        self.places.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Monitors, links, groups and who listens to names.
    pub fn relations(&self) -> &Relations {
        &self.relations
    }

    /// Restarts since this process began, of children that are gone by now, too.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Acquire)
    }

    /// Counts restarts.
    pub(crate) fn restarted(&self, count: u64) {
        self.restarts.fetch_add(count, Ordering::AcqRel);
    }

    /// Tells how much waits in each mailbox.
    pub(crate) fn mailboxes(&self, tell: &mut dyn FnMut(&str, usize)) {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        for place in places.values() {
            match &place.door {
                Door::Provider(mailbox) => tell(&place.name, mailbox.depth()),
                Door::Kernel(mailbox) => tell(&place.name, mailbox.depth()),
                Door::Native(mailbox) => tell(&place.name, mailbox.depth()),
                Door::Agent(_) | Door::Closed => {}
            }
        }
    }

    /// The names of all workers that run and that `wanted` takes, in no order.
    pub fn living(&self, wanted: &dyn Fn(&Place) -> bool) -> Vec<Arc<str>> {
        let places: Vec<Arc<Place>> = {
            let all = self.places.read().unwrap_or_else(PoisonError::into_inner);
            all.values().filter(|place| place.kind() != SUPERVISOR).cloned().collect()
        };
        let runs =
            |place: &Place| matches!(place.state(), PlaceState::Running | PlaceState::Paused);
        let running = places.iter().filter(|place| runs(place));
        running.filter(|place| wanted(place)).map(|place| Arc::clone(&place.name)).collect()
    }

    /// How many places there are.
    pub fn len(&self) -> usize {
        self.places.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether there is no place.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tree from this place down.
    pub fn view(&self, name: &str) -> Option<TreeView> {
        self.find(name).map(|place| place.view())
    }

    pub(crate) fn name_of(&self, number: u64) -> Option<Arc<str>> {
        let all = self.places.read().unwrap_or_else(PoisonError::into_inner);
        all.values().find(|place| place.number == number).map(|place| Arc::clone(&place.name))
    }

    /// The place of this number, if it has bounds for its work.
    pub(crate) fn watched(&self, number: u64) -> Option<(Arc<Place>, Watchdog)> {
        crate::lock(&self.watched).get(&number).cloned()
    }

    /// Looks at all places with bounds for their work.
    pub(crate) fn each_watched(&self, look: &mut dyn FnMut(&Arc<Place>, Watchdog)) {
        crate::lock(&self.watched).values().for_each(|(place, bounds)| look(place, *bounds));
    }

    /// Sets the bounds of one piece of work at this place; none: nobody looks.
    pub(crate) fn watch(&self, place: &Arc<Place>, bounds: Option<Watchdog>) {
        let mut watched = crate::lock(&self.watched);
        match bounds {
            Some(bounds) => drop(watched.insert(place.number, (Arc::clone(place), bounds))),
            None => drop(watched.remove(&place.number)),
        }
    }

    /// The places of a lane.
    pub(crate) fn on_lane(&self, lane: &Lane) -> Vec<Arc<Place>> {
        let all = self.places.read().unwrap_or_else(PoisonError::into_inner);
        all.values().filter(|place| place.lane.is(lane)).cloned().collect()
    }

    /// Makes a place; `Err` with the one that has the name already.
    pub(crate) fn add(&self, new: NewPlace) -> Result<Arc<Place>, Arc<Place>> {
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = places.get(&new.name) {
            return Err(Arc::clone(there));
        }
        new.lane.placed().fetch_add(1, Ordering::AcqRel);
        let place = Arc::new(Place {
            number: self.next_number.fetch_add(1, Ordering::AcqRel) + 1,
            name: Arc::clone(&new.name),
            kind: new.kind,
            supervisor: new.supervisor,
            lane: new.lane,
            door: new.door,
            principal: new.principal,
            serves: new.serves,
            role: new.role,
            grants: Mutex::new(new.grants),
            incarnation: AtomicU64::new(new.last_incarnation),
            status: Mutex::default(),
        });
        places.insert(new.name, Arc::clone(&place));
        if new.watchdog.is_some() {
            self.watch(&place, new.watchdog);
        }
        if let Some(mut beside) = place.supervisor.as_ref().and_then(|above| above.siblings()) {
            beside.push(Arc::clone(&place));
        }
        Ok(place)
    }

    /// Forgets a place and closes its door.
    pub(crate) fn remove(&self, name: &str) -> Option<Arc<Place>> {
        let place = {
            let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
            places.remove(name)?
        };
        crate::lock(&self.watched).remove(&place.number);
        place.lane.placed().fetch_sub(1, Ordering::AcqRel);
        place.close();
        if let Some(mut beside) = place.supervisor.as_ref().and_then(|above| above.siblings()) {
            beside.remove(&place);
        }
        Some(place)
    }
}

/// The kind of all supervisors.
pub(crate) const SUPERVISOR: &str = "supervisor";

/// What a place is made of.
pub(crate) struct NewPlace {
    pub(crate) name: Arc<str>,
    pub(crate) kind: &'static &'static str,
    pub(crate) supervisor: Option<Arc<Place>>,
    pub(crate) lane: Lane,
    pub(crate) door: Door,
    pub(crate) principal: Option<Principal>,
    pub(crate) last_incarnation: u64,
    pub(crate) serves: bool,
    pub(crate) watchdog: Option<Watchdog>,
    pub(crate) role: Role,
    pub(crate) grants: Option<Arc<GrantSet>>,
}
