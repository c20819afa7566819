//! What must hold of any supervisor at any time: one life per id, start order, reverse stop order, no
//! start while stopping, active = living, timers of living epochs only, restarts within the rule.
//! Start reading at [`Case::step`].

use std::collections::{BTreeSet, VecDeque};

use loket_supervision::machine::*;

use super::{Case, Life, PERIOD_MS};

impl Case {
    pub(super) fn step(&mut self, event: Event) {
        let orders = self.sup.step(event, Now(self.now));
        // The rule is checked against the stamps before this step's.
        let spent = self.stamps.iter().filter(|&&at| at + PERIOD_MS >= self.now).count();
        for order in orders {
            if let Order::Report(Report { context: Context::Shutdown, .. }) = &order {
                assert_eq!(spent, self.flags.intensity as usize, "gave up early or late");
            }
            self.obey(order);
        }
        self.count_restarts();
        let counts = self.sup.counts();
        assert_eq!(counts.active, self.lives.len(), "active = living");
        let busy = self.lives.values().any(|life| !life.up || life.stopping);
        for view in self.sup.children() {
            let living = self.lives.get(&view.id).map(|life| life.incarnation);
            assert!(view.state == ChildState::Exited || view.incarnation == living);
            if let ChildState::Restarting { until } = view.state {
                let set = self.timers.iter().any(|(_, timer)| timer.id == view.id);
                assert!(set || (busy && until.0 <= self.now), "nobody will restart it");
            }
        }
    }

    fn count_restarts(&mut self) {
        for view in self.sup.children().collect::<Vec<_>>() {
            let before = self.restarts.insert(view.id.clone(), view.restarts).unwrap_or(0);
            if view.restarts > before {
                assert_eq!(view.restarts, before + 1);
                assert_ne!(view.spec.restart, Restart::Temporary, "a temporary was restarted");
                self.stamps.push(self.now);
            }
        }
        let counted = self.stamps.iter().filter(|&&at| at + PERIOD_MS >= self.now).count();
        assert!(counted <= self.flags.intensity as usize, "more restarts than the rule allows");
        let here: BTreeSet<_> = self.sup.children().map(|view| view.id).collect();
        self.restarts.retain(|id, _| here.contains(id));
    }

    fn obey(&mut self, order: Order) {
        let reply = matches!(order, Order::Reply { .. });
        assert!(self.exit.is_none() || reply, "an order after the end: {order:?}");
        match order {
            Order::Start { id, incarnation } => self.start(id, incarnation),
            Order::Stop { id, incarnation } => self.asked_to_stop(&id, incarnation, false),
            Order::Kill { id, incarnation } => self.asked_to_stop(&id, incarnation, true),
            Order::SetTimer { timer, at } => {
                self.timer_is_of_a_living_epoch(&timer, at);
                if timer.kind == TimerKind::Retry {
                    self.retry.insert(timer.id.clone(), timer.epoch);
                }
                self.timers.push((at.0, timer));
            }
            Order::Reply { tag, answer } => {
                let call = self.asked.remove(&tag).expect("answered once");
                if let (Call::TerminateChild(id) | Call::RestartChild(id), _)
                | (Call::StartChild(ChildSpec { id, .. }), Answer::Started(None)) =
                    (call, answer)
                {
                    self.undefined.insert(id);
                }
            }
            Order::Report(_) | Order::Up => {}
            Order::Exit { reason } => {
                assert!(self.lives.is_empty(), "ended before its children");
                self.exit = Some(reason);
            }
        }
    }

