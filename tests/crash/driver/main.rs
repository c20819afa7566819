//! The outside process of the crash tests: it sends work to a fleet, kills the fleet with `kill -9`, keeps its own record
//! of what was acknowledged, and at the end compares the brains, opened with plain SQLite, with the files.
//!
//! It never sees Loket from inside: it speaks on the control socket, and reads what lies in the data directory. It links
//! no crate of ours. Start reading at `campaign.rs`; what counts as broken is in `verdict.rs`.

#![expect(
    clippy::disallowed_methods,
    reason = "an outside process: nobody tells it anything, so it looks, and it has the machine's own clock"
)]

mod behind;
mod calls;
mod campaign;
mod dice;
#[expect(dead_code, reason = "shared with tests/crowd, which also looks at the memory")]
mod node;
mod outside;
mod points;
mod random_calls;
mod same_turn;
mod sends;
mod verdict;
mod work;

use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
usage: crash campaign [--kills N] [--open N] [--files N] [--seed N] [--loket FILE] [--work DIR] [--keep]
       crash calls [--kills N] [--files N] [--seed N] [--loket FILE] [--work DIR] [--keep]
       crash points [--kills N] [--loket FILE] [--work DIR] [--keep]
       crash same-turn [--kills N] [--seed N] [--loket FILE] [--work DIR] [--keep]
       crash behind DATA

campaign    kill -9 at random between the first acknowledgement and the last completion of a batch of --files files,
            --kills times, at least --open of them with a turn open
calls       kill -9 at random while agents read, write under keys, and write once, in a service outside of the fleet
points      --kills ends of the process at each fail point of each effect class; the binary is built with the feature failpoints
same-turn   kill -9 --kills times in a row while one and the same turn is open
behind      what a loss of power leaves before any brain was synced: a stopped fleet without brains, whose ledger knows of none
The last line of standard output is one JSON object; the exit code is 1 when anything was lost, double or damaged.";

/// What goes wrong here is told, and ends the test as failed.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What was asked.
#[derive(Debug)]
pub(crate) struct Options {
    /// The binary under test.
    pub(crate) loket: PathBuf,
    /// The fleet file.
    pub(crate) fleet: PathBuf,
    /// Where files and data lie; removed at the end unless `keep`, or something was wrong.
    pub(crate) work: PathBuf,
    pub(crate) keep: bool,
    pub(crate) kills: usize,
    /// Kills that must find a turn open.
    pub(crate) open: usize,
    /// Fresh files of each kill.
    pub(crate) files: usize,
    pub(crate) seed: u64,
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let scenario = words.next().unwrap_or_default();
    if scenario == "behind" {
        return told(behind::run(words));
    }
    let ran = options(&scenario, words).and_then(|options| {
        std::fs::create_dir_all(&options.work)?;
        let summary = match scenario.as_str() {
            "campaign" => campaign::run(&options)?,
            "calls" => random_calls::run(&options)?,
            "points" => points::run(&options)?,
            _ => same_turn::run(&options)?,
        };
        Ok((options, summary))
    });
    match ran {
        Ok((options, summary)) => finish(&options, &summary),
        Err(error) => failed(&scenario, error.as_ref()),
    }
}

fn told(ran: Result<Value>) -> ExitCode {
    match ran {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => failed("behind", error.as_ref()),
    }
}

fn failed(scenario: &str, error: &dyn std::error::Error) -> ExitCode {
    eprintln!("{error}");
    println!("{}", json!({"scenario": scenario, "ok": false, "error": error.to_string()}));
    ExitCode::FAILURE
}

fn finish(options: &Options, summary: &Value) -> ExitCode {
    println!("{summary}");
    let ok = summary["ok"] == json!(true);
    if options.keep || !ok {
        eprintln!("files and data are kept in {}", options.work.display());
    } else if let Err(error) = std::fs::remove_dir_all(&options.work) {
        eprintln!("{} was not removed: {error}", options.work.display());
    }
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options(scenario: &str, mut words: impl Iterator<Item = String>) -> Result<Options> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let (kills, fleet) = match scenario {
        "campaign" => (100, "fleets/crash.ron"),
        "same-turn" => (10, "fleets/crash.ron"),
        "calls" => (50, "fleets/calls.ron"),
        "points" => (1, "fleets/calls.ron"),
        _ => return Err(USAGE.into()),
    };
    let mut options = Options {
        loket: here.join("../target/release/loket"),
        fleet: here.join(fleet),
        work: std::env::temp_dir().join(format!("loket-crash-{}", std::process::id())),
        keep: false,
        kills,
        open: 0,
        files: 6,
        seed: 1,
    };
    while let Some(word) = words.next() {
        if word == "--keep" {
            options.keep = true;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"))?;
        match word.as_str() {
            "--loket" => options.loket = value.into(),
            "--work" => options.work = value.into(),
            "--kills" => options.kills = value.parse()?,
            "--open" => options.open = value.parse()?,
            "--files" => options.files = value.parse()?,
            "--seed" => options.seed = value.parse()?,
            _ => return Err(USAGE.into()),
        }
    }
    if options.kills == 0 || options.files == 0 {
        return Err("at least one kill, at least one file".into());
    }
    options.loket = std::path::absolute(&options.loket)?;
    options.work = std::path::absolute(&options.work)?;
    Ok(options)
}
