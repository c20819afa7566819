//! What the reference pages list is what the code has: capabilities with their classes and scope keys, commands with their options,
//! exit codes, and the index with all pages.

use crate::{documents, read};
use loket_contract::Operation;
use loket_turn::EffectClass;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const OPERATIONS: [&[Operation]; 8] = [
    loket_store::OPERATIONS,
    loket_time::OPERATIONS,
    loket_log::OPERATIONS,
    loket_fs::OPERATIONS,
    loket_llm::OPERATIONS,
    loket_agent::OPERATIONS,
    loket_chaos::OPERATIONS,
    loket_http::OPERATIONS,
];

/// The word of the class in docs/capabilities.md.
fn word(class: EffectClass) -> String {
    format!("{class:?}")
}

#[test]
fn every_capability_is_listed_with_its_class() {
    let page = read("docs/capabilities.md");
    let mut listed = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`');
        if name.contains('.') {
            let before = listed.insert(name.to_owned(), cells[2].to_owned());
            assert!(before.is_none(), "{name} is listed twice");
        }
    }
    let served = OPERATIONS.iter().flat_map(|operations| operations.iter());
    let served = served.map(|operation| (operation.capability.to_owned(), word(operation.class)));
    let served: BTreeMap<_, _> = served.collect();
    assert!(served.len() > 20, "{served:?}");
    assert_eq!(listed, served, "docs/capabilities.md against what the providers serve");
}

#[test]
fn every_scope_key_is_explained_where_its_provider_is() {
    let page = read("docs/capabilities.md");
    let sections: Vec<_> = page.split("\n## ").collect();
    for operation in OPERATIONS.iter().flat_map(|operations| operations.iter()) {
        let row = format!("| `{}` |", operation.capability);
        let section = sections.iter().find(|section| section.contains(&row)).unwrap();
        for key in operation.scope {
            let explained = section.lines().any(|line| {
                line.starts_with(&format!("* `{}`", key.name))
                    && line.contains("mandatory") == key.mandatory
            });
            assert!(explained, "{}: scope key {}", operation.capability, key.name);
        }
    }
}

fn help(words: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_loket")).args(words).arg("--help").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The first word of each line of a part of the help.
fn first_words(help: &str, part: &str) -> Vec<String> {
    let Some((_, rest)) = help.split_once(part) else { return Vec::new() };
    let lines = rest.lines().skip(1).take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

#[test]
fn every_command_and_option_is_on_its_page() {
    let page = read("docs/cli.md");
    let commands = first_words(&help(&[]), "Commands:");
    assert!(commands.len() >= 12, "{commands:?}");
    for command in commands {
        let head = format!("\n## {command}\n");
        let Some((_, section)) = page.split_once(&head) else {
            panic!("docs/cli.md has no section {head:?}")
        };
        let section = section.split("\n## ").next().unwrap();
        let options = first_words(&help(&[&command]), "Options:");
        let common = ["--json", "--data", "--help", "-h,"];
        let own = options.iter().filter(|option| option.starts_with('-'));
        for option in own.filter(|option| !common.contains(&option.as_str())) {
            assert!(section.contains(&format!("`{option}")), "docs/cli.md: {command} {option}");
        }
    }
}

/// Exit codes of the code, with `INTERRUPTED` of the console.
fn exit_codes() -> BTreeSet<u32> {
    let sources = read("cli/src/exit.rs") + &read("cli/src/node/console.rs");
    let lines = sources.lines().filter_map(|line| line.split(": Code = Code(").nth(1));
    lines.map(|rest| rest.split(')').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn the_exit_codes_are_the_codes() {
    let codes = exit_codes();
    assert!(codes.contains(&0) && codes.contains(&130), "{codes:?}");
    for page in ["docs/cli.md", "docs/errors/README.md"] {
        let text = read(page);
        let (_, section) = text.split_once("\n## Exit codes\n").unwrap();
        let section = section.split("\n## ").next().unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next());
        let listed: BTreeSet<u32> = rows.filter_map(|code| code.parse().ok()).collect();
        assert_eq!(listed, codes, "{page}");
    }
}

#[test]
fn the_index_lists_every_page() {
    let index = read("docs/README.md");
    for document in documents() {
        let name = document.strip_prefix("docs/").unwrap_or_default();
        let listed = name.is_empty() || name == "README.md" || index.contains(&format!("({name})"));
        assert!(listed, "docs/README.md does not list {name}");
    }
    assert!(index.contains("(errors/README.md)"));
}
