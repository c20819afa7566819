//! Putting a node together: fleet file, ledger, engine, providers, tree, control socket. The one place that knows all crates.
//!
//! Start reading at `start.rs`.

mod assemble;
mod builtins;
mod catalog;
mod console;
mod dynamic;
mod factory;
mod facts;
mod file;
mod grants;
mod history;
mod http;
mod metrics;
mod obituaries;
mod opening;
mod operator;
mod reload;
mod screen;
mod socket;
mod start;
mod ticks;
mod walk;

pub(crate) use catalog::FileCatalog;
pub(crate) use facts::{FleetFacts, facts};
pub(crate) use file::{parse_fleet, read_fleet, sets};
pub(crate) use history::kept_in;
pub(crate) use start::{RunOptions, install_metrics, run};
