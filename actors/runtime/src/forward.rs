//! What a kernel shard uses beside the kernel: the way to the providers' mailboxes, and the answers it gives itself.
//!
//! It decides nothing. Start reading at [`LaneForward`].

use crate::authority::AuthorityReader;
use crate::metrics::{self, ADMIT_SAMPLE, ADMIT_TIME};
use crate::{Authority, Cargo, ProviderWork, Rejected, Reply, SendError};
use ::metrics::{Counter, Histogram, histogram};
use loket_kernel::{Admitted, Envelope, Forward, Refusal, Route, Table};
use loket_kernel::{Undelivered, UndeliveredReason};
use loket_turn::{EffectClass, Failure};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Calls that may wait at one kernel shard: a shard hands on in a microsecond, so this is about a millisecond's worth.
pub const KERNEL_MAILBOX_CAPACITY: usize = 4_096;
/// Calls that may wait at one store shard.
pub const STORE_MAILBOX_CAPACITY: usize = 4_096;
/// When a caller of an overloaded provider may try again, milliseconds.
const RETRY_AFTER_MS: u64 = 50;

/// Brings admitted calls to the shard of the caller's lane.
pub(crate) struct LaneForward {
    lane: Option<usize>,
    reader: RefCell<AuthorityReader>,
}

impl LaneForward {
    pub(crate) fn new(authority: &Arc<Authority>, lane: Option<usize>) -> Self {
        Self { lane, reader: RefCell::new(authority.reader()) }
    }
}

impl Forward<Cargo> for LaneForward {
    fn forward(&self, to: Route, admitted: Admitted<Cargo>) -> Result<(), Undelivered<Cargo>> {
        let mut reader = self.reader.borrow_mut();
        let Some(mailbox) = reader.target(to, self.lane) else {
            let reason = UndeliveredReason::NoProvider;
            return Err(Undelivered { admitted, reason });
        };
        let Err(Rejected { message, error }) = mailbox.send(ProviderWork::Call(admitted)) else {
            return Ok(());
        };
        let ProviderWork::Call(admitted) = message else {
            // What came back is what went in.
            return Ok(());
        };
        let reason = match error {
            SendError::Overloaded(full) => {
                UndeliveredReason::Overloaded { depth: full.depth, capacity: full.capacity }
            }
            SendError::Closed => UndeliveredReason::Gone,
        };
        Err(Undelivered { admitted, reason })
    }
}

/// Answers a refused call; the text is made only here.
pub(crate) fn refuse(table: &Table, refusal: &Refusal, envelope: Envelope<Cargo>) {
    let mut text = refusal.to_string();
    if let Some(hint) = refusal.hint(table) {
        text.push_str(&format!("; did you mean {}?", hint.as_str()));
    }
    answer(envelope.cargo, Failure::new("refused", text));
}

/// Answers a call that is granted but needs an approval.
pub(crate) fn hold(rule: &str, envelope: Envelope<Cargo>) {
    let text = format!("{} needs an approval (approve: {rule})", envelope.capability);
    answer(envelope.cargo, Failure::new("approval_required", text));
}

/// Answers a call that no mailbox took; gives the verdict's word.
pub(crate) fn bounce(undelivered: Undelivered<Cargo>) -> &'static str {
    let (_, capability, _, cargo) = undelivered.admitted.into_parts();
    let (code, text) = match undelivered.reason {
        UndeliveredReason::Overloaded { depth, capacity } => {
            let text = format!("the provider of {capability} has {depth} of {capacity} waiting");
            ("overloaded", text)
        }
        UndeliveredReason::Gone => ("provider_down", format!("the provider of {capability} ended")),
        _ => ("no_provider", format!("nobody serves {capability} on this node")),
    };
    answer(cargo, Failure::retryable(code, text, Some(RETRY_AFTER_MS)));
    code
}

fn answer(cargo: Cargo, failure: Failure) {
    // A caller that has gone needs no answer.
    let _ = cargo.reply.send(Reply::Done {
        class: EffectClass::Pure,
        outcome: Err(failure),
        recorded_ms: None,
        effect: None,
    });
}

/// Counts a shard's calls through handles that are made once per capability and verdict.
pub(crate) struct Counts {
    by_name: HashMap<Arc<str>, Vec<(&'static str, Counter)>>,
    other: Vec<(&'static str, Counter)>,
    time: Histogram,
    until_sample: u32,
}

impl Counts {
    pub(crate) fn new() -> Self {
        let (by_name, other) = (HashMap::new(), Vec::new());
        Self { by_name, other, time: histogram!(ADMIT_TIME), until_sample: ADMIT_SAMPLE }
    }

    /// Counts one call. Only names that are served become labels: what guests make up cannot grow the set.
    pub(crate) fn count(&mut self, table: &Table, name: &Arc<str>, verdict: &'static str) {
        let handles = match self.by_name.get_mut(name) {
            Some(handles) => handles,
            None if table.route(name).is_some() => {
                self.by_name.entry(Arc::clone(name)).or_default()
            }
            None => &mut self.other,
        };
        if let Some((_, counter)) = handles.iter().find(|(of, _)| *of == verdict) {
            return counter.increment(1);
        }
        let known = table.route(name).is_some();
        let label = if known { name.to_string() } else { "other".to_owned() };
        let counter = metrics::calls(label, verdict);
        counter.increment(1);
        handles.push((verdict, counter));
    }

    /// Whether this admission is to be timed.
    pub(crate) fn sample(&mut self) -> bool {
        self.until_sample -= 1;
        if self.until_sample == 0 {
            self.until_sample = ADMIT_SAMPLE;
        }
        self.until_sample == ADMIT_SAMPLE
    }

    pub(crate) fn took(&self, nanoseconds: u64) {
        self.time.record(nanoseconds as f64);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ::metrics::{
        Gauge, Key, KeyName, Metadata, Recorder, SharedString, Unit, with_local_recorder,
    };
    use loket_kernel::Capability;
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Keeps counters by their labels.
    #[derive(Default)]
    struct Kept(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

    impl Recorder for Kept {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            let labels: Vec<_> = key.labels().map(|label| label.value().to_owned()).collect();
            let mut kept = self.0.lock().unwrap();
            Counter::from_arc(Arc::clone(kept.entry(labels.join(" ")).or_default()))
        }
        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }
        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn names_that_guests_make_up_do_not_become_labels() {
        let kept = Kept::default();
        let table = Table::default().with_route(Capability::parse("p.do").unwrap(), Route(0));
        with_local_recorder(&kept, || {
            let mut counts = Counts::new();
            for n in 0..100 {
                counts.count(&table, &format!("made.up-{n}").into(), "refused");
                counts.count(&table, &"p.do".into(), "admitted");
            }
            counts.count(&table, &"p.do".into(), "refused");
            assert_eq!(counts.by_name.len(), 1);
        });
        let kept = kept.0.lock().unwrap();
        let seen: Vec<_> = kept.iter().map(|(k, n)| (&**k, n.load(Ordering::Relaxed))).collect();
        assert_eq!(seen, [("other refused", 100), ("p.do admitted", 100), ("p.do refused", 1)]);
    }

    #[test]
    fn one_admission_in_so_many_is_timed() {
        let mut counts = Counts::new();
        let timed = (0..ADMIT_SAMPLE * 3).filter(|_| counts.sample()).count();
        assert_eq!(timed, 3);
    }
}
