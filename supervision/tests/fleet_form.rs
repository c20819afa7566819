//! `fmt` keeps what a file says and comes to rest at once; `schema` knows every field that the reader knows.
#![allow(clippy::unwrap_used, missing_docs)]

mod fleet_world;

use std::collections::BTreeSet;
use std::path::Path;

use fleet_world::World;
use loket_supervision::fleet::{self, Finding, Fleet};
use proptest::prelude::*;
use serde_json::Value;

fn parse(text: &str) -> Result<Fleet, Vec<&'static str>> {
    match fleet::parse(text, "t.ron", &[], &World) {
        Ok((fleet, _)) => Ok(fleet),
        Err(findings) => Err(findings.iter().filter(|f| f.is_error()).map(|f| f.code).collect()),
    }
}

/// All fleet files of the project.
fn files() -> Vec<(String, String)> {
    static FILES: std::sync::OnceLock<Vec<(String, String)>> = std::sync::OnceLock::new();
    FILES.get_or_init(read_files).clone()
}

fn read_files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    for folder in ["tests/fleets", "tests", "../fleets"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "ron") {
                let text = std::fs::read_to_string(&path).unwrap();
                all.push((path.display().to_string(), text));
            }
        }
    }
    assert!(all.len() > 100);
    all
}

#[track_caller]
fn holds(name: &str, text: &str) -> String {
    let once = fleet::format(text).unwrap_or_else(|why| panic!("{name}: {why}\n{text}"));
    let twice = fleet::format(&once).unwrap();
    assert_eq!(once, twice, "{name} is at rest after one time");
    let (before, after) = (parse(text), parse(&once));
    match (before, after) {
        (Ok(before), Ok(after)) => {
            let steps = fleet::diff(&before, &after);
            assert!(steps.is_empty(), "{name} says the same: {steps:?}\n{once}");
            assert_eq!((before.opening, before.params), (after.opening, after.params), "{name}");
        }
        (Err(before), Err(after)) => {
            assert_eq!(BTreeSet::from_iter(before), BTreeSet::from_iter(after), "{name}\n{once}");
        }
        (before, after) => panic!("{name}: {before:?} became {after:?}\n{once}"),
    }
    for line in once.lines() {
        assert_eq!(line, line.trim_end(), "{name}: no space at the end of a line");
    }
    once
}

#[test]
fn every_file_says_the_same_and_is_at_rest() {
    for (name, text) in files() {
        if fleet::format(&text).is_err() {
            assert!(name.contains("E001") || name.contains("E007"), "{name}");
            continue;
        }
        let once = holds(&name, &text);
        let comments = |text: &str| text.matches("//").count() + text.matches("/*").count();
        assert_eq!(comments(&once), comments(&text), "{name} keeps its comments");
    }
}

#[test]
fn the_form_is_this() {
    let formed = holds("the form", include_str!("forms/before.txt"));
    assert_eq!(formed, include_str!("forms/after.txt"));
}

#[test]
fn what_is_no_ron_is_told_with_its_place_and_strings_are_left_alone() {
    assert!(fleet::format("Fleet(\n  version: ,\n)").unwrap_err().starts_with("2:"));
    let odd = concat!(
        "Fleet(name: r#\"a // \"b\", {\"#, x: \"c, \\\" }\", y: 'q', z: -1.5e3, ",
        "/* a /* b */ c */ w: b\"x\", v: \"d\\\\\", u: \"e, (\")\n"
    );
    assert_eq!(holds("odd", odd), odd);
    let broken = "Fleet(\n    name: \"a\",\n)\n";
    assert_eq!(holds("broken", broken), broken, "where the writer broke a line it stays broken");
}

#[test]
fn every_fleet_file_that_is_shipped_is_in_its_form() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tried = 0;
    for folder in ["../fleets", "../tests/fleets"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "ron") {
                let text = std::fs::read_to_string(&path).unwrap();
                assert_eq!(fleet::format(&text).unwrap(), text, "loket fmt {}", path.display());
                tried += 1;
            }
        }
    }
    assert!(tried >= 5, "{tried}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Spaces, breaks and comments strewn between tokens change neither what a file says nor that it comes to rest.
    #[test]
    fn strewn_spaces_and_comments_change_nothing(
        which in 0_usize..1_000,
        strewn in prop::collection::vec((0_usize..10_000, 0_usize..6), 0..12),
    ) {
        let all: Vec<_> = good();
        let text = &all[which % all.len()];
        let seams: Vec<usize> = seams(text);
        let place = |(at, kind): &(usize, usize)| (seams[at % seams.len()], *kind);
        let mut places: Vec<_> = strewn.iter().map(place).collect();
        places.sort_unstable();
        let mut out = String::new();
        let mut from = 0;
        for (at, kind) in places {
            out.push_str(&text[from..at]);
            out.push_str(["\n", "  ", "\n\n\n", " // a word, (\n", " /* b, ] */ ", "\t"][kind]);
            from = at;
        }
        out.push_str(&text[from..]);
        holds("strewn", &out);
    }
}

