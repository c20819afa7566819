//! Tiers (a) and (b): a guest calls its host, and the host checks the grant or does not.

use super::{Load, Measured, Ran};
use crate::latencies::Latencies;
use crate::law::{ECHO, Law};
use crate::{BenchError, Options};
use loket_host::engine::Floor;
use loket_kernel::{
    Address, Admission, Capability, Chain, Envelope, Moment, Principal, Route, Table, admit,
};
use loket_runtime::Clock;
use std::sync::{Arc, Mutex, PoisonError};

/// Calls between two looks at the clock.
const BATCH: u32 = 1_000;

/// What answers a call.
type Answer = Arc<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>;

/// A guest on the harness's own thread.
pub(crate) struct HostCalls {
    floor: Floor,
    clock: Clock,
    payload: usize,
    times: Arc<Mutex<Option<(u64, Latencies)>>>,
    timed: Floor,
    refused: Arc<Mutex<Option<String>>>,
}

impl HostCalls {
    /// With the grant check inside, or without.
    pub(crate) fn new(options: &Options, checked: bool) -> Result<Self, BenchError> {
        let clock = Clock::machine(Moment(0));
        let refused = Arc::<Mutex<Option<String>>>::default();
        let times = Arc::<Mutex<Option<(u64, Latencies)>>>::default();
        let answer: Answer = match checked {
            true => checking(options, &clock, Arc::clone(&refused))?,
            false => Arc::new(|args| args),
        };
        let plain = Arc::clone(&answer);
        let floor = Floor::new(Box::new(move |args| plain(args))).map_err(BenchError::Setup)?;
        let (to, now) = (Arc::clone(&times), clock.clone());
        let timing = move |args| {
            let answer = answer(args);
            if let Some((before, times)) = &mut *to.lock().unwrap_or_else(PoisonError::into_inner) {
                let after = now.monotonic_ns();
                times.push(after.saturating_sub(*before));
                *before = after;
            }
            answer
        };
        let timed = Floor::new(Box::new(timing)).map_err(BenchError::Setup)?;
        Ok(Self { floor, clock, payload: options.payload, times, timed, refused })
    }
}

/// An answerer that has each call admitted by a table as full as a fleet's.
fn checking(
    options: &Options,
    clock: &Clock,
    refused: Arc<Mutex<Option<String>>>,
) -> Result<Answer, BenchError> {
    let mut law = Law::default();
    let capability = Capability::parse(ECHO).map_err(BenchError::setup)?;
    let mut table = Table::default().with_routes([(capability, Route(0))]);
    for (number, row) in law.crowd(options.agents, options.grants)?.into_iter().enumerate() {
        let principal = Principal(u32::try_from(number).unwrap_or(u32::MAX).saturating_add(1));
        table = table.with_principal(principal, row.name, 1, row.grants);
    }
    let me = Principal(0);
    table = table.with_principal(me, "caller".into(), 1, law.grants(options.grants)?);
    let from = Address { principal: me, incarnation: 1 };
    // As in the kernel actor, which reads the time once for a batch.
    let (name, now): (Arc<str>, _) = (ECHO.into(), clock.now());
    Ok(Arc::new(move |args| {
        let capability = Arc::clone(&name);
        let (chain, deadline, cargo) = (Chain::default(), None, ());
        let envelope = Envelope { from, capability, args, chain, deadline, cargo };
        match admit(&table, envelope, now) {
            Admission::Admitted(admitted) => admitted.into_parts().2,
            Admission::Hold(held) => held.envelope.args,
            Admission::Refused(refusal, envelope) => {
                let mut why = refused.lock().unwrap_or_else(PoisonError::into_inner);
                *why = Some(refusal.to_string());
                envelope.args
            }
        }
    }))
}

impl Measured for HostCalls {
    fn callers(&self, load: Load) -> Option<usize> {
        (load == Load::One).then_some(1)
    }

    fn run(
        &mut self,
        _: Load,
        budget_ns: u64,
        latencies: Option<&mut Latencies>,
    ) -> Result<Ran, BenchError> {
        let began = self.clock.monotonic_ns();
        let mut ran = Ran::default();
        let floor = if latencies.is_some() { &mut self.timed } else { &mut self.floor };
        if latencies.is_some() {
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            *times = Some((self.clock.monotonic_ns(), Latencies::new()?));
        }
        while ran.ns < budget_ns {
            floor.calls(BATCH, self.payload).map_err(BenchError::call)?;
            ran.made += u64::from(BATCH);
            ran.ns = self.clock.monotonic_ns().saturating_sub(began);
        }
        if let Some(latencies) = latencies {
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, times)) = times.take() {
                latencies.add(&times);
            }
        }
        ran.counted = ran.made;
        match self.refused.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(why) => Err(BenchError::call(why)),
            None => Ok(ran),
        }
    }
}
