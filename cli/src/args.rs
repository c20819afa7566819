//! The command line as it is typed.

mod brains;
mod compile;
mod files;
mod people;

pub(crate) use brains::{BrainArgs, BrainVerb, ExchangeArgs, QueryArgs, QueryBounds, ReplayArgs};
pub(crate) use compile::CompileArgs;
pub(crate) use files::{CheckArgs, DiffArgs, FmtArgs, SimulateArgs};
pub(crate) use people::{
    AnswerArgs, ApprovalsArgs, ApprovalsVerb, BudgetsArgs, LettersArgs, LettersVerb, TimersArgs,
};

mod bench;

pub(crate) use bench::BenchArgs;

use crate::examples;
use clap::{Args as ClapArgs, Parser, Subcommand};
use std::path::PathBuf;

/// Runs fleets of AI agents that survive.
#[derive(Debug, Parser)]
#[command(name = "loket", version, after_help = examples::ALL, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// Print JSON for programs instead of text for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Whether a command line that could not be read asks for JSON, as far as one can tell.
pub(crate) fn asks_for_json(words: impl Iterator<Item = std::ffi::OsString>) -> bool {
    words.take_while(|word| word != "--").any(|word| word == "--json")
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a fleet until Ctrl-C; a second Ctrl-C stops at once.
    #[command(after_help = examples::RUN)]
    Run(RunArgs),
    /// Check a fleet file: every finding at once, nothing is run.
    #[command(after_help = examples::CHECK)]
    Check(CheckArgs),
    /// Simulate crashes: who is restarted, who dies, whether the fleet survives. Nothing is run.
    #[command(after_help = examples::SIMULATE)]
    Simulate(SimulateArgs),
    /// Show the tree of a running fleet, or of a file with every default filled in.
    #[command(after_help = examples::TREE)]
    Tree(TreeArgs),
    /// Tell what a reload from one fleet file to another would start, stop and change.
    #[command(after_help = examples::DIFF)]
    Diff(DiffArgs),
    /// Apply a changed fleet file to the running fleet.
    #[command(after_help = examples::RELOAD)]
    Reload(ReloadArgs),
    /// Write fleet files in their one form; comments stay.
    #[command(after_help = examples::FMT)]
    Fmt(FmtArgs),
    /// Print the JSON Schema of the fleet file, for editors.
    #[command(after_help = examples::SCHEMA)]
    Schema,
    /// Show what supervisors reported: starts, crashes, restarts given up.
    #[command(after_help = examples::HISTORY)]
    History(HistoryArgs),
    /// Tell why a child is as it is: the chain of causes from the first exit on.
    #[command(after_help = examples::WHY)]
    Why(WhyArgs),
    /// Count what a running fleet has accepted, completed and holds.
    #[command(after_help = examples::STATUS)]
    Status(Target),
    /// Hand a message to an agent; returns once it is accepted for good.
    #[command(after_help = examples::SEND)]
    Send(MessageArgs),
    /// Hand a message to an agent and wait for its answer.
    #[command(after_help = examples::CALL)]
    Call(MessageArgs),
    /// Crash a child on purpose; its supervisor decides what follows.
    #[command(after_help = examples::KILL)]
    Kill(KillArgs),
    /// Stop a child in order and leave it stopped; cancels a restart, too.
    #[command(after_help = examples::TERMINATE)]
    Terminate(KillArgs),
    /// Start a child that is stopped.
    #[command(after_help = examples::RESTART)]
    Restart(KillArgs),
    /// Dead letters: list, show, retry, drop.
    #[command(after_help = examples::LETTERS)]
    Letters(LettersArgs),
    /// List an agent's turns, newest first.
    #[command(after_help = examples::TURNS)]
    Turns(TurnsArgs),
    /// Show one turn: message, calls with time and cost, answer, what it changed.
    #[command(after_help = examples::TURN)]
    Turn(TurnArgs),
    /// Run a turn again beside the fleet: does it still agree with its records?
    #[command(after_help = examples::REPLAY)]
    Replay(ReplayArgs),
    /// An agent's brain: query, snapshot, restore, rewind, export, import.
    #[command(after_help = examples::BRAIN)]
    Brain(BrainArgs),
    /// Ask the ledger and all brains a question in SQL; nothing is written.
    #[command(after_help = examples::QUERY)]
    Query(QueryArgs),
    /// Calls whose outcome a crash hid: list, show, resolve.
    #[command(after_help = examples::DOUBT)]
    Doubt(DoubtArgs),
    /// Agents that take no turns until you act: list, show, resolve.
    #[command(after_help = examples::QUARANTINE)]
    Quarantine(QuarantineArgs),
    /// Calls that wait for a person: list, show, approve, deny.
    #[command(after_help = examples::APPROVALS)]
    Approvals(ApprovalsArgs),
    /// Answer a question that an agent asked.
    #[command(after_help = examples::ANSWER)]
    Answer(AnswerArgs),
    /// The timers of an agent, or of all: list, cancel.
    #[command(after_help = examples::TIMERS)]
    Timers(TimersArgs),
    /// The budgets of an agent, or of all: limit, spent, reserved, when the window ends.
    #[command(after_help = examples::BUDGETS)]
    Budgets(BudgetsArgs),
    /// Call any capability as the operator, through the kernel like everyone.
    #[command(after_help = examples::ASK)]
    Ask(AskArgs),
    /// Stop a running fleet in order.
    #[command(after_help = examples::STOP)]
    Stop(StopArgs),
    /// Measure what a call and a durable turn cost on this machine.
    #[command(after_help = examples::BENCH)]
    Bench(BenchArgs),
    /// Explain an error code or finding.
    #[command(after_help = examples::EXPLAIN)]
    Explain(ExplainArgs),
    /// Compile a module for a fleet, from standard input to standard output: a fleet calls this itself.
    #[command(hide = true)]
    CompileModule(CompileArgs),
    /// Print version, data format and engine versions.
    Version,
}

