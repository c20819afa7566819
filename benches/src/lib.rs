//! What the benchmarks share: trouble for a lane, and percentiles. The fleet as a process of its own is `loket-outside`'s.
//!
//! It measures from outside and knows nothing of what is inside: whatever it reports, a user could have measured. It is
//! never a part of the product. Start reading at `bin/neighbours.rs`.
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "it measures a process from outside, by the machine's clock"
)]

mod latencies;
mod trouble;

pub use latencies::{Figures, Latencies};
pub use loket_outside::{Child, Connection, Running};
pub use trouble::{Harm, Trouble};

/// Whatever went wrong: a benchmark that cannot measure says so and ends.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;
