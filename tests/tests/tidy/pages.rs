//! Every error code has a page in docs/errors, and every page a code.
//!
//! Codes are found where the sources make them: in bodies of `fn code`, behind `Failure::new(`, `CliError::new(` and their
//! like, and as strings of a letter and three digits.

use crate::none;
use crate::source::{Source, files, read};
use std::collections::{BTreeMap, BTreeSet};

/// Calls whose first string is a code.
const MAKERS: [&str; 6] = [
    "Failure::new(",
    "Failure::retryable(",
    "CliError::new(",
    "Failed::host(",
    "Failed::environment(",
    "refuse(",
];

/// Pages beyond the codes in the sources.
const MORE_PAGES: [&str; 1] = ["README"];

/// Where each code of the sources stands.
fn codes() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for source in files("", ".rs") {
        if !source.path.contains("/src/") || source.is_test() || ours_not(&source.path) {
            continue;
        }
        for code in in_source(&source) {
            found.entry(code).or_insert_with(|| source.path.clone());
        }
    }
    found
}

/// Guests fail in words of their own, and the test kits quote codes.
fn ours_not(path: &str) -> bool {
    ["agents/guests/", "agents/sdk/", "tests/", "benches/src/", "benches/benches/"]
        .iter()
        .any(|folder| path.starts_with(folder))
        || path.contains("/kit/")
}

fn in_source(source: &Source) -> BTreeSet<String> {
    let (text, shipped) = (&source.text, source.shipped());
    let mut found = BTreeSet::new();
    for maker in MAKERS {
        for (at, _) in shipped.match_indices(maker) {
            let behind = text[at + maker.len()..].trim_start();
            found.extend(
                behind.strip_prefix('"').and_then(|rest| rest.split('"').next()).map(String::from),
            );
        }
    }
    for (at, _) in shipped.match_indices("fn code(") {
        found.extend(strings(text, at, body_end(&shipped, at)));
    }
    let quoted = strings(text, 0, text.len()).into_iter().filter(|word| numbered(word));
    // Only what is shipped: a test may name a code that no longer exists, and is then wrong by itself.
    found.extend(quoted.filter(|code| {
        let quote = format!("\"{code}\"");
        text.match_indices(&quote).any(|(at, _)| !is_hole(&shipped, text, at))
    }));
    found.retain(|code| is_code(code));
    found
}

/// Whether the place was blanked together with its whole line: a test's or a comment's.
fn is_hole(shipped: &str, text: &str, at: usize) -> bool {
    let start = text[..at].rfind('\n').map_or(0, |n| n + 1);
    let end = text[at..].find('\n').map_or(text.len(), |n| at + n);
    shipped[start..end].trim().is_empty()
}

/// The end of the function's body that begins behind `at`.
fn body_end(code: &str, at: usize) -> usize {
    let mut depth = 0_usize;
    for (n, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return n,
            b'}' => depth = depth.saturating_sub(1),
            b';' if depth == 0 => return n,
            _ => {}
        }
    }
    code.len()
}

/// Strings on one line between two places of the text.
fn strings(text: &str, from: usize, to: usize) -> Vec<String> {
    let lines = text[from..to].lines().filter(|line| !line.trim_start().starts_with("//"));
    lines
        .flat_map(|line| line.split('"').skip(1).step_by(2).map(String::from).collect::<Vec<_>>())
        .collect()
}

/// A letter and three digits.
fn numbered(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() == 4 && bytes[0].is_ascii_uppercase() && bytes[1..].iter().all(u8::is_ascii_digit)
}

fn is_code(word: &str) -> bool {
    let snake = !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    numbered(word) || (snake && word.len() > 1)
}

fn pages() -> BTreeMap<String, String> {
    let named = |source: Source| {
        let stem = source.path.rsplit('/').next().unwrap().trim_end_matches(".md").to_owned();
        (stem, source.text)
    };
    files("docs/errors", ".md").into_iter().map(named).collect()
}

#[test]
fn every_code_has_a_page() {
    let (codes, pages) = (codes(), pages());
    for known in [
        "K003",
        "L101",
        "M005",
        "S001",
        "out_of_scope",
        "overloaded",
        "guest_trap",
        "bad_name",
        "C001",
    ] {
        assert!(codes.contains_key(known), "the scan no longer finds {known}");
    }
    let missing = codes.iter().filter(|(code, _)| !pages.contains_key(*code));
    let missing = missing.map(|(code, path)| format!("docs/errors/{code}.md ({path})")).collect();
    none("`loket explain` has a page for every code", missing);
}

#[test]
fn every_page_has_a_code() {
    let codes = codes();
    let mut literals = String::new();
    for source in files("", ".rs") {
        if source.path.contains("/src/") && !source.is_test() && !ours_not(&source.path) {
            literals.push_str(&source.text);
        }
    }
    // Some codes are chosen among several and only then given to a maker: a literal is enough.
    let made = |code: &str| codes.contains_key(code) || literals.contains(&format!("\"{code}\""));
    // Findings of `check` are held to their pages by supervision's own tests.
    let finding = |code: &str| numbered(code) && (code.starts_with('E') || code.starts_with('W'));
    let stale =
        |code: &String| !made(code) && !finding(code) && !MORE_PAGES.contains(&code.as_str());
    none("no page outlives its code", pages().into_keys().filter(stale).collect());
}

#[test]
fn a_page_says_what_and_what_to_do() {
    let mut wrong = Vec::new();
    for (code, text) in pages() {
        if MORE_PAGES.contains(&code.as_str()) {
            continue;
        }
        let title = text.lines().next().unwrap_or_default();
        if !title.starts_with(&format!("# {code}: ")) || title.len() > 100 {
            wrong.push(format!("{code}.md: the first line is `# {code}: title`"));
        }
        if !text.contains("What to do:") {
            wrong.push(format!("{code}.md: `What to do:` is missing"));
        }
        if text.lines().count() > 40 {
            wrong.push(format!("{code}.md: a page is short"));
        }
    }
    none("a page has a title and says what to do", wrong);
}

#[test]
fn every_exit_code_is_in_the_readme() {
    let (exits, readme) = (read("cli/src/exit.rs"), read("docs/errors/README.md"));
    let mut wrong = Vec::new();
    let mut seen = 0;
    for line in exits.lines().filter(|line| line.contains(": Code = Code(")) {
        let number = line.split("Code(").nth(1).and_then(|rest| rest.split(')').next()).unwrap();
        seen += 1;
        if !readme.contains(&format!("| {number} |")) {
            wrong.push(format!("exit code {number}"));
        }
    }
    assert!(seen > 5, "the scan finds {seen} exit codes");
    none("docs/errors/README.md lists every exit code as `| N |`", wrong);
}
