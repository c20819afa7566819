//! What is asked about fleet files, without a running fleet.

use clap::Args as ClapArgs;
use std::path::PathBuf;

#[derive(Debug, ClapArgs)]
pub(crate) struct CheckArgs {
    /// The fleet file.
    pub(crate) fleet: PathBuf,
    /// Replace a parameter's value, after parsing.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Exit with 1 on warnings too.
    #[arg(long)]
    pub(crate) deny_warnings: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SimulateArgs {
    /// The fleet file.
    pub(crate) fleet: PathBuf,
    /// Crash a child (an id, a path, SUPERVISOR/NAME) at these times; may be given again.
    #[arg(long = "crash", value_name = "CHILD@TIME[,TIME...][:CAUSE]")]
    pub(crate) crashes: Vec<String>,
    /// Simulate no longer than this [default: until nothing more happens].
    #[arg(long = "for", value_name = "DURATION")]
    pub(crate) until: Option<String>,
    /// Seed of the jitter of restart delays.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Replace a parameter's value, after parsing.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) sets: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DiffArgs {
    /// The fleet file as it is.
    pub(crate) old: PathBuf,
    /// The fleet file as it is to be.
    pub(crate) new: PathBuf,
    /// Replace a parameter's value in both, after parsing.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) sets: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct FmtArgs {
    /// The fleet files.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Write nothing; exit with 1 when a file is not in its form.
    #[arg(long)]
    pub(crate) check: bool,
}
