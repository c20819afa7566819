//! A supervisor as an actor: feeds the pure machine with what happens and does what it orders.
//!
//! It decides nothing and never waits for a child. It is at home on the system arbiter; a child's start or end is read there and
//! then, on the child's lane, if nobody reads at that moment (see `desk`): a restart is begun where the crash was. It is itself the
//! body of a cell, so that a supervisor is a child like any other; only its kill differs, for all below it must go first. Start
//! reading at [`launch_supervisor`].

mod brought;
mod children;
mod desk;

use crate::cell::{self, CellControl, Seed};
use crate::registry::{Life, Place};
use crate::shared::Shared;
use crate::signals::{Ask, NewPlan, Signal, Signals};
use crate::tree::SupervisorNode;
use crate::{ChildContext, Control, ControlError, Door};
use brought::{Asked, Code};
use desk::{After, Desk};
use loket_supervision::machine::{
    Answer, Blame, Call, Cause, ChildId, Event, Exit, Now, Order, Supervisor, Timer,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

/// Starts a supervisor in its place, by the plan that is there; `parent` hears of its start and its end.
pub(crate) fn launch_supervisor(
    shared: &Arc<Shared>,
    place: &Arc<Place>,
    parent: Signals,
    incarnation: u64,
) {
    let signals = Signals::default();
    let id = Arc::clone(&place.name);
    let relations = shared.registry.relations().clone();
    let control =
        Arc::new(CellControl::new(id, incarnation, parent, relations, Door::Closed).deaf());
    place.incarnation.store(incarnation, Ordering::Release);
    place.status().life = Some(Life::Supervisor(signals.clone()));
    let (shared_too, place_too) = (Arc::clone(shared), Arc::clone(place));
    let body = move |context: ChildContext| -> crate::Running {
        Box::pin(async move {
            match Actor::new(shared_too, place_too, signals) {
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

/// A supervisor that runs.
pub(crate) struct Actor {
    shared: Arc<Shared>,
    /// What it starts with next time.
    plan: Arc<SupervisorNode>,
    place: Arc<Place>,
    machine: Supervisor,
    signals: Signals,
    /// By time and order of setting. What the machine sets, it bounds.
    timers: BTreeMap<(u64, u64), Timer>,
    next_timer: u64,
    /// The children that it starts with.
    planned: HashSet<ChildId>,
    /// What the children are made of.
    code: HashMap<ChildId, Code>,
    /// Calls that wait for their answer; the machine bounds them. Trees: a burst leaves them no room that is used by nobody.
    replies: BTreeMap<u64, oneshot::Sender<Result<Answer, ControlError>>>,
    /// `StartChild` calls that the machine has not answered: it may hold them until another start is over.
    asked: BTreeMap<u64, Asked>,
    /// `Change` calls that the machine has not answered.
    changes: BTreeMap<u64, NewPlan>,
    /// `DeleteChild` calls that the machine has not answered: the child is there until then.
    deletes: BTreeMap<u64, ChildId>,
    /// `TerminateChild` and `TerminateLife` calls that the machine has not answered.
    terminates: BTreeMap<u64, ChildId>,
    next_tag: u64,
    /// Children that were seen not running: their doors are closed once nothing is going on.
    idle: HashSet<ChildId>,
    /// Children that neither run nor rest: on their way up or down.
    unsettled: HashSet<ChildId>,
    /// Children that have a life.
    living: usize,
    orders: Vec<Order>,
    doomed: bool,
    ended: Option<Exit>,
    /// Its own start is told here; there once it runs.
    control: Option<Control>,
    /// Until when the system arbiter sleeps: what is due before has to wake it.
    sleeps_until: u64,
}

impl Actor {
    fn new(shared: Arc<Shared>, place: Arc<Place>, signals: Signals) -> Result<Self, Exit> {
        let bad = |error: String| Exit::crash(Cause::Start, Blame::Config, error);
        let plan = place.plan();
        let plan = plan.ok_or_else(|| bad("the supervisor has no plan".to_owned()))?;
        let seed = shared.seed ^ place.number.rotate_left(32) ^ place.incarnation();
        let machine = Supervisor::new(plan.flags.clone(), plan.specs(), seed);
        let mut machine = machine.map_err(|error| bad(error.to_string()))?;
        brought::make_places(&shared, &place, &plan).map_err(|error| bad(error.to_string()))?;
        for child in place.children() {
            machine.seed_incarnation(Arc::clone(&child.name), child.incarnation());
        }
        let first = plan.first_children().iter();
        let code = first.map(|child| (Arc::clone(child.name()), Code::of(child, false))).collect();
        Ok(Self {
            shared,
            planned: plan.names(),
            plan,
            place,
            machine,
            signals,
            timers: BTreeMap::new(),
            next_timer: 0,
            code,
            replies: BTreeMap::new(),
            asked: BTreeMap::new(),
            changes: BTreeMap::new(),
            deletes: BTreeMap::new(),
            terminates: BTreeMap::new(),
            next_tag: 0,
            idle: HashSet::new(),
            unsettled: HashSet::new(),
            living: 0,
            orders: Vec::new(),
            doomed: false,
            ended: None,
            control: None,
            sleeps_until: 0,
        })
    }

    async fn run(mut self, control: Control) -> Exit {
        let (signals, clock) = (self.signals.clone(), self.shared.clock.clone());
        self.control = Some(control);
        self.feed(Event::Start);
        let _desk = Desk::of(&signals, self);
        loop {
            match signals.attend_at_home() {
                After::Ended(exit) => return exit,
                After::More => {}
                After::Idle(next) => tokio::select! {
                    biased;
                    () = signals.arrived() => {}
                    () = clock.sleep_until(next.unwrap_or(0)), if next.is_some() => {}
                },
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

    fn handle(&mut self, signal: Signal) {
        if let Signal::Machine(
            Event::Exited { id, incarnation, reason }
            | Event::StartFailed { id, incarnation, reason },
        ) = &signal
        {
            self.gone(id, *incarnation, Some(reason));
        }
        if let Signal::Machine(Event::Ignored { id, incarnation }) = &signal {
            self.gone(id, *incarnation, None);
        }
        if self.doomed {
            return self.end_if_alone();
        }
        match signal {
            Signal::Machine(event) => self.feed(event),
            Signal::Stop(reason) => self.feed(Event::Stop { reason }),
            Signal::Kill => self.die(),
            Signal::Api(ask) => self.call(ask),
        }
    }

    fn call(&mut self, ask: Ask) {
        let Ask { call, brought, reply } = ask;
        let tag = self.next_tag;
        self.next_tag += 1;
        if let Some(brought) = brought
            && let Err(error) = self.prepare(tag, brought)
        {
            let _ = reply.send(Err(error));
            return;
        }
        self.replies.insert(tag, reply);
        match &call {
            Call::DeleteChild(id) => drop(self.deletes.insert(tag, Arc::clone(id))),
            Call::TerminateChild(id) | Call::TerminateLife { id, .. } => {
                self.terminates.insert(tag, Arc::clone(id));
            }
            _ => {}
        }
        self.feed(Event::Call { tag, call });
    }

    /// One step of the machine and all that follows from it.
    fn feed(&mut self, event: Event) {
        let mut touched = Vec::new();
        touched.extend(event_child(&event));
        let now = Now(self.shared.clock.monotonic_ms());
        let mut orders = std::mem::take(&mut self.orders);
        self.machine.step_into(event, now, &mut orders);
        touched.extend(orders.iter().filter_map(order_child));
        let deletes = &mut self.deletes;
        touched.extend(orders.iter().filter_map(|order| match order {
            Order::Reply { tag, .. } => deletes.remove(tag),
            _ => None,
        }));
        // Written down first: whoever sees a deed done also sees it in the registry.
        for id in touched {
            self.note(&id);
        }
        for order in orders.drain(..) {
            self.obey(order);
        }
        self.orders = orders;
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Start { id, incarnation } => self.start(&id, incarnation),
            Order::Stop { id, incarnation } => self.reach(&id, incarnation, Life::stop),
            Order::Kill { id, incarnation } => self.reach(&id, incarnation, Life::kill),
            Order::SetTimer { timer, at } => {
                self.timers.insert((at.0, self.next_timer), timer);
                self.next_timer += 1;
            }
            Order::Reply { tag, answer } => {
                if let Some(id) = self.terminates.remove(&tag)
                    && answer == Answer::Done
                {
                    self.terminated(&id);
                }
                let answer = self.answered(tag, answer);
                if let Some(reply) = self.replies.remove(&tag) {
                    let _ = reply.send(answer);
                }
            }
            Order::Report(report) => {
                let at = self.shared.clock.now();
                let strategy = self.machine.flags().strategy;
                self.shared.reports.report(at, &self.place.name, strategy, report);
            }
            Order::Up => {
                if let Some(control) = &mut self.control {
                    control.started();
                }
                if let Some(on_up) = &self.shared.hooks.on_up {
                    on_up(&self.place.name);
                }
            }
            Order::Exit { reason } => self.ended = Some(reason),
        }
    }
}

impl Drop for Actor {
    /// Whatever way the supervisor ends, it leaves no living child behind, and no place of one that it does not start with.
    fn drop(&mut self) {
        self.kill_all();
        for child in self.place.children() {
            child.status().state = crate::PlaceState::Stopped;
        }
        for (id, _) in self.code.iter().filter(|(_, code)| code.added) {
            if self.plan.forgets {
                self.tell_gone(id);
            }
            self.shared.remove(id);
        }
    }
}

fn event_child(event: &Event) -> Option<ChildId> {
    match event {
        Event::Started { id, .. }
        | Event::Ignored { id, .. }
        | Event::StartFailed { id, .. }
        | Event::Exited { id, .. }
        | Event::Letter { id }
        | Event::Slow { id, .. } => Some(Arc::clone(id)),
        Event::Timer(timer) => Some(Arc::clone(&timer.id)),
        Event::Call { call, .. } => match call {
            Call::StartChild(spec) => Some(Arc::clone(&spec.id)),
            Call::TerminateChild(id) | Call::TerminateLife { id, .. } | Call::RestartChild(id) => {
                Some(Arc::clone(id))
            }
            _ => None,
        },
        Event::Start | Event::Stop { .. } => None,
    }
}

fn order_child(order: &Order) -> Option<ChildId> {
    match order {
        Order::Start { id, .. } | Order::Stop { id, .. } | Order::Kill { id, .. } => {
            Some(Arc::clone(id))
        }
        Order::SetTimer { timer, .. } => Some(Arc::clone(&timer.id)),
        Order::Report(report) => Some(Arc::clone(&report.offender.id)),
        Order::Reply { .. } | Order::Up | Order::Exit { .. } => None,
    }
}
