//! What a call and a turn cost on this machine: the measuring half of `loket bench`.
//!
//! It builds nodes out of the same parts as `loket run`, with a provider that echoes and guests that call it, and takes the path
//! of a call apart in tiers. It must never measure a path that no agent takes and call it one: the counters of kernel and
//! provider are read around every sample, and stand in the report. Start reading at [`run`], then `bed`.
#![forbid(unsafe_code)]

mod bed;
mod beds;
mod caller;
mod compare;
mod density;
mod echo;
mod ends;
mod error;
mod factory;
mod fleet;
mod guest;
mod html;
mod latencies;
mod law;
mod machine;
mod options;
mod report;
mod runner;
mod session;
mod spec;
mod stats;
pub mod text;
mod tiers;

pub use compare::{Change, Comparison, NOISE, Verdict, compare, comparison_table};
pub use density::{Density, Order, density};
pub use error::BenchError;
pub use html::page;
pub use options::{Counter, Counts, Options, Tier};
pub use report::{Latency, Machine, Proof, Report, SHAPE, Series, TierReport};
pub use runner::{Progress, run};
pub use session::Session;
pub use stats::Spread;
pub use text::{density_table, table};
