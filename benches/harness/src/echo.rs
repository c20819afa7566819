//! The provider that is called: it answers with the arguments, and notes the time of guests' calls.

use crate::BenchError;
use crate::latencies::Latencies;
use crate::law::ECHO;
use loket_contract::{CallView, Flow, Operation, Performed, Provider};
use loket_runtime::Clock;
use loket_turn::{EffectClass, Failure};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Calls of a turn that are not measured: its caches are cold.
pub(crate) const WARM: u32 = 16;

const OPERATIONS: &[Operation] = &[Operation {
    capability: ECHO,
    class: EffectClass::Pure,
    scope: &[],
    flow: Flow::NONE,
    tokens: false,
    summary: "answers with its arguments",
}];

/// What the provider notes of guests' calls: a guest has no clock of its own.
#[derive(Debug)]
pub(crate) struct Probe {
    clock: Clock,
    /// The number of the last call of a turn.
    last: AtomicU32,
    /// When the first measured call of the turn came.
    began: AtomicU64,
    /// Time between first and last measured calls, all turns.
    spent_ns: AtomicU64,
    /// And how many calls that was.
    spans: AtomicU64,
    /// Whether single calls are timed.
    each: AtomicBool,
    times: Mutex<(u64, Latencies)>,
}

impl Probe {
    pub(crate) fn new(clock: Clock) -> Result<Arc<Self>, BenchError> {
        Ok(Arc::new(Self {
            clock,
            last: AtomicU32::new(u32::MAX),
            began: AtomicU64::new(0),
            spent_ns: AtomicU64::new(0),
            spans: AtomicU64::new(0),
            each: AtomicBool::new(false),
            times: Mutex::new((0, Latencies::new()?)),
        }))
    }

    /// Begins to look at turns with so many calls.
    pub(crate) fn begin(&self, calls: u32, each: bool) {
        self.spent_ns.store(0, Ordering::Release);
        self.spans.store(0, Ordering::Release);
        self.each.store(each, Ordering::Release);
        self.last.store(calls, Ordering::Release);
    }

    /// Measured calls and what they took together; single ones are added to `latencies`.
    pub(crate) fn end(&self, latencies: Option<&mut Latencies>) -> Result<(u64, u64), BenchError> {
        self.last.store(u32::MAX, Ordering::Release);
        if let Some(latencies) = latencies {
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            latencies.add(&std::mem::replace(&mut times.1, Latencies::new()?));
        }
        Ok((self.spans.load(Ordering::Acquire), self.spent_ns.load(Ordering::Acquire)))
    }

    #[inline]
    fn saw(&self, call: u32) {
        let last = self.last.load(Ordering::Relaxed);
        if self.each.load(Ordering::Relaxed) && last != u32::MAX {
            let now = self.clock.monotonic_ns();
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            let before = std::mem::replace(&mut times.0, now);
            if call > WARM {
                times.1.push(now.saturating_sub(before));
            }
        }
        if call == WARM && last != u32::MAX {
            self.began.store(self.clock.monotonic_ns(), Ordering::Relaxed);
        } else if call == last {
            let began = self.began.load(Ordering::Relaxed);
            let took = self.clock.monotonic_ns().saturating_sub(began);
            self.spent_ns.fetch_add(took, Ordering::AcqRel);
            self.spans.fetch_add(u64::from(last - WARM), Ordering::AcqRel);
        }
    }
}

/// The provider.
pub(crate) struct Echo(pub(crate) Arc<Probe>);

impl Provider for Echo {
    type Prepared = Vec<u8>;

    fn operations(&self) -> &'static [Operation] {
        OPERATIONS
    }

    fn prepare(&mut self, call: &CallView<'_>) -> Result<Vec<u8>, Failure> {
        if let Some(turn) = &call.turn {
            self.0.saw(turn.call());
        }
        Ok(call.args.to_vec())
    }

    fn perform(&mut self, args: Vec<u8>) -> Performed {
        Performed::Done(Ok(args))
    }
}
