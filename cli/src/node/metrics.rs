//! The names, units and meaning of the node's own metrics.

use loket_turn::LedgerStats;
use metrics::Unit;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::time::Duration;

/// How often what histograms have collected is summed up: between two of them every sample is kept in memory.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Upper bounds of the buckets of what takes time, in seconds: from a call that is answered at once to a turn that waits for a model.
const SECONDS: [f64; 24] = [
    1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2,
    5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 100.0,
];

/// Upper bounds of the buckets of an admission, in nanoseconds: around its 60, and what a busy machine adds.
const NANOSECONDS: [f64; 12] =
    [25.0, 50.0, 75.0, 100.0, 150.0, 250.0, 500.0, 1e3, 2.5e3, 1e4, 1e5, 1e6];

/// Upper bounds of the buckets of what is done together, in requests.
const REQUESTS: [f64; 14] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 16384.0];

/// Reloads of the fleet file: `done`, `failed` (a step of it), `refused`.
pub(crate) const RELOADS: &str = "loket_reloads_total";

/// Tries to bring dynamic children back after one that failed.
pub(crate) const BROUGHT_BACK_AGAIN: &str = "loket_bring_back_retries_total";

/// Snapshots of brains that nobody asked for.
pub(crate) const SNAPSHOTS_AUTOMATIC: &str = "loket_snapshots_automatic_total";

/// Files of brains that were nobody's, by what was done: `aside`, `removed`.
pub(crate) const OWNERLESS: &str = "loket_ownerless_files_total";

/// Held calls and questions without an answer.
pub(crate) const APPROVALS_OPEN: &str = "loket_approvals_open";

/// Once calls in doubt.
pub(crate) const DOUBTS_OPEN: &str = "loket_doubts_open";

/// Agents in quarantine.
pub(crate) const QUARANTINED: &str = "loket_agents_quarantined";

/// What records: histograms with fixed buckets, which can be added up over fleets and take a few hundred bytes each, whatever the
/// values. The exporter's own choice, a sketch of quantiles, came to half a MiB each.
pub(super) fn recorder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_nanoseconds".into()), &NANOSECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_size".into()), &REQUESTS)
}

/// Tells the installed recorder units and meaning. Once, at the start.
pub(crate) fn describe() {
    metrics::describe_counter!(RELOADS, Unit::Count, "Reloads of the fleet file.");
    metrics::describe_counter!(
        BROUGHT_BACK_AGAIN,
        Unit::Count,
        "Tries to bring dynamic children back after one that failed."
    );
    let help = "Snapshots of brains that nobody asked for.";
    metrics::describe_counter!(SNAPSHOTS_AUTOMATIC, Unit::Count, help);
    let help = "Held calls and questions that wait for a person.";
    metrics::describe_gauge!(APPROVALS_OPEN, Unit::Count, help);
    metrics::describe_gauge!(DOUBTS_OPEN, Unit::Count, "Once calls in doubt.");
    metrics::describe_gauge!(QUARANTINED, Unit::Count, "Agents in quarantine.");
    let help = "Files of brains that were nobody's, by what was done: aside, removed.";
    metrics::describe_counter!(OWNERLESS, Unit::Count, help);
}

/// Counts a snapshot that nobody asked for.
pub(super) fn snapshot() {
    metrics::counter!(SNAPSHOTS_AUTOMATIC).increment(1);
}

/// Counts files that were nobody's.
pub(super) fn ownerless(aside: u64, removed: u64) {
    metrics::counter!(OWNERLESS, "done" => "aside").increment(aside);
    metrics::counter!(OWNERLESS, "done" => "removed").increment(removed);
}

/// Shows what only a person's word ends.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; counts of agents fit")]
pub(super) fn waiting_for_people(stats: &LedgerStats) {
    metrics::gauge!(APPROVALS_OPEN).set(stats.approvals as f64);
    metrics::gauge!(DOUBTS_OPEN).set(stats.doubts as f64);
    metrics::gauge!(QUARANTINED).set(stats.quarantined as f64);
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
