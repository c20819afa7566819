//! What the rows say of lives: when one began, what ended it, who was above it then.
//!
//! A place in the rows is a time: `before` a row means what was reported earlier. Start reading at [`Past::cause`].

use std::ops::Range;
use std::sync::Arc;

use crate::machine::{ChildId, Context, Restart, Strategy};

use super::Row;

/// The rows of one run of the process.
pub(super) struct Past<'r>(pub(super) Vec<&'r Row>);

impl<'r> Past<'r> {
    /// The fall that made a start necessary. `begun` gets the starts of supervisors that the start was part of, from below.
    ///
    /// `before` is when the lowest of these starts was reported: a supervisor is up after its children.
    pub(super) fn cause(&self, at: usize, before: usize, begun: &mut Vec<usize>) -> Option<usize> {
        let row = self.0[at];
        let (report, id) = (&row.report, &*row.report.offender.id);
        if let Some(of) = &report.because {
            return self.fall_under(&row.supervisor, of, before);
        }
        let life = self.start_before(id, at).map_or(0, |start| start + 1);
        let own = self.own_fall(id, life, before);
        let above = match report.dynamic {
            // Asked for, or brought back by a pool that was itself started again.
            true => self.start_before(&row.supervisor, at).filter(|&up| {
                let ended = |own: usize| own < up && self.0[own].report.context != Context::Stopped;
                life > 0 && up >= life && own.is_none_or(ended)
            }),
            false => self.start_after(&row.supervisor, at),
        };
        if let Some(above) = above {
            let len = begun.len();
            begun.push(above);
            if let Some(fall) = self.cause(above, before.min(above), begun) {
                return Some(fall);
            }
            begun.truncate(len);
        } else if !report.dynamic {
            // The supervisor is not up yet.
            let fall = self.fall_of_life(&row.supervisor, life, before);
            return fall.filter(|_| life > 0).or(own);
        }
        own
    }

    /// What ended the last life of a child within these rows: its own end, that of its group, or that of what is above it.
    pub(super) fn fall_of_life(&self, child: &str, from: usize, before: usize) -> Option<usize> {
        let (mut of, mut last) = (child, None);
        // Each round goes up by one supervisor.
        for _ in 0..=NESTING_MAX {
            let own = self.own_fall(of, from, before);
            last = last.max(own);
            if own.is_some_and(|own| self.for_good(own, of)) {
                // Whatever came later found nobody.
                break;
            }
            let Some(above) = self.supervisor_of(of, before) else { break };
            // Who was down already was not taken along.
            if own.is_none() {
                let of_group = |&at: &usize| {
                    self.0[at].supervisor == *above && self.takes_along(at, of, before)
                };
                last = last.max((from..before).rev().find(of_group));
            }
            of = above;
        }
        last
    }

    /// Whether nobody starts a child again after this fall of its own, unless asked to.
    pub(super) fn for_good(&self, fall: usize, child: &str) -> bool {
        let report = &self.0[fall].report;
        match report.context {
            Context::Stopped | Context::EndedByRule => true,
            Context::ChildTerminated => {
                let exit = report.reason.as_ref();
                exit.is_some_and(|exit| !exit.is_abnormal_for(report.offender.restart))
            }
            Context::AutoShutdown => {
                self.restart_of(child, fall).is_some_and(|restart| restart != Restart::Permanent)
            }
            _ => false,
        }
    }

    /// The restart type of a child as it was told last.
    pub(super) fn restart_of(&self, child: &str, before: usize) -> Option<Restart> {
        Some(self.0[self.about(child, before)?].report.offender.restart)
    }

    /// Who was above a child then: a reload may move it.
    pub(super) fn supervisor_of(&self, child: &str, before: usize) -> Option<&'r Arc<str>> {
        Some(&self.0[self.about(child, before)?].supervisor)
    }

    fn about(&self, child: &str, before: usize) -> Option<usize> {
        self.0[..before].iter().rposition(|row| *row.report.offender.id == *child)
    }

    /// The last start of a child before a row.
    pub(super) fn start_before(&self, child: &str, before: usize) -> Option<usize> {
        self.0[..before].iter().rposition(|row| is_start(row, child))
    }

    fn start_after(&self, child: &str, at: usize) -> Option<usize> {
        (at + 1..self.0.len()).find(|&after| is_start(self.0[after], child))
    }

    /// The last end of a child under this supervisor before a row.
    pub(super) fn fall_under(
        &self,
        supervisor: &str,
        child: &ChildId,
        before: usize,
    ) -> Option<usize> {
        self.last(0..before, |row| {
            *row.supervisor == *supervisor
                && row.report.offender.id == *child
                && is_fall(row.report.context)
        })
    }

    /// The last thing in these rows by which a child ended itself, by whoever told of it.
    pub(super) fn own_fall(&self, child: &str, from: usize, before: usize) -> Option<usize> {
        self.last(from..before, |row| {
            is_own_end(row, child)
                || (*row.report.offender.id == *child && is_fall(row.report.context))
        })
    }

    /// What a supervisor said of its own end.
    pub(super) fn own_end(&self, supervisor: &str, from: usize, before: usize) -> Option<usize> {
        self.last(from..before, |row| is_own_end(row, supervisor))
    }

    /// The end by `auto_shutdown` of the supervisor above a child, because of this fall of the child.
    pub(super) fn ended_by(&self, child: &str, fall: usize) -> Option<usize> {
        let after = self.0.iter().enumerate().skip(fall + 1);
        let mut ends = after.filter(|(_, row)| row.report.context == Context::AutoShutdown);
        ends.find(|(_, row)| *row.report.offender.id == *child).map(|(at, _)| at)
    }

    fn last(&self, within: Range<usize>, what: impl Fn(&Row) -> bool) -> Option<usize> {
        let from = within.start.min(within.end);
        self.0[from..within.end].iter().rposition(|row| what(row)).map(|at| from + at)
    }

    /// Whether the end of this row's offender takes a sibling along that has not come back yet: of one that has, and of one that
    /// will not, the rows say so themselves.
    fn takes_along(&self, at: usize, sibling: &str, before: usize) -> bool {
        let (row, report) = (self.0[at], &self.0[at].report);
        let restarted = match (report.context, &report.reason) {
            (Context::StartError, _) => !report.dynamic,
            (Context::ChildTerminated, Some(exit)) => exit.is_abnormal_for(report.offender.restart),
            _ => false,
        };
        if !restarted
            || *report.offender.id == *sibling
            || self.restart_of(sibling, before) == Some(Restart::Temporary)
        {
            return false;
        }
        match row.strategy {
            Strategy::OneForAll => true,
            // Whoever comes later in such a group was started later.
            Strategy::RestForOne => {
                self.start_before(&report.offender.id, at) < self.start_before(sibling, at)
            }
            Strategy::OneForOne | Strategy::SimpleOneForOne => false,
        }
    }
}

/// Deeper than a fleet file can nest.
const NESTING_MAX: usize = 64;

fn is_start(row: &Row, child: &str) -> bool {
    row.report.context == Context::Progress && *row.report.offender.id == *child
}

fn is_own_end(row: &Row, supervisor: &str) -> bool {
    *row.supervisor == *supervisor
        && matches!(row.report.context, Context::Shutdown | Context::AutoShutdown)
}

/// Whether a report is about an end that leads to a start, or to none.
fn is_fall(context: Context) -> bool {
    matches!(
        context,
        Context::ChildTerminated | Context::StartError | Context::Stopped | Context::EndedByRule
    )
}
