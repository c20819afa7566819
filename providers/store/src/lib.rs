//! The store: keeps the brains, one SQLite file per life of an agent, one shard of them per lane.
//!
//! All of its operations are Pure (rule E2): what they answer is a function of the brain, the
//! arguments, the message and the turn's clock. It never asks the wall clock or chance for a guest,
//! never lets a guest write SQL, and never has its lane wait for a thread. Start reading at [`StoreProvider`],
//! then `shard.rs` (who waits for which brain), `brain/` (what a brain is).
#![forbid(unsafe_code)]

mod brain;
pub mod keep;
pub mod limits;
pub mod look;
pub mod metrics;
mod ops;
mod provider;
mod shard;
mod threads;
mod wait;

pub use limits::STORE_THREADS;
pub use ops::ENVIRONMENT;
pub use provider::{OPERATIONS, Prepared, StoreOptions, StoreProvider, open_brains_max};
#[cfg(feature = "simulation")]
pub use threads::StoreSteps;
pub use threads::StoreThreads;

/// Raised whenever a Pure result could change (rule E4): another SQLite that ranks otherwise,
/// another tokenizer, other stop words, limits, weights or texts of refusals. Written into every
/// brain with each turn; the driver compares it with the ledger's begins.
pub const PURE_VERSION: u32 = 1;
