//! The options of `bench`.

use clap::{Args as ClapArgs, value_parser};
use std::path::PathBuf;

#[derive(Debug, ClapArgs)]
pub(crate) struct BenchArgs {
    /// One of `restart`, `activation`, `start`, `spawn`, `agents`, `recovery`, `density`, each measured by itself; or a fleet
    /// file, whose agents and grants stand in the kernel's table, too, and whose lanes are measured (none of it is run).
    #[arg(value_name = "WHAT|FLEET")]
    pub(crate) what: Option<PathBuf>,
    /// Replace a parameter's value, after parsing.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Only these parts, by name or letter: host (a), grant (b), native (c), guest (c2), cross and lanes (d), process and
    /// power (e), restart, activation, start, spawn, agents, recovery.
    #[arg(long, value_name = "TIER", value_delimiter = ',')]
    pub(crate) tier: Vec<String>,
    /// Agents in the kernel's table (10,000 if not said); of `density` (10,000) and `start` (1,000), agents of the fleet; of
    /// `activation` (640), agents that are asked in turns, a fifth of them asleep at a time.
    #[arg(long, value_name = "N")]
    #[arg(value_parser = value_parser!(u32).range(..=1_000_000))]
    pub(crate) agents: Option<u32>,
    /// Grants of each agent.
    #[arg(long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) grants: u32,
    /// Bytes of a call's arguments and of its answer.
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    #[arg(value_parser = value_parser!(u32).range(..=1_048_576))]
    pub(crate) payload: u32,
    /// Seconds for each tier, over all repeats.
    #[arg(long, value_name = "SECONDS", default_value_t = 4)]
    #[arg(value_parser = value_parser!(u64).range(1..=3_600))]
    pub(crate) seconds: u64,
    /// Repeats of each tier; the tiers take turns.
    #[arg(long, value_name = "N", default_value_t = 7)]
    #[arg(value_parser = value_parser!(u16).range(1..=1_000))]
    pub(crate) repeats: u16,
    /// Callers at once, for throughput; pairs of agents of `agents` and `recovery`.
    #[arg(long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = value_parser!(u16).range(1..=1_024))]
    pub(crate) callers: u16,
    /// Where durable turns are written, in a folder that is removed at the end: take the disk that matters.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Write the report as a page with plots, too.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Compare with an earlier run, the FILE that --json printed, and say what is noise.
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
}