    /// A timer comes when the state of its child asks for it, and no two share an epoch. If a call
    /// has ended that state in the same step, the timer is void, and `timer` sees to that.
    fn timer_is_of_a_living_epoch(&mut self, timer: &Timer, at: Now) {
        assert!(timer.epoch > self.epoch, "an epoch that was there before");
        self.epoch = timer.epoch;
        let Some(view) = self.sup.child(&timer.id) else { return };
        let due = match (timer.kind, view.state, view.spec.shutdown) {
            (TimerKind::Retry, ChildState::Restarting { until }, _) => Some(until.0),
            (TimerKind::StartTimeout, ChildState::Starting, _) => {
                view.spec.start_timeout_ms.map(|ms| self.now + ms)
            }
            (TimerKind::Shutdown, ChildState::Stopping, Shutdown::Timeout(ms)) => {
                Some(self.now + ms)
            }
            (TimerKind::Shutdown, ChildState::Stopping, _) => None,
            _ => return,
        };
        assert_eq!(due, Some(at.0), "{timer:?} for {view:?}");
        let life = view.incarnation.unwrap_or(self.last[&timer.id]);
        assert_eq!(timer.incarnation, life, "a timer of another life");
    }

    fn start(&mut self, id: ChildId, incarnation: u64) {
        assert!(!self.lives.contains_key(&id), "two lives of {id}");
        assert!(self.last.insert(id.clone(), incarnation).is_none_or(|last| last < incarnation));
        assert!(
            !matches!(self.sup.phase(), Phase::Stopping | Phase::Ended),
            "start while stopping"
        );
        assert!(
            self.lives.values().all(|life| !life.stopping && life.up),
            "start in a stop or start"
        );
        let group = matches!(self.flags.strategy, Strategy::OneForAll | Strategy::RestForOne);
        if self.sup.phase() == Phase::Starting || (group && !self.asked_for(&id)) {
            assert_eq!(self.later_alive(&id), 0, "not in start order");
        }
        self.undefined.remove(&id);
        let reason = Exit::crash(Cause::Start, Blame::Guest, "no");
        let (it, mut says) = (id.clone(), VecDeque::new());
        // Few first starts fail, lest most cases be over before they begin.
        let most = if self.sup.phase() == Phase::Starting { 14 + self.rng.below(2) } else { 20 };
        match self.rng.below(most) {
            0..=13 => says.push_back(Event::Started { id: it, incarnation }),
            14..=16 => says.push_back(Event::StartFailed { id: it, incarnation, reason }),
            17 => says.push_back(Event::Ignored { id: it, incarnation }),
            18 => says.push_back(Event::Exited { id: it, incarnation, reason: Exit::Killed }),
            _ => {}
        }
        self.lives.insert(id, Life { incarnation, up: false, stopping: false, says });
    }

    fn asked_to_stop(&mut self, id: &ChildId, incarnation: u64, kill: bool) {
        if !self.lives[id].stopping && self.lives[id].up && !self.asked_for(id) {
            assert_eq!(self.later_alive(id), 0, "not in reverse start order");
        }
        let parallel =
            self.flags.stop == Stop::Parallel || self.flags.strategy == Strategy::SimpleOneForOne;
        // A start that is killed for its time is not a stop that must be waited for.
        let views = self.sup.children().filter(|view| view.state == ChildState::Stopping);
        let others = views.filter(|view| view.id != *id && self.lives[&view.id].stopping).count();
        assert!(parallel || others == 0 || kill, "two stops at once");
        let spec = self.sup.child(id).unwrap().spec;
        let stubborn = self.rng.below(4) == 0 && spec.shutdown != Shutdown::Infinity;
        let reason = self.rng.pick(&[Exit::Shutdown, Exit::Shutdown, Exit::Normal, Exit::Hung]);
        let life = self.lives.get_mut(id).unwrap();
        assert_eq!(life.incarnation, incarnation, "a stop for another life");
        life.stopping = true;
        let over = life.says.iter().any(|says| !matches!(says, Event::Started { .. }));
        if !over && (kill || !stubborn) {
            let reason = if kill { Exit::Killed } else { reason };
            life.says.push_back(Event::Exited { id: id.clone(), incarnation, reason });
        }
    }
}
