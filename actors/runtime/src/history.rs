//! What supervisors report: told in the log in OTP's fields, and handed to whoever keeps it.
//!
//! Nothing is kept here and nobody decides from it. Start reading at [`Reports`].

use crate::node::OnReport;
use loket_kernel::Moment;
use loket_supervision::machine::{Context, Exit, Kind, Report, Shutdown, Strategy};
use loket_supervision::story::Row;
use std::sync::Arc;

/// Where the reports of a node go.
#[derive(Clone, Default)]
pub(crate) struct Reports(pub(crate) Option<OnReport>);

impl Reports {
    /// Tells a report in the log and hands it on.
    pub(crate) fn report(
        &self,
        at: Moment,
        supervisor: &Arc<str>,
        strategy: Strategy,
        report: Report,
    ) {
        let row =
            Row { boot: 0, at_ms: at.0, supervisor: Arc::clone(supervisor), strategy, report };
        tell(&row);
        if let Some(keep) = &self.0 {
            keep(row);
        }
    }
}

/// Reasons within each other that the log shows, as many as OTP's default depth.
const REASON_DEPTH_MAX: usize = 30;

/// Characters of a reason that the log shows: what one reads at most.
const REASON_CHARS_MAX: usize = 4_096;

fn tell(row: &Row) {
    let (supervisor, error_context) = (&*row.supervisor, row.context());
    let offender = &row.report.offender;
    let (child, incarnation) = (&*offender.id, offender.incarnation);
    let line = |exit: &Exit| exit.line(REASON_DEPTH_MAX, REASON_CHARS_MAX);
    let reason = row.report.reason.as_ref().map(line).unwrap_or_default();
    let code = row.report.reason.as_ref().map_or("", |exit| exit.code());
    let restart = format!("{:?}", offender.restart);
    let (significant, shutdown) = (offender.significant, shutdown(offender.shutdown));
    let child_type = match offender.kind {
        Kind::Worker => "worker",
        Kind::Supervisor => "supervisor",
    };
    let orderly = row.report.reason.as_ref().is_some_and(|exit| exit.is_orderly());
    match row.report.context {
        Context::Progress => tracing::debug!(
            target: "loket::progress",
            supervisor, child, incarnation, restart, significant, shutdown, child_type,
            "started"
        ),
        Context::ChildTerminated
        | Context::Stopped
        | Context::EndedByRule
        | Context::AutoShutdown
            if orderly || row.report.context != Context::ChildTerminated =>
        {
            tracing::info!(
                target: "loket::supervisor",
                supervisor, error_context, child, incarnation, restart, significant, shutdown,
                child_type,
                reason,
                "{}", said(&row.report)
            );
        }
        Context::Slow => tracing::warn!(
            target: "loket::supervisor",
            supervisor, error_context, child, incarnation, restart, significant, shutdown,
            child_type,
            "makes no progress"
        ),
        _ => tracing::error!(
            target: "loket::supervisor",
            supervisor, error_context, child, incarnation, restart, significant, shutdown,
            child_type,
            code, reason,
            "supervisor report"
        ),
    }
}

/// What is no error, in words.
fn said(report: &Report) -> &'static str {
    match (report.context, &report.because) {
        (Context::EndedByRule, _) => "not started again: a rule says so",
        (Context::AutoShutdown, _) => "the supervisor ends: auto_shutdown",
        (Context::Stopped, Some(_)) => "stopped with its group",
        (Context::Stopped, None) => "stopped as asked",
        _ => "ended",
    }
}

/// OTP's value of the field.
fn shutdown(shutdown: Shutdown) -> String {
    match shutdown {
        Shutdown::BrutalKill => "brutal_kill".to_owned(),
        Shutdown::Infinity => "infinity".to_owned(),
        Shutdown::Timeout(ms) => ms.to_string(),
    }
}
