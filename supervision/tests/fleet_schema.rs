//! The schema and the reader say the same: what the reader accepts fits the schema, and each field of it takes what both know.
#![allow(clippy::unwrap_used, missing_docs)]

mod fleet_world;
mod schema_world;

use std::path::Path;

use fleet_world::World;
use loket_supervision::fleet;
use schema_world::{misfit, to_json};
use serde_json::Value;

/// The codes of what the reader has against it.
fn refused(text: &str) -> Vec<&'static str> {
    match fleet::parse(text, "t.ron", &[], &World) {
        Ok(_) => Vec::new(),
        Err(findings) => findings.iter().filter(|f| f.is_error()).map(|f| f.code).collect(),
    }
}

fn against(text: &str) -> Option<String> {
    let schema = fleet::schema();
    misfit(&to_json(text), &schema, &schema, "")
}

#[test]
fn every_file_that_the_reader_accepts_fits_the_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tried = 0;
    for folder in ["tests/fleets", "tests", "../fleets", "../tests/fleets"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|end| end != "ron") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            // The catalogue of these tests knows no modules of elsewhere; the form is what counts.
            let others = refused(&text).into_iter().filter(|code| !code.starts_with("E2"));
            if others.count() == 0 {
                assert_eq!(against(&text), None, "{}", path.display());
                tried += 1;
            }
        }
    }
    assert!(tried > 60, "{tried}");
}

/// A file with these fields in one group, and the group's own fields that it cannot do without.
fn with(group: &str, fields: &str) -> String {
    let fleet = |top: &str, root: &str| {
        format!("Fleet(version: 1, name: \"t\", {top} root: Supervisor({root}))")
    };
    let agent = |fields: &str| {
        fleet("", &format!("children: [Agent(id: \"a\", module: \"m.wasm\", {fields})]"))
    };
    match group {
        "Fleet" => fleet(&format!("{fields},"), ""),
        "defaults" => fleet(&format!("defaults: ({fields}),"), ""),
        "root" | "Supervisor" => fleet("", &format!("children: [Supervisor(id: \"s\", {fields})]")),
        "Agent" => agent(fields),
        "Provider" => fleet("", &format!("children: [Provider(id: \"p\", use: Fs(), {fields})]")),
        "opening" => {
            let opening = format!("opening: [(to: \"a\", body: 1, {fields})],");
            fleet(&opening, "children: [Agent(id: \"a\", module: \"m.wasm\")]")
        }
        "grant" => agent(&format!("grants: [(cap: \"time\", {fields})]")),
        "budget" => agent(&format!("grants: [(cap: \"time\", budget: ({fields}))]")),
        "on" => agent(&format!("on: [(action: End, {fields})]")),
        "watchdog" => agent(&format!("watchdog: (soft: \"1s\", hard: \"2s\", {fields})")),
        "restarts" => agent(&format!("restarts: (intensity: 1, period: \"1s\", {fields})")),
        part => agent(&format!("{part}: ({fields})")),
    }
}

/// A value of a form, as a file would say it; nothing for the forms whose values depend on the field.
fn sample(form: &Value) -> Option<String> {
    let form = &form["anyOf"][0];
    if let Some(to) = form["$ref"].as_str() {
        let simple = ["backoff", "mailbox", "limits", "defaults"];
        return simple.contains(&to.rsplit('/').next()?).then(|| "()".to_owned());
    }
    if let Some(words) = form["enum"].as_array() {
        return Some(words[0].as_str()?.to_owned());
    }
    match (form["type"].as_str()?, form["pattern"].as_str()) {
        ("string", Some(pattern)) if pattern.contains("ms|") => Some("\"5s\"".to_owned()),
        ("string", Some(pattern)) if pattern.contains("KiB") => Some("\"1MiB\"".to_owned()),
        ("integer", _) => Some("1".to_owned()),
        ("array", _) => Some("[]".to_owned()),
        ("object", _) => Some("{}".to_owned()),
        _ => None,
    }
}

#[test]
fn each_field_that_may_be_left_out_may_be_none_and_what_may_be_said_may_be_in_some() {
    let schema = fleet::schema();
    let (mut nones, mut somes) = (0, 0);
    for (group, form) in schema["$defs"].as_object().unwrap() {
        let needed = form["required"].as_array().unwrap();
        for (field, form) in form["properties"].as_object().unwrap() {
            if needed.iter().any(|name| name == field) || (group == "root" && field == "id") {
                continue;
            }
            // `budget` with nothing in it bounds nothing, which is an error of its own.
            let beside = match (&**group, &**field) {
                ("budget", "calls") => "bytes: 1, ",
                ("budget", _) => "calls: 1, ",
                _ => "",
            };
            let text = with(group, &format!("{beside}{field}: None"));
            let codes = refused(&text);
            assert!(codes.iter().all(|code| code.starts_with("E2")), "{codes:?} {text}");
            assert_eq!(against(&text), None, "{text}");
            nones += 1;
            let Some(value) = sample(form) else { continue };
            for said in [value.clone(), format!("Some({value})")] {
                let text = with(group, &format!("{beside}{field}: {said}"));
                let form = |code: &&str| ["E001", "E002", "E003", "E005", "E008"].contains(code);
                let codes: Vec<_> = refused(&text).into_iter().filter(|code| form(code)).collect();
                assert!(codes.is_empty(), "{codes:?} {text}");
                assert_eq!(against(&text), None, "{text}");
                somes += 1;
            }
        }
    }
    assert!(nones > 60 && somes > 60, "{nones} {somes}");
}

#[test]
fn what_the_reader_refuses_for_its_form_does_not_fit() {
    for text in [
        with("Agent", "modul: \"x\""),
        with("Agent", "restart: Always"),
        with("Agent", "restarts: (intensity: None, period: \"1s\")"),
        with("Agent", "every: \"5 weeks\""),
        with("Agent", "every: 5"),
        with("Agent", "limits: (memory: \"1mib\")"),
        with("Agent", "significant: 1"),
        with("Agent", "grants: (cap: \"time\")"),
        with("Provider", "shutdown: Timeout(5)"),
        with("Fleet", "lanes: -1"),
        with("Fleet", "operator: [(scope: {})]"),
        with("Supervisor", "children: [Worker(id: \"a\")]"),
    ] {
        assert!(!refused(&text).is_empty(), "{text}");
        assert!(against(&text).is_some(), "{text}");
    }
}
