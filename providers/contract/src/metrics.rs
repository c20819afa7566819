//! Metrics of the contract: names, units and help in one place.

use metrics::{Unit, counter, describe_counter};

/// Calls answered by providers, by capability and result (`ok`, `failed`).
pub const CALLS_ANSWERED: &str = "loket_calls_answered_total";
/// Keyed calls that were sent again under their key.
pub const CALLS_RESENT: &str = "loket_calls_resent_total";
/// Providers that ended in order.
pub const PROVIDERS_STOPPED: &str = "loket_providers_stopped_total";

/// Describes them to the recorder.
pub fn describe() {
    describe_counter!(CALLS_ANSWERED, Unit::Count, "Calls answered by providers");
    describe_counter!(CALLS_RESENT, Unit::Count, "Keyed calls sent again under the same key");
    describe_counter!(PROVIDERS_STOPPED, Unit::Count, "Providers that ended in order");
}

pub(crate) fn answered(capability: &'static str, ok: bool) {
    let result = if ok { "ok" } else { "failed" };
    counter!(CALLS_ANSWERED, "capability" => capability, "result" => result).increment(1);
}

pub(crate) fn resent(capability: &'static str) {
    counter!(CALLS_RESENT, "capability" => capability).increment(1);
}

pub(crate) fn stopped() {
    counter!(PROVIDERS_STOPPED).increment(1);
}
