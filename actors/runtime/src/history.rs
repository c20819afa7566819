//! What supervisors reported, lately: a bounded ring that `history` and `why` read.
//!
//! It is told here and in the log; nobody decides from it. Start reading at [`History::rows`].

use loket_kernel::Moment;
use loket_supervision::machine::{Context, Exit, Report};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// Rows that are kept: about a megabyte, and more than anybody reads.
pub const HISTORY_ROWS_MAX: usize = 4_096;

/// One report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// Whose supervisor.
    pub supervisor: Arc<str>,
    /// What the supervisor said.
    pub report: Report,
}

/// The node's history.
#[derive(Debug, Default)]
pub struct History(Mutex<VecDeque<HistoryRow>>);

impl History {
    /// The rows of one child, or all, oldest first.
    pub fn rows(&self, child: Option<&str>) -> Vec<HistoryRow> {
        let rows = crate::lock(&self.0);
        let wanted =
            |row: &&HistoryRow| child.is_none_or(|child| &*row.report.offender.id == child);
        rows.iter().filter(wanted).cloned().collect()
    }

    /// Tells a report in the log, in OTP's fields, and keeps it.
    pub(crate) fn report(&self, at: Moment, supervisor: &Arc<str>, report: Report) {
        tell(supervisor, &report);
        let mut rows = crate::lock(&self.0);
        if rows.len() == HISTORY_ROWS_MAX {
            rows.pop_front();
        }
        rows.push_back(HistoryRow { at_ms: at.0, supervisor: Arc::clone(supervisor), report });
    }
}

/// Reasons within each other that the log shows, as many as OTP's default depth.
const REASON_DEPTH_MAX: usize = 30;

/// Characters of a reason that the log shows: what one reads at most.
const REASON_CHARS_MAX: usize = 4_096;

fn tell(supervisor: &str, report: &Report) {
    let (child, incarnation) = (&*report.offender.id, report.offender.incarnation);
    let line = |exit: &Exit| exit.line(REASON_DEPTH_MAX, REASON_CHARS_MAX);
    let reason = report.reason.as_ref().map(line).unwrap_or_default();
    let code = report.reason.as_ref().map_or("", |exit| exit.code());
    let restart = format!("{:?}", report.offender.restart);
    match report.context {
        Context::Progress => tracing::debug!(
            target: "loket::progress",
            supervisor,
            child,
            incarnation,
            restart,
            "started"
        ),
        Context::ChildTerminated
            if report.reason.as_ref().is_some_and(|exit| exit.is_orderly()) =>
        {
            tracing::info!(
                target: "loket::supervisor",
                supervisor,
                error_context = "child_terminated",
                child,
                incarnation,
                restart,
                reason,
                "ended"
            );
        }
        context => tracing::error!(
            target: "loket::supervisor",
            supervisor,
            error_context = word(context),
            child,
            incarnation,
            restart,
            code,
            reason,
            "supervisor report"
        ),
    }
}

/// OTP's word for what a report is about.
fn word(context: Context) -> &'static str {
    match context {
        Context::StartError => "start_error",
        Context::ChildTerminated => "child_terminated",
        Context::Shutdown => "shutdown",
        Context::ShutdownError => "shutdown_error",
        Context::Progress => "progress",
    }
}
