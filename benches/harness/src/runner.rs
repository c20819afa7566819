//! A run: every tier in turns, again and again, so that what disturbs the machine for a while disturbs all of them.
//!
//! Start reading at [`run`].

use crate::bed::{Bed, Plan};
use crate::latencies::Latencies;
use crate::law::ECHO;
use crate::report::{Machine, Proof, Report, SHAPE, Series, TierReport};
use crate::spec::Guest;
use crate::tiers::{Calls, Guests, HostCalls, Load, Measured, Ran, Turns};
use crate::{BenchError, Counter, Options, Spread, Tier};
use loket_kernel::Moment;
use loket_ledger::Durability;
use loket_runtime::Clock;
use rustix::time::{ClockId, clock_gettime};
use std::rc::Rc;

/// Agents that have durable turns at once, if there are so many: the number that the figures of group commit are given for.
const TURNING: usize = 256;

/// The parts of a repeat's time: plain with one, single ones timed, many at once.
const SHARES: u64 = 4;

/// Readings of the clock of which the cost is told.
const READINGS: u32 = 100_000;

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
    let load_before = load();
    let clock = Clock::machine(Moment(0));
    let mut all = Vec::new();
    let mut beds = Beds { options, lane: None };
    for tier in &options.tiers {
        all.push(Running::new(*tier, beds.tier(*tier)?));
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
    let machine = Machine {
        cpu: cpu(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        system: system(),
        load_before,
        load_after: load(),
        optimised: !cfg!(debug_assertions),
    };
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
        clock_ns: reading(&clock),
        tiers,
    })
}

/// Makes the nodes that tiers run on; native callers and guests share one.
struct Beds<'o> {
    options: &'o Options,
    lane: Option<Rc<Bed>>,
}

impl Beds<'_> {
    fn tier(&mut self, tier: Tier) -> Result<Box<dyn Measured>, BenchError> {
        let options = self.options;
        let callers = options.callers.max(1);
        Ok(match tier {
            Tier::Host => Box::new(HostCalls::new(options, false)?),
            Tier::Grant => Box::new(HostCalls::new(options, true)?),
            Tier::Native => Box::new(Calls::new(self.lane()?, options.payload, true)),
            Tier::Guest => Box::new(Guests::new(self.lane()?, options.payload)),
            Tier::Cross => {
                let (echoes, callers) = (vec![1], vec![0; callers]);
                let plan = Plan { lanes: 2, echoes, callers, crowded: true, ..Self::plan() };
                Box::new(Calls::new(Rc::new(Bed::new(&plan, options)?), options.payload, true))
            }
            Tier::Lanes => {
                let lanes = options.lanes.max(1);
                let callers = (0..callers.max(lanes)).map(|caller| caller % lanes).collect();
                let echoes = (0..lanes).collect();
                let plan = Plan { lanes, echoes, callers, crowded: true, ..Self::plan() };
                Box::new(Calls::new(Rc::new(Bed::new(&plan, options)?), options.payload, false))
            }
            Tier::Process => Box::new(Turns::new(self.durable(Durability::Process)?)),
            Tier::Power => Box::new(Turns::new(self.durable(Durability::Power)?)),
        })
    }

    fn plan() -> Plan {
        Plan::one_lane(Durability::Process)
    }

    fn lane(&mut self) -> Result<Rc<Bed>, BenchError> {
        if let Some(bed) = &self.lane {
            return Ok(Rc::clone(bed));
        }
        let callers = self.options.callers.max(1);
        let (agents, callers) = (vec![Guest::Calling; callers], vec![0; callers]);
        let plan = Plan { callers, agents, crowded: true, ..Self::plan() };
        let bed = Rc::new(Bed::new(&plan, self.options)?);
        self.lane = Some(Rc::clone(&bed));
        Ok(bed)
    }

    fn durable(&self, durability: Durability) -> Result<Rc<Bed>, BenchError> {
        let turning = usize::try_from(self.options.agents).unwrap_or(TURNING).clamp(1, TURNING);
        let agents = vec![Guest::Writing; turning];
        let plan = Plan { durability, agents, ..Self::plan() };
        Ok(Rc::new(Bed::new(&plan, self.options)?))
    }
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
        if let (Some(before), Some(after)) = (before, self.counted(options)) {
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

    fn plain(&mut self, options: &Options, load: Load, budget_ns: u64) -> Result<u64, BenchError> {
        let (cpu, allocated) = (cpu_ns(), options.allocations.map(|count| count()));
        let ran = self.measured.run(load, budget_ns, None)?;
        let cpu = cpu_ns().saturating_sub(cpu);
        let kept = self.kept(load);
        if ran.counted > 0 && ran.made > 0 {
            kept.ns.push(ran.ns as f64 / ran.counted as f64);
            kept.cpu_ns.push(cpu as f64 / ran.made as f64);
            kept.count += ran.counted;
            kept.made += ran.made;
        }
        if let (Some(count), Some(before)) = (options.allocations, allocated) {
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

fn cpu_ns() -> u64 {
    let at = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, ns) = (u64::try_from(at.tv_sec), u64::try_from(at.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(ns.unwrap_or(0))
}

fn reading(clock: &Clock) -> f64 {
    let began = clock.monotonic_ns();
    let last = (0..READINGS).fold(began, |_, _| clock.monotonic_ns());
    last.saturating_sub(began) as f64 / f64::from(READINGS)
}

/// The first word of a file, as a number.
fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split(':').nth(1)).unwrap_or("unknown");
    name.trim().to_owned()
}

fn system() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} {}", std::env::consts::OS, release.trim())
}
