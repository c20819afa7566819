//! Replays recorded runs of OTP's supervisor on the machine and compares what children and callers
//! see.
//!
//! `cargo run -q -p loket-supervision --example otp_replay -- FILE...` reads `.jsonl` and
//! `.jsonl.gz`, prints the first mismatches and `scenarios=N steps=M mismatches=K`, and exits 0
//! only when K = 0 and N > 0. `tests/otp/record.escript` records more. Start reading at `replay`.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::process::ExitCode;

use serde::Deserialize;

mod world;
use world::World;

/// Mismatches that are printed; the rest are only counted.
const SHOWN: usize = 10;

/// One recorded scenario.
#[derive(Deserialize)]
struct Scenario {
    n: u64,
    strategy: String,
    intensity: u32,
    auto_shutdown: String,
    children: Vec<Child>,
    preset: Vec<Preset>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Child {
    id: String,
    restart: String,
    significant: bool,
}

#[derive(Deserialize)]
struct Preset {
    what: String,
    id: String,
    times: u32,
}

/// What was done and what was seen.
#[derive(Deserialize, PartialEq, Debug)]
struct Step {
    op: String,
    result: String,
    events: Vec<String>,
    #[serde(default)]
    which_children: Option<Vec<String>>,
    #[serde(default)]
    counts: Option<[usize; 4]>,
    #[serde(default)]
    supervisor: Option<String>,
}

/// What replaying gave.
#[derive(Debug, Default)]
pub struct Totals {
    /// Scenarios replayed.
    pub scenarios: usize,
    /// Recorded steps compared.
    pub steps: usize,
    /// Steps that were seen otherwise (the rest of such a scenario is not compared).
    pub mismatches: usize,
}

fn replay(scenario: &Scenario, totals: &mut Totals) -> Result<(), String> {
    let mut world = World::new(scenario)?;
    for (place, expected) in scenario.steps.iter().enumerate() {
        totals.steps += 1;
        let seen = world.step(&expected.op)?;
        if seen != *expected {
            let place = place + 1;
            return Err(format!("step {place}\n  OTP:   {expected:?}\n  Loket: {seen:?}"));
        }
    }
    Ok(())
}

/// Replays one file onto the totals.
///
/// # Errors
/// When the file cannot be read, or a line is not a scenario.
pub fn replay_file(path: &str, totals: &mut Totals) -> io::Result<()> {
    let file = File::open(path)?;
    let lines: Box<dyn BufRead> = if path.ends_with(".gz") {
        Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(file)))
    } else {
        Box::new(BufReader::new(file))
    };
    for line in lines.lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let scenario: Scenario = serde_json::from_str(&line)?;
        totals.scenarios += 1;
        if let Err(mismatch) = replay(&scenario, totals) {
            totals.mismatches += 1;
            if totals.mismatches <= SHOWN {
                let Scenario { n, strategy, intensity, auto_shutdown, .. } = &scenario;
                println!(
                    "{path}: scenario {n} ({strategy}, {intensity}, {auto_shutdown}): {mismatch}"
                );
            }
        }
    }
    Ok(())
}

/// Replays all files named on the command line.
pub fn main() -> ExitCode {
    let mut totals = Totals::default();
    let mut readable = true;
    for path in std::env::args().skip(1) {
        if let Err(error) = replay_file(&path, &mut totals) {
            eprintln!("{path}: {error}");
            readable = false;
        }
    }
    let Totals { scenarios, steps, mismatches } = totals;
    println!("scenarios={scenarios} steps={steps} mismatches={mismatches}");
    if readable && mismatches == 0 && scenarios > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
