//! The disk tests: what a loss of power, a kill at any change, a failed fsync and a full disk leave of a fleet.
//!
//! The fleet runs with `../shim.c` before it, which sees every change below the data directory in one order. This process
//! keeps its own record of what was acknowledged and looks at ledger and brains with plain SQLite; it links no crate of
//! ours. Start reading at `power.rs`; what is simulated is said in `disk.rs`, what counts as broken in `check.rs`.

#![expect(
    clippy::disallowed_methods,
    reason = "an outside process: nobody tells it anything, so it looks, and it has the machine's own clock"
)]

mod check;
#[path = "../../crash/driver/dice.rs"]
#[expect(dead_code, reason = "shared with the crash tests, which need more of it")]
mod dice;
mod disk;
mod faults;
mod images;
mod log;
#[path = "../../crash/driver/node.rs"]
#[expect(dead_code, reason = "shared with the crash tests, which need more of it")]
mod node;
mod power;
mod rewind;
mod work;

use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
usage: disk power [--images N] [--starts N] [--lie N] [--messages N] [--seed N] [OPTIONS]
       disk kills [--every N] [--messages N] [OPTIONS]
       disk eio   [--from N] [--to N] [--every N] [--messages N] [OPTIONS]
       disk full  [--from N] [--to N] [--every N] [--messages N] [OPTIONS]
       disk rewind [--every N] [--seed N] [OPTIONS]

power   records a run, makes --images possible states after a loss of power, looks at each; a fleet is started on --starts
        of them, given every message again, and must come to the same brains
        with --lie the Nth fsync of the run fails and what it should have kept never gets to the disk, though it reads back
kills   starts a fleet on the state that a kill leaves before each change (--every Nth) of a run
eio     lets each fsync (--every Nth) of a run fail, with the unsynced bytes gone
rewind  rewinds a brain of a stopped fleet; starts a fleet twice on the state that a kill leaves before each change (--every
        Nth), and on one that a loss of power could leave there
full    lets the disk be full from each write (--every Nth) of a run on, until there is space again
        with --from and --to only the places between, to try again what was seen once
--loket FILE, --shim FILE, --fleet FILE (not used), --work DIR, --durability Power|Process, --keep
The last line of standard output is one JSON object; the exit code is 1 when a promise was broken.";

/// What goes wrong here is told, and ends the test as failed.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What was asked.
#[derive(Debug)]
pub(crate) struct Options {
    /// The binary under test.
    pub(crate) loket: PathBuf,
    /// The compiled `shim.c`.
    pub(crate) shim: PathBuf,
    pub(crate) fleet: PathBuf,
    /// Where data lie; removed at the end unless `keep`, or something was wrong.
    pub(crate) work: PathBuf,
    pub(crate) keep: bool,
    pub(crate) durability: String,
    pub(crate) messages: usize,
    pub(crate) images: usize,
    pub(crate) starts: usize,
    /// The fsync of the recorded run that fails; 0 for none.
    pub(crate) lie: usize,
    /// Each how manyth place of a run is tried.
    pub(crate) every: usize,
    /// The first and the last place that is tried.
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) seed: u64,
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let scenario = words.next().unwrap_or_default();
    let ran = options(words).and_then(|options| {
        std::fs::create_dir_all(&options.work)?;
        work::fleet(&options)?;
        let summary = match scenario.as_str() {
            "power" => power::run(&options)?,
            "kills" => images::kills(&options)?,
            "eio" => faults::run(&options, faults::Fault::Eio)?,
            "rewind" => rewind::run(&options)?,
            "full" => faults::run(&options, faults::Fault::Full)?,
            _ => return Err(USAGE.into()),
        };
        Ok((options, summary))
    });
    match ran {
        Ok((options, summary)) => finish(&options, &summary),
        Err(error) => {
            eprintln!("{error}");
            println!("{}", json!({"scenario": scenario, "ok": false, "error": error.to_string()}));
            ExitCode::FAILURE
        }
    }
}

fn finish(options: &Options, summary: &Value) -> ExitCode {
    println!("{summary}");
    let ok = summary["ok"] == json!(true);
    if options.keep || !ok {
        eprintln!("data are kept in {}", options.work.display());
    } else if let Err(error) = std::fs::remove_dir_all(&options.work) {
        eprintln!("{} was not removed: {error}", options.work.display());
    }
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options(mut words: impl Iterator<Item = String>) -> Result<Options> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut options = Options {
        loket: here.join("../target/release/loket"),
        shim: here.join("../target/disk-shim.so"),
        fleet: PathBuf::new(),
        work: std::env::temp_dir().join(format!("loket-disk-{}", std::process::id())),
        keep: false,
        durability: "Power".to_owned(),
        messages: 200,
        images: 10_000,
        starts: 100,
        lie: 0,
        every: 1,
        from: 1,
        to: usize::MAX,
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
            "--shim" => options.shim = value.into(),
            "--work" => options.work = value.into(),
            "--durability" => options.durability = value,
            "--messages" => options.messages = value.parse()?,
            "--images" => options.images = value.parse()?,
            "--lie" => options.lie = value.parse()?,
            "--starts" => options.starts = value.parse()?,
            "--from" => options.from = value.parse::<usize>()?.max(1),
            "--to" => options.to = value.parse()?,
            "--every" => options.every = value.parse::<usize>()?.max(1),
            "--seed" => options.seed = value.parse()?,
            _ => return Err(USAGE.into()),
        }
    }
    if options.messages == 0 || options.images == 0 {
        return Err("at least one message, at least one image".into());
    }
    options.loket = std::path::absolute(&options.loket)?;
    options.shim = std::path::absolute(&options.shim)?;
    options.work = std::path::absolute(&options.work)?;
    Ok(options)
}
