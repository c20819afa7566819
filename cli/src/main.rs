//! The `loket` binary: parse, dispatch, exit code. The only crate that knows all the others; start reading at `node/`.
#![forbid(unsafe_code)]

mod allocations;
mod args;
mod client;
mod commands;
mod examples;
mod exit;
mod logging;
mod node;
mod output;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            if !error.use_stderr() {
                // A closed pipe is the reader's choice, not an error.
                let _ = error.print();
                return ExitCode::SUCCESS;
            }
            if args::asks_for_json(std::env::args_os()) {
                exit::CliError::usage(&error).print(true);
            } else {
                let _ = error.print();
            }
            return exit::USAGE.into();
        }
    };
    let json = args.json;
    match commands::dispatch(args) {
        Ok(code) => code.into(),
        Err(error) => {
            error.print(json);
            error.exit.into()
        }
    }
}
