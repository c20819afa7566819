//! What a kernel shard uses beside the kernel: the way to the providers' mailboxes, and the answers it gives itself.
//!
//! It decides nothing. Start reading at [`LaneForward`].

use crate::authority::{AuthorityReader, ScopeHints};
use crate::metrics::{self, ADMIT_SAMPLE, ADMIT_TIME};
use crate::{
    Authority, Cargo, Mailbox, PollCounter, Presence, ProviderWork, Rejected, Reply, SendError,
};
use ::metrics::{Histogram, histogram};
use loket_kernel::{Admitted, Capability, Envelope, Forward, Refusal, RefusalCode, Route, Table};
use loket_turn::{EffectClass, Failure};
use rustc_hash::FxBuildHasher;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Calls that may wait at one kernel shard: a shard hands on in a microsecond, so this is about a millisecond's worth.
pub const KERNEL_MAILBOX_CAPACITY: usize = 4_096;
/// Calls that may wait at one store shard.
pub const STORE_MAILBOX_CAPACITY: usize = 4_096;
/// When a caller of an overloaded provider may try again, milliseconds.
const RETRY_AFTER_MS: u64 = 50;
/// How long a call without a turn waits in the mailbox of a provider that is being restarted, milliseconds: as long as a person does
/// not notice. A turn waits outside, as long as its agent's `pause_max`.
const OUTSIDERS_WAIT_MS: u64 = 1_000;
/// Slips of the pen, bytes, up to which a served name is taken for the one that was meant.
const SLIPS_MAX: u32 = 2;
/// The code, and the word among the verdicts, of a call whose provider is between two incarnations.
const RESTARTING: &str = "restarting";

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

/// A call that could not be delivered, and why.
#[derive(Debug)]
pub(crate) struct Undelivered {
    admitted: Admitted<Cargo>,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    /// The route leads nowhere on this node.
    NoProvider,
    /// The provider's mailbox is full: so many calls wait of so many that may.
    Overloaded { depth: usize, capacity: usize },
    /// The provider has ended for good.
    Gone,
    /// It is between two incarnations.
    Away(Arc<Presence>),
}

impl Forward<Cargo> for LaneForward {
    type Undelivered = Undelivered;

    fn forward(&self, to: Route, admitted: Admitted<Cargo>) -> Result<(), Undelivered> {
        let mut reader = self.reader.borrow_mut();
        let Some(mailbox) = reader.target(to, self.lane) else {
            return Err(Undelivered { admitted, reason: Reason::NoProvider });
        };
        let presence = mailbox.presence();
        if presence.is_away() && waits_outside(presence, &admitted) {
            return Err(Undelivered { admitted, reason: Reason::Away(Arc::clone(presence)) });
        }
        let Err(Rejected { message, error }) = mailbox.send(ProviderWork::Call(admitted)) else {
            // The incarnation may have ended in between, and given back what waited before this call came.
            unattended(mailbox);
            return Ok(());
        };
        let ProviderWork::Call(admitted) = message else {
            // What came back is what went in.
            return Ok(());
        };
        let reason = match error {
            SendError::Overloaded(full) => {
                Reason::Overloaded { depth: full.depth, capacity: full.capacity }
            }
            SendError::Closed => Reason::Gone,
        };
        Err(Undelivered { admitted, reason })
    }
}

/// Whether a call for a provider that is away does not belong into its mailbox.
fn waits_outside(presence: &Presence, admitted: &Admitted<Cargo>) -> bool {
    let far = || presence.due_in_ms().is_some_and(|ms| ms > OUTSIDERS_WAIT_MS);
    admitted.cargo().turn.is_some() || far()
}

/// Gives back what waits for an incarnation that is not there: a turn is paused meanwhile, and its time stands still. Nothing of it
/// was taken, so it can be sent again whatever its class.
pub(crate) fn unattended(mailbox: &Mailbox<ProviderWork>) {
    let presence = mailbox.presence();
    if !presence.is_away() {
        return;
    }
    mailbox.sift(|work| match work {
        ProviderWork::Call(admitted) if waits_outside(presence, &admitted) => {
            bounce(Undelivered { admitted, reason: Reason::Away(Arc::clone(presence)) });
            None
        }
        work => Some(work),
    });
}

