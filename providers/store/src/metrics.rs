//! Metrics of the store: names, units and help in one place.

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use std::time::Duration;

/// Brains that are open.
pub const BRAINS_OPEN: &str = "loket_brains_open";
/// How long it took to open a brain on a store thread.
pub const BRAIN_OPEN_SECONDS: &str = "loket_brain_open_seconds";
/// Turns committed into brains.
pub const BRAIN_COMMITS: &str = "loket_brain_commits_total";
/// Of these, turns whose commit waited for that of a later turn (rule D2).
pub const BRAIN_TURNS_HELD: &str = "loket_brain_turns_held_total";
/// Brains brought to the disk (rule E6).
pub const BRAIN_CHECKPOINTS: &str = "loket_brain_checkpoints_total";
/// Brain files renewed after a failed fsync (rule J2).
pub const BRAINS_RENEWED: &str = "loket_brains_renewed_total";
/// Brains that were not closed well and were looked through when they were opened (rule E5).
pub const BRAINS_CHECKED: &str = "loket_brains_checked_total";
/// Jobs that went to a store thread, by kind.
pub const STORE_JOBS: &str = "loket_store_jobs_total";

/// Describes them to the recorder.
pub fn describe() {
    describe_gauge!(BRAINS_OPEN, Unit::Count, "Brains that are open");
    describe_histogram!(BRAIN_OPEN_SECONDS, Unit::Seconds, "Time to open a brain");
    describe_counter!(BRAIN_COMMITS, Unit::Count, "Turns committed into brains");
    let help = "Turns committed into brains together with a later one";
    describe_counter!(BRAIN_TURNS_HELD, Unit::Count, help);
    describe_counter!(BRAIN_CHECKPOINTS, Unit::Count, "Brains brought to the disk");
    describe_counter!(BRAINS_RENEWED, Unit::Count, "Brain files renewed after a failed fsync");
    let help = "Brains that were looked through because they were not closed well";
    describe_counter!(BRAINS_CHECKED, Unit::Count, help);
    describe_counter!(STORE_JOBS, Unit::Count, "Jobs that went to a store thread, by kind");
}

pub(crate) fn opened() {
    gauge!(BRAINS_OPEN).increment(1.0);
}

pub(crate) fn closed() {
    gauge!(BRAINS_OPEN).decrement(1.0);
}

pub(crate) fn open_took(time: Duration) {
    histogram!(BRAIN_OPEN_SECONDS).record(time.as_secs_f64());
}

pub(crate) fn committed() {
    counter!(BRAIN_COMMITS).increment(1);
}

pub(crate) fn held() {
    counter!(BRAIN_TURNS_HELD).increment(1);
}

pub(crate) fn checkpointed() {
    counter!(BRAIN_CHECKPOINTS).increment(1);
}

pub(crate) fn renewed() {
    counter!(BRAINS_RENEWED).increment(1);
}

pub(crate) fn checked() {
    counter!(BRAINS_CHECKED).increment(1);
}

pub(crate) fn job(kind: &'static str) {
    counter!(STORE_JOBS, "kind" => kind).increment(1);
}
