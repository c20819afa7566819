//! `simulate`: what the fleet's supervisors would do if children crashed. Starts nothing; the machines are those of `run`.

use crate::args::SimulateArgs;
use crate::exit::{self, CliError, Code};
use crate::node::parse_fleet;
use crate::output;
use loket_supervision::fleet;
use loket_supervision::machine::{Blame, Cause, Exit, Now};
use loket_supervision::simulate::{self, Crash, Outcome, Plan, Shown, Trace};
use serde_json::json;

/// Crashes of one simulation; more belong in a load test.
const CRASHES_MAX: usize = 10_000;

/// The words behind a colon, and what they mean.
const CAUSES: [(&str, Option<(Cause, Blame)>); 14] = [
    ("killed", None),
    ("normal", None),
    ("shutdown", None),
    ("hung", None),
    ("trap", Some((Cause::Trap, Blame::Guest))),
    ("out_of_memory", Some((Cause::OutOfMemory, Blame::Guest))),
    ("deadline", Some((Cause::Deadline, Blame::Guest))),
    ("stack", Some((Cause::Stack, Blame::Guest))),
    ("panic", Some((Cause::Panic, Blame::Host))),
    ("start", Some((Cause::Start, Blame::Config))),
    ("provider_down", Some((Cause::ProviderDown, Blame::Provider))),
    ("brain_corrupt", Some((Cause::BrainCorrupt, Blame::Environment))),
    ("poison", None),
    ("other", Some((Cause::Other, Blame::Host))),
];

/// Prints the trace; exits with 4 when the fleet would give up, with 1 when too much happens to know.
pub(super) fn simulate(args: &SimulateArgs, json: bool) -> Result<Code, CliError> {
    let fleet = parse_fleet(&args.fleet, &args.sets, json)?;
    let mut plan = Plan { seed: args.seed, ..Plan::default() };
    for crash in &args.crashes {
        plan.crashes.extend(crashes(crash)?);
    }
    if plan.crashes.len() > CRASHES_MAX {
        return Err(usage(format!("more than {CRASHES_MAX} crashes")));
    }
    plan.until = args.until.as_deref().map(time).transpose()?;
    let trace = simulate::run(&fleet, &plan).map_err(|error| usage(error.to_string()))?;
    if json {
        output::versioned(json!(trace));
    } else {
        output::line(&output::safe(&text(&trace)));
    }
    Ok(match trace.end {
        Outcome::Ended { .. } => exit::GAVE_UP,
        Outcome::Undecided => exit::FAILED,
        _ => exit::OK,
    })
}

fn usage(text: String) -> CliError {
    CliError::new("usage", exit::USAGE, text)
}

fn time(text: &str) -> Result<Now, CliError> {
    // The beginning needs no unit.
    if text == "0" {
        return Ok(Now(0));
    }
    fleet::duration(text).map(Now).map_err(|why| usage(format!("{text:?}: {why}")))
}

/// `CHILD@TIME[,TIME...][:CAUSE]`.
fn crashes(text: &str) -> Result<Vec<Crash>, CliError> {
    let form = || {
        let example = "such as llm@0s,1s,2s or editor@5s:trap";
        usage(format!("--crash takes CHILD@TIME[,TIME...][:CAUSE], not {text:?}; {example}"))
    };
    let (child, rest) =
        text.split_once('@').filter(|(child, _)| !child.is_empty()).ok_or_else(form)?;
    let (times, exit) = match rest.split_once(':') {
        Some((times, cause)) => (times, Some(cause_of(cause)?)),
        None => (rest, None),
    };
    let one = |at: &str| {
        let (child, exit) = (child.to_owned(), exit.clone());
        Ok(Crash { child, at: time(at.trim())?, exit })
    };
    times.split(',').map(one).collect()
}

fn cause_of(word: &str) -> Result<Exit, CliError> {
    let known = CAUSES.iter().find(|(known, _)| *known == word);
    match (word, known) {
        ("killed", _) => Ok(Exit::Killed),
        ("normal", _) => Ok(Exit::Normal),
        ("shutdown", _) => Ok(Exit::Shutdown),
        ("hung", _) => Ok(Exit::Hung),
        ("poison", _) => {
            let reason = Box::new(Exit::crash(Cause::Trap, Blame::Guest, "simulated"));
            Ok(Exit::Poison { reason })
        }
        (_, Some((_, Some((cause, blame))))) => Ok(Exit::crash(*cause, *blame, "simulated")),
        _ => {
            let words: Vec<_> = CAUSES.iter().map(|(word, _)| *word).collect();
            Err(usage(format!("there is no cause {word:?}; one of {}", words.join(", "))))
        }
    }
}

fn text(trace: &Trace) -> String {
    let mut text = String::new();
    for step in &trace.steps {
        text.push_str(&format!("{step}\n"));
    }
    if trace.cut_off {
        text.push_str("... cut off: too much happens; simulate less with --for\n");
    }
    if !text.is_empty() {
        text.push('\n');
    }
    draw(&trace.tree, "", "", &mut text);
    text.push('\n');
    text.push_str(&match &trace.end {
        Outcome::Survived => "the fleet survives".to_owned(),
        Outcome::Ended { at_ms, exit } => format!("the fleet ends at {}: {exit}", seconds(*at_ms)),
        Outcome::Undecided => format!(
            "whether the fleet survives is not known: it stands at {}, where the simulation was cut off",
            seconds(trace.last_ms)
        ),
    });
    text
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}s", ms / 1_000, ms % 1_000)
}

fn draw(node: &Shown, first: &str, rest: &str, text: &mut String) {
    text.push_str(&format!("{first}{}  {}  {}", node.id, node.kind, node.state));
    if node.incarnation > 1 {
        text.push_str(&format!("  incarnation {}", node.incarnation));
    }
    if node.restarts > 0 {
        text.push_str(&format!("  restarts {}", node.restarts));
    }
    if let Some(exit) = &node.last_exit {
        text.push_str(&format!("  last exit: {exit}"));
    }
    text.push('\n');
    for (index, child) in node.children.iter().enumerate() {
        let last = index + 1 == node.children.len();
        let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        draw(child, &format!("{rest}{branch}"), &format!("{rest}{below}"), text);
    }
}
