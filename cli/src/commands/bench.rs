//! `bench`: what a call and a durable turn cost on this machine. Runs nodes of its own, never a fleet's agents.

use crate::allocations;
use crate::args::BenchArgs;
use crate::exit::{self, CliError, Code};
use crate::node::{self, FleetFacts};
use crate::output;
use loket_bench::{
    BenchError, Comparison, Counter, Counts, Options, Progress, Report, SHAPE, Tier,
};
use metrics_exporter_prometheus::PrometheusHandle;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of a report at most: a hundred times one with every tier.
const REPORT_BYTES_MAX: usize = 4 << 20;

/// What is no tier: it has figures of its own.
const DENSITY: &str = "density";

/// Tiers that are measured by themselves when their name stands where a fleet file could.
const BY_THEMSELVES: [Tier; 6] =
    [Tier::Restart, Tier::Activation, Tier::Start, Tier::Spawn, Tier::Agents, Tier::Recovery];

/// Measures, and prints the report.
pub(super) fn bench(args: &BenchArgs, json: bool) -> Result<Code, CliError> {
    let what = args.what.as_deref().and_then(Path::to_str).unwrap_or_default();
    if what == DENSITY {
        return density(args, json);
    }
    let before = args.against.as_deref().map(earlier).transpose()?;
    let (options, fleet) = options(args, what)?;
    let mut progress = Line::new();
    let report = loket_bench::run(&options, &mut |at| progress.tell(at));
    progress.clear();
    let report = report.map_err(failed)?;
    let report = Report { fleet, ..report };
    let comparison = before.map(|before| loket_bench::compare(&report, &before));
    if let Some(file) = &args.html {
        let page = loket_bench::page(&report, comparison.as_ref());
        std::fs::write(file, page).map_err(|error| cannot("write", file, &error))?;
    }
    if json {
        return print(&report, comparison.as_ref());
    }
    let mut text = loket_bench::table(&report);
    if let Some(comparison) = &comparison {
        text.push('\n');
        text.push_str(&loket_bench::comparison_table(comparison));
    }
    Ok(output::line(text.trim_end()))
}

/// Measures what standing agents take, and prints it.
fn density(args: &BenchArgs, json: bool) -> Result<Code, CliError> {
    if args.against.is_some() || args.html.is_some() || !args.tier.is_empty() {
        let text = "density has figures of its own: it goes without --tier, --html and --against";
        return Err(CliError::new("usage", exit::USAGE, text));
    }
    let options = Options {
        agents: args.agents.unwrap_or(Options::default().agents),
        dir: args.dir.clone(),
        binary: Some(own_binary()?),
        ..Options::default()
    };
    let mut progress = Line::new();
    let density = loket_bench::density(&options, &mut |at| progress.write(at));
    progress.clear();
    let density = density.map_err(failed)?;
    if json {
        let value = serde_json::to_value(density).map_err(bug)?;
        return Ok(output::json(&value));
    }
    Ok(output::line(loket_bench::density_table(&density).trim_end()))
}

fn failed(error: BenchError) -> CliError {
    CliError::new(error.code(), exit::FAILED, error.to_string())
}

fn bug(error: serde_json::Error) -> CliError {
    CliError::new("internal", exit::BUG, format!("the report as JSON: {error}"))
}

/// This binary, which runs the fleets that are measured from outside.
fn own_binary() -> Result<PathBuf, CliError> {
    std::env::current_exe().map_err(|error| {
        CliError::new("bench_setup", exit::FAILED, format!("where is this binary? {error}"))
    })
}

/// The report as JSON, and beside its fields what it was compared to.
fn print(report: &Report, comparison: Option<&Comparison>) -> Result<Code, CliError> {
    let mut value = serde_json::to_value(report).map_err(bug)?;
    if let (Some(fields), Some(comparison)) = (value.as_object_mut(), comparison) {
        fields.insert("against".to_owned(), serde_json::to_value(comparison).map_err(bug)?);
    }
    Ok(output::json(&value))
}

/// The report of an earlier run; read before anything is measured, so that a wrong file costs no time.
fn earlier(file: &Path) -> Result<Report, CliError> {
    let bytes = node::read_within(file, REPORT_BYTES_MAX);
    let bytes = bytes.map_err(|error| cannot("read", file, &error))?;
    if bytes.len() > REPORT_BYTES_MAX {
        let text = format!("{} has more than {REPORT_BYTES_MAX} bytes", file.display());
        return Err(CliError::new("bench_against", exit::USAGE, text));
    }
    let report: Report = serde_json::from_slice(&bytes).map_err(|error| {
        let file = file.display();
        let text = format!("{file} is no report of `loket bench --json`: {error}");
        CliError::new("bench_against", exit::USAGE, text)
    })?;
    match report.version {
        SHAPE => Ok(report),
        other => {
            let text = format!("the report has shape {other}, this loket knows {SHAPE}");
            Err(CliError::new("bench_against", exit::USAGE, text))
        }
    }
}

