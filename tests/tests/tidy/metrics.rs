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

#[test]
fn every_metric_is_described_where_it_is_declared() {
    let mut wrong = Vec::new();
    for source in files("", "metrics.rs").iter().filter(|source| !source.path.starts_with("tests/"))
    {
        let consts =
            source.text.lines().filter(|line| line.contains("const ") && line.contains("\"loket_"));
        for line in consts {
            let name = line.split("const ").nth(1).unwrap().split(':').next().unwrap();
            let squeezed: String = source.text.split_whitespace().collect();
            let described = ["counter", "gauge", "histogram"]
                .iter()
                .any(|kind| squeezed.contains(&format!("describe_{kind}!({name},Unit::")));
            if !described {
                wrong.push(format!("{}: {name} has no unit and help", source.path));
            }
        }
    }
    none("a metric is described with unit and help beside its name", wrong);
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
    let ends = ["_total", "_seconds", "_bytes", "_nanoseconds", "_pages", "_size"];
    let counts_things = ["loket_running_guests", "loket_instances_live", "loket_brains_open"];
    let odd = |name: &String| {
        !ends.iter().any(|end| name.ends_with(end)) && !counts_things.contains(&name.as_str())
    };
    none("a metric's name ends with its unit", declared().into_iter().filter(odd).collect());
}
