//! Reports of supervisors, on their way into the file beside the ledger and back.

use super::endings::Endings;
use crate::exit::{self, CliError};
use loket_agent::{HISTORY_LIMIT_MAX, Reports, ReportsFuture};
use loket_ledger::{
    HISTORY_ANSWER_ROWS_MAX, HistoryAnswer, HistoryFile, HistoryQuery, HistoryRecord,
};
use loket_supervision::story::Row;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// What may be asked for is what the file gives: nothing is cut in silence.
const _: () = assert!(HISTORY_LIMIT_MAX == HISTORY_ANSWER_ROWS_MAX);

/// The file as the agent provider reads it.
pub(super) struct Kept(Arc<HistoryFile>);

impl Reports for Kept {
    fn latest(&self, child: Option<String>, limit: usize) -> ReportsFuture {
        let file = Arc::clone(&self.0);
        Box::pin(async move { values(file.read(HistoryQuery { child, limit }).await) })
    }
}

/// Where the reports of a running node go.
pub(super) struct Diary {
    file: Arc<HistoryFile>,
    /// For the last words of the fleet.
    pub(super) endings: Endings,
}

impl Diary {
    /// Opens the file of a data directory.
    pub(super) fn open(data: &Path) -> Result<Arc<Self>, CliError> {
        let file = HistoryFile::open(data).map(Arc::new).map_err(|error| {
            CliError::new("no_thread", exit::BUG, format!("no thread for the reports: {error}"))
        })?;
        Ok(Arc::new(Self { file, endings: Endings::default() }))
    }

    /// The file, to be read.
    pub(super) fn kept(&self) -> Kept {
        Kept(Arc::clone(&self.file))
    }

    /// Keeps a report.
    pub(super) fn keep(&self, row: &Row) {
        self.endings.note(row);
        let Ok(body) = serde_json::to_string(row) else { return };
        self.file.keep(HistoryRecord {
            at_ms: row.at_ms,
            supervisor: row.supervisor.to_string(),
            child: row.report.offender.id.to_string(),
            context: row.context().to_owned(),
            body,
        });
    }

    /// Writes what has come so far and stops.
    pub(super) fn stop(&self) {
        self.file.stop();
    }
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