/// Which running fleet.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Target {
    /// The data directory of the running fleet [default: the only *.data here].
    // Global, so that it may stand behind a verb too: `letters show 1 --data DIR`.
    #[arg(long, env = "LOKET_DATA", value_name = "DIR", global = true)]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    /// The fleet file.
    pub(crate) fleet: PathBuf,
    /// Replace a parameter's value, after parsing.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Use this data directory instead of the file's.
    #[arg(long, env = "LOKET_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The data directory is this fleet's, though it was written under another name.
    #[arg(long)]
    pub(crate) renamed: bool,
    /// Stop when the opening messages have been answered.
    #[arg(long)]
    pub(crate) once: bool,
    /// Lines instead of a live tree, also on a terminal.
    #[arg(long)]
    pub(crate) plain: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct MessageArgs {
    /// The agent's name: its id, or SUPERVISOR/NAME.
    pub(crate) agent: String,
    /// The message; `-` reads it from standard input.
    pub(crate) message: String,
    /// What kind of message it is.
    #[arg(long, default_value = "message")]
    pub(crate) kind: String,
    /// Idempotency key: the same key and message again is the same message.
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// How long `call` waits, in seconds. The message stays accepted after that.
    #[arg(long, default_value_t = 120)]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TreeArgs {
    /// A fleet file; without one, the running fleet.
    pub(crate) fleet: Option<PathBuf>,
    /// Replace a parameter's value, after parsing.
    #[arg(long = "set", value_name = "NAME=VALUE", requires = "fleet")]
    pub(crate) sets: Vec<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ReloadArgs {
    /// The changed file [default: the one that the fleet was started with].
    pub(crate) fleet: Option<PathBuf>,
    /// Only tell what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct HistoryArgs {
    /// A child's name; of a supervisor, also what it reported. Without one, all.
    pub(crate) child: Option<String>,
    /// The latest so many, 10,000 at most.
    #[arg(long, default_value_t = 100, value_parser = reports())]
    pub(crate) limit: u64,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Reports that one answer may have.
fn reports() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..=loket_agent::HISTORY_LIMIT_MAX as u64)
}

#[derive(Debug, ClapArgs)]
pub(crate) struct WhyArgs {
    /// The child's name, as `loket tree` shows it.
    pub(crate) child: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct KillArgs {
    /// The child's name, as `loket tree` shows it.
    pub(crate) child: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// As many as one answer holds.
fn many() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=1000)
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TurnsArgs {
    /// The agent's name.
    pub(crate) agent: String,
    /// Only turns before this one.
    #[arg(long, value_name = "N")]
    pub(crate) before: Option<u64>,
    /// How many, 1,000 at most.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = many())]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TurnArgs {
    /// The agent's name.
    pub(crate) agent: String,
    /// The turn's number, as `loket turns` shows it.
    pub(crate) turn: u64,
    /// Only what the ledger has of it: no Pure calls, which have no record, and nothing of the brain.
    #[arg(long)]
    pub(crate) records: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DoubtArgs {
    #[command(subcommand)]
    pub(crate) verb: Option<DoubtVerb>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DoubtVerb {
    /// List them (the default).
    List,
    /// Show one: who called what, with which arguments.
    Show {
        /// The doubt's number.
        doubt: u64,
    },
    /// Say what became of one; the agent goes on with that.
    Resolve(ResolveDoubt),
}

#[derive(Debug, ClapArgs)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("how").required(true).args(["done", "retry", "fail"]))]
pub(crate) struct ResolveDoubt {
    /// The doubt's number.
    pub(crate) doubt: u64,
    /// It was done, and this is its result, as JSON.
    #[arg(long, value_name = "RESULT")]
    pub(crate) done: Option<String>,
    /// Send it once more; should that answer be lost too, it is in doubt again.
    #[arg(long)]
    pub(crate) retry: bool,
    /// It failed: what the agent is told.
    #[arg(long, value_name = "WHY")]
    pub(crate) fail: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct QuarantineArgs {
    #[command(subcommand)]
    pub(crate) verb: Option<QuarantineVerb>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineVerb {
    /// List them (the default).
    List,
    /// Show one: the reason, the turn, its effects.
    Show {
        /// The agent.
        agent: String,
    },
    /// Let one go on.
    Resolve {
        /// The agent.
        agent: String,
        #[command(flatten)]
        way: QuarantineWay,
        /// Confirm that the listed effects may be repeated.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
pub(crate) struct QuarantineWay {
    /// What the re-run does counts, and not the record.
    #[arg(long)]
    pub(crate) accept_rerun: bool,
    /// Give the turn up: its message becomes a dead letter.
    #[arg(long)]
    pub(crate) skip: bool,
    /// Make the brain anew: from its last snapshot, or from nothing, by running its turns again.
    #[arg(long)]
    pub(crate) restore: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct AskArgs {
    /// The capability, such as agent.tree.
    pub(crate) capability: String,
    /// Its arguments, JSON.
    #[arg(default_value = "{}")]
    pub(crate) args: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct StopArgs {
    /// Do not wait for turns to end: kill all children.
    #[arg(long)]
    pub(crate) now: bool,
    /// The emergency stop: acts whatever the fleet is busy with. No turn begins any more, those that run are broken off; what
    /// was accepted stays. Then the fleet stops in order.
    #[arg(long, conflicts_with = "now")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ExplainArgs {
    /// A code such as E104, K003, M002 or a failure code; without one, all codes.
    pub(crate) code: Option<String>,
}
