//! The names, units and meaning of this crate's metrics.

use metrics::{Counter, Unit};

/// Waits for another thread's word that a thread began awake, by `who` waits and whether it `came` meanwhile.
pub const AWAKE: &str = "loket_waits_awake_total";

/// Tells the installed recorder units and meaning. Once, at the start.
pub fn describe() {
    let what = "Waits for another thread's word that began awake.";
    metrics::describe_counter!(AWAKE, Unit::Count, what);
}

/// The counter of one kind of threads.
pub(crate) fn waits(who: &'static str, came: &'static str) -> Counter {
    metrics::counter!(AWAKE, "who" => who, "came" => came)
}
