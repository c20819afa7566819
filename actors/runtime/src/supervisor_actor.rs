//! A supervisor as an actor: feeds the pure machine with what happens and does what it orders.
//!
//! It decides nothing, never waits for a child, and runs on the system arbiter only. It is itself the body of a cell, so that a
//! supervisor is a child like any other; only its kill differs, for all below it must go first. Start reading at
//! [`launch_supervisor`].

use crate::cell::{self, CellControl, Seed};
use crate::control::DynamicSpec;
use crate::node::{Shared, blame_of};
use crate::panic::guard;
use crate::registry::{Life, Place};
use crate::signals::{Signal, Signals};
use crate::tree::{NodeSpec, SupervisorNode};
use crate::{ChildContext, ChildKind, ChildPlan, Control, Door, metrics};
use loket_supervision::machine::{
    Answer, ApiError, Blame, Call, Cause, ChildId, ChildState, Event, Exit, Now, Order, Supervisor,
    Timer,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

/// Signals that are handled before the system arbiter's other tasks get their turn.
const BATCH_MAX: usize = 64;

/// Starts a supervisor in its place; `parent` hears of its start and its end.
pub(crate) fn launch_supervisor(
    shared: &Arc<Shared>,
    node: SupervisorNode,
    place: &Arc<Place>,
    parent: Signals,
    incarnation: u64,
) {
    let signals = Signals::default();
    let id = Arc::clone(&place.name);
    let control = Arc::new(CellControl::new(id, incarnation, parent));
    place.incarnation.store(incarnation, Ordering::Release);
    place.status().life = Some(Life::Supervisor(signals.clone()));
    let (shared_too, place_too) = (Arc::clone(shared), Arc::clone(place));
    let body = move |context: ChildContext| -> crate::Running {
        Box::pin(async move {
            match Actor::new(shared_too, node, place_too, signals) {
                Ok(actor) => actor.run(context.control).await,
                Err(exit) => exit,
            }
        })
    };
    cell::launch(Seed {
        name: Arc::clone(&place.name),
        place: place.number,
        incarnation,
        lane: shared.system.clone(),
        door: Door::Closed,
        blame: Blame::Host,
        body: Box::new(body),
        control,
    });
}

struct Actor {
    shared: Arc<Shared>,
    node: SupervisorNode,
    place: Arc<Place>,
    machine: Supervisor,
    signals: Signals,
    /// By time and order of setting. What the machine sets, it bounds.
    timers: BTreeMap<(u64, u64), Timer>,
    next_timer: u64,
    /// What dynamic children are made of.
    dynamic: HashMap<ChildId, Arc<ChildKind>>,
    /// Calls that wait for their answer; the machine bounds them.
    replies: HashMap<u64, oneshot::Sender<Answer>>,
    next_tag: u64,
    /// Children that were seen not running: their doors are closed once nothing is going on.
    idle: HashSet<ChildId>,
    orders: Vec<Order>,
    doomed: bool,
    ended: Option<Exit>,
}

impl Actor {
    fn new(
        shared: Arc<Shared>,
        node: SupervisorNode,
        place: Arc<Place>,
        signals: Signals,
    ) -> Result<Self, Exit> {
        let seed = shared.seed ^ place.number.rotate_left(32) ^ place.incarnation();
        let machine = Supervisor::new(node.flags.clone(), node.specs(), seed);
        let bad = |error: loket_supervision::machine::SpecError| {
            Exit::crash(Cause::Start, Blame::Config, error.to_string())
        };
        let mut machine = machine.map_err(bad)?;
        for child in &*crate::lock(&place.children) {
            machine.seed_incarnation(Arc::clone(&child.name), child.incarnation());
        }
        Ok(Self {
            shared,
            node,
            place,
            machine,
            signals,
            timers: BTreeMap::new(),
            next_timer: 0,
            dynamic: HashMap::new(),
            replies: HashMap::new(),
            next_tag: 0,
            idle: HashSet::new(),
            orders: Vec::new(),
            doomed: false,
            ended: None,
        })
    }

    async fn run(mut self, mut control: Control) -> Exit {
        self.feed(Event::Start, &mut control);
        loop {
            for _ in 0..BATCH_MAX {
                self.post_due_timers();
                if let Some(exit) = self.ended.take() {
                    return exit;
                }
                let Some(signal) = self.signals.pop() else { break };
                self.handle(signal, &mut control);
            }
            if self.ended.is_some() {
                continue;
            }
            self.close_idle();
            let next = self.timers.keys().next().map(|(at, _)| *at);
            tokio::select! {
                biased;
                () = self.signals.arrived() => {}
                () = self.shared.clock.sleep_until(next.unwrap_or(0)), if next.is_some() => {}
            }
            tokio::task::yield_now().await;
        }
    }

    /// Puts timers that have come behind the signals that wait already, as the machine wants it.
    fn post_due_timers(&mut self) {
        if self.timers.is_empty() {
            return;
        }
        let now = self.shared.clock.monotonic_ms();
        while let Some(first) = self.timers.first_entry() {
            if first.key().0 > now {
                return;
            }
            self.signals.timer(first.remove());
        }
    }

    fn handle(&mut self, signal: Signal, control: &mut Control) {
        if let Signal::Machine(
            Event::Exited { id, incarnation, .. }
            | Event::StartFailed { id, incarnation, .. }
            | Event::Ignored { id, incarnation },
        ) = &signal
        {
            self.gone(id, *incarnation);
        }
        if self.doomed {
            return self.end_if_alone();
        }
        match signal {
            Signal::Machine(event) => self.feed(event, control),
            Signal::Stop(reason) => self.feed(Event::Stop { reason }, control),
            Signal::Kill => self.die(),
            Signal::Api { call, child, reply } => self.call(call, child, reply, control),
        }
    }

    fn gone(&self, id: &ChildId, incarnation: u64) {
        if let Some(place) = self.shared.registry.find(id)
            && place.incarnation() == incarnation
        {
            place.status().life = None;
        }
    }

    fn call(
        &mut self,
        call: Call,
        child: Option<Box<DynamicSpec>>,
        reply: oneshot::Sender<Answer>,
        control: &mut Control,
    ) {
        if let (Call::StartChild(spec), Some(child)) = (&call, child) {
            let id = Arc::clone(&spec.id);
            if let Err(error) = self.make_room(&id, &child) {
                let _ = reply.send(Answer::Error(error));
                return;
            }
            self.machine.seed_incarnation(Arc::clone(&id), child.last_incarnation);
            self.dynamic.insert(id, child.kind);
        }
        let tag = self.next_tag;
        self.next_tag += 1;
        self.replies.insert(tag, reply);
        self.feed(Event::Call { tag, call }, control);
    }

    /// Makes the place of a dynamic child.
    fn make_room(&self, id: &ChildId, child: &DynamicSpec) -> Result<(), ApiError> {
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
            crate::node::PlaceError::Taken(place) => there(place),
            crate::node::PlaceError::Authority(_) => ApiError::MaxChildren(u32::MAX),
        })?;
        Ok(())
    }

    /// One step of the machine and all that follows from it.
    fn feed(&mut self, event: Event, control: &mut Control) {
        let mut touched = Vec::new();
        touched.extend(event_child(&event));
        let now = Now(self.shared.clock.monotonic_ms());
        let mut orders = std::mem::take(&mut self.orders);
        self.machine.step_into(event, now, &mut orders);
        for order in orders.drain(..) {
            self.obey(order, control, &mut touched);
        }
        self.orders = orders;
        for id in touched {
            self.note(&id);
        }
    }

    fn obey(&mut self, order: Order, control: &mut Control, touched: &mut Vec<ChildId>) {
        match order {
            Order::Start { id, incarnation } => {
                self.start(&id, incarnation);
                touched.push(id);
            }
            Order::Stop { id, incarnation } => {
                self.reach(&id, incarnation, Life::stop);
                touched.push(id);
            }
            Order::Kill { id, incarnation } => {
                self.reach(&id, incarnation, Life::kill);
                touched.push(id);
            }
            Order::SetTimer { timer, at } => {
                touched.push(Arc::clone(&timer.id));
                self.timers.insert((at.0, self.next_timer), timer);
                self.next_timer += 1;
            }
            Order::Reply { tag, answer } => {
                if let Some(reply) = self.replies.remove(&tag) {
                    let _ = reply.send(answer);
                }
            }
            Order::Report(report) => {
                touched.push(Arc::clone(&report.offender.id));
                let at = self.shared.clock.now();
                self.shared.history.report(at, &self.place.name, report);
            }
            Order::Up => {
                control.started();
                if let Some(on_up) = &self.shared.on_up {
                    on_up(&self.place.name);
                }
            }
            Order::Exit { reason } => self.ended = Some(reason),
        }
    }

    fn reach(&self, id: &str, incarnation: u64, deed: impl FnOnce(&Life)) {
        let place = self.shared.registry.find(id);
        let place = place.filter(|place| place.incarnation() == incarnation);
        if let Some(life) = place.and_then(|place| place.life()) {
            deed(&life);
        }
    }

    fn start(&mut self, id: &ChildId, incarnation: u64) {
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
    fn note(&mut self, id: &ChildId) {
        let view = self.machine.child(id);
        if self.dynamic.contains_key(id) && view.is_none() {
            self.dynamic.remove(id);
            self.shared.remove_worker(id);
            return;
        }
        let Some(place) = self.shared.registry.find(id) else {
            return;
        };
        let Some(view) = view else {
            // A temporary child has ended: its spec is gone, its place is kept for `tree`.
            place.status().state = crate::PlaceState::Stopped;
            self.idle.insert(Arc::clone(id));
            return;
        };
        let restarts = place.note(&view);
        if restarts > 0 {
            let cause = view.last_exit.as_ref().map_or("none", Exit::code);
            metrics::restarted(place.kind, cause, restarts);
        }
        if view.state == ChildState::Undefined {
            self.idle.insert(Arc::clone(id));
        }
    }

    /// Closes the doors of children that nobody is about to start, so that their callers do not wait for ever. Not while a group
    /// is being restarted: its mailboxes are to survive that.
    fn close_idle(&mut self) {
        if self.idle.is_empty() || self.doomed {
            return;
        }
        let settled = |state| matches!(state, ChildState::Running | ChildState::Undefined);
        if !self.machine.children().all(|child| settled(child.state)) {
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
    fn die(&mut self) {
        self.doomed = true;
        self.kill_all();
        self.end_if_alone();
    }

    fn kill_all(&self) {
        let children = crate::lock(&self.place.children).clone();
        children.iter().filter_map(|child| child.life()).for_each(|life| life.kill());
    }

    fn end_if_alone(&mut self) {
        let children = crate::lock(&self.place.children).clone();
        if children.iter().all(|child| child.life().is_none()) {
            self.ended = Some(Exit::Killed);
        }
    }
}

impl Drop for Actor {
    /// Whatever way the supervisor ends, it leaves no living child and no dynamic place behind.
    fn drop(&mut self) {
        self.kill_all();
        for child in &*crate::lock(&self.place.children) {
            child.status().state = crate::PlaceState::Stopped;
        }
        for id in self.dynamic.keys() {
            self.shared.remove_worker(id);
        }
    }
}

fn event_child(event: &Event) -> Option<ChildId> {
    match event {
        Event::Started { id, .. }
        | Event::Ignored { id, .. }
        | Event::StartFailed { id, .. }
        | Event::Exited { id, .. }
        | Event::Letter { id } => Some(Arc::clone(id)),
        Event::Timer(timer) => Some(Arc::clone(&timer.id)),
        Event::Call { call, .. } => match call {
            Call::StartChild(spec) => Some(Arc::clone(&spec.id)),
            Call::TerminateChild(id) | Call::RestartChild(id) | Call::DeleteChild(id) => {
                Some(Arc::clone(id))
            }
            _ => None,
        },
        Event::Start | Event::Stop { .. } => None,
    }
}
