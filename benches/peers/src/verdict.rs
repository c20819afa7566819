//! Puts what `benches/compare.sh` has collected side by side: medians, ranges, ratios, and for each target whether it is met.
//!
//! A ratio is taken round by round, of figures that were measured seconds apart, and then the median of the rounds: what disturbed a
//! whole round disturbed both sides of it. Start reading at [`verdict`].

use crate::stats::Spread;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// A figure of each round, by what it is of.
type Rows = BTreeMap<String, Vec<Option<f64>>>;

/// What a target compares.
enum Of {
    /// One figure, as many times another.
    Ratio(&'static str, Base),
    /// One figure by itself.
    Plain(&'static str),
}

/// What a figure is measured by.
enum Base {
    One(&'static str),
    /// The best of all figures whose names begin so.
    Best(&'static str),
}

struct Target {
    text: &'static str,
    of: Of,
    /// What is met: at most, or at least.
    at_most: bool,
    bound: f64,
}

const fn at_most(text: &'static str, of: Of, bound: f64) -> Target {
    Target { text, of, at_most: true, bound }
}

const fn at_least(text: &'static str, of: Of, bound: f64) -> Target {
    Target { text, of, at_most: false, bound }
}

const ACTIX: Base = Base::Best("1: actix");

const TARGETS: [Target; 16] = [
    at_most("(c) / actix forward, best", Of::Ratio("1: loket native", ACTIX), 1.0),
    at_most("(c') / actix forward, best", Of::Ratio("1: loket guest", ACTIX), 1.5),
    at_most(
        "(c') / BEAM gen_server:call forwarded",
        Of::Ratio("1: loket guest", Base::One("1: BEAM gen_server:call")),
        0.4,
    ),
    at_most(
        "(d) many / tokio across two threads, many",
        Of::Ratio("many: loket cross", Base::One("many: tokio across two threads")),
        1.2,
    ),
    at_most(
        "time of a call, two lanes / one lane, many (1 / 1.6)",
        Of::Ratio("many: loket lanes", Base::One("many: loket native")),
        0.625,
    ),
    at_most(
        "(c) with 4 KiB / with 64 bytes",
        Of::Ratio("1: loket native, 4 KiB", Base::One("1: loket native")),
        2.0,
    ),
    at_most("a turn at Process, many, ns (20,000/s)", Of::Plain("many: loket process"), 50_000.0),
    at_most(
        "a turn at Power / at Process, many (1 / 0.7)",
        Of::Ratio("many: loket power", Base::One("many: loket process")),
        1.4286,
    ),
    at_least(
        "fsync of a brain a turn / a turn at Power, many",
        Of::Ratio("1: fsync of a brain a turn, two threads", Base::One("many: loket power")),
        4.0,
    ),
    at_least(
        "fsync of a bare file a turn / a turn at Power (no target)",
        Of::Ratio("1: fsync of a file a turn, two threads", Base::One("many: loket power")),
        f64::NEG_INFINITY,
    ),
    at_most("admission, hot, allowed, ns", Of::Plain("admit: hot, allowed"), 60.0),
    at_most("admission, hot, no grant, ns", Of::Plain("admit: hot, no grant"), 60.0),
    at_most("admission, hot, unknown, ns", Of::Plain("admit: hot, unknown capability"), 60.0),
    at_most(
        "admission, random over 10^6 grants, ns",
        Of::Plain("admit: random over 10^6 grants, allowed"),
        200.0,
    ),
    at_most(
        "(c) with metrics / without",
        Of::Ratio("path: call", Base::One("path: call-bare")),
        1.05,
    ),
    at_most(
        "(c) in place / through the queues (no target)",
        Of::Ratio("1: loket native", Base::One("1: loket native, queued")),
        f64::INFINITY,
    ),
];

/// The text of the verdict on what lies in `folder`.
pub(crate) fn verdict(folder: &Path) -> Result<String, String> {
    let (rows, rounds) = collect(folder)?;
    if rounds == 0 {
        return Err(format!("{} has no round-1; run benches/compare.sh", folder.display()));
    }
    let mut out = String::new();
    let _ = writeln!(out, "{rounds} rounds, interleaved; nanoseconds: median, least, most\n");
    for (name, figures) in &rows {
        let Some(spread) = Spread::of(figures.iter().flatten().copied().collect()) else {
            let _ = writeln!(out, "{name:<46} {:>12}", "not measured");
            continue;
        };
        let (least, most) = range(&spread.repeats);
        let _ = writeln!(out, "{name:<46} {:>12.1} {least:>12.1} {most:>12.1}", spread.median);
    }
    let _ = writeln!(out, "\ntargets: seen (least to most of the rounds), bound, verdict\n");
    for target in &TARGETS {
        let _ = writeln!(out, "{}", judge(target, &rows));
    }
    Ok(out.trim_end().to_owned())
}

fn range(values: &[f64]) -> (f64, f64) {
    let fold = |with: fn(f64, f64) -> f64, from| values.iter().copied().fold(from, with);
    (fold(f64::min, f64::INFINITY), fold(f64::max, f64::NEG_INFINITY))
}

fn judge(target: &Target, rows: &Rows) -> String {
    let Target { text, of, at_most, bound } = target;
    let seen = match of {
        Of::Plain(name) => rows.get(*name).map(|all| all.iter().flatten().copied().collect()),
        Of::Ratio(name, base) => rows.get(*name).map(|all| ratios(all, base, rows)),
    };
    let Some(spread) = seen.and_then(Spread::of) else {
        return format!("{text:<58} not measured");
    };
    let (least, most) = range(&spread.repeats);
    let met = if *at_most { spread.median <= *bound } else { spread.median >= *bound };
    let word = if bound.is_infinite() {
        "-"
    } else if met {
        "hit"
    } else {
        "MISS"
    };
    let sign = if *at_most { "<=" } else { ">=" };
    format!("{text:<58} {:>10.3} ({least:.3} to {most:.3}) {sign} {bound}: {word}", spread.median)
}

/// Round by round; a round that lacks one side is left out.
fn ratios(all: &[Option<f64>], base: &Base, rows: &Rows) -> Vec<f64> {
    let bases: Vec<&Vec<Option<f64>>> = match base {
        Base::One(name) => rows.get(*name).into_iter().collect(),
        Base::Best(prefix) => {
            // One variant for all rounds: the one with the best median.
            let of = rows.iter().filter(|(name, _)| name.starts_with(prefix));
            let median = |all: &[Option<f64>]| {
                Spread::of(all.iter().flatten().copied().collect()).map_or(f64::MAX, |s| s.median)
            };
            of.map(|(_, all)| all)
                .min_by(|a, b| median(a).total_cmp(&median(b)))
                .into_iter()
                .collect()
        }
    };
    let Some(base) = bases.first() else { return Vec::new() };
    all.iter().zip(base.iter()).filter_map(|(ours, base)| Some((*ours)? / (*base)?)).collect()
}

/// All figures of all rounds, and how many rounds there are.
fn collect(folder: &Path) -> Result<(Rows, usize), String> {
    let mut rows = Rows::new();
    let mut round = 0;
    while folder.join(format!("round-{}", round + 1)).is_dir() {
        let dir = folder.join(format!("round-{}", round + 1));
        let mut note = |name: String, ns: f64| {
            let row = rows.entry(name).or_default();
            row.resize(round, None);
            row.push(Some(ns));
        };
        peers(&dir.join("peers.json"), &mut note)?;
        let reports = [("path", ""), ("turns", ""), ("large", ", 4 KiB"), ("queued", ", queued")];
        for (file, suffix) in reports {
            tiers(&dir.join(format!("{file}.json")), suffix, &mut note)?;
        }
        lines(&dir.join("admit.txt"), "admit", &mut note)?;
        lines(&dir.join("call.txt"), "path", &mut note)?;
        round += 1;
    }
    for row in rows.values_mut() {
        row.resize(round, None);
    }
    Ok((rows, round))
}

fn json(file: &Path) -> Result<Option<Value>, String> {
    let Ok(text) = std::fs::read_to_string(file) else { return Ok(None) };
    let told = |error: serde_json::Error| format!("{}: {error}", file.display());
    serde_json::from_str(&text).map(Some).map_err(told)
}

fn peers(file: &Path, note: &mut dyn FnMut(String, f64)) -> Result<(), String> {
    let Some(said) = json(file)? else { return Ok(()) };
    for peer in said["peers"].as_array().into_iter().flatten() {
        let name = peer["peer"].as_str().unwrap_or("?");
        for (load, key) in [("1", "one_ns"), ("many", "many_ns")] {
            if let Some(ns) = peer[key].as_f64() {
                note(format!("{load}: {name}"), ns);
            }
        }
    }
    Ok(())
}

/// A report of `loket bench --json`.
fn tiers(file: &Path, suffix: &str, note: &mut dyn FnMut(String, f64)) -> Result<(), String> {
    let Some(said) = json(file)? else { return Ok(()) };
    for tier in said["tiers"].as_array().into_iter().flatten() {
        let name = tier["tier"].as_str().unwrap_or("?");
        for (load, key) in [("1", "one"), ("many", "many")] {
            if let Some(ns) = tier[key]["ns"]["median"].as_f64() {
                note(format!("{load}: loket {name}{suffix}"), ns);
            }
        }
    }
    Ok(())
}

/// Lines `what  12.3 ns ...`.
fn lines(file: &Path, prefix: &str, note: &mut dyn FnMut(String, f64)) -> Result<(), String> {
    let Ok(text) = std::fs::read_to_string(file) else { return Ok(()) };
    for line in text.lines() {
        let Some((before, _)) = line.split_once(" ns") else { continue };
        let Some((what, ns)) = before.trim_end().rsplit_once(' ') else { continue };
        let ns: f64 = ns.parse().map_err(|_| format!("{}: {line}", file.display()))?;
        note(format!("{prefix}: {}", what.trim().trim_end_matches(':')), ns);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(native: &[f64]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (at, ns) in native.iter().enumerate() {
            let dir = folder.path().join(format!("round-{}", at + 1));
            std::fs::create_dir(&dir).unwrap();
            let peers = r#"{"peers": [{"peer": "actix, slow", "one_ns": 900.0, "many_ns": 9.0},
                {"peer": "actix, fast", "one_ns": 400.0, "many_ns": null}]}"#;
            std::fs::write(dir.join("peers.json"), peers).unwrap();
            let path = format!(
                r#"{{"tiers": [{{"tier": "native", "one": {{"ns": {{"median": {ns}}}}}}}]}}"#
            );
            std::fs::write(dir.join("path.json"), path).unwrap();
            std::fs::write(
                dir.join("admit.txt"),
                "hot, allowed        41.5 ns  (with its loop 60)\n",
            )
            .unwrap();
        }
        folder
    }

    #[test]
    fn a_target_is_hit_or_missed_by_the_median_of_the_rounds_against_the_best_variant() {
        let said = verdict(folder(&[300.0, 390.0, 800.0]).path()).unwrap();
        let line = said.lines().find(|line| line.starts_with("(c) / actix")).unwrap();
        assert!(line.contains("0.975 (0.750 to 2.000) <= 1: hit"), "{line}");
        let said = verdict(folder(&[300.0, 410.0, 800.0]).path()).unwrap();
        let line = said.lines().find(|line| line.starts_with("(c) / actix")).unwrap();
        assert!(line.contains("1.025") && line.ends_with("MISS"), "{line}");
        assert!(said.contains("41.500 (41.500 to 41.500) <= 60: hit"), "{said}");
        let beam = said.lines().find(|line| line.contains("BEAM")).unwrap();
        assert!(beam.ends_with("not measured"), "{beam}");
    }

    #[test]
    fn a_folder_without_rounds_and_a_broken_file_are_told() {
        let empty = tempfile::tempdir().unwrap();
        assert!(verdict(empty.path()).unwrap_err().contains("no round-1"));
        let broken = folder(&[1.0]);
        std::fs::write(broken.path().join("round-1/path.json"), "{").unwrap();
        assert!(verdict(broken.path()).unwrap_err().contains("path.json"));
    }
}
