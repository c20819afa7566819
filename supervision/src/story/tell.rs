//! From rows to a story: each start has a fall that made it necessary, each fall a life that began with a start before it.
//!
//! Never names a child as a cause that the rows do not: who was restarted with whom stands in the report of the start. Start
//! reading at [`why`], then [`Teller::start`].

use std::sync::Arc;

use crate::machine::{Context, Exit, Restart};

use super::past::Past;
use super::{LINKS_MAX, Link, Row, Story, words};

/// Why `child` is as it is: the chain of causes within the latest run of the process, through whatever escalated on the way.
///
/// `rows` are in the order in which they were reported; `running` is whether the child runs now. Empty when nothing but first
/// starts was reported.
pub fn why(rows: &[Row], child: &str, running: bool) -> Story {
    let boot = rows.iter().map(|row| row.boot).max().unwrap_or(0);
    let rows: Vec<&Row> = rows.iter().filter(|row| row.boot == boot).collect();
    let mut teller = Teller { past: Past(rows), found: Vec::new() };
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
    past: Past<'r>,
    /// The latest first.
    found: Vec<Link>,
}

impl Teller<'_> {
    fn tell(&mut self, child: &str, running: bool) {
        let end = self.past.0.len();
        let start = self.past.start_before(child, end);
        let since = start.map_or(0, |at| at + 1);
        if !running && let Some(fall) = self.past.fall_of_life(child, since, end) {
            return self.down(child, fall);
        }
        if let Some(start) = start {
            self.start(start);
        }
    }

    /// A child that does not run, because of this.
    fn down(&mut self, child: &str, fall: usize) {
        let row = self.past.0[fall];
        self.for_good(fall);
        let of_a_sibling = *row.report.offender.id != *child
            && self.past.supervisor_of(child, fall) == Some(&row.supervisor)
            && !matches!(row.report.context, Context::Shutdown | Context::AutoShutdown);
        if of_a_sibling {
            self.link(row, child.into(), words::group(row, child));
        }
        if let Some(start) = self.fell(fall) {
            self.start(start);
        }
    }

    /// Says why whoever fell here is not started again, where that is so by its restart type.
    fn for_good(&mut self, fall: usize) {
        let row = self.past.0[fall];
        let report = &row.report;
        let (who, restart) = match report.context {
            Context::AutoShutdown => (&row.supervisor, self.past.restart_of(&row.supervisor, fall)),
            Context::Stopped if report.because.is_some() => {
                (&report.offender.id, Some(report.offender.restart))
            }
            Context::ChildTerminated if self.past.for_good(fall, &report.offender.id) => {
                (&report.offender.id, Some(report.offender.restart))
            }
            _ => return,
        };
        // The end of a significant child may have ended the one that would start it.
        if let Some(above) = self.past.ended_by(who, fall) {
            let above = self.past.0[above];
            return self.link(above, Arc::clone(&above.supervisor), words::of(above));
        }
        if let Some(restart) = restart.filter(|restart| *restart != Restart::Permanent) {
            self.link(row, Arc::clone(who), words::not_again(who, restart));
        }
    }

    fn link(&mut self, row: &Row, child: Arc<str>, text: String) {
        self.found.push(Link { at_ms: row.at_ms, child, text });
    }

    /// Goes back from a start to what made it necessary, and on from there; a first start has no cause and ends the story.
    fn start(&mut self, mut start: usize) {
        // Each round goes back by at least one row.
        loop {
            let mut starts = vec![start];
            let Some(fall) = self.past.cause(start, start, &mut starts) else { return };
            let at_ms = self.past.0[start].at_ms;
            for &begun in &starts {
                let row = self.past.0[begun];
                let child = Arc::clone(&row.report.offender.id);
                // A supervisor is up after its children, but began to start before them.
                let at_ms = row.at_ms.min(at_ms);
                self.found.push(Link { at_ms, child, text: words::restarted(row) });
            }
            let top = &self.past.0[*starts.last().unwrap_or(&start)].report;
            let mut next = None;
            if top.because.as_ref().is_some_and(|of| *of != top.offender.id) {
                let child = Arc::clone(&top.offender.id);
                let life = self.past.start_before(&child, fall).map_or(0, |start| start + 1);
                match self.past.own_fall(&child, life, fall) {
                    // It was down already: the group has only brought it back.
                    Some(own) => {
                        self.fell(fall);
                        next = Some(self.fell(own));
                    }
                    None => {
                        let row = self.past.0[fall];
                        let text = words::group(row, &child);
                        self.link(row, child, text);
                    }
                }
            }
            let next = next.unwrap_or_else(|| self.fell(fall));
            match next {
                Some(next) => start = next,
                None => return,
            }
        }
    }

    /// Tells of an end and of the escalations that led to it; gives the start of the life that ended.
    fn fell(&mut self, mut at: usize) -> Option<usize> {
        // Each round goes back by at least one row.
        loop {
            let row = self.past.0[at];
            self.link(row, Arc::clone(words::subject(row)), words::of(row));
            match self.before(at) {
                Some(before) => at = before,
                None => return self.past.start_before(&row.report.offender.id, at),
            }
        }
    }

    /// What made a fall happen.
    fn before(&self, at: usize) -> Option<usize> {
        let (row, past) = (self.past.0[at], &self.past);
        let report = &row.report;
        let offender = &report.offender.id;
        let life = || past.start_before(offender, at).map_or(0, |start| start + 1);
        match (report.context, &report.because) {
            // The supervisor that ended said why it did.
            (Context::ChildTerminated, _)
                if matches!(report.reason, Some(Exit::Escalated { .. } | Exit::Shutdown)) =>
            {
                past.own_end(offender, life(), at)
            }
            (Context::StartError | Context::Stopped, Some(of)) => {
                past.fall_under(&row.supervisor, of, at)
            }
            // The exit that the rule is about.
            (Context::EndedByRule, _) => past.own_fall(offender, life(), at),
            // What it waited for a restart after.
            (Context::Stopped, None) if report.reason.is_none() => {
                past.own_fall(offender, life(), at)
            }
            // The exit that was one too many, that of the significant child, or the one before a try.
            (Context::Shutdown | Context::AutoShutdown | Context::StartError, _) => {
                past.own_fall(offender, life(), at)
            }
            _ => None,
        }
    }
}
