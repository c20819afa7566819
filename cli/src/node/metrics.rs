//! The names, units and meaning of the node's own metrics.

use metrics::Unit;

/// Reloads of the fleet file: `done`, `failed` (a step of it), `refused`.
pub(crate) const RELOADS: &str = "loket_reloads_total";

/// Tells the installed recorder units and meaning. Once, at the start.
pub(crate) fn describe() {
    metrics::describe_counter!(RELOADS, Unit::Count, "Reloads of the fleet file.");
}

/// Counts a reload.
pub(super) fn reloaded(outcome: &'static str) {
    metrics::counter!(RELOADS, "outcome" => outcome).increment(1);
}
