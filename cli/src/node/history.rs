//! Reports of supervisors, on their way into the file beside the ledger and back.

use loket_agent::{Reports, ReportsFuture};
use loket_ledger::{HistoryAnswer, HistoryFile, HistoryQuery, HistoryRecord};
use loket_supervision::story::Row;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// The file as the agent provider reads it.
pub(super) struct Kept(pub(super) Arc<HistoryFile>);

impl Reports for Kept {
    fn latest(&self, child: Option<String>, limit: usize) -> ReportsFuture {
        let file = Arc::clone(&self.0);
        Box::pin(async move { values(file.read(HistoryQuery { child, limit }).await) })
    }
}

/// Keeps a report.
pub(super) fn keep(file: &HistoryFile, row: &Row) {
    let Ok(body) = serde_json::to_string(row) else { return };
    file.keep(HistoryRecord {
        at_ms: row.at_ms,
        supervisor: row.supervisor.to_string(),
        child: row.report.offender.id.to_string(),
        context: row.context().to_owned(),
        body,
    });
}

/// The reports of a data directory that no fleet runs on.
pub(crate) fn kept_in(
    data: &Path,
    child: Option<String>,
    limit: usize,
) -> Result<Vec<Value>, String> {
    values(loket_ledger::read_history(data, &HistoryQuery { child, limit }))
}

fn values(answer: HistoryAnswer) -> Result<Vec<Value>, String> {
    let one = |(boot, record): (u64, HistoryRecord)| {
        let mut row: Value = serde_json::from_str(&record.body).ok()?;
        row["boot"] = boot.into();
        Some(row)
    };
    Ok(answer?.into_iter().filter_map(one).collect())
}
