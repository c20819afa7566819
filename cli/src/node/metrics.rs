//! The names, units and meaning of the node's own metrics.

use metrics::Unit;
use metrics_exporter_prometheus::PrometheusHandle;
use std::time::Duration;

/// How often what histograms have collected is summed up: between two of them every sample is kept in memory.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Reloads of the fleet file: `done`, `failed` (a step of it), `refused`.
pub(crate) const RELOADS: &str = "loket_reloads_total";

/// Tries to bring dynamic children back after one that failed.
pub(crate) const BROUGHT_BACK_AGAIN: &str = "loket_bring_back_retries_total";

/// Tells the installed recorder units and meaning. Once, at the start.
pub(crate) fn describe() {
    metrics::describe_counter!(RELOADS, Unit::Count, "Reloads of the fleet file.");
    metrics::describe_counter!(
        BROUGHT_BACK_AGAIN,
        Unit::Count,
        "Tries to bring dynamic children back after one that failed."
    );
}

/// Sums up what histograms have collected, whether somebody asks for `/metrics` or not: a fleet without a door must not keep
/// every sample for ever.
pub(super) async fn upkeep(handle: PrometheusHandle) {
    let mut interval = tokio::time::interval(UPKEEP_EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        handle.run_upkeep();
    }
}

/// Counts a try to bring dynamic children back after one that failed.
pub(super) fn brought_back_again() {
    metrics::counter!(BROUGHT_BACK_AGAIN).increment(1);
}

/// Counts a reload.
pub(super) fn reloaded(outcome: &'static str) {
    metrics::counter!(RELOADS, "outcome" => outcome).increment(1);
}
