//! The metrics of the runtime: their names, units and meanings in one place. Labels are bounded: names of capabilities that
//! are served (else `other`), kinds, causes.

use metrics::{
    Counter, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
};

/// Calls that came to a kernel shard, by `capability` and `verdict`.
pub const CALLS: &str = "loket_calls_total";
/// Time of one admission, in nanoseconds; sampled, one in [`ADMIT_SAMPLE`].
pub const ADMIT_TIME: &str = "loket_admit_nanoseconds";
/// Restarts by supervisors, by `kind` of the child and `cause`.
pub const RESTARTS: &str = "loket_restarts_total";
/// Panics while the state of an incarnation was dropped.
pub const DROP_PANICS: &str = "loket_drop_panics_total";
/// Cells that did not yield for longer than the soft bound, by `kind`.
pub const SLOW: &str = "loket_slow_polls_total";
/// Children that were busy for longer than their watchdog's bounds, by `kind` and `stage`: `soft`, `hard`, `killed`.
pub const HUNG: &str = "loket_hung_total";
/// Threads that are stuck and were taken out of service.
pub const STUCK_THREADS: &str = "loket_stuck_threads";
/// Guests that run at this moment.
pub const RUNNING_GUESTS: &str = "loket_running_guests";
/// Most instance slots that were ever taken at a time; a counter, since it only rises.
pub const SLOTS_HIGH_WATER: &str = "loket_slots_high_water";

/// Messages that wait in the mailbox of a provider or kernel shard, by `child`: only children of the fleet file and the node's
/// own have one, so the label is bounded.
pub const MAILBOX_DEPTH: &str = "loket_mailbox_depth";

/// One admission in so many is timed: reading the clock twice costs as much as the admission itself.
pub const ADMIT_SAMPLE: u32 = 64;

/// Gives each metric its unit and help. Call it once a recorder is installed.
pub fn describe() {
    describe_counter!(CALLS, Unit::Count, "Calls that came to a kernel shard");
    describe_histogram!(ADMIT_TIME, Unit::Nanoseconds, "Time of one admission (sampled)");
    describe_counter!(RESTARTS, Unit::Count, "Restarts of children by their supervisors");
    describe_counter!(DROP_PANICS, Unit::Count, "Panics while an ended incarnation was dropped");
    describe_counter!(SLOW, Unit::Count, "Polls of a child that kept their lane too long");
    describe_counter!(HUNG, Unit::Count, "Children that were busy for longer than allowed");
    describe_gauge!(STUCK_THREADS, Unit::Count, "Threads that are stuck, out of service");
    describe_gauge!(RUNNING_GUESTS, Unit::Count, "Guests that run at this moment");
    describe_gauge!(MAILBOX_DEPTH, Unit::Count, "Messages that wait in a mailbox");
    describe_counter!(SLOTS_HIGH_WATER, Unit::Count, "Most instance slots ever taken at a time");
}

pub(crate) fn drop_panicked() {
    counter!(DROP_PANICS).increment(1);
}

pub(crate) fn restarted(kind: &'static str, cause: &'static str, count: u64) {
    counter!(RESTARTS, "kind" => kind, "cause" => cause).increment(count);
}

/// Never lowers it, whoever comes first.
pub(crate) fn slots_taken(high_water: usize) {
    counter!(SLOTS_HIGH_WATER).absolute(high_water as u64);
}

pub(crate) fn mailbox(child: &str, depth: usize) {
    gauge!(MAILBOX_DEPTH, "child" => child.to_owned()).set(depth as f64);
}

pub(crate) fn hung(kind: &'static str, stage: &'static str) {
    counter!(HUNG, "kind" => kind, "stage" => stage).increment(1);
}

pub(crate) fn stuck_threads(count: usize) {
    gauge!(STUCK_THREADS).set(count as f64);
}

pub(crate) fn slow(kind: &'static str) {
    counter!(SLOW, "kind" => kind).increment(1);
}

pub(crate) fn calls(capability: String, verdict: &'static str) -> Counter {
    counter!(CALLS, "capability" => capability, "verdict" => verdict)
}
