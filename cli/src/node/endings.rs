//! What supervisors said of their own ends: an exit alone does not tell it, for `auto_shutdown` ends a supervisor in order.
//!
//! Nobody decides anything from it but what is said when the fleet has ended. Start reading at [`Endings`].

use loket_supervision::machine::Context;
use loket_supervision::story::Row;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Supervisors whose last end is remembered: those that ended latest. More than any chain of causes is long; one takes some hundred
/// bytes.
const ENDINGS_MAX: usize = 1_024;

/// The last end of each supervisor that ended by itself, the latest last.
#[derive(Default)]
pub(super) struct Endings(Mutex<VecDeque<Row>>);

impl Endings {
    /// Remembers a report, if it is about such an end.
    pub(super) fn note(&self, row: &Row) {
        if !matches!(row.report.context, Context::Shutdown | Context::AutoShutdown) {
            return;
        }
        let mut rows = self.rows();
        rows.retain(|earlier| earlier.supervisor != row.supervisor);
        if rows.len() == ENDINGS_MAX {
            rows.pop_front();
        }
        rows.push_back(row.clone());
    }

    /// What a supervisor said when it last ended by itself.
    pub(super) fn of(&self, supervisor: &str) -> Option<Row> {
        self.rows().iter().find(|row| *row.supervisor == *supervisor).cloned()
    }

    fn rows(&self) -> MutexGuard<'_, VecDeque<Row>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(super) use tests::row;

#[cfg(test)]
mod tests {
    use super::*;
    use loket_supervision::machine::{
        Exit, Kind, Now, Offender, Report, Restart, Shutdown, Strategy,
    };

    pub(crate) fn row(supervisor: &str, context: Context, child: &str, reason: Exit) -> Row {
        let offender = Offender {
            id: child.into(),
            incarnation: Some(1),
            restart: Restart::Temporary,
            significant: true,
            shutdown: Shutdown::Infinity,
            kind: Kind::Worker,
        };
        let report = Report {
            context,
            reason: Some(reason),
            offender,
            dynamic: false,
            because: None,
            at: Now(0),
        };
        Row {
            boot: 0,
            at_ms: 0,
            supervisor: supervisor.into(),
            strategy: Strategy::OneForOne,
            report,
        }
    }

    #[test]
    fn the_latest_end_of_each_is_kept_and_no_more_than_the_bound() {
        let endings = Endings::default();
        endings.note(&row("s", Context::ChildTerminated, "x", Exit::Killed));
        assert_eq!(endings.of("s"), None);
        for child in ["x", "y"] {
            endings.note(&row("s", Context::AutoShutdown, child, Exit::Killed));
        }
        assert_eq!(endings.of("s").map(|row| row.report.offender.id), Some("y".into()));
        for n in 0..ENDINGS_MAX {
            endings.note(&row(&format!("s{n}"), Context::AutoShutdown, "x", Exit::Killed));
        }
        assert_eq!(endings.of("s"), None);
        assert_eq!(endings.rows().len(), ENDINGS_MAX);
    }
}
