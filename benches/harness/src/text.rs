//! A report as a table for people.

use crate::{Density, Machine, Report, Series, TierReport};
use std::fmt::Write;

const MIB: f64 = 1_048_576.0;

/// The table, with what one must know to read it.
#[must_use]
pub fn table(report: &Report) -> String {
    let mut text = head(&report.machine);
    let _ = writeln!(text, "{} repeats of each tier, in turns", report.repeats,);
    if report.tiers.iter().any(|tier| tier.letter != "-") {
        let Report { agents, grants, payload, .. } = report;
        let _ = writeln!(
            text,
            "{agents} agents with {grants} grants each in the table, {payload} bytes each way"
        );
    }
    text.push('\n');
    let _ = writeln!(
        text,
        "{:<11} {:>7} {:>9} {:>19} {:>11} {:>9} {:>9} {:>9} {:>9} {:>7}",
        "tier",
        "at once",
        "median",
        "95 % interval",
        "a second",
        "p50",
        "p99",
        "p99.9",
        "CPU",
        "allocs"
    );
    for tier in &report.tiers {
        for series in [&tier.one, &tier.many].into_iter().flatten() {
            row(&mut text, tier, series);
        }
    }
    text.push('\n');
    for tier in &report.tiers {
        let _ = writeln!(text, "{:<2} {:<8} {}", tier.letter, tier.tier, tier.what);
    }
    for tier in &report.tiers {
        if let Some(proof) = &tier.proof {
            let _ = writeln!(
                text,
                "{}: {} calls made, {} admitted by the kernel, {} answered by the provider",
                tier.tier, proof.calls, proof.admitted, proof.answered
            );
        }
    }
    let _ = writeln!(
        text,
        "Percentiles are of single ones, each with a reading of the clock ({:.0} ns) inside.",
        report.clock_ns
    );
    text
}

/// Where it ran.
fn head(machine: &Machine) -> String {
    let Machine { cpu, cores, system, load_before, load_after, optimised } = machine;
    let warning = match optimised {
        true => "",
        false => "NOT OPTIMISED: a debug build measures itself. Use a release build.\n",
    };
    format!(
        "{cpu}, {cores} cores, {system}; load {load_before:.1} before, {load_after:.1} after\n{warning}"
    )
}

/// What standing agents take, for people.
#[must_use]
pub fn density_table(density: &Density) -> String {
    let mut text = head(&density.machine);
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / MIB);
    let _ = writeln!(
        text,
        "{} agents; a fleet of one takes {}, and {} once it was asked\n\n\
         {:<12} {:>12} {:>12} {:>13}",
        density.agents,
        mib(density.base_bytes),
        mib(density.base_asked_bytes),
        "agents",
        "all of them",
        "one",
        "in a GiB"
    );
    let rows = [
        ("never asked", density.idle_bytes, density.idle_agent_bytes, density.idle_per_gib),
        (
            "hibernated",
            density.hibernated_bytes,
            density.hibernated_agent_bytes,
            density.hibernated_per_gib,
        ),
    ];
    for (name, all, one, in_a_gib) in rows {
        let one = format!("{:.1} KiB", one / 1024.0);
        let _ = writeln!(text, "{name:<12} {:>12} {one:>12} {:>13}", mib(all), thousands(in_a_gib));
    }
    text.push_str(
        "\nA hibernated agent has handled a message and written to its brain. Memory is VmRSS of the whole process.\n",
    );
    let order = &density.order;
    let ms = |ns: u64| format!("{:.2} ms", ns as f64 / 1e6);
    let firsts: Vec<_> = order.first_messages_ns.iter().map(|ns| ms(*ns)).collect();
    let _ = writeln!(
        text,
        "Woken one at a time, {} of each end: the first agents {}, the last ones {}, {:.2} times as long (medians).\n\
         First messages of each tenth, {} at once (medians): {}",
        order.woken,
        ms(order.first_ns),
        ms(order.last_ns),
        order.ratio,
        crate::density::ASKING,
        firsts.join(", ")
    );
    text
}

fn row(text: &mut String, tier: &TierReport, series: &Series) {
    let latency = |of: fn(&crate::Latency) -> u64| {
        series.latency.as_ref().map_or("-".to_owned(), |latency| time(of(latency) as f64))
    };
    let allocations = series.allocations.map_or("-".to_owned(), |n| format!("{n:.1}"));
    let _ = writeln!(
        text,
        "{:<2} {:<8} {:>7} {:>9} {:>19} {:>11} {:>9} {:>9} {:>9} {:>9} {:>7}",
        tier.letter,
        tier.tier,
        series.callers,
        time(series.ns.median),
        format!("{} - {}", time(series.ns.low), time(series.ns.high)),
        thousands(series.per_second),
        latency(|latency| latency.p50_ns),
        latency(|latency| latency.p99_ns),
        latency(|latency| latency.p999_ns),
        time(series.cpu_ns.median),
        allocations,
    );
}

/// A time with a unit that leaves three digits.
#[must_use]
pub fn time(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e4 => format!("{:.2} us", ns / 1e3),
        ns if ns < 1e6 => format!("{:.0} us", ns / 1e3),
        ns if ns < 1e7 => format!("{:.2} ms", ns / 1e6),
        ns if ns < 1e9 => format!("{:.0} ms", ns / 1e6),
        ns => format!("{:.2} s", ns / 1e9),
    }
}

/// A rate with its thousands apart.
#[must_use]
pub fn thousands(rate: f64) -> String {
    let digits = format!("{rate:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(thousands(1_234_567.4), "1,234,567");
        assert_eq!(thousands(12.0), "12");
        assert_eq!(
            (time(14.2), time(1_234.0), time(12_345.0)),
            ("14 ns".into(), "1.23 us".into(), "12 us".into())
        );
        assert_eq!((time(5e6), time(2.5e9)), ("5.00 ms".into(), "2.50 s".into()));
    }
}
