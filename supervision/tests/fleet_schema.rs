//! The schema and the reader say the same: what the reader accepts fits the schema, and each field of it takes what both know.
#![allow(clippy::unwrap_used, missing_docs)]

mod fleet_world;
mod schema_world;

use std::path::Path;
use std::sync::LazyLock;

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
    static SCHEMA: LazyLock<Value> = LazyLock::new(fleet::schema);
    misfit(&to_json(text), &SCHEMA, &SCHEMA, "")
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
            let own = ["E203", "E206", "E208"];
            let elsewhere = |code: &&str| code.starts_with("E2") && !own.contains(code);
            if refused(&text).iter().all(elsewhere) {
                assert_eq!(against(&text), None, "{}", path.display());
                tried += 1;
            }
        }
    }
    assert!(tried > 60, "{tried}");
}

/// A budget of which any soft amount is a part.
const WHOLE: &str = "calls: 9_223_372_036_854_775_807, tokens: 9_223_372_036_854_775_807, \
    bytes: 9_223_372_036_854_775_807, money: \"1_000_000_000\"";

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
        "soft" => agent(&format!("per_message: ({WHOLE}, soft: ({fields}))")),
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
        ("integer" | "number", _) => Some("1".to_owned()),
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
                ("budget" | "per_message", "calls") => "bytes: 1, ",
                ("budget" | "per_message", _) => "calls: 1, ",
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

/// Whether the reader has something against a value of its own: its form, its bounds. Not against what it names, or what stands
/// beside it.
fn out_of_form(text: &str) -> bool {
    let form = ["E001", "E002", "E003", "E005", "E006", "E008", "E102", "E103", "E104", "E112"];
    let bounds = ["E203", "E206", "E208", "E301", "E302", "E303", "E305", "E307"];
    let beside = [
        "for SimpleOneForOne only",
        "is above `max`",
        "there is no capability",
        "\"root\" is borne",
    ];
    fleet::parse(text, "t.ron", &[], &World).is_err_and(|findings| {
        let own = |code| form.contains(&code) || bounds.contains(&code);
        findings.iter().any(|f| own(f.code) && !beside.iter().any(|word| f.message.contains(word)))
    })
}

/// The fields of the schema with their forms: what `Some` and `None` add is left out.
fn fields(schema: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (group, form) in schema["$defs"].as_object().unwrap() {
        for (field, form) in form["properties"].as_object().unwrap() {
            if group != "root" {
                all.push((group.clone(), field.clone(), form["anyOf"][0].clone()));
            }
        }
    }
    all
}

/// A group in which this field alone has this value.
fn alone(group: &str, field: &str, value: &str) -> String {
    let own = |fields: &str| {
        let agent = "children: [Agent(id: \"a\", module: \"m.wasm\",";
        format!("Fleet(version: 1, name: \"t\", root: Supervisor({agent} {fields})]))")
    };
    match (group, field) {
        ("Fleet", "root") => format!("Fleet(version: 1, name: \"t\", root: {value})"),
        ("Fleet", "version" | "name") => {
            let (version, name) = if field == "name" { ("1", value) } else { (value, "\"t\"") };
            format!("Fleet(version: {version}, name: {name}, root: Supervisor())")
        }
        ("restarts", "intensity") => {
            own(&format!("restarts: (intensity: {value}, period: \"1s\")"))
        }
        ("restarts", _) => own(&format!("restarts: (intensity: 1, period: {value})")),
        ("watchdog", "soft") => own(&format!("watchdog: (soft: {value}, hard: \"3650d\")")),
        ("watchdog", _) => own(&format!("watchdog: (soft: \"1ms\", hard: {value})")),
        ("budget", "per") => {
            own(&format!("grants: [(cap: \"time\", budget: (calls: 1, per: {value}))]"))
        }
        ("budget", "soft") => {
            own(&format!("grants: [(cap: \"time\", budget: (calls: 1, soft: {value}))]"))
        }
        ("per_message", "soft") => own(&format!("per_message: (calls: 1, soft: {value})")),
        ("on", "action") => own(&format!("on: [(action: {value})]")),
        ("grant", "cap") => own(&format!("grants: [(cap: {value})]")),
        ("opening", "to") => {
            format!(
                "Fleet(version: 1, name: \"t\", opening: [(to: {value}, body: 1)], root: Supervisor())"
            )
        }
        ("Agent", "id" | "module") | ("Provider" | "Supervisor", "id") => {
            let rest = match (group, field) {
                ("Agent", "id") => "module: \"m.wasm\"",
                ("Agent", _) => "id: \"a\"",
                ("Provider", _) => "use: Fs()",
                _ => "",
            };
            let child = format!("{group}({field}: {value}, {rest})");
            format!("Fleet(version: 1, name: \"t\", root: Supervisor(children: [{child}]))")
        }
        _ => with(group, &format!("{field}: {value}")),
    }
}

/// Both take the one and refuse the other.
fn edge(group: &str, field: &str, takes: &str, refuses: &str) {
    let [takes, refuses] = [takes, refuses].map(|value| alone(group, field, value));
    assert!(!out_of_form(&takes), "the reader refuses {takes:.300} {:?}", refused(&takes));
    assert_eq!(against(&takes), None, "{takes:.300}");
    assert!(out_of_form(&refuses), "the reader takes {refuses:.300}");
    assert!(against(&refuses).is_some(), "the schema takes {refuses:.300}");
}

