//! The report of a run, as `--json` prints it and `--against` reads it.

use crate::Spread;
use serde::{Deserialize, Serialize};

/// Version of the report's shape: a field may be added, none goes or changes its meaning.
pub const SHAPE: u32 = 1;

/// One run of the benchmark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SHAPE`].
    pub version: u32,
    /// Version of the binary.
    pub loket: String,
    /// Where it ran.
    pub machine: Machine,
    /// The fleet whose agents stood in the table, if one was given.
    pub fleet: Option<String>,
    /// Agents in the kernel's table.
    pub agents: u32,
    /// Grants of each.
    pub grants: u32,
    /// Bytes of arguments and answer.
    pub payload: usize,
    /// Seconds for each tier.
    pub seconds: u64,
    /// Repeats of each tier, interleaved.
    pub repeats: usize,
    /// What one reading of the clock costs, nanoseconds: each single latency has it inside.
    pub clock_ns: f64,
    /// The parts.
    pub tiers: Vec<TierReport>,
}

/// Where a run took place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor, in its maker's words.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// The system.
    pub system: String,
    /// Load of the last minute before the run.
    pub load_before: f64,
    /// And after it: the benchmark itself is in it.
    pub load_after: f64,
    /// Whether the build is optimised: figures of one that is not mean nothing.
    pub optimised: bool,
}

/// One part of the path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TierReport {
    /// Its name.
    pub tier: String,
    /// Its letter.
    pub letter: String,
    /// One line for people.
    pub what: String,
    /// What is counted: `call` or `turn`.
    pub unit: String,
    /// One at a time.
    pub one: Option<Series>,
    /// Many at once.
    pub many: Option<Series>,
    /// That every call passed kernel and provider.
    pub proof: Option<Proof>,
}

/// Repeats under one load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Callers, or agents with turns, at once.
    pub callers: usize,
    /// Calls or turns in all repeats.
    pub count: u64,
    /// Nanoseconds for one, all callers together.
    pub ns: Spread,
    /// How many a second, from the median.
    pub per_second: f64,
    /// Processor time of the whole process for one, nanoseconds.
    pub cpu_ns: Spread,
    /// Allocations for one, over the whole process; none: this build does not count them.
    pub allocations: Option<f64>,
    /// Single ones, each with one reading of the clock inside.
    pub latency: Option<Latency>,
}

/// Percentiles of single calls or turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// How many.
    pub calls: u64,
    /// Half took at most this, nanoseconds.
    pub p50_ns: u64,
    /// All but one in a hundred.
    pub p99_ns: u64,
    /// All but one in a thousand.
    pub p999_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

/// Counted by the node itself while a tier was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Calls made.
    pub calls: u64,
    /// Calls that kernel shards admitted.
    pub admitted: u64,
    /// Calls that the provider answered.
    pub answered: u64,
}

/// A report of one tier with these repeats, for tests.
#[cfg(test)]
pub(crate) fn sample(ns: &[f64]) -> Report {
    #![allow(clippy::unwrap_used)]
    let spread = Spread::of(ns.to_vec()).unwrap();
    let series = Series {
        callers: 1,
        count: 1_000,
        per_second: 1e9 / spread.median,
        ns: spread.clone(),
        cpu_ns: spread,
        allocations: None,
        latency: Some(Latency { calls: 10, p50_ns: 1, p99_ns: 2, p999_ns: 3, max_ns: 4 }),
    };
    let tier = TierReport {
        tier: "native".into(),
        letter: "c".into(),
        what: "calls with <angles>".into(),
        unit: "call".into(),
        one: Some(series),
        many: None,
        proof: Some(Proof { calls: 7, admitted: 7, answered: 7 }),
    };
    let machine = Machine {
        cpu: "a processor".into(),
        cores: 2,
        system: "linux".into(),
        load_before: 0.1,
        load_after: 1.0,
        optimised: true,
    };
    Report {
        version: SHAPE,
        loket: "0".into(),
        machine,
        fleet: None,
        agents: 1,
        grants: 1,
        payload: 64,
        seconds: 1,
        repeats: ns.len(),
        clock_ns: 20.0,
        tiers: vec![tier],
    }
}
