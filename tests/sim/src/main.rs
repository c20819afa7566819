//! Runs seeds of the simulation; see `--help`.

use clap::Parser;
use loket_sim::{Config, Report, run};
use loket_turn::simulation::Mutation;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const AFTER: &str = "\
Examples:
  cargo run -p loket-sim -- --seeds 1000              each seed twice; both must come to the same trace
  cargo run -p loket-sim -- --seed 42 --trace         what happened in one seed
  cargo run -p loket-sim -- --mutation ack_early --seeds 1000
                                                      after how many seeds a broken rule is found
  cargo run -p loket-sim -- --list                    the mutations

Exit codes: 0 every rule holds (with --mutation: it was found); 1 a rule is broken (not found), or two runs of a seed differ;
2 wrong arguments.";

/// Plays random schedules of a whole node, with crashes and losses of power, against an oracle.
#[derive(Debug, Parser)]
#[command(name = "loket-sim", after_help = AFTER)]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// This seed alone.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Print what happened.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Break this rule, and stop at the first seed that finds it.
    #[arg(long, value_name = "NAME")]
    mutation: Option<String>,
    /// Make so many of a hundred operations looks, calls that wait for a person, and traps: for rules that only such turns can break.
    #[arg(long, value_name = "PERCENT", default_value_t = 0)]
    held: usize,
    /// Run each seed once instead of twice.
    #[arg(long)]
    once: bool,
    /// Threads; each runs seeds of its own.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Name the mutations.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        Mutation::ALL.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    let mutation = match &args.mutation {
        None => None,
        Some(name) => match Mutation::ALL.iter().find(|(known, _)| known == name) {
            Some((_, mutation)) => Some(*mutation),
            None => {
                eprintln!("there is no mutation {name}; --list names them");
                return ExitCode::from(2);
            }
        },
    };
    match args.seed {
        Some(seed) => one(Config { seed, mutation, traced: args.trace, held: args.held }),
        None => many(&args, mutation),
    }
}

fn one(config: Config) -> ExitCode {
    let seed = config.seed;
    if config.traced {
        // What the product itself says, without the machine's time.
        let log = tracing_subscriber::fmt().without_time().with_ansi(false).with_target(false);
        log.with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG).init();
    }
    let report = match run(config) {
        Ok(report) => report,
        Err(why) => {
            eprintln!("seed {seed} cannot be run: {why}");
            return ExitCode::FAILURE;
        }
    };
    let Report { hash, steps, boots, turns, syncs, .. } = &report;
    println!(
        "seed {seed}: {steps} steps, {boots} processes, {turns} turns, {syncs} syncs, trace {hash}"
    );
    match &report.violation {
        Some(why) => {
            println!("broken: {why}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

#[derive(Default)]
struct Sum {
    steps: u64,
    boots: u64,
    turns: u64,
    broken: Vec<(u64, String)>,
}

/// Every seed, on some threads. A thread has its own disk and its own chance.
fn many(args: &Args, mutation: Option<Mutation>) -> ExitCode {
    let (next, stop) = (AtomicU64::new(args.from), AtomicBool::new(false));
    let (end, sum) = (args.from.saturating_add(args.seeds), Mutex::<Sum>::default());
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let config = Config { seed, mutation, traced: false, held: args.held };
                    let found = twice(config, args.once, &sum);
                    if let Some(why) = found {
                        let mut sum = sum.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                        sum.broken.push((seed, why));
                        stop.fetch_or(
                            mutation.is_some() || sum.broken.len() >= 10,
                            Ordering::Relaxed,
                        );
                    }
                }
            });
        }
    });
    let mut sum = sum.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    sum.broken.sort();
    let ran = next.into_inner().min(end) - args.from;
    let Sum { steps, boots, turns, broken } = sum;
    let name = args.mutation.as_deref();
    for (seed, why) in broken.iter().take(if mutation.is_some() { 1 } else { 10 }) {
        let (after, option) =
            (seed - args.from + 1, name.map(|name| format!(" --mutation {name}")));
        println!("broken in seed {seed} (the {after}th): {why}");
        println!(
            "  again: cargo run -p loket-sim -- --seed {seed} --trace{}{}",
            option.unwrap_or_default(),
            if args.held > 0 { format!(" --held {}", args.held) } else { String::new() }
        );
    }
    println!(
        "{ran} seeds, {steps} steps, {boots} processes, {turns} turns, {} broken",
        broken.len()
    );
    if broken.is_empty() == mutation.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a seed, and again, which must come to the same.
fn twice(config: Config, once: bool, sum: &Mutex<Sum>) -> Option<String> {
    let report = match run(config) {
        Ok(report) => report,
        Err(why) => return Some(format!("it cannot be run: {why}")),
    };
    {
        let mut sum = sum.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        sum.steps += report.steps as u64;
        sum.boots += report.boots;
        sum.turns += report.turns as u64;
    }
    if report.violation.is_some() || once || config.mutation.is_some() {
        return report.violation;
    }
    match run(config) {
        Ok(again) if again.hash == report.hash => again.violation,
        Ok(again) => Some(format!("two runs differ: {} and {}", report.hash, again.hash)),
        Err(why) => Some(format!("the second run cannot be run: {why}")),
    }
}
