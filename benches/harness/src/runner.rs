//! A run: every tier in turns, again and again, so that what disturbs the machine for a while disturbs all of them.
//!
//! Start reading at [`run`].

use crate::beds::Beds;
use crate::latencies::Latencies;
use crate::law::ECHO;
use crate::machine;
use crate::report::{Proof, Report, SHAPE, Series, TierReport};
use crate::tiers::{Load, Measured, Ran};
use crate::{BenchError, Counter, Options, Spread, Tier};
use loket_kernel::Moment;
use loket_runtime::Clock;

/// The parts of a repeat's time: plain with one, single ones timed, many at once.
const SHARES: u64 = 4;

/// Milliseconds that the end of a lane's poll is waited for, from the last answer: on a busy machine it takes some.
const COUNTED_WITHIN_MS: u64 = 5_000;

/// What is told while it goes on.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What is being measured; `None` while nodes are set up.
    pub tier: Option<Tier>,
    /// Which repeat, from 1.
    pub repeat: usize,
    /// Of how many.
    pub repeats: usize,
}

/// Measures. `tell` hears what goes on.
///
/// # Errors
/// [`BenchError`]: nothing is reported then.
pub fn run(options: &Options, tell: &mut dyn FnMut(Progress)) -> Result<Report, BenchError> {
    let repeats = options.repeats.max(1);
    tell(Progress { tier: None, repeat: 0, repeats });
    let load_before = machine::load();
    let clock = Clock::machine(Moment(0));
    let mut all = Vec::new();
    let mut beds = Beds::default();
    for tier in &options.tiers {
        all.push(Running::new(*tier, beds.tier(*tier, options)?));
    }
    let budget_ns =
        options.seconds.saturating_mul(1_000_000_000) / (repeats as u64).saturating_mul(SHARES);
    // The first round warms caches and pools up, and is not kept.
    for running in &mut all {
        tell(Progress { tier: Some(running.tier), repeat: 0, repeats });
        running.round(options, budget_ns / 4)?;
        running.forget()?;
    }
    for repeat in 1..=repeats {
        for running in &mut all {
            tell(Progress { tier: Some(running.tier), repeat, repeats });
            running.round(options, budget_ns)?;
        }
    }
    let mut tiers = Vec::new();
    for running in all {
        tiers.push(running.report()?);
    }
    let machine = machine::machine(load_before);
    Ok(Report {
        version: SHAPE,
        loket: env!("CARGO_PKG_VERSION").to_owned(),
        machine,
        fleet: None,
        agents: options.agents,
        grants: options.grants,
        payload: options.payload,
        seconds: options.seconds,
        repeats,
        clock_ns: machine::reading(&clock),
        tiers,
    })
}

/// What a series has so far.
#[derive(Default)]
struct Kept {
    ns: Vec<f64>,
    cpu_ns: Vec<f64>,
    count: u64,
    made: u64,
    allocations: Option<u64>,
    latencies: Option<Latencies>,
}

/// A tier that is being measured.
struct Running {
    tier: Tier,
    measured: Box<dyn Measured>,
    one: Kept,
    many: Kept,
    proof: Option<Proof>,
}

impl Running {
    fn new(tier: Tier, measured: Box<dyn Measured>) -> Self {
        Self { tier, measured, one: Kept::default(), many: Kept::default(), proof: None }
    }

    fn forget(&mut self) -> Result<(), BenchError> {
        (self.one, self.many, self.proof) = (Kept::default(), Kept::default(), None);
        Ok(())
    }

    fn round(&mut self, options: &Options, budget_ns: u64) -> Result<(), BenchError> {
        let before = self.counted(options);
        let mut made = 0;
        for (load, share) in [(Load::One, 2), (Load::Many, 1)] {
            if self.measured.callers(load).is_some() {
                made += self.plain(options, load, budget_ns * share)?;
                // Turns have time for the clock; a call's single times are taken apart from its plain ones.
                made += self.timed(load, budget_ns / 2)?;
            }
        }
        if let Some(before) = before
            && let Some(after) = self.counted_all(options, before, made)
        {
            let proof = self.proof.get_or_insert(Proof { calls: 0, admitted: 0, answered: 0 });
            proof.calls += made;
            proof.admitted += after.0.saturating_sub(before.0);
            proof.answered += after.1.saturating_sub(before.1);
        }
        Ok(())
    }

