//! What guests that mean harm cost a neighbour on the same lane: round trips of its calls, undisturbed and under each
//! disturbance, in one run of one process.
//!
//! `cargo run --release -p loket-benches --bin neighbours` prints a table; `--json` prints it for programs; `--calls N` sets
//! the calls of each phase; `--only NAME` runs one disturbance; `--short` is for CI: few calls, no verdict on time. Exit code 1:
//! a bound was missed, a call of the neighbour failed, or a child was restarted that nobody harmed.
#![allow(
    clippy::disallowed_methods,
    reason = "it measures a process from outside, by the machine's clock"
)]

use loket_benches::{Failed, Figures, Harm, Latencies, Running, Trouble};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Calls of one phase, as the acceptance demands.
const CALLS: usize = 10_000;

/// Calls of one phase in CI.
const CALLS_SHORT: usize = 300;

/// Calls before those that count: by then a disturbance has begun.
const WARM_UP: usize = 100;

/// The bound is this, or [`RATIO`] times undisturbed if that is more.
const BOUND: Duration = Duration::from_millis(10);

/// See [`BOUND`].
const RATIO: u32 = 3;

/// One guest that spins delays the neighbour's message by no more than this at p99, whatever the machine is like undisturbed.
const DELAY: Duration = Duration::from_millis(10);

/// The phase that [`DELAY`] is about.
const ONE_LOOP: &str = "1 loop";

/// Endless loops on the lane at a time.
const LOOPS: usize = 24;

/// Most time that a disturbance may need to show in the tree after its last call was answered.
const SETTLE: Duration = Duration::from_secs(20);

/// What the tree says of a child that is as it should be.
const RUNNING: &str = "running";

/// 64 bytes.
const BODY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

struct Options {
    binary: PathBuf,
    fleets: PathBuf,
    calls: usize,
    short: bool,
    json: bool,
    only: Option<String>,
}

/// One phase, measured.
struct Measured {
    name: &'static str,
    figures: Figures,
    /// How often the harm was done.
    harms: u64,
    /// Restarts of those it was done to.
    restarts: u64,
    wrong: Vec<String>,
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("neighbours: {error}");
            ExitCode::from(2)
        }
    }
}

fn options() -> Result<Options, Failed> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let binary = std::env::var_os("LOKET_BIN");
    let mut options = Options {
        binary: binary.map_or_else(|| root.join("target/release/loket"), PathBuf::from),
        fleets: root.join("tests/fleets"),
        calls: CALLS,
        short: false,
        json: false,
        only: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--short" => (options.short, options.calls) = (true, CALLS_SHORT),
            "--json" => options.json = true,
            "--calls" => options.calls = words.next().ok_or("--calls N")?.parse()?,
            "--only" => options.only = Some(words.next().ok_or("--only NAME")?),
            other => return Err(format!("{other}? --short, --json, --calls N, --only NAME").into()),
        }
    }
    Ok(options)
}

/// Every disturbance, with its name in the table.
fn disturbances() -> Vec<(&'static str, Vec<Harm>)> {
    let message = |to: &str, body| Harm::Message { to: to.to_owned(), body, callers: 2 };
    let one = |name: &'static str| (name, vec![message(name, "go")]);
    let looping = |n| Harm::Message { to: format!("loop-{n:02}"), body: "go", callers: 1 };
    let kill = |child, ms| Harm::Kill { child, every: Duration::from_millis(ms) };
    vec![
        one("trap"),
        (ONE_LOOP, vec![looping(1)]),
        ("24 loops", (1..=LOOPS).map(looping).collect()),
        one("grow"),
        ("eat", vec![message("eat", "bomb")]),
        one("fill"),
        one("fill-whole"),
        one("fill-trap"),
        // `log` stands under `system`, which gives up after more than 10 restarts in 10 s.
        ("kill providers", vec![kill("llm", 20), kill("fs", 20), kill("log", 1_500)]),
    ]
}

fn run(options: &Options) -> Result<bool, Failed> {
    let scratch = Scratch::new()?;
    let reference = reference(options, &scratch)?;
    let data = scratch.0.join("lane");
    let (fleet, log) = (options.fleets.join("hostile_lane.ron"), scratch.0.join("lane.log"));
    let mut fleet = Running::start(&options.binary, &fleet, &data, &log)?;
    let mut all = vec![phase(&mut fleet, "undisturbed", &[], options)?];
    for (name, harms) in disturbances() {
        if options.only.as_ref().is_none_or(|only| only == name) {
            all.push(phase(&mut fleet, name, &harms, options)?);
        }
    }
    all.push(phase(&mut fleet, "undisturbed again", &[], options)?);
    let status = fleet.status()?;
    fleet.stop()?;
    let bound = BOUND.max(all[0].figures.p99 * RATIO);
    let delayed = all[0].figures.p99 + DELAY;
    let missed = |it: &Measured| {
        let most = if it.name == ONE_LOOP { bound.min(delayed) } else { bound };
        !options.short && it.figures.p99 > most
    };
    let good = !all.iter().any(|it| missed(it) || !it.wrong.is_empty()) && status["lost"] == 0;
    if options.json {
        println!("{}", as_json(&all, &reference, bound, &status, good));
    } else {
        print_table(&all, &reference, bound, &missed);
        println!("fleet: {status}");
        let broken = all.iter().filter(|it| missed(it) || !it.wrong.is_empty()).count();
        println!("{} phases held, {broken} broken", all.len() - broken);
    }
    Ok(good)
}

