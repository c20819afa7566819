//! Putting a node together: fleet file, ledger, engine, providers, tree, control socket. The one place that knows all crates.
//!
//! Start reading at `start.rs`.

mod applied;
mod assemble;
mod brains;
mod builtins;
mod catalog;
mod compiler;
mod console;
mod directory;
mod dynamic;
mod emergency;
mod endings;
mod factory;
mod facts;
mod file;
mod grants;
mod history;
mod http;
mod last_words;
mod leftovers;
mod lives;
mod metrics;
mod obituaries;
mod opening;
mod operator;
mod past;
mod reload;
mod screen;
mod snapshots;
mod socket;
mod start;
mod stopping;
mod ticks;
mod walk;

pub(crate) use brains::at_rest;
pub(crate) use catalog::FileCatalog;
pub(crate) use facts::{FleetFacts, facts};
pub(crate) use file::{parse_fleet, read_fleet, read_within, sets};
pub(crate) use history::kept_in;
pub(crate) use past::{Workshop, of_file, of_ledger};
pub(crate) use start::{RunOptions, install_metrics, run};
