//! Logs go to standard error: lines for people on a terminal, JSON lines otherwise. `LOKET_LOG` filters them.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging; once per process.
pub(crate) fn start(quiet: bool) {
    let fallback = if quiet { "warn" } else { "info" };
    let filter = EnvFilter::try_from_env("LOKET_LOG").unwrap_or_else(|_| EnvFilter::new(fallback));
    // A line that cannot be written is lost: telling so on the same closed pipe would panic.
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    let started = if std::io::stderr().is_terminal() {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let colour = std::env::var_os("NO_COLOR").is_none() && !dumb;
        log.with_ansi(colour).with_target(false).compact().try_init()
    } else {
        log.json().flatten_event(true).try_init()
    };
    // A second start keeps the first: tests run commands in one process.
    drop(started);
}