fn cannot(what: &str, file: &Path, error: &std::io::Error) -> CliError {
    let text = format!("cannot {what} {}: {error}", file.display());
    CliError::new("bench_file", exit::USAGE, text)
}

fn options(args: &BenchArgs, what: &str) -> Result<(Options, Option<String>), CliError> {
    let mut tiers = Vec::new();
    let alone = BY_THEMSELVES.into_iter().find(|tier| tier.name() == what);
    tiers.extend(alone);
    for word in &args.tier {
        let found = Tier::parse(word);
        if found.is_empty() {
            let names: Vec<_> = Tier::ALL.iter().map(|tier| tier.name()).collect();
            let text = format!("there is no tier {word}; there are: {}", names.join(", "));
            return Err(CliError::new("bench_tier", exit::USAGE, text));
        }
        tiers.extend(found);
    }
    let facts = match &args.what {
        Some(fleet) if alone.is_none() => Some(facts(fleet, &args.sets)?),
        _ => None,
    };
    let defaults = Options::default();
    let lanes = facts.as_ref().map_or(defaults.lanes, |facts| facts.lanes);
    let (fleet, rows) = match facts {
        Some(FleetFacts { name, rows, .. }) => (Some(name), rows),
        None => (None, Vec::new()),
    };
    let options = Options {
        tiers: if tiers.is_empty() { defaults.tiers } else { tiers },
        agents: args.agents.unwrap_or(defaults.agents),
        starting: args.agents.unwrap_or(defaults.starting),
        sleeping: args.agents.unwrap_or(defaults.sleeping),
        grants: args.grants,
        payload: args.payload as usize,
        seconds: args.seconds,
        repeats: usize::from(args.repeats),
        callers: usize::from(args.callers),
        lanes,
        dir: args.dir.clone(),
        rows,
        counts: Some(counts(node::install_metrics()?)),
        binary: Some(own_binary()?),
        allocations: allocations::counter(),
    };
    Ok((options, fleet))
}

/// A fleet's own, or that its name is none of the words either.
fn facts(fleet: &Path, sets: &[String]) -> Result<FleetFacts, CliError> {
    node::facts(fleet, sets).map_err(|error| {
        if error.code != "C013" || fleet.components().count() > 1 {
            return error;
        }
        let words: Vec<_> = BY_THEMSELVES.iter().map(|tier| tier.name()).collect();
        let text =
            format!("{}; or did you mean one of {}, {DENSITY}?", error.message, words.join(", "));
        CliError { message: text, ..error }
    })
}

/// The node's own counters, as the metrics page shows them.
fn counts(metrics: PrometheusHandle) -> Counts {
    Arc::new(move |counter, capability| {
        let (name, also) = match counter {
            Counter::Admitted => (loket_runtime::metrics::CALLS, "verdict=\"admitted\""),
            Counter::Answered => (loket_contract::metrics::CALLS_ANSWERED, "result=\"ok\""),
            Counter::Opened => (loket_store::metrics::STORE_JOBS, "kind=\"open\""),
        };
        let page = metrics.render();
        let label = match counter {
            Counter::Opened => String::new(),
            _ => format!("capability=\"{capability}\""),
        };
        let rows = page
            .lines()
            .filter(|line| line.starts_with(name) && line.contains(&label) && line.contains(also));
        rows.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    })
}

/// What goes on, on one line of a terminal that is drawn anew; elsewhere nothing.
struct Line(bool);

impl Line {
    fn new() -> Self {
        Self(
            std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb"),
        )
    }

    fn tell(&mut self, at: Progress) {
        let text = match at.tier {
            None => "setting nodes up".to_owned(),
            Some(tier) if at.repeat == 0 => format!("warming up: {}", tier.what()),
            Some(tier) => format!("{} of {}: {}", at.repeat, at.repeats, tier.what()),
        };
        self.write(&text);
    }

    fn write(&self, text: &str) {
        if self.0 {
            // A terminal that went away is no reason to stop measuring.
            let _ = write!(std::io::stderr(), "\r\x1b[2K{text}");
        }
    }

    fn clear(&mut self) {
        if self.0 {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}
