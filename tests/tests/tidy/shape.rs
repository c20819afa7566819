//! The shape of the files: small, headed, without `unsafe`, without leftovers, without a word about one machine.

use crate::none;
use crate::source::{Source, files, lines_with, read};

/// A file that is longer than this has two subjects.
const FILE_LINES_MAX: usize = 400;
/// A line of code, its strings not counted: what rustfmt keeps to.
const CODE_CHARS_MAX: usize = 100;
/// A line with prose in it, be it a comment or a string.
const LINE_CHARS_MAX: usize = 136;

/// Longer files, each with the reason why its parts belong together.
const LONG_FILES: [(&str, &str); 0] = [];

/// The only files that may say `unsafe`, and why it is needed there.
const UNSAFE_FILES: [(&str, &str); 5] = [
    (
        "agents/host/src/engine/precompiled.rs",
        "machine code from the verified cache becomes a module",
    ),
    (
        "agents/sdk/rust/src/abi.rs",
        "a guest's memory is its interface: pointers come from the host",
    ),
    ("agents/sdk/rust/src/room.rs", "an allocator gives memory out"),
    ("kernel/tests/allocations.rs", "counting allocations takes an allocator"),
    (
        "tests/sim/src/disk.rs",
        "a simulated disk stands in for `fsync`, which is a symbol of the C library",
    ),
];

/// Our Rust, guests and SDK included; vendored and built files are not.
fn rust() -> Vec<Source> {
    let all = files("", ".rs");
    assert!(all.len() > 100, "{} files: the walk is broken", all.len());
    all
}

#[test]
fn files_are_short() {
    let mut wrong = Vec::new();
    for source in rust() {
        let lines = source.text.lines().count();
        let listed = LONG_FILES.iter().any(|(path, _)| *path == source.path);
        if lines > FILE_LINES_MAX && !listed {
            wrong.push(format!("{} has {lines} lines", source.path));
        }
        if lines <= FILE_LINES_MAX && listed {
            wrong.push(format!("{} is short now: take it off the list", source.path));
        }
    }
    none(&format!("a file has at most {FILE_LINES_MAX} lines, or a reason in shape.rs"), wrong);
}

#[test]
fn lines_are_short() {
    let mut wrong = Vec::new();
    for source in rust() {
        let code = source.code();
        for (n, (line, code)) in source.text.lines().zip(code.lines()).enumerate() {
            let kept = line.bytes().zip(code.trim_end().bytes()).filter(|(a, b)| a == b).count();
            if line.chars().count() > LINE_CHARS_MAX || kept > CODE_CHARS_MAX {
                wrong.push(format!("{}:{}", source.path, n + 1));
            }
        }
    }
    let rule =
        format!("{CODE_CHARS_MAX} characters of code in a line, {LINE_CHARS_MAX} with prose");
    none(&rule, wrong);
}

#[test]
fn every_file_says_first_what_it_is() {
    let headless = |source: &Source| {
        let first = source.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        !first.starts_with("//!") || first.len() < 12
    };
    let wrong = rust().into_iter().filter(headless).map(|source| source.path).collect();
    none("a file begins with `//!`: what it is, what it must never do", wrong);
}

#[test]
fn unsafe_stays_in_the_files_that_need_it() {
    let mut wrong = Vec::new();
    for source in rust() {
        let code = source.code();
        let mut lines = lines_with(&code, "unsafe");
        lines.extend(lines_with(&code, "unsafe_code").into_iter().filter(|n| {
            let line = code.lines().nth(n - 1).unwrap_or_default();
            !line.contains("forbid") && !line.contains("deny")
        }));
        let listed = UNSAFE_FILES.iter().any(|(path, _)| *path == source.path);
        if !listed {
            wrong.extend(lines.iter().map(|line| format!("{}:{line}", source.path)));
        } else if lines.is_empty() {
            wrong.push(format!("{} needs none any more: take it off the list", source.path));
        }
    }
    none("`unsafe` only in the files that shape.rs lists with a reason", wrong);
}

