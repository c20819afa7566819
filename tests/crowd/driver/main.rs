//! The crowd: thousands of wasm agents of a real fleet trap at once. When has each of them answered again, and how long does
//! the tree take to answer meanwhile?
//!
//! It never sees Loket from inside: it writes a fleet file, starts the binary, and speaks on the control socket. Start
//! reading at `run.rs`.

#![expect(
    clippy::disallowed_methods,
    reason = "an outside process: nobody tells it anything, so it looks, and it has the machine's own clock"
)]

mod fleet;
mod looks;
#[path = "../../crash/driver/node.rs"]
#[expect(dead_code, reason = "shared with the crash tests, which need more of it")]
mod node;
mod run;

use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "\
usage: wasm_crowd [--agents N] [--rounds N] [--senders N] [--durability Power|Process] [--back-ms N] [--look-ms N]
                  [--loket FILE] [--work DIR] [--keep]

--agents     how many there are, 10000
--rounds     how often all of them trap, 2
--senders    connections that send at the same time, 64
--back-ms    each has been started again within this time of the first trap, 30000; when each has answered a message that was
             sent after that is told
--look-ms    no answer of `agent.tree` takes longer, 100
The last line of standard output is one JSON object; the exit code is 1 when a bound did not hold, or anything was lost.";

/// What goes wrong here is told, and ends the test as failed.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What was asked.
#[derive(Debug)]
pub(crate) struct Options {
    /// The binary under test.
    pub(crate) loket: PathBuf,
    /// The fleet file; written here.
    pub(crate) fleet: PathBuf,
    /// Where file and data lie; removed at the end unless `keep`, or something was wrong.
    pub(crate) work: PathBuf,
    pub(crate) keep: bool,
    pub(crate) durability: String,
    pub(crate) agents: usize,
    pub(crate) rounds: usize,
    pub(crate) senders: usize,
    pub(crate) back: Duration,
    pub(crate) look: Duration,
}

fn main() -> ExitCode {
    let ran = options(std::env::args().skip(1)).and_then(|options| {
        std::fs::create_dir_all(&options.work)?;
        let summary = run::run(&options)?;
        Ok((options, summary))
    });
    match ran {
        Ok((options, summary)) => finish(&options, &summary),
        Err(error) => {
            eprintln!("{error}");
            println!("{}", json!({"ok": false, "error": error.to_string()}));
            ExitCode::FAILURE
        }
    }
}

fn finish(options: &Options, summary: &Value) -> ExitCode {
    println!("{summary}");
    let ok = summary["ok"] == json!(true);
    if options.keep || !ok {
        eprintln!("fleet and data are kept in {}", options.work.display());
    } else if let Err(error) = std::fs::remove_dir_all(&options.work) {
        eprintln!("{} was not removed: {error}", options.work.display());
    }
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options(mut words: impl Iterator<Item = String>) -> Result<Options> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let work = std::env::temp_dir().join(format!("loket-crowd-{}", std::process::id()));
    let mut options = Options {
        loket: here.join("../target/release/loket"),
        fleet: PathBuf::new(),
        work,
        keep: false,
        durability: "Power".to_owned(),
        agents: 10_000,
        rounds: 2,
        senders: 64,
        back: Duration::from_secs(30),
        look: Duration::from_millis(100),
    };
    while let Some(word) = words.next() {
        if word == "--keep" {
            options.keep = true;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"))?;
        match word.as_str() {
            "--agents" => options.agents = value.parse()?,
            "--rounds" => options.rounds = value.parse()?,
            "--senders" => options.senders = value.parse()?,
            "--durability" => options.durability = value,
            "--back-ms" => options.back = Duration::from_millis(value.parse()?),
            "--look-ms" => options.look = Duration::from_millis(value.parse()?),
            "--loket" => options.loket = value.into(),
            "--work" => options.work = value.into(),
            _ => return Err(USAGE.into()),
        }
    }
    if options.agents == 0 || options.rounds == 0 || options.senders == 0 {
        return Err("at least one agent, one round, one sender".into());
    }
    options.senders = options.senders.min(options.agents);
    options.loket = std::path::absolute(&options.loket)?;
    options.work = std::path::absolute(&options.work)?;
    options.fleet = options.work.join("crowd.ron");
    Ok(options)
}
