//! `bench`: what a call and a durable turn cost on this machine. Runs nodes of its own, never a fleet's agents.

use crate::args::BenchArgs;
use crate::exit::{self, CliError, Code};
use crate::node::{self, FleetFacts};
use crate::output;
use loket_bench::{Counter, Counts, Options, Progress, Report, Tier};
use metrics_exporter_prometheus::PrometheusHandle;
use std::io::{IsTerminal, Write};
use std::sync::Arc;

/// Measures, and prints the report.
pub(super) fn bench(args: &BenchArgs, json: bool) -> Result<Code, CliError> {
    let (options, fleet) = options(args)?;
    let mut progress = Line::new();
    let report = loket_bench::run(&options, &mut |at| progress.tell(at));
    progress.clear();
    let report =
        report.map_err(|error| CliError::new(error.code(), exit::FAILED, error.to_string()))?;
    let report = Report { fleet, ..report };
    if json {
        let value = serde_json::to_value(&report).map_err(|error| {
            CliError::new("internal", exit::BUG, format!("the report as JSON: {error}"))
        })?;
        return Ok(output::json(&value));
    }
    Ok(output::line(loket_bench::table(&report).trim_end()))
}

fn options(args: &BenchArgs) -> Result<(Options, Option<String>), CliError> {
    let mut tiers = Vec::new();
    for word in &args.tier {
        let found = Tier::parse(word);
        if found.is_empty() {
            let names: Vec<_> = Tier::ALL.iter().map(|tier| tier.name()).collect();
            let text = format!("there is no tier {word}; there are: {}", names.join(", "));
            return Err(CliError::new("bench_tier", exit::USAGE, text));
        }
        tiers.extend(found);
    }
    let facts = match &args.fleet {
        Some(fleet) => Some(node::facts(fleet, &args.sets)?),
        None => None,
    };
    let defaults = Options::default();
    let lanes = facts.as_ref().map_or(defaults.lanes, |facts| facts.lanes);
    let (fleet, rows) = match facts {
        Some(FleetFacts { name, rows, .. }) => (Some(name), rows),
        None => (None, Vec::new()),
    };
    let options = Options {
        tiers: if tiers.is_empty() { defaults.tiers } else { tiers },
        agents: args.agents,
        grants: args.grants,
        payload: args.payload as usize,
        seconds: args.seconds,
        repeats: usize::from(args.repeats),
        callers: usize::from(args.callers),
        lanes,
        dir: args.dir.clone(),
        rows,
        counts: Some(counts(node::install_metrics()?)),
        allocations: None,
    };
    Ok((options, fleet))
}

/// The node's own counters, as the metrics page shows them.
fn counts(metrics: PrometheusHandle) -> Counts {
    Arc::new(move |counter, capability| {
        let (name, also) = match counter {
            Counter::Admitted => (loket_runtime::metrics::CALLS, "verdict=\"admitted\""),
            Counter::Answered => (loket_contract::metrics::CALLS_ANSWERED, "result=\"ok\""),
        };
        let page = metrics.render();
        let label = format!("capability=\"{capability}\"");
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
        if !self.0 {
            return;
        }
        let text = match at.tier {
            None => "setting nodes up".to_owned(),
            Some(tier) if at.repeat == 0 => format!("warming up: {}", tier.what()),
            Some(tier) => format!("{} of {}: {}", at.repeat, at.repeats, tier.what()),
        };
        // A terminal that went away is no reason to stop measuring.
        let _ = write!(std::io::stderr(), "\r\x1b[2K{text}");
    }

    fn clear(&mut self) {
        if self.0 {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}
