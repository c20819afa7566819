//! Every metric is declared and described in one `metrics.rs` per crate, and listed for users in docs/metrics.md.

use crate::none;
use crate::source::{files, read};
use std::collections::BTreeSet;

/// `"loket_..."` in this text: names between quotes that look like a metric's.
fn names(text: &str, open: char, close: char) -> BTreeSet<String> {
    let part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.match_indices(&format!("{open}loket_"))
        .filter_map(|(at, _)| {
            let rest = &text[at + 1..];
            let name: String = rest.chars().take_while(|c| part(*c)).collect();
            rest[name.len()..].starts_with(close).then_some(name)
        })
        .collect()
}

/// All metrics.rs files that are part of the binary.
fn declared() -> BTreeSet<String> {
    let all =
        files("", "metrics.rs").into_iter().filter(|source| !source.path.starts_with("tests/"));
    all.flat_map(|source| names(&source.text, '"', '"')).collect()
}

#[test]
fn every_metric_is_listed_for_users() {
    let documented = names(&read("docs/metrics.md"), '`', '`');
    let declared = declared();
    assert!(declared.len() > 10, "{declared:?}");
    let missing =
        declared.difference(&documented).map(|name| format!("docs/metrics.md lacks {name}"));
    let stale = documented.difference(&declared).map(|name| format!("no code has {name}"));
    none("docs/metrics.md lists what is exported", missing.chain(stale).collect());
}

/// Of each `metrics.rs`: its path, and every metric with its name, its kind if it is described, and its constant.
fn constants() -> Vec<(String, String, Option<&'static str>, String)> {
    let mut found = Vec::new();
    for source in files("", "metrics.rs").into_iter().filter(|s| !s.path.starts_with("tests/")) {
        let squeezed: String = source.text.split_whitespace().collect();
        for (at, _) in squeezed.match_indices(":&str=\"loket_") {
            let start = squeezed[..at].rfind("const").unwrap() + "const".len();
            let constant = squeezed[start..at].to_owned();
            let name = squeezed[at + ":&str=\"".len()..].split('"').next().unwrap().to_owned();
            let kinds = ["counter", "gauge", "histogram"].into_iter();
            let mut kinds = kinds
                .filter(|kind| squeezed.contains(&format!("describe_{kind}!({constant},Unit::")));
            found.push((source.path.clone(), name, kinds.next(), constant));
        }
    }
    assert!(found.len() > 10, "{found:?}");
    found
}

#[test]
fn every_metric_is_described_where_it_is_declared() {
    let bare = constants().into_iter().filter(|(_, _, kind, _)| kind.is_none());
    let wrong = bare.map(|(path, name, ..)| format!("{path}: {name} has no unit and help"));
    none("a metric is described with unit and help beside its name", wrong.collect());
}

#[test]
fn metric_names_stand_in_metrics_files_only() {
    let mut wrong = Vec::new();
    for source in files("", ".rs") {
        if source.path.ends_with("metrics.rs") || source.is_test() || !source.path.contains("/src/")
        {
            continue;
        }
        let text = &source.text;
        let made = ["counter!(\"", "gauge!(\"", "histogram!(\""];
        wrong.extend(
            made.iter().filter(|m| text.contains(**m)).map(|m| format!("{}: {m}", source.path)),
        );
        let known = declared();
        wrong.extend(
            names(text, '"', '"').intersection(&known).map(|n| format!("{}: {n}", source.path)),
        );
    }
    none("a metric's name is a constant of metrics.rs", wrong);
}

#[test]
fn names_end_with_their_unit() {
    let units = ["_seconds", "_nanoseconds", "_bytes", "_size"];
    let odd = |(_, name, kind, _): &(String, String, Option<&str>, String)| match kind {
        Some("counter") => !name.ends_with("_total") && !name.ends_with("_high_water"),
        Some("histogram") => !units.iter().any(|unit| name.ends_with(unit)),
        _ => name.ends_with("_total"),
    };
    let wrong = constants().into_iter().filter(odd).map(|(_, name, ..)| name).collect();
    none(
        "a counter ends with `_total` or `_high_water`, a histogram with its unit, a gauge with neither",
        wrong,
    );
}