fn good() -> Vec<String> {
    files().into_iter().filter(|(name, _)| !name.contains("bad")).map(|(_, text)| text).collect()
}

/// Where space may stand: around brackets, commas and colons outside strings and comments.
fn seams(text: &str) -> Vec<usize> {
    let (mut found, mut in_string, mut in_comment, mut escaped) = (vec![0], false, false, false);
    for (at, c) in text.char_indices() {
        if in_comment {
            in_comment = c != '\n';
            continue;
        }
        if in_string {
            in_string = c != '"' || escaped;
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '"' => in_string = true,
            '/' => in_comment = true,
            '(' | '[' | '{' | ',' | ':' => found.push(at + 1),
            ')' | ']' | '}' => found.push(at),
            _ => {}
        }
    }
    found
}

/// The fields that the reader knows in a group: an unknown one that is near nothing is answered with all of them.
fn known(text: &str) -> BTreeSet<String> {
    let findings: Vec<Finding> = match fleet::parse(text, "t.ron", &[], &World) {
        Ok((_, findings)) | Err(findings) => findings,
    };
    let told = findings.iter().find(|f| f.code == "E002").unwrap_or_else(|| panic!("{text}"));
    let help = told.help.as_str();
    let list = help.strip_prefix("known here: ").unwrap_or_else(|| panic!("{help}"));
    list.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_schema_has_every_field_that_the_reader_knows() {
    let fleet = |fields: &str, root: &str| {
        format!("Fleet(version: 1, name: \"t\", {fields} root: Supervisor({root}))")
    };
    let agent =
        |fields: &str| fleet("", &format!("children: [Agent(id: \"a\", module: \"m\", {fields})]"));
    let strange = "qqqqqqqqqqqqqqqqqqqqqqqqq: 1";
    let groups = [
        ("Fleet", fleet(&format!("{strange},"), "")),
        ("defaults", fleet(&format!("defaults: ({strange}),"), "")),
        ("opening", fleet(&format!("opening: [(to: \"a\", body: 1, {strange})],"), "")),
        ("Supervisor", fleet("", strange)),
        ("Provider", fleet("", &format!("children: [Provider(id: \"a\", use: Chaos, {strange})]"))),
        ("Agent", agent(strange)),
        ("grant", agent(&format!("grants: [(cap: \"store\", {strange})]"))),
        ("budget", agent(&format!("grants: [(cap: \"store\", budget: ({strange}))]"))),
        ("per_message", agent(&format!("per_message: ({strange})"))),
        ("soft", agent(&format!("per_message: (calls: 1, soft: ({strange}))"))),
        ("backoff", agent(&format!("backoff: ({strange})"))),
        ("mailbox", agent(&format!("mailbox: ({strange})"))),
        ("watchdog", agent(&format!("watchdog: ({strange})"))),
        ("limits", agent(&format!("limits: ({strange})"))),
        ("on", agent(&format!("on: [(action: End, {strange})]"))),
        ("restarts", agent(&format!("restarts: ({strange})"))),
    ];
    let schema = fleet::schema();
    let definitions = schema["$defs"].as_object().unwrap();
    let described: BTreeSet<&str> = definitions.keys().map(String::as_str).collect();
    let tried: BTreeSet<&str> = groups.iter().map(|(name, _)| *name).chain(["root"]).collect();
    assert_eq!(described, tried);
    for (name, text) in groups {
        let fields: BTreeSet<String> =
            definitions[name]["properties"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(fields, known(&text), "{name}");
    }
}

#[test]
fn every_reference_in_the_schema_leads_somewhere() {
    fn walk(value: &Value, schema: &Value) {
        if let Some(to) = value["$ref"].as_str() {
            let found = schema.pointer(to.strip_prefix('#').unwrap());
            assert!(found.is_some(), "{to}");
        }
        match value {
            Value::Object(map) => map.values().for_each(|value| walk(value, schema)),
            Value::Array(items) => items.iter().for_each(|value| walk(value, schema)),
            _ => {}
        }
    }
    let schema = fleet::schema();
    walk(&schema, &schema);
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["$defs"]["root"]["required"], serde_json::json!([]));
}

#[test]
fn the_schema_needs_what_the_reader_needs() {
    let schema = fleet::schema();
    let needs = |group: &str| schema["$defs"][group]["required"].clone();
    let wanted = [
        ("Fleet", serde_json::json!(["version", "name", "root"])),
        ("Agent", serde_json::json!(["id", "module"])),
        ("Provider", serde_json::json!(["id", "use"])),
        ("grant", serde_json::json!(["cap"])),
        ("on", serde_json::json!(["action"])),
        ("opening", serde_json::json!(["to", "body"])),
        ("watchdog", serde_json::json!(["soft", "hard"])),
        ("restarts", serde_json::json!(["intensity", "period"])),
    ];
    for (group, fields) in wanted {
        assert_eq!(needs(group), fields, "{group}");
    }
}
