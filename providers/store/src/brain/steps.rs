//! A call's budget of steps of SQLite's machine (rule C7): counted, never timed, so that it is the
//! same on every machine.

use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Steps between two looks at the budget: often enough to stop within a millisecond, rare enough to
/// cost nothing.
const STEPS_PER_LOOK: u64 = 4_096;

/// The budget of one open brain.
#[derive(Debug, Clone, Default)]
pub(crate) struct Steps {
    /// Looks that are left before the call is interrupted.
    looks: Arc<AtomicU64>,
}

impl Steps {
    /// Watches a connection.
    pub(crate) fn watch(conn: &mut Connection) -> rusqlite::Result<Self> {
        let steps = Self::default();
        steps.unlimited();
        let looks = Arc::clone(&steps.looks);
        let each = i32::try_from(STEPS_PER_LOOK).unwrap_or(i32::MAX);
        // Only the thread that runs the statement looks, so plain load and store suffice.
        conn.progress_handler(
            each,
            Some(move || {
                let left = looks.load(Ordering::Relaxed);
                looks.store(left.saturating_sub(1), Ordering::Relaxed);
                left == 0
            }),
        )?;
        Ok(steps)
    }

    /// Gives a call its budget.
    pub(crate) fn allow(&self, steps: u64) {
        self.looks.store(steps / STEPS_PER_LOOK, Ordering::Relaxed);
    }

    /// For what no guest asked for: commits, checkpoints.
    pub(crate) fn unlimited(&self) {
        self.looks.store(u64::MAX, Ordering::Relaxed);
    }
}
