//! One child's life: starting, stopping, and what its runtime says of it.

use super::child::{Life, Seq};
use super::event::{Order, Timer, TimerKind};
use super::exit::Exit;
use super::job::Why;
use super::report::{Context, Offender, Report};
use super::spec::{Restart, Shutdown, Strategy};
use super::supervisor::{Deferred, Supervisor};
use super::view::Phase;

impl Supervisor {
    /// Orders a new life.
    pub(super) fn begin_start(&mut self, seq: Seq) {
        let epoch = self.next_epoch();
        let Some(child) = self.children.get_mut(seq) else {
            return;
        };
        child.incarnation += 1;
        child.life = Life::Starting { verdict: None };
        child.epoch = epoch;
        let timeout = child.spec.start_timeout_ms;
        self.starting = true;
        let (id, incarnation) = (child.id.clone(), child.incarnation);
        self.out.push(Order::Start { id, incarnation });
        if let Some(ms) = timeout {
            self.set_timer(seq, TimerKind::StartTimeout, ms);
        }
    }

    /// Orders the end of a life, or settles a child that has none (section 1.7).
    pub(super) fn begin_stop(&mut self, seq: Seq) {
        let epoch = self.next_epoch();
        let Some(child) = self.children.get_mut(seq) else {
            return;
        };
        let brutal = child.spec.shutdown == Shutdown::BrutalKill;
        let (id, incarnation) = (child.id.clone(), child.incarnation);
        match std::mem::replace(&mut child.life, Life::Stopping { killed: brutal }) {
            Life::Running { .. } | Life::Starting { verdict: None } if brutal => {
                self.out.push(Order::Kill { id, incarnation });
            }
            Life::Running { .. } | Life::Starting { verdict: None } => {
                self.out.push(Order::Stop { id, incarnation });
            }
            // Its start took too long: the kill is under way.
            Life::Starting { verdict: Some(_) } => child.life = Life::Stopping { killed: true },
            Life::Stopping { killed } => {
                child.life = Life::Stopping { killed };
                return;
            }
            Life::Exited { reason, .. } => return self.stop_done(seq, *reason),
            Life::Restarting { .. } => {
                self.report_stopped(None, seq);
                return self.settle(seq);
            }
            Life::Undefined => return self.settle(seq),
        }
        child.epoch = epoch;
        let timeout = match (&child.life, child.spec.shutdown) {
            (Life::Stopping { killed: false }, Shutdown::Timeout(ms)) => Some(ms),
            _ => None,
        };
        self.stopping += 1;
        // Only one start is ever under way, so a child that was starting was that one.
        self.starting = false;
        if let Some(ms) = timeout {
            self.set_timer(seq, TimerKind::Shutdown, ms);
        }
    }

    /// A child that was to be stopped is gone. Reasons other than the expected are reported.
    fn stop_done(&mut self, seq: Seq, reason: Exit) {
        let Some(child) = self.children.get_mut(seq) else {
            return;
        };
        let spec = &child.spec;
        let accepted = match reason {
            Exit::Shutdown if spec.shutdown != Shutdown::BrutalKill => true,
            Exit::Killed => spec.shutdown == Shutdown::BrutalKill,
            _ => reason.is_orderly() && spec.restart != Restart::Permanent,
        };
        child.last_exit = Some(Box::new(reason.clone()));
        if !accepted {
            self.report(Context::ShutdownError, Some(reason.clone()), seq);
        }
        self.report_stopped(Some(reason), seq);
        self.settle(seq);
    }

    /// OTP's `del_child`: a child without a life is undefined, or forgotten if nothing could bring
    /// it back.
    pub(super) fn settle(&mut self, seq: Seq) {
        let epoch = self.next_epoch();
        let Some(child) = self.children.get_mut(seq) else {
            return;
        };
        let simple = self.flags.strategy == Strategy::SimpleOneForOne;
        if simple || child.spec.restart == Restart::Temporary {
            self.children.remove(seq);
        } else {
            child.life = Life::Undefined;
            child.epoch = epoch;
        }
    }

    /// Tells of a stop that a caller asked for, and of a temporary child that goes with its group:
    /// nothing else would say why the child is gone.
    fn report_stopped(&mut self, reason: Option<Exit>, seq: Seq) {
        let temporary =
            || self.children.get(seq).is_some_and(|it| it.spec.restart == Restart::Temporary);
        let told = match self.job.as_ref().map(|job| &job.why) {
            Some(Why::Terminate { .. }) => true,
            Some(Why::Restart { .. }) => temporary(),
            _ => false,
        };
        if told {
            self.report(Context::Stopped, reason, seq);
        }
    }

