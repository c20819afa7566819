//! The words of `replay`, `brain` and `query`.

use super::Target;
use clap::builder::{RangedI64ValueParser, RangedU64ValueParser};
use clap::{Args as ClapArgs, Subcommand};
use std::path::PathBuf;

/// Up to a day: turns are run again.
fn seconds() -> RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=86_400)
}

/// Up to an hour: a question.
fn moments() -> RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=3_600)
}

/// As many as one answer holds.
fn rows() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=100_000)
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ReplayArgs {
    /// The agent's name.
    pub(crate) agent: String,
    /// The turn's number, as `loket turns` shows it.
    pub(crate) turn: u64,
    /// Run this module instead, and tell what it does differently.
    #[arg(long, value_name = "FILE")]
    pub(crate) module: Option<PathBuf>,
    /// How long it may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = seconds())]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct BrainArgs {
    /// The agent's name.
    pub(crate) agent: String,
    #[command(subcommand)]
    pub(crate) verb: BrainVerb,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BrainVerb {
    /// Ask it a question in SQL; nothing is written.
    Query {
        /// One SELECT over kv, memory, memory_words or loket; `-` reads it from standard input.
        sql: String,
        #[command(flatten)]
        bounds: QueryBounds,
    },
    /// Keep a copy of it that can be gone back to.
    Snapshot,
    /// List the copies that are kept.
    Snapshots,
    /// Put a snapshot in its place; without one, make it anew up to the ledger's last turn.
    Restore {
        /// The snapshot, as `snapshots` shows it.
        id: Option<String>,
        #[command(flatten)]
        exchange: ExchangeArgs,
    },
    /// Go on with what it knew after an earlier turn.
    Rewind {
        /// The turn.
        #[arg(long, value_name = "N")]
        to: u64,
        #[command(flatten)]
        exchange: ExchangeArgs,
    },
    /// Copy it into a file.
    Export {
        /// The file, which must not be there.
        file: PathBuf,
    },
    /// Put an exported brain in its place.
    Import {
        /// The file.
        file: PathBuf,
        /// Also a brain of another agent, or of one that this ledger does not know.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        exchange: ExchangeArgs,
    },
}

#[derive(Debug, Clone, Copy, ClapArgs)]
pub(crate) struct ExchangeArgs {
    /// Give up this open turn: its message becomes a dead letter.
    #[arg(long, value_name = "N")]
    pub(crate) abandon: Option<u64>,
    /// How long making the file may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = seconds())]
    pub(crate) timeout: u64,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct QueryArgs {
    /// One SELECT over the ledger's tables and kv, memory, brains; `-` reads it from standard input.
    pub(crate) sql: String,
    /// Only brains of agents whose name matches, as SQL's GLOB does.
    #[arg(long, value_name = "GLOB")]
    pub(crate) brains: Option<String>,
    #[command(flatten)]
    pub(crate) bounds: QueryBounds,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Copy, ClapArgs)]
pub(crate) struct QueryBounds {
    /// How long it may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = moments())]
    pub(crate) timeout: u64,
    /// Rows at most, 100,000 at most.
    #[arg(long, value_name = "ROWS", default_value_t = 1_000, value_parser = rows())]
    pub(crate) limit: u32,
}
