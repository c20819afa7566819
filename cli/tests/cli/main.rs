//! The command line as the man page of a well-behaved tool would have it: words, exit codes, JSON, pipes, signals, one process per
//! data directory.
//!
//! Black box: the built binary, its exit codes and its output. What a fleet promises its messages is `tests/acceptance`.
#![allow(clippy::unwrap_used)]
#![expect(
    clippy::disallowed_methods,
    reason = "an outside process: nobody tells it anything, so it looks, and it has the machine's own clock"
)]

mod bench;
mod by_hand;
mod commands;
mod endings;
#[allow(dead_code, reason = "shared with the acceptance tests, which use all of it")]
#[path = "../acceptance/fleet.rs"]
mod fleet;
mod history;
mod processes;
mod reload;
mod reload_lives;
mod reload_steps;
mod signals;
mod simulate;
mod words;

/// One agent that does as it is told.
const ECHO: &str =
    r#"Agent(id: "echo", module: "builtin:echo", charge: Letter, grants: [(cap: "store.brain")])"#;