#[test]
fn every_crate_is_under_the_common_lints() {
    let root = read("Cargo.toml");
    for lint in [
        "unsafe_code = \"deny\"",
        "disallowed_methods = \"deny\"",
        "disallowed_types = \"deny\"",
        "unwrap_used = \"warn\"",
        "too_many_lines = \"warn\"",
        "todo = \"deny\"",
    ] {
        assert!(root.contains(lint), "the workspace's lints have `{lint}`");
    }
    let mut wrong = Vec::new();
    for manifest in files("", "Cargo.toml") {
        let crate_of_ours =
            manifest.text.contains("[package]") && !manifest.path.starts_with("agents/sdk");
        if crate_of_ours && !manifest.text.contains("[lints]\nworkspace = true") {
            wrong.push(manifest.path);
        }
    }
    none("every manifest takes the workspace's lints", wrong);
    let kernel = read("kernel/src/lib.rs");
    assert!(kernel.contains("#![forbid(unsafe_code)]"), "the kernel forbids unsafe code itself");
}

#[test]
fn one_table_names_all_versions() {
    let mut wrong = Vec::new();
    for manifest in files("", "Cargo.toml") {
        let apart = ["agents/guests", "agents/sdk", "benches/peers", "fuzz"];
        let apart = apart.iter().any(|folder| manifest.path.starts_with(folder));
        if apart || manifest.path == "Cargo.toml" {
            continue;
        }
        let mut in_dependencies = false;
        for line in manifest.text.lines() {
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies");
            } else if in_dependencies && line.contains('=') && !line.contains("workspace = true") {
                wrong.push(format!("{}: {line}", manifest.path));
            }
        }
    }
    none("versions stand in the workspace's table only", wrong);
}

/// Words that mean "not done", in comments and prose. Put together here, so that this file is no finding of its own.
const LEFTOVERS: [&str; 4] =
    [concat!("TO", "DO:"), concat!("FIX", "ME"), concat!("XX", "X:"), concat!("HA", "CK:")];

#[test]
fn nothing_is_left_for_later() {
    let mut wrong = Vec::new();
    for source in rust() {
        let code = source.code();
        for word in ["todo!", "unimplemented!", "dbg!"] {
            wrong.extend(
                lines_with(&code, word).iter().map(|n| format!("{}:{n}: {word}", source.path)),
            );
        }
        for (n, line) in source.text.lines().enumerate() {
            // A constant of this name is code; what stands behind `//` is a promise.
            let comment = line.find("//").map_or("", |at| &line[at..]);
            let empty =
                ["To come.", "Placeholder."].iter().any(|word| line == format!("//! {word}"));
            if empty || LEFTOVERS.iter().any(|word| comment.contains(word)) {
                wrong.push(format!("{}:{}: {}", source.path, n + 1, line.trim()));
            }
        }
    }
    none("no leftovers: what is missing is an issue, not a comment", wrong);
}

/// Servers that a mirror replaces, and folders of one machine.
const FOREIGN: [&str; 9] = [
    concat!("crates", ".io"),
    concat!("static.rust", "-lang.org"),
    concat!("registry.npm", "js.org"),
    concat!("pypi", ".org"),
    concat!("proxy.golang", ".org"),
    concat!("deb.debian", ".org"),
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
];

#[test]
fn no_file_names_a_registry_or_a_folder_of_one_machine() {
    let mut wrong = Vec::new();
    for ending in [".rs", ".toml", ".md", ".sh", ".ron", ".wat", ".wit", "run"] {
        for source in files("", ending) {
            for (n, line) in source.text.lines().enumerate() {
                if let Some(word) = FOREIGN.iter().find(|word| line.contains(**word)) {
                    wrong.push(format!("{}:{}: {word}", source.path, n + 1));
                }
            }
        }
    }
    none("a checkout works anywhere and names no registry", wrong);
}
