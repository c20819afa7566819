//! The agent provider: messages between agents, monitors, groups, dynamic children, and what an operator may ask of the fleet.
//!
//! It puts messages into the ledger and nowhere else: no acknowledged message is only in memory. It never waits for an agent on
//! behalf of a turn: the callee's end writes the caller's record (rule I1).
#![forbid(unsafe_code)]

mod args;
pub mod brains;
mod copying;
mod groups;
mod mail;
mod once;
mod operations;
mod operator;
mod people;
mod pools;
mod provider;
mod scope;
mod settle;
mod turns;
mod watch;
mod whereis;

pub use brains::{Brain, Brains, Exchange, Keeping, KeepingError, OfFiles, snapshot_if_due};
pub use copying::{COPIED_AT_ONCE_MAX, Copying};
pub use groups::{Grouping, News};
pub use once::Acts;
pub use operations::OPERATIONS;
pub use pools::Pools;
pub use provider::{
    AgentProvider, AgentServices, HISTORY_LIMIT_MAX, Prepared, Reload, ReloadFuture, Reports,
    ReportsFuture, Request,
};
pub use settle::Settle;
pub use watch::Watch;