/// Answers a refused call; the text is made only here.
pub(crate) fn refuse(
    scopes: &ScopeHints,
    table: &Table,
    refusal: &Refusal,
    envelope: Envelope<Cargo>,
) {
    let mut text = refusal.to_string();
    if let Some(scope) = scopes.get(&*refusal.capability) {
        // The kernel's line is right as far as the kernel knows; the provider wants a scope in it as well.
        let line = format!("(cap: \"{}\"", refusal.capability);
        text = text.replace(&format!("{line})"), &format!("{line}, scope: {scope})"));
    }
    if let Some(hint) = hint(table, refusal) {
        text.push_str(&format!("; did you mean {}?", hint.as_str()));
    }
    answer(envelope.cargo, Failure::new("refused", text));
}

/// The served capability that an unknown name is probably a slip of.
fn hint<'t>(table: &'t Table, refusal: &Refusal) -> Option<&'t Capability> {
    let meant = refusal.capability.as_bytes();
    let all = table.capabilities().filter(|_| refusal.code == RefusalCode::UnknownCapability);
    let slip = |name: &Capability| slips(name.as_str().as_bytes(), meant, SLIPS_MAX);
    all.filter_map(|(name, _)| Some((slip(name)?, name))).min().map(|(_, name)| name)
}

/// How many bytes must be replaced, added or left out until both are the same, if `most` are enough.
fn slips(left: &[u8], right: &[u8], most: u32) -> Option<u32> {
    let same = left.iter().zip(right).take_while(|(l, r)| l == r).count();
    let (left, right) = (&left[same..], &right[same..]);
    if left.is_empty() && right.is_empty() {
        return Some(0);
    }
    let most = most.checked_sub(1)?;
    let (less_left, less_right) = (left.get(1..), right.get(1..));
    let ways = [(less_left, less_right), (less_left, Some(right)), (Some(left), less_right)];
    let tried = ways.into_iter().filter_map(|(left, right)| slips(left?, right?, most));
    tried.min().map(|slips| slips + 1)
}

/// Answers a call that is granted but needs an approval: a turn can wait for it, others are told.
pub(crate) fn hold(rule: &str, envelope: Envelope<Cargo>) {
    if envelope.cargo.turn.is_some() {
        // A caller that has gone needs no answer.
        let _ = envelope.cargo.reply.send(Reply::Held(None));
        return;
    }
    let text = format!("{} needs an approval (approve: {rule})", envelope.capability);
    answer(envelope.cargo, Failure::new("approval_required", text));
}

/// Answers a call that no mailbox took; gives the verdict's word.
pub(crate) fn bounce(undelivered: Undelivered) -> &'static str {
    let (_, capability, _, cargo) = undelivered.admitted.into_parts();
    let (code, text) = match undelivered.reason {
        Reason::Overloaded { depth, capacity } => {
            let text = format!("the provider of {capability} has {depth} of {capacity} waiting");
            ("overloaded", text)
        }
        Reason::Gone => ("provider_down", format!("the provider of {capability} ended")),
        Reason::NoProvider => ("no_provider", format!("nobody serves {capability} on this node")),
        Reason::Away(presence) => {
            away(presence, &capability, cargo);
            return RESTARTING;
        }
    };
    answer(cargo, Failure::retryable(code, text, Some(RETRY_AFTER_MS)));
    code
}

/// A turn is told to wait, others when to come again.
fn away(presence: Arc<Presence>, capability: &str, cargo: Cargo) {
    if cargo.turn.is_some() {
        // A caller that has gone needs no answer.
        let _ = cargo.reply.send(Reply::Away(presence));
        return;
    }
    let text = format!("{}, which serves {capability}, is being restarted", presence.name());
    let after_ms = presence.due_in_ms().unwrap_or(OUTSIDERS_WAIT_MS);
    answer(cargo, Failure::retryable(RESTARTING, text, Some(after_ms)));
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
    /// Only names that are served: nobody can make up ones that collide. Each with the place of its tally.
    by_name: HashMap<Arc<str>, usize, FxBuildHasher>,
    /// The first is for all other names.
    tallies: Vec<Tally>,
    /// The tally that was asked for last: the next call is mostly of the same name, which is compared faster than hashed.
    last: usize,
    time: Histogram,
    until_sample: u32,
}

