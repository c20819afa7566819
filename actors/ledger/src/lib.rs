//! The ledger's embedded engine: one SQLite file per data directory, written by one thread in group
//! commits.
//!
//! It never acknowledges what is not durable by the fleet's level, never checks a fence anywhere
//! but in the writer, never lets a queue or its write-ahead log grow without bound, and knows
//! neither actors nor guests. The rules that the code names (A1 … K) are the turn rules. Start
//! reading at [`SqliteLedger`], then `writer.rs`, then `ops/`.
#![forbid(unsafe_code)]

mod agent;
mod board;
mod book;
mod clock;
mod codec;
mod connect;
mod dir;
mod engine;
#[cfg(test)]
mod engine_tests;
mod history;
mod keep;
pub mod kit;
mod ledger;
mod look;
mod mend;
pub mod metrics;
mod migrate;
pub mod open_turns;
mod ops;
mod options;
mod past;
mod ready;
mod rest;
mod schema;
#[cfg(feature = "simulation")]
mod steps;
mod upkeep;
mod whose;
mod writer;

pub use dir::{LEDGER_FILE, LOCK_FILE};
pub use history::{
    HISTORY_ANSWER_ROWS_MAX, HISTORY_FILE, HISTORY_ROWS_MAX, HistoryAnswer, HistoryFile,
    HistoryQuery, HistoryRecord, read_history,
};
pub use ledger::{Events, SqliteLedger};
pub use open_turns::{OpenTurn, OpenTurns};
pub use ops::timers::LOOK_EVERY as TIMER_LATE_MAX;
pub use options::{Clock, Durability, FleetName, OpenError, Options, SIZE_LIMIT_BYTES};
pub use past::{EpochSeen, Living, Past, living};
pub use schema::{APPLICATION_ID, FORMAT};
pub use schema::{FORMAT as DATA_FORMAT, sqlite_version};
#[cfg(feature = "simulation")]
pub use steps::Steps;
pub use writer::{GROUP, QUEUE};
