//! Two runs side by side: what changed, and what is noise.
//!
//! A change is told only when the 95 % confidence interval of the ratio leaves [`NOISE`] around 1 out. Repeats within a run were
//! interleaved, so that a disturbance hit all tiers; the tier `host`, which no change of ours touches, tells how much the machine
//! itself moved between the runs.

use crate::text::time;
use crate::{Report, Series, Spread};
use serde::Serialize;
use std::fmt::Write;

/// Ratios so near to 1 are noise even when the repeats agree: two builds of the same source differ by as much.
pub const NOISE: f64 = 0.03;

/// What became of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It takes less time now.
    Faster,
    /// It takes more time now.
    Slower,
    /// The runs do not tell.
    Noise,
}

/// One figure of both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The tier.
    pub tier: String,
    /// How many at once.
    pub callers: usize,
    /// Nanoseconds then.
    pub before: f64,
    /// Nanoseconds now.
    pub now: f64,
    /// How many times as long it takes now.
    pub ratio: f64,
    /// The lower end of its 95 % confidence interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// What to make of it.
    pub verdict: Verdict,
}

/// Both runs, figure by figure, and what makes them hard to compare.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The figures that both runs have.
    pub changes: Vec<Change>,
    /// What differs between the runs beside the code.
    pub warnings: Vec<String>,
}

/// Compares a run with an earlier one.
#[must_use]
pub fn compare(now: &Report, before: &Report) -> Comparison {
    let mut changes = Vec::new();
    for tier in &now.tiers {
        let Some(other) = before.tiers.iter().find(|other| other.tier == tier.tier) else {
            continue;
        };
        for (ours, theirs) in [(&tier.one, &other.one), (&tier.many, &other.many)] {
            if let (Some(ours), Some(theirs)) = (ours, theirs) {
                changes.extend(change(&tier.tier, ours, theirs));
            }
        }
    }
    Comparison { changes, warnings: warnings(now, before) }
}

fn change(tier: &str, now: &Series, before: &Series) -> Option<Change> {
    if now.callers != before.callers {
        return None;
    }
    let (ratio, low, high) = Spread::ratio(&now.ns, &before.ns)?;
    let verdict = match (low, high) {
        (_, high) if high < 1.0 - NOISE => Verdict::Faster,
        (low, _) if low > 1.0 + NOISE => Verdict::Slower,
        _ => Verdict::Noise,
    };
    let (before, now_ns) = (before.ns.median, now.ns.median);
    let (tier, callers) = (tier.to_owned(), now.callers);
    Some(Change { tier, callers, before, now: now_ns, ratio, low, high, verdict })
}

fn warnings(now: &Report, before: &Report) -> Vec<String> {
    let mut all = Vec::new();
    let mut differs = |what: &str, now: String, before: String| {
        if now != before {
            all.push(format!("{what}: {now} now, {before} before"));
        }
    };
    let (machine, other) = (&now.machine, &before.machine);
    differs("processor", machine.cpu.clone(), other.cpu.clone());
    differs("cores", machine.cores.to_string(), other.cores.to_string());
    differs("optimised", machine.optimised.to_string(), other.optimised.to_string());
    differs("agents", now.agents.to_string(), before.agents.to_string());
    differs("grants", now.grants.to_string(), before.grants.to_string());
    differs("payload", now.payload.to_string(), before.payload.to_string());
    let cores = machine.cores as f64;
    for (when, load) in [("now", machine.load_before), ("before", other.load_before)] {
        // One that works for itself alone leaves the load below half a core at its start.
        if load > cores / 2.0 {
            all.push(format!("the machine was busy {when}: a load of {load:.1} on {cores} cores"));
        }
    }
    all
}

/// The comparison as a table for people.
#[must_use]
pub fn comparison_table(comparison: &Comparison) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<9} {:>7} {:>9} {:>9} {:>7} {:>15}",
        "tier", "at once", "before", "now", "ratio", "95 % interval"
    );
    for change in &comparison.changes {
        let verdict = match change.verdict {
            Verdict::Faster => "faster",
            Verdict::Slower => "SLOWER",
            Verdict::Noise => "noise",
        };
        let _ = writeln!(
            text,
            "{:<9} {:>7} {:>9} {:>9} {:>7.2} {:>15}  {verdict}",
            change.tier,
            change.callers,
            time(change.before),
            time(change.now),
            change.ratio,
            format!("{:.2} - {:.2}", change.low, change.high),
        );
    }
    for warning in &comparison.warnings {
        let _ = writeln!(text, "beware: {warning}");
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_run_does_not_differ_from_itself() {
        let report = sample(&[100.0, 104.0, 98.0, 101.0, 99.0]);
        let comparison = compare(&report, &report);
        assert!(!comparison.changes.is_empty() && comparison.warnings.is_empty());
        assert!(comparison.changes.iter().all(|change| change.verdict == Verdict::Noise));
    }

    #[test]
    fn half_the_time_is_faster_and_twice_the_time_slower() {
        let base = sample(&[100.0, 104.0, 98.0, 101.0, 99.0]);
        let half = sample(&[50.0, 52.0, 49.0, 50.5, 49.5]);
        assert_eq!(compare(&half, &base).changes[0].verdict, Verdict::Faster);
        assert_eq!(compare(&base, &half).changes[0].verdict, Verdict::Slower);
        assert!(comparison_table(&compare(&base, &half)).contains("SLOWER"));
    }

    #[test]
    fn what_cannot_be_compared_is_told() {
        let base = sample(&[100.0]);
        let mut other = base.clone();
        other.payload = 4_096;
        other.machine.load_before = 9.0;
        let warnings = compare(&base, &other).warnings.join("\n");
        assert!(warnings.contains("payload") && warnings.contains("busy before"), "{warnings}");
    }
}
