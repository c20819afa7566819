//! What the world does with a machine's orders, and with a planned crash.

use crate::fleet::Node;
use crate::machine::{
    Answer, Blame, Call, Cause, ChildId, ChildSpec, ChildState, Context, Event, Exit, Order, Report,
};
use crate::story::Row;

use super::MAX_STEPS;
use super::target::Target;
use super::trace::What;
use super::world::{Later, Site, World};

impl World<'_> {
    pub(super) fn obey(&mut self, place: usize, order: Order) {
        match order {
            Order::Start { id, incarnation } => self.start(place, id, incarnation),
            Order::Stop { id, incarnation } => self.stop(place, id, incarnation),
            Order::Kill { id, incarnation } => {
                self.end(place, &id, incarnation, Exit::Killed, Some(What::Killed));
            }
            Order::SetTimer { timer, at } => {
                let life = self.sites.get(place).map_or(0, |site| site.life);
                let restarting = self.sites.get(place).and_then(|site| site.machine.as_ref());
                let state = restarting.and_then(|machine| machine.child(&timer.id));
                if let Some(ChildState::Restarting { until }) = state.map(|view| view.state)
                    && until > self.now
                {
                    self.note(place, &timer.id, What::Waits { until_ms: until.0 });
                }
                self.put(at, Later::Timer { place, life, timer });
            }
            Order::Reply { tag, answer } => self.answered(place, tag, &answer),
            Order::Report(report) => self.report(place, report),
            Order::Up => self.up(place),
            Order::Exit { reason } => self.ended(place, reason),
        }
    }

    fn report(&mut self, place: usize, report: Report) {
        let Some(site) = self.sites.get(place) else { return };
        let (path, supervisor) = (site.path.clone(), site.spec.id.as_str().into());
        let strategy = site.spec.strategy;
        let exit = || report.reason.clone().unwrap_or(Exit::NoProc);
        match report.context {
            Context::Shutdown => self.note_path(path, What::GaveUp { exit: exit() }),
            Context::AutoShutdown => {
                let child = report.offender.id.clone();
                self.note_path(path, What::AutoShutdown { child, exit: exit() });
            }
            _ => {}
        }
        if self.reports.len() < MAX_STEPS {
            self.reports.push(Row { boot: 1, at_ms: self.now.0, supervisor, strategy, report });
        }
    }

    fn start(&mut self, place: usize, id: ChildId, incarnation: u64) {
        let Some(site) = self.sites.get_mut(place) else { return };
        site.last.insert(id.clone(), incarnation);
        let life = site.life;
        if incarnation > 1 || self.booted {
            self.note(place, &id, What::Restarted { incarnation });
        }
        if let Some(below) = self.below(place, &id) {
            return self.launch(below);
        }
        if let Some(site) = self.sites.get_mut(place) {
            site.alive.insert(id.clone());
        }
        self.queue.push_back((place, life, Event::Started { id, incarnation }));
    }

    fn stop(&mut self, place: usize, id: ChildId, incarnation: u64) {
        match self.below(place, &id).and_then(|below| Some((below, self.sites.get(below)?.life))) {
            Some((below, life)) => {
                let reason = Exit::Shutdown;
                self.queue.push_back((below, life, Event::Stop { reason }));
            }
            None => self.end(place, &id, incarnation, Exit::Shutdown, Some(What::Stopped)),
        }
    }

    /// A child is gone, whatever is below it first.
    fn end(
        &mut self,
        place: usize,
        id: &ChildId,
        incarnation: u64,
        exit: Exit,
        what: Option<What>,
    ) {
        if let Some(below) = self.below(place, id) {
            self.kill_below(below);
        }
        let Some(site) = self.sites.get_mut(place) else { return };
        site.alive.remove(id);
        let life = site.life;
        if let Some(what) = what {
            self.note(place, id, what);
        }
        let id = id.clone();
        self.queue.push_back((place, life, Event::Exited { id, incarnation, reason: exit }));
    }

    fn kill_below(&mut self, place: usize) {
        let Some(site) = self.sites.get_mut(place) else { return };
        site.machine = None;
        let workers = std::mem::take(&mut site.alive);
        let below: Vec<_> = site.spec.children.iter().map(|child| child.id().into()).collect();
        for worker in workers {
            self.note(place, &worker, What::Killed);
        }
        for id in below {
            if let Some(below) = self.below(place, &id)
                && self.sites.get(below).is_some_and(|site| site.machine.is_some())
            {
                self.note(place, &id, What::Killed);
                self.kill_below(below);
            }
        }
    }

    /// The place of a child that is a supervisor.
    fn below(&self, place: usize, id: &ChildId) -> Option<usize> {
        let here = |site: &Site<'_>| {
            site.above.as_ref().is_some_and(|(above, own)| *above == place && own == id)
        };
        self.sites.iter().position(here)
    }

    /// A supervisor has all its children up; its dynamic ones come back.
    fn up(&mut self, place: usize) {
        let Some(site) = self.sites.get_mut(place) else { return };
        site.up = true;
        let (life, above) = (site.life, site.above.clone());
        let rows: Vec<ChildId> = site.rows.iter().cloned().collect();
        for (tag, id) in rows.into_iter().enumerate() {
            let call = Call::StartChild(ChildSpec::worker(id));
            self.queue.push_back((place, life, Event::Call { tag: tag as u64, call }));
        }
        if let Some((above, id)) = above
            && let Some(site) = self.sites.get(above)
        {
            let incarnation = site.last.get(&id).copied().unwrap_or(0);
            let event = Event::Started { id, incarnation };
            self.queue.push_back((above, site.life, event));
        }
    }

    /// Only the starts of dynamic children are asked for; the tag is the row's number.
    fn answered(&mut self, place: usize, tag: u64, answer: &Answer) {
        let Answer::Error(error) = answer else { return };
        let Some(site) = self.sites.get(place) else { return };
        let row = usize::try_from(tag).ok().and_then(|tag| site.rows.iter().nth(tag).cloned());
        if let Some(id) = row {
            self.note(place, &id, What::Refused { why: error.to_string() });
        }
    }

    /// A supervisor has ended by itself or because it was stopped.
    fn ended(&mut self, place: usize, reason: Exit) {
        let Some(site) = self.sites.get_mut(place) else { return };
        site.machine = None;
        let (up, path, above) = (site.up, site.path.clone(), site.above.clone());
        self.note_path(path, What::Ended { exit: reason.clone() });
        let Some((above, id)) = above else {
            self.ended = Some((self.now, reason));
            return;
        };
        let Some(site) = self.sites.get(above) else { return };
        let incarnation = site.last.get(&id).copied().unwrap_or(0);
        let event = match up {
            true => Event::Exited { id: id.clone(), incarnation, reason },
            false => Event::StartFailed { id: id.clone(), incarnation, reason },
        };
        self.queue.push_back((above, site.life, event));
        self.fallen.push((above, id));
    }

    /// A planned crash has come.
    pub(super) fn crash(&mut self, target: Target, exit: Option<Exit>) {
        let (place, id) = match target {
            Target::Root => {
                let path = self.sites.first().map(|site| site.path.clone()).unwrap_or_default();
                let exit = exit.unwrap_or(Exit::Killed);
                self.note_path(path, What::Crashed { exit: exit.clone() });
                self.kill_below(0);
                self.ended = Some((self.now, exit));
                return;
            }
            Target::Child(place, id) | Target::Dynamic(place, id) => (place, id),
        };
        let Some(site) = self.sites.get(place) else { return };
        let below = self.below(place, &id).and_then(|below| self.sites.get(below));
        let lives = site.alive.contains(&id) || below.is_some_and(|below| below.machine.is_some());
        if !lives {
            return self.note(place, &id, What::Missed);
        }
        let incarnation = site.last.get(&id).copied().unwrap_or(0);
        let exit = exit.unwrap_or_else(|| site.node(&id).map_or(Exit::Killed, usual));
        self.note(place, &id, What::Crashed { exit: exit.clone() });
        // As the runtime does: the letter is told of before the exit.
        if let (Exit::Poison { .. }, Some(site)) = (&exit, self.sites.get(place)) {
            self.queue.push_back((place, site.life, Event::Letter { id: id.clone() }));
        }
        self.end(place, &id, incarnation, exit, None);
        self.fallen.push((place, id));
    }
}

/// What such a child most often dies of.
fn usual(node: &Node) -> Exit {
    match node {
        Node::Supervisor(_) => Exit::Killed,
        Node::Provider(_) => Exit::crash(Cause::Panic, Blame::Provider, "simulated"),
        Node::Agent(_) => Exit::crash(Cause::Trap, Blame::Guest, "simulated"),
    }
}
