//! Metrics of the contract: names, units and help in one place. Labels are the names of operations, which code declares.

use loket_runtime::PollCounter;
use metrics::{Histogram, Unit, counter, describe_counter, describe_histogram, histogram};
use rustc_hash::FxBuildHasher;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// Calls answered by providers, by `capability` and `result` (`ok`, `failed`; `unknown`: a turn's
/// call that the ledger could not tell of, which is sent again).
pub const CALLS_ANSWERED: &str = "loket_calls_answered_total";
/// Seconds from a provider's mailbox to the answer, by `capability`: of every call that waited for something, and of one in
/// [`CALL_SAMPLE`] of those that were answered at once.
pub const CALL_TIME: &str = "loket_call_seconds";
/// Keyed calls that were sent again under their key.
pub const CALLS_RESENT: &str = "loket_calls_resent_total";
/// Calls that a budget did not suffice for, by `capability`, `unit` (`calls`, `tokens`, `bytes`, `money`) and `level` (`grant`,
/// `message`, `supervisor`).
pub const CALLS_OVER_BUDGET: &str = "loket_calls_over_budget_total";
/// Calls that a person is asked about first, since they go beyond the soft limit of a budget, by `capability` and `level`.
pub const CALLS_BEYOND_SOFT: &str = "loket_calls_beyond_soft_total";
/// Providers that ended in order.
pub const PROVIDERS_STOPPED: &str = "loket_providers_stopped_total";

/// One call that is answered at once in so many is timed: the clock and the histogram cost more than such a call.
pub const CALL_SAMPLE: u32 = 64;

/// Describes them to the recorder.
pub fn describe() {
    describe_counter!(CALLS_ANSWERED, Unit::Count, "Calls answered by providers");
    describe_histogram!(CALL_TIME, Unit::Seconds, "From a provider's mailbox to the answer");
    describe_counter!(CALLS_RESENT, Unit::Count, "Keyed calls sent again under the same key");
    describe_counter!(CALLS_OVER_BUDGET, Unit::Count, "Calls refused for want of budget");
    describe_counter!(
        CALLS_BEYOND_SOFT,
        Unit::Count,
        "Calls stopped at the soft limit of a budget"
    );
    describe_counter!(PROVIDERS_STOPPED, Unit::Count, "Providers that ended in order");
}

/// The handles of one operation: looking one up at each call would cost more than the call.
struct Handles {
    ok: PollCounter,
    failed: PollCounter,
    time: Histogram,
}

impl Handles {
    fn new(capability: &'static str) -> Self {
        let answered = |result| {
            let metric = counter!(CALLS_ANSWERED, "capability" => capability, "result" => result);
            PollCounter::new(metric)
        };
        let time = histogram!(CALL_TIME, "capability" => capability);
        Self { ok: answered("ok"), failed: answered("failed"), time }
    }
}

thread_local! {
    /// By the place and length of the operation's name: each is declared once, and numbers are found faster than a text.
    static HANDLES: RefCell<HashMap<(*const u8, usize), Handles, FxBuildHasher>> =
        RefCell::default();
    static UNTIL_SAMPLE: Cell<u32> = const { Cell::new(1) };
}

/// Whether this call, should it be answered at once, is to be timed.
pub(crate) fn sample() -> bool {
    let left = UNTIL_SAMPLE.get() - 1;
    UNTIL_SAMPLE.set(if left == 0 { CALL_SAMPLE } else { left });
    left == 0
}

/// Counts an answer, and what it took, if that is known.
#[expect(clippy::cast_precision_loss, reason = "a call lasts far less than 2^52 ns")]
pub(crate) fn answered(capability: &'static str, ok: bool, took_ns: Option<u64>) {
    HANDLES.with_borrow_mut(|handles| {
        let key = (capability.as_ptr(), capability.len());
        let handles = handles.entry(key).or_insert_with(|| Handles::new(capability));
        if ok { &handles.ok } else { &handles.failed }.increment();
        if let Some(took_ns) = took_ns {
            handles.time.record(took_ns as f64 / 1e9);
        }
    });
}

pub(crate) fn unanswered(capability: &'static str) {
    counter!(CALLS_ANSWERED, "capability" => capability, "result" => "unknown").increment(1);
}

pub(crate) fn resent(capability: &'static str) {
    counter!(CALLS_RESENT, "capability" => capability).increment(1);
}

pub(crate) fn over_budget(capability: &'static str, unit: loket_turn::Unit, level: &'static str) {
    let unit = unit.as_str();
    let labels = [("capability", capability), ("unit", unit), ("level", level)];
    counter!(CALLS_OVER_BUDGET, &labels).increment(1);
}

pub(crate) fn beyond(capability: &'static str, level: &'static str) {
    counter!(CALLS_BEYOND_SOFT, "capability" => capability, "level" => level).increment(1);
}

pub(crate) fn stopped() {
    counter!(PROVIDERS_STOPPED).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_in_so_many_is_timed() {
        // A thread of its own: the count is the thread's.
        let count = || (0..CALL_SAMPLE * 3).filter(|_| sample()).count();
        assert_eq!(std::thread::spawn(count).join().ok(), Some(3));
    }
}
