//! `run`: a fleet until Ctrl-C.

use crate::args::RunArgs;
use crate::exit::{CliError, Code};
use crate::logging;
use crate::node::{self, RunOptions};
use crate::output;
use std::io::IsTerminal;

/// Runs the fleet.
pub(super) fn run(args: &RunArgs, json: bool) -> Result<Code, CliError> {
    // A live tree and a log of every restart would write over each other.
    let live = output::is_live() && std::io::stderr().is_terminal();
    logging::start(live && !args.plain && !json);
    node::run(&RunOptions {
        fleet: args.fleet.clone(),
        sets: args.sets.clone(),
        data: args.data.clone(),
        renamed: args.renamed,
        once: args.once,
        plain: args.plain,
        json,
    })
}
