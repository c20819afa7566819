//! What a supervisor's actor does to its children: makes, reaches, notes and forgets them. No decision is made here.

use super::{Actor, launch_supervisor};
use crate::cell::{self, CellControl, Seed};
use crate::control::DynamicSpec;
use crate::panic::guard;
use crate::registry::Life;
use crate::shared::{PlaceError, blame_of};
use crate::tree::NodeSpec;
use crate::{ChildPlan, Place, PlaceState, metrics};
use loket_supervision::machine::{ApiError, Blame, Cause, ChildId, ChildState, Event, Exit, Phase};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Actor {
    pub(super) fn gone(&self, id: &ChildId, incarnation: u64) {
        if let Some(place) = self.shared.registry.find(id)
            && place.incarnation() == incarnation
        {
            place.status().life = None;
        }
    }

    /// Makes the place of a dynamic child.
    pub(super) fn make_room(&self, id: &ChildId, child: &DynamicSpec) -> Result<(), ApiError> {
        let [NodeSpec::Worker(template)] = &*self.node.children else {
            return Err(ApiError::NotFound);
        };
        if !self.node.is_simple() {
            return Err(ApiError::NotFound);
        }
        let mut worker = template.clone();
        worker.spec.id = Arc::clone(id);
        worker.kind = Arc::clone(&child.kind);
        worker.last_incarnation = child.last_incarnation;
        let there = |place: Arc<Place>| ApiError::AlreadyStarted(place.incarnation());
        self.shared.place_worker(&worker, Some(&self.place)).map_err(|error| match error {
            PlaceError::Taken(place) => there(place),
            PlaceError::Authority(_) => ApiError::MaxChildren(u32::MAX),
        })?;
        Ok(())
    }

    pub(super) fn reach(&self, id: &str, incarnation: u64, deed: impl FnOnce(&Life)) {
        let place = self.shared.registry.find(id);
        let place = place.filter(|place| place.incarnation() == incarnation);
        if let Some(life) = place.and_then(|place| place.life()) {
            deed(&life);
        }
    }

    pub(super) fn start(&mut self, id: &ChildId, incarnation: u64) {
        let failed = |reason| {
            let id = Arc::clone(id);
            self.signals.event(Event::StartFailed { id, incarnation, reason });
        };
        let Some(place) = self.shared.registry.find(id) else {
            return failed(Exit::crash(Cause::Start, Blame::Host, "the child has no place"));
        };
        place.door.reopen();
        let kind = match self.node.child(id) {
            Some(NodeSpec::Supervisor(node)) => {
                let (node, parent) = (node.clone(), self.signals.clone());
                return launch_supervisor(&self.shared, node, &place, parent, incarnation);
            }
            Some(NodeSpec::Worker(worker)) => Arc::clone(&worker.kind),
            None => match self.dynamic.get(id) {
                Some(kind) => Arc::clone(kind),
                None => return failed(Exit::crash(Cause::Start, Blame::Host, "unknown child")),
            },
        };
        place.incarnation.store(incarnation, Ordering::Release);
        if let Some(principal) = place.principal {
            self.shared.authority.set_incarnation(principal, incarnation);
        }
        let blame = blame_of(&kind, &place.door);
        let plan = ChildPlan { name: Arc::clone(id), incarnation, spec: kind };
        let body = match guard(Blame::Host, || self.shared.factory.build(&plan)) {
            Ok(Ok(body)) => body,
            Ok(Err(exit)) | Err(exit) => return failed(exit),
        };
        let (name, signals) = (Arc::clone(id), self.signals.clone());
        let control = Arc::new(CellControl::new(Arc::clone(id), incarnation, signals));
        place.status().life = Some(Life::Cell(Arc::clone(&control)));
        let (lane, door) = (place.lane.clone(), place.door.clone());
        let place = place.number;
        cell::launch(Seed { name, place, incarnation, lane, door, blame, body, control });
    }

    /// Writes down what the machine says of a child now.
    pub(super) fn note(&mut self, id: &ChildId) {
        let view = self.machine.child(id);
        if view.is_none() {
            self.unsettled.remove(id);
        }
        if self.dynamic.contains_key(id) && view.is_none() {
            if self.asked.values().any(|asked| asked == id) {
                return;
            }
            self.dynamic.remove(id);
            self.tell_gone(id);
            self.shared.remove_worker(id);
            return;
        }
        let Some(place) = self.shared.registry.find(id) else {
            return;
        };
        let Some(view) = view else {
            // A temporary child has ended: its spec is gone, its place is kept for `tree`.
            self.tell_gone(id);
            place.status().state = PlaceState::Stopped;
            self.idle.insert(Arc::clone(id));
            return;
        };
        let restarts = place.note(&view);
        if restarts > 0 {
            let cause = view.last_exit.as_ref().map_or("none", Exit::code);
            metrics::restarted(place.kind, cause, restarts);
            self.shared.registry.restarted(restarts);
        }
        match view.state {
            ChildState::Running => drop(self.unsettled.remove(id)),
            ChildState::Undefined => {
                self.unsettled.remove(id);
                self.idle.insert(Arc::clone(id));
            }
            _ => drop(self.unsettled.insert(Arc::clone(id))),
        }
    }

    /// Tells that a child is gone for good. What ends with its supervisor is not: it may come back with it.
    fn tell_gone(&self, id: &ChildId) {
        if self.doomed || self.machine.phase() != Phase::Up {
            return;
        }
        let Some(place) = self.shared.registry.find(id) else {
            return;
        };
        // A child that never came up has not ended: its start may go better next time.
        if matches!(place.state(), PlaceState::Starting | PlaceState::Stopped) {
            return;
        }
        if let Some(on_gone) = &self.shared.hooks.on_gone {
            let exit = place.last_exit();
            on_gone(id, &exit.map_or_else(|| "stopped".to_owned(), |exit| exit.to_string()));
        }
    }

    /// Closes the doors of children that nobody is about to start, so that their callers do not wait for ever. Not while a group
    /// is being restarted: its mailboxes are to survive that.
    pub(super) fn close_idle(&mut self) {
        if self.idle.is_empty() || self.doomed {
            return;
        }
        if !self.unsettled.is_empty() {
            return;
        }
        for id in std::mem::take(&mut self.idle) {
            let state = self.machine.child(&id).map(|child| child.state);
            if state.is_none_or(|state| state == ChildState::Undefined)
                && let Some(place) = self.shared.registry.find(&id)
            {
                place.close();
            }
        }
    }

    /// Killed: all below goes too, then the supervisor itself.
    pub(super) fn die(&mut self) {
        self.doomed = true;
        self.kill_all();
        self.end_if_alone();
    }

    pub(super) fn kill_all(&self) {
        let children = crate::lock(&self.place.children).clone();
        children.iter().filter_map(|child| child.life()).for_each(|life| life.kill());
    }

    pub(super) fn end_if_alone(&mut self) {
        let children = crate::lock(&self.place.children).clone();
        if children.iter().all(|child| child.life().is_none()) {
            self.ended = Some(Exit::Killed);
        }
    }
}
