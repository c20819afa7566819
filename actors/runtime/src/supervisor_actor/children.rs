//! What a supervisor's actor does to its children: makes, reaches, notes and forgets them. No decision is made here.

use super::brought::Made;
use super::{Actor, launch_supervisor};
use crate::cell::{self, CellControl, Seed};
use crate::panic::guard;
use crate::registry::Life;
use crate::shared::blame_of;
use crate::{ChildPlan, PlaceState, metrics};
use loket_supervision::machine::{Blame, Cause, ChildId, ChildState, Event, Exit, Phase};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Actor {
    /// A life is over: noted before the machine forgets a child that will have no other.
    pub(super) fn gone(&mut self, id: &ChildId, incarnation: u64, reason: Option<&Exit>) {
        let Some(place) = self.shared.registry.find(id) else {
            return;
        };
        if place.incarnation() != incarnation {
            return;
        }
        let mut status = place.status();
        if let Some(reason) = reason {
            status.last_exit = Some(Box::new(reason.clone()));
        }
        if status.life.take().is_some() {
            self.living -= 1;
        }
    }

    pub(super) fn reach(&self, id: &str, incarnation: u64, deed: impl FnOnce(&Life)) {
        let place = self.shared.registry.find(id);
        let place = place.filter(|place| place.incarnation() == incarnation);
        if let Some(life) = place.and_then(|place| place.life()) {
            deed(&life);
        }
    }

    pub(super) fn start(&mut self, id: &ChildId, incarnation: u64) {
        let signals = self.signals.clone();
        let failed = |reason| {
            let id = Arc::clone(id);
            signals.event(Event::StartFailed { id, incarnation, reason });
        };
        if let Err(reason) = self.take_in(id) {
            return failed(reason);
        }
        let Some(place) = self.shared.registry.find(id) else {
            return failed(Exit::crash(Cause::Start, Blame::Host, "the child has no place"));
        };
        place.door.reopen();
        place.status().terminated = false;
        let kind = match self.made_of(id) {
            Some(Made::Supervisor) => {
                self.living += 1;
                let parent = self.signals.clone();
                return launch_supervisor(&self.shared, &place, parent, incarnation);
            }
            Some(Made::Worker(kind)) => kind,
            None => return failed(Exit::crash(Cause::Start, Blame::Host, "unknown child")),
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
        let (name, signals, lane) = (Arc::clone(id), self.signals.clone(), place.lane.clone());
        self.living += 1;
        let relations = self.shared.registry.relations().clone();
        let id = Arc::clone(id);
        // In one step for who gives the lane another thread: it finds no life whose door it has fenced.
        let mut status = place.status();
        let door = place.door.attach();
        let control = CellControl::new(id, incarnation, signals, relations, door.clone());
        let control = Arc::new(control.here(lane.takes_in_place()));
        status.life = Some(Life::Cell(Arc::clone(&control)));
        drop(status);
        let place = place.number;
        cell::launch(Seed { name, place, incarnation, lane, door, blame, body, control });
    }

    /// Writes down what the machine says of a child now.
    pub(super) fn note(&mut self, id: &ChildId) {
        let view = self.machine.child(id);
        if view.is_none() {
            self.unsettled.remove(id);
        }
        if view.is_none() && self.code.remove(id).is_some_and(|code| code.added) {
            self.tell_gone(id);
            self.shared.remove(id);
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
            metrics::restarted(place.kind(), cause, restarts);
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

    /// A caller has had this child stopped. It may have been another life that was meant.
    pub(super) fn terminated(&self, id: &ChildId) {
        let state = self.machine.child(id).map(|child| child.state);
        if let None | Some(ChildState::Undefined) = state
            && let Some(place) = self.shared.registry.find(id)
        {
            place.status().terminated = true;
        }
    }

    /// Tells that a child is gone for good. What ends with its supervisor is not: it may come back with it, unless the
    /// supervisor forgets.
    pub(super) fn tell_gone(&self, id: &ChildId) {
        let forgotten = self.plan.forgets;
        if !forgotten && (self.doomed || self.machine.phase() != Phase::Up) {
            return;
        }
        let Some(place) = self.shared.registry.find(id) else {
            return;
        };
        // A child that never came up has not ended: its start may go better next time.
        if !forgotten && matches!(place.state(), PlaceState::Starting | PlaceState::Stopped) {
            return;
        }
        if let Some(on_gone) = &self.shared.hooks.on_gone {
            let exit = place.last_exit();
            on_gone(id, &exit.map_or_else(|| "stopped".to_owned(), |exit| exit.to_string()));
            // Nobody starts what was below it either.
            let why = format!("its supervisor {id} has ended for good");
            let mut open = place.children();
            while let Some(below) = open.pop() {
                on_gone(&below.name, &why);
                open.extend(below.children());
            }
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
        let children = self.place.children();
        children.iter().filter_map(|child| child.life()).for_each(|life| life.kill());
    }

    pub(super) fn end_if_alone(&mut self) {
        if self.living == 0 {
            self.ended = Some(Exit::Killed);
        }
    }
}
