//! The built `loket`, used as a person uses it: a fleet file, a data directory, commands, exit codes.
//!
//! Nothing here reaches into the process: what cannot be seen with a command, `/metrics`, or plain SQLite on a stopped fleet's
//! files is not tested here. Each test has a fleet of its own in a folder of its own. Start reading at `fleet.rs`.
#![allow(clippy::unwrap_used)]
#![expect(
    clippy::disallowed_methods,
    reason = "an outside process: nobody tells it anything, so it looks, and it has the machine's own clock"
)]

#[cfg(feature = "failpoints")]
mod acts;
mod bad_data;
mod bad_files;
mod bad_fleets;
mod budget_levels;
mod budgets;
mod compiled_apart;
mod doubt;
mod expiry;
mod fleet;
mod full_disk;
mod given_files;
mod grants;
mod handover;
mod kill_and_tree;
mod letters;
#[cfg(feature = "failpoints")]
mod midway;
#[path = "../../../tests/crash/driver/outside.rs"]
mod outside;
mod paused;
mod quarantine;
mod query;
mod replay;
mod rewind;
mod slots;
mod soft_budgets;
mod stop_all;
mod stops;
#[cfg(feature = "failpoints")]
mod stuck;
mod supervision;
mod turns;
mod upgrade;
mod waits;
mod waits_cut;
mod watching;
