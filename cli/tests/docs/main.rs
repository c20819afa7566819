//! The documents do what they say: each command of README.md and docs/*.md is run, in order, in a scratch copy, with the built `loket`.
//!
//! How a document is read, and which comments steer it, stands in `book.rs`; how it is run, in `play.rs`; what the reference pages
//! list is compared with the code in `lists.rs`.
#![allow(clippy::unwrap_used)]
#![expect(
    clippy::disallowed_methods,
    reason = "an outside process: nobody tells it anything, so it looks, and it has the machine's own clock"
)]

mod book;
mod lists;
mod play;

use std::fs;
use std::path::{Path, PathBuf};

/// The checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// README.md and docs/*.md.
fn documents() -> Vec<String> {
    let mut found = vec!["README.md".to_owned()];
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            found.push(format!("docs/{name}"));
        }
    }
    found.sort();
    found
}

fn check(document: &str) {
    let text = read(document);
    if let Err(wrong) = play::play(&book::read(&text).unwrap_or_else(|e| panic!("{document}: {e}")))
    {
        panic!("{document}: {wrong}");
    }
}

#[test]
fn the_readme_works() {
    check("README.md");
}

#[test]
fn getting_started_works() {
    check("docs/getting-started.md");
}

#[test]
fn the_page_of_the_command_line_works() {
    check("docs/cli.md");
}

#[test]
fn the_other_pages_work() {
    let own = ["README.md", "docs/getting-started.md", "docs/cli.md"];
    for document in documents().iter().filter(|path| !own.contains(&path.as_str())) {
        check(document);
    }
}

#[test]
fn the_pages_that_must_show_commands_do() {
    for (document, least) in
        [("README.md", 1), ("docs/getting-started.md", 10), ("docs/cli.md", 10)]
    {
        let book = book::read(&read(document)).unwrap();
        let run: usize = book.iter().map(|step| step.commands().len()).sum();
        assert!(run >= least, "{document} runs {run} commands");
    }
}

/// What a document that is wrong comes to.
fn fails(text: &str) -> String {
    match book::read(text).and_then(|book| play::play(&book)) {
        Ok(()) => panic!("this document passes:\n{text}"),
        Err(wrong) => wrong,
    }
}

#[test]
fn a_command_that_fails_is_found() {
    for (text, part) in [
        ("```sh\nloket chekc fleets/quickstart.ron\n```\n", "exit code 2"),
        ("```sh\nloket version\n```\n\n```text\nno such words\n```\n", "no such words"),
        ("<!-- exit 3 -->\n```sh\nloket version\n```\n", "exit code 0"),
        ("```sh\nloket tree\nloket version\n```\n", "exit code 69"),
        ("```bash\nloket version\n```\n", "bash"),
        ("<!-- exti 3 -->\n```sh\nloket version\n```\n", "exti"),
        ("<!-- not run -->\n```sh\ncargo build\n```\n", "why"),
        ("```sh\nloket version\n", "no end"),
        ("<!-- background -->\n```sh\nloket run fleets/quickstart.ron\n```\n", "shows when"),
        (
            "<!-- background -->\n```sh\nloket run none.ron\n```\n\n```text\nhello\n```\n",
            "ended with",
        ),
        ("```text\nhello\n```\n", "no command"),
    ] {
        let wrong = fails(text);
        assert!(wrong.contains(part), "{part:?} is not in: {wrong}\n{text}");
    }
}

#[test]
fn a_document_that_is_right_passes() {
    let text = "<!-- file: a.txt -->\n```text\nhello\n```\n\n```sh\ncat a.txt\n```\n\n```text\nhel\n...\n```\n\n\
                <!-- exit 2 -->\n```sh\nloket nothing\n```\n\n<!-- not run: it takes long -->\n```sh\nsleep 1000\n```\n";
    play::play(&book::read(text).unwrap()).unwrap();
}
