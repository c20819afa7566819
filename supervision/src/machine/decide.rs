//! What follows from an exit: restart, retry, end, or give up. OTP's `do_restart`, `restart` and
//! `do_auto_shutdown`.

use super::backoff::delay_ms;
use super::child::{Life, Seq};
use super::event::TimerKind;
use super::exit::Exit;
use super::job::{ALL, Job, NONE, Why, only};
use super::policy::{Action, action};
use super::report::Context;
use super::spec::{AutoShutdown, Budget, Charge, Escalation, Restart, Strategy};
use super::supervisor::Supervisor;
use super::view::Phase;

impl Supervisor {
    /// A child has ended by itself (sections 1.3 and 1.8).
    pub(super) fn decide(&mut self, seq: Seq, ran_ms: u64, reason: &Exit) {
        let Some(child) = self.children.get_mut(seq) else {
            return;
        };
        child.life = Life::Undefined;
        let spec = child.spec.clone();
        if spec.restart == Restart::Permanent || !reason.is_orderly() {
            self.report(Context::ChildTerminated, Some(reason.clone()), seq);
        }
        if !reason.is_abnormal_for(spec.restart) {
            return self.ended(seq);
        }
        if !reason.is_charged() {
            // Nothing that the child, its spec or its rules could have to do with.
            return self.restart(seq, false);
        }
        match action(&spec.rules, reason) {
            Action::Restart => self.restart_later(seq, ran_ms, spec.charge == Charge::Exit),
            Action::End => self.ended_by_rule(seq, reason),
            Action::Escalate => self.give_up(seq, None),
        }
    }

    /// A restart has failed: it is tried again, unless a rule says otherwise.
    pub(super) fn restart_failed(&mut self, seq: Seq, reason: &Exit) {
        let Some(child) = self.children.get(seq) else {
            return;
        };
        match action(&child.spec.rules, reason) {
            Action::Restart => self.schedule_retry(seq, reason.is_charged()),
            Action::End => self.ended_by_rule(seq, reason),
            Action::Escalate => self.give_up(seq, None),
        }
    }

    /// A child is not restarted, because a rule says so.
    fn ended_by_rule(&mut self, seq: Seq, reason: &Exit) {
        self.report(Context::EndedByRule, Some(reason.clone()), seq);
        self.ended(seq);
    }

    /// A child has ended by itself and is not restarted.
    fn ended(&mut self, seq: Seq) {
        let significant = self.children.get(seq).is_some_and(|child| child.spec.significant);
        if significant {
            self.auto_shutdown(seq);
        }
        self.settle(seq);
    }

    fn shared_budget(&self) -> Budget {
        Budget { intensity: self.flags.intensity, period_ms: self.flags.period_ms }
    }

    /// Restarts at once, or when the backoff has elapsed.
    fn restart_later(&mut self, seq: Seq, ran_ms: u64, charge: bool) {
        let Some(child) = self.children.get_mut(seq) else {
            return;
        };
        let Some(backoff) = child.spec.backoff else {
            return self.restart(seq, charge);
        };
        if ran_ms >= backoff.reset_after_ms {
            child.failures = 0;
        }
        if child.failures == 0 && delay_ms(&backoff, 0, &mut self.rng) == 0 {
            child.failures = 1;
            self.restart(seq, charge);
        } else {
            self.schedule_retry(seq, charge);
        }
    }

    /// OTP's `try_again_restart`, after the backoff if there is one: behind whatever events wait
    /// already.
    pub(super) fn schedule_retry(&mut self, seq: Seq, charge: bool) {
        let epoch = self.next_epoch();
        let Some(child) = self.children.get_mut(seq) else {
            return;
        };
        let backoff = child.spec.backoff;
        let delay = backoff.map_or(0, |b| delay_ms(&b, child.failures, &mut self.rng));
        child.failures = child.failures.saturating_add(1);
        child.life = Life::Restarting { until: self.now.plus_ms(delay), charge };
        child.epoch = epoch;
        self.set_timer(seq, TimerKind::Retry, delay);
    }

    /// One restart attempt, stamped now (sections 1.4 and 1.5).
    pub(super) fn restart(&mut self, seq: Seq, charge: bool) {
        if charge && let Some(budget) = self.overdrawn(seq) {
            return self.give_up(seq, Some(budget));
        }
        let Some(child) = self.children.get_mut(seq) else {
            return;
        };
        child.restarts += 1;
        child.life = Life::Undefined;
        let of = child.id.clone();
        let (stop, start) = match self.flags.strategy {
            Strategy::OneForOne | Strategy::SimpleOneForOne => (NONE, only(seq)),
            Strategy::RestForOne => (seq..ALL.end, seq..ALL.end),
            Strategy::OneForAll => (ALL, ALL),
        };
        self.job = Some(Job::new(Why::Restart { of }, stop, start));
    }

    /// Stamps an attempt on both budgets; the one that it overdraws, if any.
    fn overdrawn(&mut self, seq: Seq) -> Option<Budget> {
        let shared = self.shared_budget();
        let window = self.flags.window;
        let within = self.restarts.admit(self.now, shared, window);
        let child = self.children.get_mut(seq)?;
        if let Some(own) = child.spec.budget
            && !child.window.admit(self.now, own, window)
        {
            return Some(own);
        }
        (!within).then_some(shared)
    }

    /// `reached_max_restart_intensity` of this budget; without one, because a rule says so.
    fn give_up(&mut self, seq: Seq, overdrawn: Option<Budget>) {
        let budget = overdrawn.unwrap_or_else(|| self.shared_budget());
        let Some(child) = self.children.get(seq) else {
            return;
        };
        let escalated = Exit::Escalated {
            child: child.id.clone(),
            reason: child.last_exit.clone().unwrap_or_else(|| Box::new(Exit::NoProc)),
            intensity: budget.intensity,
            period_ms: budget.period_ms,
            by_rule: overdrawn.is_none(),
        };
        let gone = !child.has_pid();
        self.report(Context::Shutdown, Some(escalated.clone()), seq);
        if gone {
            self.settle(seq);
        }
        self.begin_shutdown(match self.flags.escalation {
            Escalation::Distinct => escalated,
            Escalation::AsOtp => Exit::Shutdown,
        });
    }

    /// A message became a dead letter (rule G5).
    pub(super) fn on_letter(&mut self, id: &str) {
        if !matches!(self.phase, Phase::Starting | Phase::Up) {
            return;
        }
        let Some(seq) = self.children.find(id) else {
            return;
        };
        let by_letter =
            self.children.get(seq).is_some_and(|child| child.spec.charge == Charge::Letter);
        if by_letter && let Some(budget) = self.overdrawn(seq) {
            self.give_up(seq, Some(budget));
        }
    }

    /// A significant child has ended by itself.
    fn auto_shutdown(&mut self, seq: Seq) {
        let all_ended = || {
            let mut rest = self.children.iter().filter(|child| child.spec.significant);
            !rest.any(|child| !matches!(child.life, Life::Undefined))
        };
        let due = match self.flags.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => all_ended(),
        };
        if due {
            let reason =
                self.children.get(seq).and_then(|child| child.last_exit.as_deref().cloned());
            self.report(Context::AutoShutdown, reason, seq);
            self.begin_shutdown(Exit::Shutdown);
        }
    }
}