/// The counters of one capability.
pub(crate) struct Tally {
    label: String,
    by_verdict: Vec<(&'static str, PollCounter)>,
}

impl Tally {
    fn new(label: String) -> Self {
        Self { label, by_verdict: Vec::new() }
    }

    /// Counts one call.
    pub(crate) fn count(&mut self, verdict: &'static str) {
        // The same word is the same text, so that a look at its place is nearly always enough.
        let same = |of: &str| std::ptr::eq(of, verdict) || of == verdict;
        if let Some((_, counter)) = self.by_verdict.iter().find(|(of, _)| same(of)) {
            return counter.increment();
        }
        let counter = PollCounter::new(metrics::calls(self.label.clone(), verdict));
        counter.increment();
        self.by_verdict.push((verdict, counter));
    }
}

impl Counts {
    pub(crate) fn new() -> Self {
        let (by_name, tallies) = (HashMap::default(), vec![Tally::new("other".to_owned())]);
        let time = histogram!(ADMIT_TIME);
        Self { by_name, tallies, last: 0, time, until_sample: ADMIT_SAMPLE }
    }

    /// Where calls of this name are counted. Only names that are served become labels: what guests make up cannot grow the set.
    pub(crate) fn of(&mut self, table: &Table, name: &str) -> &mut Tally {
        if self.last != 0 && self.tallies[self.last].label == name {
            return &mut self.tallies[self.last];
        }
        let at = match self.by_name.get(name) {
            Some(at) => *at,
            None if table.route(name).is_some() => {
                self.tallies.push(Tally::new(name.to_owned()));
                self.by_name.insert(name.into(), self.tallies.len() - 1);
                self.tallies.len() - 1
            }
            None => 0,
        };
        self.last = at;
        &mut self.tallies[at]
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
        Counter, Gauge, Key, KeyName, Metadata, Recorder, SharedString, Unit, with_local_recorder,
    };
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
        let table = Table::default().with_routes([(Capability::parse("p.do").unwrap(), Route(0))]);
        with_local_recorder(&kept, || {
            let mut counts = Counts::new();
            for n in 0..100 {
                counts.of(&table, &format!("made.up-{n}")).count("refused");
                counts.of(&table, "p.do").count("admitted");
            }
            counts.of(&table, "p.do").count("refused");
            assert_eq!(counts.by_name.len(), 1);
        });
        let kept = kept.0.lock().unwrap();
        let seen: Vec<_> = kept.iter().map(|(k, n)| (&**k, n.load(Ordering::Relaxed))).collect();
        assert_eq!(seen, [("other refused", 100), ("p.do admitted", 100), ("p.do refused", 1)]);
    }

    #[test]
    fn a_slip_is_at_most_two_bytes() {
        let far = |left: &str, right: &str| slips(left.as_bytes(), right.as_bytes(), SLIPS_MAX);
        assert_eq!(far("llm.chat", "llm.chat"), Some(0));
        assert_eq!(far("llm.chat", "llm.caht"), Some(2));
        assert_eq!(far("llm.chat", "llm.chatt"), Some(1));
        assert_eq!(far("llm.chat", "lm.chat"), Some(1));
        assert_eq!(far("llm.chat", "xllm.cha"), Some(2));
        assert_eq!(far("llm.chat", "llm.something"), None);
        assert_eq!(far("llm", ""), None);
    }

    #[test]
    fn one_admission_in_so_many_is_timed() {
        let mut counts = Counts::new();
        let timed = (0..ADMIT_SAMPLE * 3).filter(|_| counts.sample()).count();
        assert_eq!(timed, 3);
    }
}
