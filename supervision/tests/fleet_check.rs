//! Every code of `check`, by files: `tests/fleets/CODE.bad.ron` triggers it, `.good.ron` does not.
//!
//! A finding is expected where a comment line below its line points at it: `//   ^ E101`. The
//! caret's column is the finding's. What is found and what is marked must be the same, exactly.
//! A first line `// set: name=value` is a `--set`.
#![allow(clippy::unwrap_used, missing_docs)]

mod fleet_world;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fleet_world::World;
use loket_supervision::fleet::{self, Finding, Fleet};

fn parse(text: &str) -> (Option<Fleet>, Vec<Finding>) {
    let set = text.lines().next().and_then(|l| l.strip_prefix("// set: "));
    let sets: Vec<(String, String)> = set
        .and_then(|s| s.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into_iter()
        .collect();
    match fleet::parse(text, "test.ron", &sets, &World) {
        Ok((fleet, warnings)) => (Some(fleet), warnings),
        Err(findings) => (None, findings),
    }
}

/// Marks in the text: code, line, column.
fn marked(text: &str) -> Vec<(String, u32, u32)> {
    let mut all = Vec::new();
    let mut line_of_code = 0;
    for (index, line) in text.lines().enumerate() {
        match line.trim_start().strip_prefix("//").zip(line.find('^')) {
            Some((_, caret)) => {
                let code = line[caret..].trim_start_matches('^').trim();
                let column = line[..caret].chars().count() + 1;
                all.push((code.to_owned(), line_of_code, u32::try_from(column).unwrap()));
            }
            None => line_of_code = u32::try_from(index).unwrap() + 1,
        }
    }
    all.sort();
    all
}

/// The one check: the findings are those that are marked, and the fleet exists without errors.
fn check(name: &str, text: &str) {
    let expect = marked(text);
    let (fleet, findings) = parse(text);
    let shown: String = findings.iter().map(ToString::to_string).collect();
    let mut found: Vec<(String, u32, u32)> =
        findings.iter().map(|f| (f.code.to_owned(), f.line, f.column)).collect();
    found.sort();
    assert_eq!(found, expect, "{name}: found, and marked\n{shown}");
    let errors = findings.iter().any(Finding::is_error);
    assert_eq!(fleet.is_some(), !errors, "{name}: a fleet exactly when there is no error");
    for finding in &findings {
        let page = fleet::explain(finding.code);
        assert!(page.is_some_and(|p| p.starts_with(&format!("# {}", finding.code))), "{name}");
        assert!(!finding.message.is_empty() && !finding.help.is_empty(), "{name}: {finding}");
        // Advice for who writes a program that reads RON is none for who writes a fleet file.
        assert!(!finding.message.contains("recursion"), "{name}: {finding}");
    }
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleets");
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    all
}

#[test]
fn every_file_gives_exactly_what_it_marks() {
    // All files are tried, so that one run shows every difference.
    let mut failed = Vec::new();
    for path in files() {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        if std::panic::catch_unwind(|| check(&name, &text)).is_err() {
            failed.push(name);
        }
    }
    assert_eq!(failed, Vec::<String>::new());
}

#[test]
fn every_code_has_a_file_that_triggers_it_and_one_that_does_not() {
    let mut bad = BTreeSet::new();
    let mut good = BTreeSet::new();
    for path in files() {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let (code, rest) = name.split_once('.').unwrap();
        let has = marked(&text).iter().any(|(marked, ..)| marked == code);
        match rest {
            "bad.ron" if has => bad.insert(code.to_owned()),
            "good.ron" if !has => good.insert(code.to_owned()),
            _ => panic!("{name} is not what its name says"),
        };
    }
    let codes: BTreeSet<String> = fleet::codes().map(str::to_owned).collect();
    assert_eq!(bad, codes);
    assert_eq!(good, codes);
}

#[test]
fn pages_say_what_why_and_what_to_do() {
    for code in fleet::codes() {
        let page = fleet::explain(code).unwrap();
        assert!(page.lines().count() >= 5, "{code}");
        assert!(page.contains("What to do"), "{code}");
    }
    assert_eq!(fleet::explain("E999"), None);
}

/// The codes of the catalogue that `check` follows.
fn catalogue() -> BTreeSet<String> {
    let ranges =
        [("E", 1..=8), ("E", 101..=112), ("E", 201..=213), ("E", 301..=308), ("W", 401..=426)];
    let codes =
        ranges.into_iter().flat_map(|(letter, numbers): (&str, std::ops::RangeInclusive<u32>)| {
            numbers.map(move |number| format!("{letter}{number:03}"))
        });
    codes.collect()
}

#[test]
fn every_code_of_the_catalogue_is_a_finding_or_a_row_that_says_why_not() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors/README.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, table) = page.split_once("\n## Findings that `check` does not make\n").unwrap();
    let mut rows = BTreeSet::new();
    for line in table.split("\n## ").next().unwrap().lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        if let [_, code, what, why, _] = cells[..]
            && catalogue().contains(code)
        {
            assert!(what.len() > 10 && why.len() > 10, "{line}");
            assert!(rows.insert(code.to_owned()), "{code} stands there twice");
        }
    }
    let found: BTreeSet<String> = fleet::codes().map(str::to_owned).collect();
    let both: Vec<_> = rows.intersection(&found).collect();
    assert_eq!(both, Vec::<&String>::new(), "a finding needs no reason why not");
    let covered: BTreeSet<String> = rows.union(&found).cloned().collect();
    let missing: Vec<_> = catalogue().difference(&covered).cloned().collect();
    assert_eq!(missing, Vec::<String>::new());
}
