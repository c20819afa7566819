//! Metrics of the contract: names, units and help in one place. Labels are the names of operations, which code declares.

use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};
use std::cell::RefCell;
use std::collections::HashMap;

/// Calls answered by providers, by `capability` and `result` (`ok`, `failed`).
pub const CALLS_ANSWERED: &str = "loket_calls_answered_total";
/// Seconds from a provider's mailbox to the answer, by `capability`.
pub const CALL_TIME: &str = "loket_call_seconds";
/// Keyed calls that were sent again under their key.
pub const CALLS_RESENT: &str = "loket_calls_resent_total";
/// Providers that ended in order.
pub const PROVIDERS_STOPPED: &str = "loket_providers_stopped_total";

/// Describes them to the recorder.
pub fn describe() {
    describe_counter!(CALLS_ANSWERED, Unit::Count, "Calls answered by providers");
    describe_histogram!(CALL_TIME, Unit::Seconds, "From a provider's mailbox to the answer");
    describe_counter!(CALLS_RESENT, Unit::Count, "Keyed calls sent again under the same key");
    describe_counter!(PROVIDERS_STOPPED, Unit::Count, "Providers that ended in order");
}

/// The handles of one operation: looking one up at each call would cost more than the call.
struct Handles {
    ok: Counter,
    failed: Counter,
    time: Histogram,
}

impl Handles {
    fn new(capability: &'static str) -> Self {
        let answered =
            |result| counter!(CALLS_ANSWERED, "capability" => capability, "result" => result);
        let time = histogram!(CALL_TIME, "capability" => capability);
        Self { ok: answered("ok"), failed: answered("failed"), time }
    }
}

thread_local! {
    static HANDLES: RefCell<HashMap<&'static str, Handles>> = RefCell::default();
}

/// Counts an answer that took so many nanoseconds.
#[expect(clippy::cast_precision_loss, reason = "a call lasts far less than 2^52 ns")]
pub(crate) fn answered(capability: &'static str, ok: bool, took_ns: u64) {
    HANDLES.with_borrow_mut(|handles| {
        let handles = handles.entry(capability).or_insert_with(|| Handles::new(capability));
        if ok { &handles.ok } else { &handles.failed }.increment(1);
        handles.time.record(took_ns as f64 / 1e9);
    });
}

pub(crate) fn resent(capability: &'static str) {
    counter!(CALLS_RESENT, "capability" => capability).increment(1);
}

pub(crate) fn stopped() {
    counter!(PROVIDERS_STOPPED).increment(1);
}
