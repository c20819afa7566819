//! What the documents name is there: tests, files, links, crates.

use crate::none;
use crate::source::{files, read, root};
use std::collections::BTreeSet;

/// Names of all tests by file: every `fn` behind `#[test]`, and what stands alone on a line of `rules! {}`, which makes one
/// test of each.
fn tests() -> Vec<(String, BTreeSet<String>)> {
    let functions = |text: &str| -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let (mut awaited, mut listed) = (false, false);
        for line in text.lines().map(str::trim) {
            listed = line == "rules! {" || (listed && line != "}");
            if let (true, Some(name)) = (listed, line.strip_suffix(',')) {
                found.insert(name.to_owned());
            }
            awaited |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            let name = line.strip_prefix("fn ").or_else(|| line.strip_prefix("async fn "));
            if let (true, Some(name)) = (awaited, name) {
                let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                found.extend(end.map(|end| name[..end].to_owned()));
                awaited = false;
            }
        }
        found
    };
    let all = files("", ".rs").into_iter().map(|source| (source.path, functions(&source.text)));
    all.filter(|(_, names)| !names.is_empty()).collect()
}

/// `path.rs::name`, `path::name` and `path.sh` between backticks.
fn references(text: &str) -> BTreeSet<String> {
    let between =
        text.split('`').skip(1).step_by(2).filter(|word| !word.contains(char::is_whitespace));
    between.map(str::to_owned).collect()
}

/// The names of tests that a document gives as `file.rs::name`.
fn check_tests_of(document: &str, at_least: usize) {
    let known = tests();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for word in references(&read(document)) {
        let Some((path, name)) = word.split_once(".rs::") else { continue };
        seen += 1;
        let path = format!("{path}.rs");
        let name = name.rsplit("::").next().unwrap();
        if !known.iter().any(|(file, names)| *file == path && names.contains(name)) {
            wrong.push(format!("{document}: {word}"));
        }
    }
    assert!(seen >= at_least, "{document} names only {seen} tests as `file.rs::name`");
    none("a document names tests that exist", wrong);
}

#[test]
fn promises_name_tests_that_exist() {
    check_tests_of("PROMISES.md", 20);
}

#[test]
fn every_promise_names_its_test() {
    let text = read("PROMISES.md");
    let promised = text.split("\n## What we do not promise").next().unwrap();
    let mut wrong = Vec::new();
    for promise in promised.split("\n### ").skip(1) {
        let title = promise.lines().next().unwrap_or_default();
        let held =
            promise.contains("Held by:") && (promise.contains(".rs::") || promise.contains(".sh`"));
        if !held || !promise.contains("Limits:") {
            wrong.push(title.to_owned());
        }
    }
    assert!(promised.matches("\n### ").count() > 10, "PROMISES.md has lost its promises");
    none("each promise has `Limits:` and `Held by:` with a test", wrong);
}

#[test]
fn the_architecture_names_tests_that_exist() {
    check_tests_of("ARCHITECTURE.md", 16);
}

#[test]
fn the_architecture_has_a_section_for_every_crate() {
    let text = read("ARCHITECTURE.md");
    let mut wrong = Vec::new();
    for manifest in files("", "Cargo.toml") {
        let Some(name) =
            manifest.text.lines().find_map(|line| line.strip_prefix("name = \"loket-"))
        else {
            continue;
        };
        let folder = manifest.path.trim_end_matches("/Cargo.toml");
        if manifest.path.starts_with("agents/guests") || manifest.path.starts_with("agents/sdk") {
            continue;
        }
        let Some(section) =
            text.split("\n### ").skip(1).find(|s| s.starts_with(&format!("`{folder}`")))
        else {
            wrong.push(format!("no section `### `{folder}``"));
            continue;
        };
        if !section.contains("Never knows:") || !section.contains(".rs::") {
            wrong.push(format!("{folder} (loket-{name}: no `Never knows:` with its test"));
        }
    }
    none("the code map has each crate with what it never knows", wrong);
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for page in files("", ".md") {
        let folder = root().join(&page.path).parent().unwrap().to_path_buf();
        for (at, _) in page.text.match_indices("](") {
            let target = page.text[at + 2..].split(')').next().unwrap();
            let file = target.split('#').next().unwrap();
            let elsewhere = file.is_empty() || file.contains("://") || file.contains(' ');
            if !elsewhere && !folder.join(file).exists() {
                wrong.push(format!("{}: {target}", page.path));
            }
        }
    }
    none("a link in a document leads to a file of the checkout", wrong);
}

#[test]
fn files_that_the_documents_name_exist() {
    let mut wrong = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md", "PROMISES.md"] {
        for word in references(&read(document)) {
            let path = word.split("::").next().unwrap();
            let is_path = path.contains('/')
                && [".rs", ".sh", ".md", ".ron", ".toml", ".wit", ".json"]
                    .iter()
                    .any(|end| path.ends_with(end));
            let generic = path.contains(['*', '{', '<', 'N']) && !root().join(path).exists();
            if is_path && !generic && !path.contains("://") && !root().join(path).exists() {
                wrong.push(format!("{document}: {path}"));
            }
        }
    }
    none("a document names files that exist", wrong);
}

/// Documents that somebody had beside the checkout. Put together here, so that this file is no finding of its own.
const ELSEWHERE: [&str; 5] = [
    concat!("DESIGN", ".md"),
    concat!("(DES", "IGN"),
    concat!("turns", ".md"),
    concat!("spe", "cs/"),
    concat!("../sha", "red"),
];

#[test]
fn no_file_points_to_a_document_that_is_not_here() {
    let mut wrong = Vec::new();
    for source in
        [files("", ".rs"), files("", ".md"), files("", ".toml"), files("", ".sh")].concat()
    {
        for (n, line) in source.text.lines().enumerate() {
            if let Some(word) = ELSEWHERE.iter().find(|word| line.contains(**word)) {
                wrong.push(format!("{}:{}: {word}", source.path, n + 1));
            }
        }
    }
    none("rules are named by their number in docs/how-it-works.md", wrong);
}

#[test]
fn the_root_has_what_a_stranger_looks_for() {
    for (path, holds) in [
        ("LICENSE", "Apache License"),
        ("README.md", "cargo test --workspace"),
        ("CHANGELOG.md", "kernel 1:"),
        ("ARCHITECTURE.md", "Never knows:"),
        ("PROMISES.md", "What we do not promise"),
        (".ci/run", "set -euo pipefail"),
        ("clippy.toml", "disallowed-methods"),
    ] {
        assert!(read(path).contains(holds), "{path} holds {holds:?}");
    }
}