#[test]
fn the_bounds_of_the_schema_are_those_of_the_reader() {
    let (mut whole, mut broken, mut lists, mut texts) = (0, 0, 0, 0);
    for (group, field, form) in fields(&fleet::schema()) {
        let both = |takes: &Value, refuses: String| {
            edge(&group, &field, &takes.to_string(), &refuses);
        };
        let (least, most) = (&form["minimum"], &form["maximum"]);
        match form["type"].as_str() {
            Some("integer") => {
                both(most, (most.as_u64().unwrap() + 1).to_string());
                if let Some(below) = least.as_u64().unwrap().checked_sub(1) {
                    both(least, below.to_string());
                }
                whole += 1;
            }
            Some("number") => {
                both(most, (most.as_f64().unwrap() + 0.001).to_string());
                both(least, (least.as_f64().unwrap() - 0.001).to_string());
                broken += 1;
            }
            Some("array") if field != "children" => {
                let most = form["maxItems"].as_u64().unwrap();
                let list = |length| {
                    let item = |n| match field.as_str() {
                        "approve" => format!("\"time.a{n}\""),
                        "on" => "(action: End)".to_owned(),
                        "opening" => "(to: \"a\", body: 1)".to_owned(),
                        _ => format!("(cap: \"a{n}\")"),
                    };
                    format!("[{}]", (0..length).map(item).collect::<Vec<_>>().join(","))
                };
                edge(&group, &field, &list(most), &list(most + 1));
                lists += 1;
            }
            Some("string") if !form["minLength"].is_null() => {
                let text = |length| format!("\"{}\"", "a".repeat(length));
                edge(&group, &field, &text(1), &text(0));
                if let Some(most) = form["maxLength"].as_u64() {
                    edge(&group, &field, &text(most as usize), &text(most as usize + 1));
                }
                texts += 1;
            }
            _ => {}
        }
    }
    assert_eq!((whole, broken, lists, texts), (22, 2, 8, 2));
}

#[test]
fn a_bound_that_the_schema_can_only_tell_is_the_readers() {
    let (mut told, mut positive) = (0, 0);
    for (group, field, form) in fields(&fleet::schema()) {
        let Some(unit) = form["pattern"].as_str().and_then(|pattern| {
            let unit = |unit| pattern.contains(&format!("({unit}|")).then_some(unit);
            unit("ms").or(unit("B")).or((field == "money").then_some(""))
        }) else {
            continue;
        };
        let zero = alone(&group, &field, &format!("\"0{unit}\""));
        assert_eq!(out_of_form(&zero), against(&zero).is_some(), "{zero}");
        positive += usize::from(out_of_form(&zero));
        let Some(most) = form["description"].as_str() else { continue };
        let most = most.strip_prefix("at most ").and_then(|most| most.strip_suffix(unit)).unwrap();
        let most: u64 = most.trim_end().parse().unwrap();
        let said = |n| alone(&group, &field, &format!("\"{n}{unit}\""));
        assert!(!out_of_form(&said(most)), "{group}.{field}");
        assert!(out_of_form(&said(most + 1)), "{group}.{field}");
        told += 1;
    }
    assert_eq!((told, positive), (10, 19));
}

/// Values of every form, right and wrong.
const ODD: &[&str] = &[
    "1",
    "0",
    "-1",
    "1.5",
    "99999999999",
    "18446744073709551616",
    "true",
    "Foo",
    "Permanent",
    "\"5s\"",
    "\"5\"",
    "\"_s\"",
    "\"\"",
    "\"x\"",
    "\"A b\"",
    "\"root\"",
    "\"system\"",
    "\"64MiB\"",
    "\"0.0_0\"",
    "\"2.5\"",
    "\"1_0._000001\"",
    "\"1.0000001\"",
    "\"1.\"",
    "\"1 d\"",
    "\"2026-12-31T23:59:59Z\"",
    "\"2026-13-31T23:59:59Z\"",
    "\"127.0.0.1:80\"",
    "\"localhost:80\"",
    "Some(1)",
    "Some(\"5s\")",
    "Some(Permanent)",
    "[]",
    "[1]",
    "[\"x\"]",
    "[\"A b\"]",
    "{\"a\": \"b\"}",
    "{\"a\": 1}",
    "{\"a\": []}",
    "{\"a\": [\"x\"]}",
    "{\"a\": [Param(\"p\")]}",
    "Immediate",
    "Infinity",
    "Timeout(\"5s\")",
    "Timeout(5)",
    "Wait(\"0s\")",
    "(capacity: 3)",
    "(capacity: 0)",
    "(intensity: 1)",
    "(soft: \"1s\", hard: \"2s\")",
    "[(action: End)]",
    "[(cause: Foo, action: End)]",
    "[(cap: \"time\")]",
    "[(cap: \"Time\")]",
    "(memory: \"1MiB\")",
    "(memory: 5)",
    "(jitter: 2)",
];

#[test]
fn odd_values_are_taken_or_refused_by_both() {
    let mut apart = Vec::new();
    for (group, field, form) in fields(&fleet::schema()) {
        // In JSON a word is a string, and a group an object.
        let said = |value: &str| match form["type"].as_str() {
            Some("string") => value.trim_start_matches("Some(").starts_with(['"', '1', '[', '(']),
            Some("object") => !value.contains('('),
            _ => true,
        };
        for value in ODD.iter().filter(|value| said(value)) {
            let text = alone(&group, &field, value);
            let (reader, schema) = (out_of_form(&text), against(&text));
            if reader != schema.is_some() {
                apart.push(format!("{group}.{field}: {value}: {:?} {schema:?}", refused(&text)));
            }
        }
    }
    assert!(apart.is_empty(), "{}", apart.join("\n"));
}