    /// Calls admitted and answered so far, where it can be known.
    fn counted(&self, options: &Options) -> Option<(u64, u64)> {
        let counts = options.counts.as_ref().filter(|_| self.tier.is_proven())?;
        Some((counts(Counter::Admitted, ECHO), counts(Counter::Answered, ECHO)))
    }

    /// The same once the calls made since are counted: a lane tells of them when the poll that made them is over, which may be after
    /// the last answer is here. Never waits for long: what is missing then is missing.
    fn counted_all(&self, options: &Options, before: (u64, u64), made: u64) -> Option<(u64, u64)> {
        let clock = Clock::machine(Moment(0));
        let until = clock.monotonic_ms() + COUNTED_WITHIN_MS;
        loop {
            let after = self.counted(options)?;
            let all = after.0 >= before.0 + made && after.1 >= before.1 + made;
            if all || clock.monotonic_ms() >= until {
                return Some(after);
            }
            std::thread::yield_now();
        }
    }

    fn plain(&mut self, options: &Options, load: Load, budget_ns: u64) -> Result<u64, BenchError> {
        let allocations = options.allocations.filter(|_| !self.tier.is_outside());
        let (cpu, allocated) = (self.measured.cpu_ns(), allocations.map(|count| count()));
        let ran = self.measured.run(load, budget_ns, None)?;
        let cpu = self.measured.cpu_ns().saturating_sub(cpu);
        let kept = self.kept(load);
        if ran.counted > 0 && ran.made > 0 {
            kept.ns.push(ran.ns as f64 / ran.counted as f64);
            kept.cpu_ns.push(cpu as f64 / ran.made as f64);
            kept.count += ran.counted;
            kept.made += ran.made;
        }
        if let (Some(count), Some(before)) = (allocations, allocated) {
            *kept.allocations.get_or_insert(0) += count().saturating_sub(before);
        }
        Ok(ran.made)
    }

    fn timed(&mut self, load: Load, budget_ns: u64) -> Result<u64, BenchError> {
        let mut latencies = match self.kept(load).latencies.take() {
            Some(latencies) => latencies,
            None => Latencies::new()?,
        };
        let Ran { made, .. } = self.measured.run(load, budget_ns, Some(&mut latencies))?;
        self.kept(load).latencies = Some(latencies);
        Ok(made)
    }

    fn kept(&mut self, load: Load) -> &mut Kept {
        if load == Load::One { &mut self.one } else { &mut self.many }
    }

    fn report(self) -> Result<TierReport, BenchError> {
        let tier = self.tier;
        if let Some(Proof { calls, admitted, answered }) = self.proof
            && (admitted, answered) != (calls, calls)
        {
            return Err(BenchError::Proof { tier: tier.name(), calls, admitted, answered });
        }
        let (one, many) = (self.measured.callers(Load::One), self.measured.callers(Load::Many));
        Ok(TierReport {
            tier: tier.name().to_owned(),
            letter: tier.letter().to_owned(),
            what: tier.what().to_owned(),
            unit: tier.unit().to_owned(),
            one: one.and_then(|callers| series(self.one, callers)),
            many: many.and_then(|callers| series(self.many, callers)),
            proof: self.proof,
        })
    }
}

fn series(kept: Kept, callers: usize) -> Option<Series> {
    let ns = Spread::of(kept.ns)?;
    Some(Series {
        callers,
        count: kept.count,
        per_second: 1e9 / ns.median,
        ns,
        cpu_ns: Spread::of(kept.cpu_ns)?,
        allocations: kept.allocations.map(|all| all as f64 / kept.made.max(1) as f64),
        latency: kept.latencies.and_then(|all| all.figures()),
    })
}
