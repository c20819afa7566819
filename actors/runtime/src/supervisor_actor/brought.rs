//! What a supervisor's actor does with what calls of its API bring along: places for new children, and other code for those that
//! are there. What becomes of the call is the machine's to say; a refused one leaves nothing behind.

use super::Actor;
use crate::shared::{PlaceError, Shared};
use crate::signals::{Brought, NewPlan};
use crate::tree::{NodeSpec, SupervisorNode};
use crate::{ChildKind, ControlError, DynamicSpec, Place};
use loket_supervision::machine::{Answer, ApiError, Blame, Cause, ChildId, Exit, Restart};
use std::collections::HashSet;
use std::sync::Arc;

/// What a child is made of.
pub(super) struct Code {
    made: Option<Made>,
    /// Whether the supervisor does not start with it: its place goes with its spec, and with the supervisor.
    pub(super) added: bool,
}

/// A child that a caller wants started.
pub(super) struct Asked {
    child: NodeSpec,
    /// Why it got no place.
    refused: Option<ControlError>,
}

#[derive(Clone)]
pub(super) enum Made {
    /// By the plan in its place.
    Supervisor,
    Worker(Arc<ChildKind>),
}

impl Code {
    pub(super) fn of(child: &NodeSpec, added: bool) -> Self {
        let made = match child {
            NodeSpec::Supervisor(_) => Made::Supervisor,
            NodeSpec::Worker(node) => Made::Worker(Arc::clone(&node.kind)),
        };
        Self { made: Some(made), added }
    }
}

/// Makes the places below a supervisor those of its plan: each child has one that fits it, and nobody else.
pub(super) fn make_places(
    shared: &Shared,
    place: &Arc<Place>,
    plan: &SupervisorNode,
) -> Result<(), PlaceError> {
    let names: HashSet<&str> = plan.first_children().iter().map(|child| &**child.name()).collect();
    let there = place.children();
    for child in there.iter().filter(|child| !names.contains(&*child.name)) {
        shared.remove(&child.name);
    }
    for child in plan.first_children() {
        fit(shared, place, child)?;
    }
    in_order(place, shared, plan.first_children());
    Ok(())
}

/// The place of a child: its own if that fits, or another one, which goes on counting its lives.
fn fit(
    shared: &Shared,
    supervisor: &Arc<Place>,
    child: &NodeSpec,
) -> Result<Arc<Place>, PlaceError> {
    let Some(there) = own_place(shared, supervisor, child.name()) else {
        return shared.place(child, Some(supervisor), 0);
    };
    if there.fixed_against(child).is_some() {
        shared.remove(child.name());
        return shared.place(child, Some(supervisor), there.incarnation());
    }
    if let NodeSpec::Worker(node) = child {
        shared.renew(&there, node);
    }
    Ok(there)
}

/// Gives a supervisor another plan, and while it does not run the places that belong to it: they are to be seen, and names of
/// children that are gone are free. One that runs is told by itself.
fn follow(shared: &Shared, place: &Arc<Place>, node: &SupervisorNode) {
    place.set_plan(Arc::new(node.clone()));
    if place.life().is_some() {
        return;
    }
    if let Err(error) = make_places(shared, place, node) {
        // Its start will say so.
        tracing::error!(supervisor = &*place.name, "a child has no place: {error}");
    }
    for child in node.first_children() {
        if let NodeSpec::Supervisor(node) = child
            && let Some(place) = own_place(shared, place, child.name())
        {
            follow(shared, &place, node);
        }
    }
}

fn own_place(shared: &Shared, supervisor: &Arc<Place>, id: &str) -> Option<Arc<Place>> {
    let place = shared.registry.find(id)?;
    let own = place.supervisor.as_ref().is_some_and(|above| Arc::ptr_eq(above, supervisor));
    own.then_some(place)
}

/// Puts these children first, in this order.
fn in_order(place: &Arc<Place>, shared: &Shared, first: &[NodeSpec]) {
    let Some(mut children) = place.siblings() else { return };
    let names: HashSet<&str> = first.iter().map(|child| &**child.name()).collect();
    let rest: Vec<_> =
        children.iter().filter(|child| !names.contains(&*child.name)).cloned().collect();
    for child in first.iter().filter_map(|child| own_place(shared, place, child.name())) {
        children.push(child);
    }
    rest.into_iter().for_each(|child| children.push(child));
}

impl Actor {
    /// What a child is made of, for its next life. What a Temporary child was made of is not kept: it has only one.
    pub(super) fn made_of(&mut self, id: &ChildId) -> Option<Made> {
        let once = self.machine.child(id).is_some_and(|c| c.spec.restart == Restart::Temporary);
        let code = self.code.get_mut(id)?;
        if once { code.made.take() } else { code.made.clone() }
    }

    /// Before the machine hears of a call.
    pub(super) fn prepare(&mut self, tag: u64, brought: Brought) -> Result<(), ControlError> {
        let child = match brought {
            Brought::Instance(child) => self.instance(*child)?,
            Brought::Child(child) => {
                if self.plan.is_simple() {
                    return Err(ApiError::SimpleOneForOne.into());
                }
                let mut names = HashSet::from([Arc::clone(&self.place.name)]);
                child.check(self.shared.lanes.len(), &mut names)?;
                *child
            }
            Brought::Plan(plan) => return self.prepare_change(tag, plan),
        };
        self.asked.insert(tag, Asked { child, refused: None });
        Ok(())
    }

