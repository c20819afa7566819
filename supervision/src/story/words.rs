//! A report in words.

use std::sync::Arc;

use crate::machine::{Context, Exit, Restart, Strategy};

use super::Row;

/// The id of every fleet file's root.
const ROOT: &str = "root";

pub(super) fn context(context: Context) -> &'static str {
    match context {
        Context::StartError => "start_error",
        Context::ChildTerminated => "child_terminated",
        Context::Shutdown => "shutdown",
        Context::ShutdownError => "shutdown_error",
        Context::Progress => "progress",
        Context::Slow => "slow",
        Context::Stopped => "stopped",
        Context::AutoShutdown => "auto_shutdown",
        Context::EndedByRule => "ended_by_rule",
    }
}

/// What a row says of its offender.
pub(super) fn of(row: &Row) -> String {
    let report = &row.report;
    let child = &report.offender.id;
    let reason = report.reason.as_ref();
    match report.context {
        Context::Progress => format!("{child} is up, incarnation {}", number(row)),
        Context::Slow => format!("{child} makes no progress, incarnation {}", number(row)),
        Context::Stopped => match (reason, &report.because) {
            (_, Some(_)) => group(row, child),
            (None, _) => format!("{child} was waiting for its restart: it is cancelled, as asked"),
            (Some(_), _) => {
                format!("{child} is stopped as asked, by a reload or by hand{}", life(row))
            }
        },
        Context::ChildTerminated => match reason {
            Some(Exit::Escalated { .. }) => format!("{child} has ended, because it gave up"),
            Some(exit) => format!("{child} ends (incarnation {}): {exit}", number(row)),
            None => format!("{child} ends (incarnation {})", number(row)),
        },
        Context::StartError => match reason {
            Some(exit) => format!("{child} does not start: {exit}"),
            None => format!("{child} does not start"),
        },
        Context::ShutdownError => match reason {
            Some(exit) => format!("{child} was stopped and ended otherwise: {exit}"),
            None => format!("{child} was stopped and ended otherwise"),
        },
        Context::EndedByRule => {
            format!("{child} is not started again: its rules (`on`) say End of this exit")
        }
        Context::AutoShutdown => {
            let exit = reason.map(|exit| format!(" ({exit})")).unwrap_or_default();
            let supervisor = &row.supervisor;
            format!("{supervisor} ends by auto_shutdown: significant child {child} ended{exit}")
        }
        Context::Shutdown => match reason {
            Some(Exit::Escalated { child, by_rule: true, .. }) => {
                format!(
                    "{} gives up: its rules (`on`) say so of this exit of {child}",
                    row.supervisor
                )
            }
            // The top of the tree, which no file names: it restarts nobody.
            Some(Exit::Escalated { child, intensity: 0, .. }) if **child == *ROOT => {
                format!("{} ends, for its root has ended", row.supervisor)
            }
            Some(Exit::Escalated { child, intensity, period_ms, .. }) => format!(
                "{} gives up: {child} needed more than {intensity} restarts in {} s",
                row.supervisor,
                seconds(*period_ms)
            ),
            _ => format!("{} gives up because of {child}", row.supervisor),
        },
    }
}

/// Whom a row is about: a supervisor that tells of its own end, or its offender.
pub(super) fn subject(row: &Row) -> &Arc<str> {
    match row.report.context {
        Context::Shutdown | Context::AutoShutdown => &row.supervisor,
        _ => &row.report.offender.id,
    }
}

/// How a child came to be started again.
pub(super) fn group(row: &Row, child: &str) -> String {
    let how = match row.strategy {
        Strategy::OneForAll => "OneForAll",
        Strategy::RestForOne => "RestForOne",
        Strategy::OneForOne | Strategy::SimpleOneForOne => "its strategy",
    };
    format!("{child} is stopped with its group: {} is {how}", row.supervisor)
}

pub(super) fn restarted(row: &Row) -> String {
    let child = &row.report.offender.id;
    // Who came with a reload, or took a name over, begins with its first life.
    let again = if number(row) > 1 { " again" } else { "" };
    format!("{} starts {child}{again}, incarnation {}", row.supervisor, number(row))
}

pub(super) fn not_again(child: &str, restart: Restart) -> String {
    match restart {
        Restart::Temporary => format!("{child} is Temporary: it is not started again"),
        Restart::Transient => {
            format!("{child} is Transient and ended in order: it is not started again")
        }
        Restart::Permanent => format!("{child} is not started again"),
    }
}

fn life(row: &Row) -> String {
    row.report.offender.incarnation.map(|n| format!(" (incarnation {n})")).unwrap_or_default()
}

fn number(row: &Row) -> u64 {
    row.report.offender.incarnation.unwrap_or(0)
}

fn seconds(ms: u64) -> String {
    match ms % 1_000 {
        0 => (ms / 1_000).to_string(),
        part => format!("{}.{part:03}", ms / 1_000),
    }
}