    pub(super) fn on_started(&mut self, id: &str, incarnation: u64) {
        let Some(seq) = self.children.find_life(id, incarnation) else {
            return;
        };
        let (now, epoch) = (self.now, self.next_epoch());
        let Some(child) = self.children.get_mut(seq) else {
            return;
        };
        // A start that was given up may still succeed; its exit is what counts then.
        if matches!(child.life, Life::Starting { verdict: None }) {
            child.life = Life::Running { since: now };
            child.ran = incarnation;
            child.epoch = epoch;
            self.report(Context::Progress, None, seq);
            self.start_done(Some(incarnation));
        }
    }

    pub(super) fn on_ignored(&mut self, id: &str, incarnation: u64) {
        let Some(seq) = self.children.find_life(id, incarnation) else {
            return;
        };
        let Some(child) = self.children.get_mut(seq) else {
            return;
        };
        match &child.life {
            Life::Starting { verdict: None } => {
                self.settle(seq);
                self.start_done(None);
            }
            Life::Starting { .. } | Life::Stopping { .. } => {
                self.on_exited(id, incarnation, Exit::Shutdown);
            }
            _ => {}
        }
    }

    pub(super) fn on_start_failed(&mut self, id: &str, incarnation: u64, reason: Exit) {
        let Some(seq) = self.children.find_life(id, incarnation) else {
            return;
        };
        let Some(child) = self.children.get(seq) else {
            return;
        };
        if matches!(child.life, Life::Starting { .. } | Life::Stopping { .. }) {
            self.on_exited(id, incarnation, reason);
        }
    }

    /// A life has ended. Exits of earlier lives, and second ones, find nothing to end.
    pub(super) fn on_exited(&mut self, id: &str, incarnation: u64, reason: Exit) {
        let Some(seq) = self.children.find_life(id, incarnation) else {
            return;
        };
        let Some(child) = self.children.get_mut(seq) else {
            return;
        };
        match &mut child.life {
            Life::Starting { verdict } => {
                let reason = verdict.take().map_or(reason, |verdict| *verdict);
                self.start_failed(seq, reason);
            }
            Life::Running { since } => {
                let ran_ms = self.now.ms_since(*since);
                child.last_exit = Some(Box::new(reason.clone()));
                child.life = Life::Exited { ran_ms, reason: Box::new(reason) };
                if self.phase != Phase::Stopping {
                    let id = child.id.clone();
                    self.deferred.push_back(Deferred::Exit { id, incarnation });
                }
            }
            Life::Stopping { .. } => {
                self.stopping -= 1;
                self.stop_done(seq, reason);
            }
            Life::Undefined | Life::Exited { .. } | Life::Restarting { .. } => {}
        }
    }

    pub(super) fn on_timer(&mut self, timer: Timer) {
        let Some(seq) = self.children.find_life(&timer.id, timer.incarnation) else {
            return;
        };
        let Some(child) = self.children.get_mut(seq) else {
            return;
        };
        if child.epoch != timer.epoch {
            return;
        }
        let (id, incarnation) = (timer.id.clone(), timer.incarnation);
        match (&mut child.life, timer.kind) {
            (Life::Restarting { .. }, TimerKind::Retry) => {
                self.deferred.push_back(Deferred::Retry(timer));
            }
            (Life::Starting { verdict: verdict @ None }, TimerKind::StartTimeout) => {
                *verdict = Some(Box::new(Exit::StartTimeout));
                self.out.push(Order::Kill { id, incarnation });
            }
            (Life::Stopping { killed: killed @ false }, TimerKind::Shutdown) => {
                *killed = true;
                self.out.push(Order::Kill { id, incarnation });
            }
            _ => {}
        }
    }

    pub(super) fn set_timer(&mut self, seq: Seq, kind: TimerKind, after_ms: u64) {
        let Some(child) = self.children.get(seq) else {
            return;
        };
        let (id, incarnation, epoch) = (child.id.clone(), child.incarnation, child.epoch);
        let at = self.now.plus_ms(after_ms);
        self.out.push(Order::SetTimer { timer: Timer { id, incarnation, epoch, kind }, at });
    }

    pub(super) fn report(&mut self, context: Context, reason: Option<Exit>, seq: Seq) {
        let Some(child) = self.children.get(seq) else {
            return;
        };
        let offender = Offender {
            id: child.id.clone(),
            incarnation: (child.incarnation > 0).then_some(child.incarnation),
            restart: child.spec.restart,
            significant: child.spec.significant,
            shutdown: child.spec.shutdown,
            kind: child.spec.kind,
        };
        let why = self.job.as_ref().map(|job| &job.why);
        let dynamic = matches!(why, Some(Why::StartChild { .. } | Why::RestartChild { .. }));
        let because = match (context, why) {
            // The machine can report these while a restart is under way, and not because of it.
            (Context::Slow | Context::Shutdown, _) => None,
            (_, Some(Why::Restart { of })) => Some(of.clone()),
            _ => None,
        };
        let at = self.now;
        let report = Report { context, reason, offender, dynamic, because, at };
        self.out.push(Order::Report(report));
    }
}