    /// An instance is its template under another name; it may have had lives in an earlier process.
    fn instance(&mut self, child: DynamicSpec) -> Result<NodeSpec, ControlError> {
        let template = match &*self.plan.children {
            [NodeSpec::Worker(template)] if self.plan.is_simple() => template,
            _ => return Err(ControlError::NotDynamic(self.place.name.to_string())),
        };
        let mut worker = template.clone();
        worker.spec.id = child.name;
        worker.kind = child.kind;
        worker.last_incarnation = child.last_incarnation;
        if self.machine.child(&worker.spec.id).is_none() {
            let id = Arc::clone(&worker.spec.id);
            self.machine.seed_incarnation(id, worker.last_incarnation);
        }
        Ok(NodeSpec::Worker(worker))
    }

    /// After the machine has answered a call, before its caller hears of it.
    pub(super) fn answered(&mut self, tag: u64, answer: Answer) -> Result<Answer, ControlError> {
        if let Some(asked) = self.asked.remove(&tag) {
            if matches!(answer, Answer::Error(_)) {
                self.machine.unseed(asked.child.name());
            }
            if let Some(refused) = asked.refused {
                return Err(refused);
            }
        }
        if let Some(plan) = self.changes.remove(&tag)
            && answer == Answer::Done
        {
            self.change(plan);
        }
        Ok(answer)
    }

    /// If this start is what a caller asked for: makes the child's place.
    pub(super) fn take_in(&mut self, id: &ChildId) -> Result<(), Exit> {
        let asked = self.machine.serving().and_then(|tag| self.asked.get_mut(&tag));
        let Some(asked) = asked.filter(|asked| asked.child.name() == id) else {
            return Ok(());
        };
        // Left behind for `tree` by a child of that name.
        let last = own_place(&self.shared, &self.place, id).map_or(0, |place| {
            self.shared.remove(id);
            place.incarnation()
        });
        match self.shared.place(&asked.child, Some(&self.place), last) {
            Ok(_) => {
                self.code
                    .insert(Arc::clone(id), Code::of(&asked.child, !self.planned.contains(id)));
                self.note(id);
                Ok(())
            }
            Err(error) => {
                let exit = Exit::crash(Cause::Start, Blame::Config, error.to_string());
                let refused = match error {
                    PlaceError::Taken(place) => ApiError::AlreadyStarted(place.incarnation()),
                    PlaceError::Authority(_) => ApiError::StartFailed(exit.clone()),
                };
                asked.refused = Some(refused.into());
                Err(exit)
            }
        }
    }

    /// The machine checks flags and specs; here is checked what it does not know.
    fn prepare_change(&mut self, tag: u64, plan: NewPlan) -> Result<(), ControlError> {
        let mut names = HashSet::from([Arc::clone(&self.place.name)]);
        for child in &plan.children {
            let known = self.machine.child(child.name()).is_some();
            child.check(self.shared.lanes.len(), &mut names)?;
            let own = own_place(&self.shared, &self.place, child.name());
            if !self.plan.is_simple()
                && own.is_none()
                && self.shared.registry.find(child.name()).is_some()
            {
                return Err(ControlError::Taken(child.name().to_string()));
            }
            if let Some(part) = own.filter(|_| known).and_then(|own| own.fixed_against(child)) {
                return Err(ControlError::Fixed { child: child.name().to_string(), part });
            }
        }
        self.changes.insert(tag, plan);
        Ok(())
    }

    /// The machine has changed; now what stands around it.
    fn change(&mut self, new: NewPlan) {
        let plan = SupervisorNode {
            spec: self.plan.spec.clone(),
            flags: self.machine.flags().clone(),
            children: new.children,
            forgets: new.forgets.unwrap_or(self.plan.forgets),
        };
        self.plan = Arc::new(plan);
        self.place.set_plan(Arc::clone(&self.plan));
        if self.plan.is_simple() {
            return;
        }
        self.planned = self.plan.names();
        self.code.values_mut().for_each(|code| code.added = true);
        let plan = Arc::clone(&self.plan);
        for child in plan.first_children() {
            self.adopt(child);
        }
        in_order(&self.place, &self.shared, plan.first_children());
    }

    /// Gives a child its new code; one that is new gets its place.
    fn adopt(&mut self, child: &NodeSpec) {
        let id = child.name();
        match fit(&self.shared, &self.place, child) {
            Ok(place) => {
                if let NodeSpec::Supervisor(node) = child {
                    follow(&self.shared, &place, node);
                }
                self.machine.seed_incarnation(Arc::clone(id), place.incarnation());
            }
            // Its start will say that it has no place.
            Err(error) => tracing::error!(child = &**id, "has no place: {error}"),
        }
        self.code.insert(Arc::clone(id), Code::of(child, false));
        self.note(id);
    }
}
