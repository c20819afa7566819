//! Metrics of the http provider: names, units and help in one place.

use metrics::{Unit, counter, describe_counter};

/// Requests that were sent, by `outcome`: `answered`, `not_sent`, `unknown`, `refused`.
pub const REQUESTS: &str = "loket_http_requests_total";
/// Keyed requests that were sent again under the same key because no answer came.
pub const RESENDS: &str = "loket_http_resends_total";

/// Describes them to the recorder.
pub fn describe() {
    describe_counter!(REQUESTS, Unit::Count, "HTTP requests by outcome");
    describe_counter!(RESENDS, Unit::Count, "Keyed HTTP requests sent again under the same key");
}

pub(crate) fn request(outcome: &'static str) {
    counter!(REQUESTS, "outcome" => outcome).increment(1);
}

pub(crate) fn resent() {
    counter!(RESENDS).increment(1);
}
