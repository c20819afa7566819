//! From rows to a story: each start has a trigger, each trigger its own start before it.
//!
//! All supervisors of a node report one after the other, so the last report that can have made a start necessary is what did.

use std::sync::Arc;

use crate::machine::{Context, Exit, Kind, Strategy};

use super::{LINKS_MAX, Link, Row, Story, words};

/// Why `child` is as it is: the chain of causes within the latest run of the process, through whatever escalated on the way.
///
/// `rows` are in the order in which they were reported; `running` is whether the child runs now. Empty when nothing but first
/// starts was reported.
pub fn why(rows: &[Row], child: &str, running: bool) -> Story {
    let boot = rows.iter().map(|row| row.boot).max().unwrap_or(0);
    let rows: Vec<&Row> = rows.iter().filter(|row| row.boot == boot).collect();
    let mut teller = Teller { rows, found: Vec::new() };
    teller.tell(child, running);
    // Found from the present back to the first exit.
    let mut links = teller.found;
    links.reverse();
    let earlier = links.len().saturating_sub(LINKS_MAX);
    if earlier > 0 {
        links.drain(1..=earlier);
    }
    Story { links, earlier }
}

struct Teller<'r> {
    rows: Vec<&'r Row>,
    /// The latest first.
    found: Vec<Link>,
}

impl<'r> Teller<'r> {
    fn tell(&mut self, child: &str, running: bool) {
        let end = self.rows.len();
        let start = self.start_before(child, end);
        if !running && let Some(last) = self.fall_after(child, start.map_or(0, |at| at + 1)) {
            let row = self.rows[last];
            if row.report.context == Context::ChildTerminated
                && row
                    .report
                    .reason
                    .as_ref()
                    .is_some_and(|exit| !exit.is_abnormal_for(row.report.offender.restart))
            {
                self.link(row, words::not_again(row));
            }
            self.trigger(last);
            return;
        }
        if let Some(start) = start {
            self.start(start);
        }
    }

    fn link(&mut self, row: &Row, text: String) {
        let child = Arc::clone(&row.report.offender.id);
        self.found.push(Link { at_ms: row.at_ms, child, text });
    }

    /// The last start of a child before a row.
    fn start_before(&self, child: &str, before: usize) -> Option<usize> {
        self.rows[..before].iter().rposition(|row| {
            row.report.context == Context::Progress && *row.report.offender.id == *child
        })
    }

    /// The last thing from a row on that took the child down: its own end, or that of what is above it.
    fn fall_after(&self, child: &str, from: usize) -> Option<usize> {
        (from..self.rows.len()).rev().find(|&at| self.concerns(at, child))
    }

    /// Goes back from a start to what made it necessary, and on from there; a first start has no cause and ends the story.
    fn start(&mut self, mut start: usize) {
        // Each round goes back by at least one row.
        loop {
            let row = self.rows[start];
            let child = Arc::clone(&row.report.offender.id);
            let Some(previous) = self.start_before(&child, start) else { return };
            let made = (previous + 1..start).rev().find(|&at| self.concerns(at, &child));
            let Some(made) = made else { return };
            self.link(row, words::restarted(row));
            let trigger = self.rows[made];
            let sibling = trigger.supervisor == row.supervisor
                && trigger.report.offender.id != row.report.offender.id
                && trigger.report.context != Context::Shutdown;
            if sibling {
                self.link(trigger, words::group(trigger, &child));
            }
            match self.trigger_once(made) {
                Some(next) => start = next,
                None => return,
            }
        }
    }

    fn trigger(&mut self, at: usize) {
        if let Some(start) = self.trigger_once(at) {
            self.start(start);
        }
    }

    /// Tells of an end and of the escalations that led to it; gives the start of the life that ended.
    fn trigger_once(&mut self, mut at: usize) -> Option<usize> {
        loop {
            let row = self.rows[at];
            self.link(row, words::of(row));
            let offender = &row.report.offender.id;
            let escalated = matches!(row.report.reason, Some(Exit::Escalated { .. }))
                && row.report.context == Context::ChildTerminated;
            let before = match (row.report.context, escalated) {
                // The supervisor below said why it gave up.
                (_, true) => self.rows[..at].iter().rposition(|below| {
                    below.report.context == Context::Shutdown && below.supervisor == *offender
                }),
                // The exit that was one too many.
                (Context::Shutdown, _) => self.rows[..at].iter().rposition(|exit| {
                    exit.report.offender.id == *offender
                        && exit.supervisor == row.supervisor
                        && is_fall(exit.report.context)
                }),
                (Context::ChildTerminated, false) => self.signal_before(at),
                // What made the start necessary.
                (Context::StartError, _) => self.fall_before(at),
                _ => None,
            };
            match before {
                Some(before) => at = before,
                None => return self.start_before(offender, at),
            }
        }
    }

    /// The last thing that took the child of a row down since its last start, before that row.
    fn fall_before(&self, at: usize) -> Option<usize> {
        let child = &self.rows[at].report.offender.id;
        let life = self.start_before(child, at)?;
        (life + 1..at).rev().find(|&before| self.concerns(before, child))
    }

    /// The end of the significant child by which a supervisor that has ended by itself shut down (`auto_shutdown`).
    fn signal_before(&self, at: usize) -> Option<usize> {
        let row = self.rows[at];
        let ended = &row.report.offender;
        if ended.kind != Kind::Supervisor || row.report.reason != Some(Exit::Shutdown) {
            return None;
        }
        let life = self.start_before(&ended.id, at).unwrap_or(0);
        (life..at).rev().find(|&below| {
            let below = self.rows[below];
            below.supervisor == ended.id
                && below.report.context == Context::ChildTerminated
                && below.report.offender.significant
        })
    }

    /// Whether a row can have ended the present life of a child: its own end, that of a sibling in its group, or either of
    /// these for a supervisor above it.
    fn concerns(&self, at: usize, child: &str) -> bool {
        let row = self.rows[at];
        if !is_fall(row.report.context) {
            return false;
        }
        let mut of = child;
        // Deeper than a fleet file can nest.
        for _ in 0..=self.rows.len().min(64) {
            if *row.report.offender.id == *of {
                return true;
            }
            let Some(above) = self.supervisor_of(of) else { return false };
            if *row.supervisor == **above && self.in_group(row, of) {
                return true;
            }
            of = above;
        }
        false
    }

    fn supervisor_of(&self, child: &str) -> Option<&'r Arc<str>> {
        let about = self.rows.iter().find(|row| *row.report.offender.id == *child);
        about.map(|row| &row.supervisor)
    }

    /// Whether the end of this row's offender takes a sibling along.
    fn in_group(&self, row: &Row, sibling: &str) -> bool {
        if row.report.context == Context::Stopped || row.report.dynamic {
            return false;
        }
        let first =
            |child: &str| self.rows.iter().position(|row| *row.report.offender.id == *child);
        match row.strategy {
            Strategy::OneForAll => true,
            Strategy::RestForOne => first(&row.report.offender.id) < first(sibling),
            Strategy::OneForOne | Strategy::SimpleOneForOne => false,
        }
    }
}

/// Whether a report is about an end that leads to a start, or to none.
fn is_fall(context: Context) -> bool {
    matches!(context, Context::ChildTerminated | Context::StartError | Context::Stopped)
}