/// The same call where every acceptance and completion is fsynced.
fn reference(options: &Options, scratch: &Scratch) -> Result<Measured, Failed> {
    let (data, log) = (scratch.0.join("reference"), scratch.0.join("reference.log"));
    let fleet = options.fleets.join("hostile_reference.ron");
    let mut fleet = Running::start(&options.binary, &fleet, &data, &log)?;
    let measured = phase(&mut fleet, "Power, undisturbed", &[], options)?;
    fleet.stop()?;
    Ok(measured)
}

/// Measures the neighbour while `harms` are done, then looks at who was restarted.
fn phase(
    fleet: &mut Running,
    name: &'static str,
    harms: &[Harm],
    options: &Options,
) -> Result<Measured, Failed> {
    if !options.json {
        eprintln!("{name} ...");
    }
    let before = fleet.children()?;
    let trouble = Trouble::start(fleet, harms)?;
    let mut connection = fleet.connect()?;
    let mut latencies = Latencies::default();
    let mut wrong = Vec::new();
    for n in 0..WARM_UP + options.calls {
        let start = Instant::now();
        let answer = connection.call("neighbour", BODY)?;
        let took = start.elapsed();
        if n >= WARM_UP {
            latencies.push(took);
        }
        if answer.as_ref().ok() != Some(&json!(BODY)) && wrong.len() < 3 {
            wrong.push(format!("call {n} was answered {answer:?}"));
        }
    }
    let harmful = trouble.end()?;
    let victims: Vec<&str> = harms.iter().map(Harm::victim).collect();
    let (restarts, found) = settle(fleet, &before, &victims, harmful)?;
    wrong.extend(found);
    if !fleet.lives()? {
        wrong.push("the process ended".to_owned());
    }
    let figures = latencies.figures().ok_or("nothing was measured: --calls 0?")?;
    Ok(Measured { name, figures, harms: harmful, restarts, wrong })
}

type Children = std::collections::BTreeMap<String, loket_benches::Child>;

/// Restarts of the victims since `before`, and what is not as it should be: one restart for each of the `harms`, everybody
/// runs, and nobody else was touched. Looks again until it is so, or for as long as a restart could take: a failed call is
/// answered before its agent is restarted, and a restart that comes late would be laid at the next phase's door.
fn settle(
    fleet: &Running,
    before: &Children,
    victims: &[&str],
    harms: u64,
) -> Result<(u64, Vec<String>), Failed> {
    let until = Instant::now() + SETTLE;
    loop {
        let after = fleet.children()?;
        let mut restarts = 0;
        let mut wrong = Vec::new();
        for (name, then) in before {
            let now = after.get(name);
            let more = now.map_or(0, |now| now.restarts.saturating_sub(then.restarts));
            if victims.contains(&name.as_str()) {
                restarts += more;
            } else if now.is_some() && more > 0 {
                wrong.push(format!("{name} was harmed too: {then:?}, now {now:?}"));
            }
            if now.is_none_or(|now| now.state != RUNNING) {
                wrong.push(format!("{name} does not run: {now:?}"));
            }
        }
        if restarts != harms || (harms == 0 && !victims.is_empty()) {
            wrong.push(format!("{harms} crashes of {victims:?}, {restarts} restarts"));
        }
        if wrong.is_empty() || Instant::now() > until {
            return Ok((restarts, wrong));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}

fn print_table(
    all: &[Measured],
    reference: &Measured,
    bound: Duration,
    missed: &impl Fn(&Measured) -> bool,
) {
    let base = all[0].figures.p99.as_secs_f64();
    println!(
        "{:<20} {:>6} {:>9} {:>9} {:>9} {:>9} {:>6} {:>7} {:>8}",
        "phase", "calls", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "ratio", "harms", "restarts"
    );
    for it in all.iter().chain([reference]) {
        let f = &it.figures;
        let ms = |took: Duration| took.as_secs_f64() * 1e3;
        let ratio = f.p99.as_secs_f64() / base;
        let verdict = if missed(it) { "  MISSED" } else { "" };
        println!(
            "{:<20} {:>6} {:>9.3} {:>9.3} {:>9.3} {:>9.3} {ratio:>6.2} {:>7} {:>8}{verdict}",
            it.name,
            f.calls,
            ms(f.p50),
            ms(f.p99),
            ms(f.p999),
            ms(f.max),
            it.harms,
            it.restarts
        );
        for wrong in &it.wrong {
            println!("    WRONG: {wrong}");
        }
    }
    println!("bound for p99: {:.3} ms; load now: {}", bound.as_secs_f64() * 1e3, load());
}

fn as_json(
    all: &[Measured],
    reference: &Measured,
    bound: Duration,
    status: &Value,
    good: bool,
) -> Value {
    let phase = |it: &Measured| {
        let mut value = it.figures.json();
        value["name"] = json!(it.name);
        value["harms"] = json!(it.harms);
        value["restarts"] = json!(it.restarts);
        value["wrong"] = json!(it.wrong);
        value
    };
    json!({
        "version": 1, "good": good, "bound_us": bound.as_secs_f64() * 1e6, "load": load(),
        "phases": all.iter().map(phase).collect::<Vec<_>>(), "reference": phase(reference), "status": status,
    })
}

/// A folder that is removed with what is in it; kept when `KEEP` is set, so that logs can be read.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Failed> {
        let path = std::env::temp_dir().join(format!("loket-neighbours-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::env::var_os("KEEP").is_none() {
            // Left behind in the system's folder for such things at worst.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
