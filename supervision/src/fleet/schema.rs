//! The form of the fleet file as a JSON Schema, for editors.
//!
//! RON has no schema language of its own: a struct is described as an object of its fields, `Kind(..)` as an object with the one
//! key `Kind`, a word as a string. A test holds the fields to those that the reader knows. Start reading at [`schema`].

use serde_json::{Map, Value, json};

use super::common::{
    AUTO_SHUTDOWNS, CHARGES, DURABILITIES, DYNAMICS, ESCALATIONS, RESTARTS, STOPS, STRATEGIES,
    WINDOWS,
};
use super::reactions::{ACTIONS, BLAMES, CAUSES};

/// The form of one field.
enum Form {
    Text,
    Name,
    Flag,
    Count,
    Number,
    Duration,
    Size,
    /// One of these words.
    Words(Vec<&'static str>),
    /// A value of any form.
    Any,
    /// Names with values of any form.
    Map,
    /// A group defined elsewhere.
    Group(&'static str),
    List(&'static str),
    Texts,
    /// One of several, each as a schema.
    Either(Vec<Value>),
}

fn words<T>(table: &[(&'static str, T)]) -> Form {
    Form::Words(table.iter().map(|(word, _)| *word).collect())
}

type Field = (&'static str, Form, bool);

fn field(name: &'static str, form: Form) -> Field {
    (name, form, false)
}

fn needed(name: &'static str, form: Form) -> Field {
    (name, form, true)
}

/// The groups of named fields, as the reader opens them.
fn groups() -> Vec<(&'static str, Vec<Field>)> {
    vec![
        ("Fleet", fleet()),
        (
            "defaults",
            [provider_shared(), agent_shared(), common_shared()].into_iter().flatten().collect(),
        ),
        ("Supervisor", supervisor()),
        ("Provider", provider()),
        ("Agent", agent()),
        (
            "grant",
            vec![
                needed("cap", Form::Text),
                field("scope", Form::Map),
                field("budget", Form::Group("budget")),
                field("approve", Form::Texts),
                field("expires", Form::Text),
            ],
        ),
        (
            "budget",
            vec![
                field("calls", Form::Count),
                field("tokens", Form::Count),
                field("bytes", Form::Count),
                field("money", Form::Text),
                field("per", Form::Duration),
            ],
        ),
        (
            "on",
            vec![
                field("cause", words(&CAUSES)),
                field("blame", words(&BLAMES)),
                needed("action", words(&ACTIONS)),
            ],
        ),
        (
            "opening",
            vec![
                needed("to", Form::Text),
                field("kind", Form::Text),
                needed("body", Form::Any),
                field("title", Form::Text),
            ],
        ),
    ]
}

/// The groups in workers and `defaults`.
fn parts() -> Vec<(&'static str, Vec<Field>)> {
    vec![
        (
            "backoff",
            vec![
                field("first", Form::Either(vec![json!({"const": "Immediate"}), duration()])),
                field("min", Form::Duration),
                field("max", Form::Duration),
                field("factor", Form::Number),
                field("jitter", Form::Number),
                field("reset_after", Form::Duration),
            ],
        ),
        ("watchdog", vec![needed("soft", Form::Duration), needed("hard", Form::Duration)]),
        (
            "mailbox",
            vec![
                field("capacity", Form::Count),
                field(
                    "overload",
                    Form::Either(vec![json!({"const": "Reject"}), variant("Wait", duration())]),
                ),
            ],
        ),
        (
            "limits",
            vec![
                field("memory", Form::Size),
                field("output", Form::Size),
                field("module", Form::Size),
                field("deadline", Form::Duration),
                field("compile", Form::Duration),
                field("calls", Form::Count),
                field("table", Form::Count),
            ],
        ),
        ("restarts", vec![needed("intensity", Form::Count), needed("period", Form::Duration)]),
    ]
}

fn fleet() -> Vec<Field> {
    vec![
        needed("version", Form::Count),
        needed("name", Form::Name),
        field("data", Form::Text),
        field("durability", words(&DURABILITIES)),
        field("params", Form::Map),
        field("defaults", Form::Group("defaults")),
        field("listen", Form::Text),
        field("lanes", Form::Count),
        field("slots", Form::Count),
        field("keep_turns", Form::Count),
        field("quarantine", Form::Count),
        field("operator", Form::List("grant")),
        field("opening", Form::List("opening")),
        needed("root", Form::Group("Supervisor")),
    ]
}

fn supervisor() -> Vec<Field> {
    let children = ["Supervisor", "Provider", "Agent"];
    let children = children.map(|kind| variant(kind, reference(kind)));
    vec![
        needed("id", Form::Name),
        field("strategy", words(&STRATEGIES)),
        field("intensity", Form::Count),
        field("period", Form::Duration),
        field("auto_shutdown", words(&AUTO_SHUTDOWNS)),
        field("max_children", Form::Count),
        field("window", words(&WINDOWS)),
        field("escalation", words(&ESCALATIONS)),
        field("stop", words(&STOPS)),
        field("dynamic", words(&DYNAMICS)),
        field("on", Form::List("on")),
        field("restart", words(&RESTARTS)),
        field("shutdown", shutdown()),
        field("significant", Form::Flag),
        field("backoff", Form::Group("backoff")),
        field(
            "children",
            Form::Either(vec![json!({"type": "array", "items": {"anyOf": children}})]),
        ),
    ]
}

fn shutdown() -> Form {
    let words = json!({"enum": ["BrutalKill", "Infinity"]});
    Form::Either(vec![words, variant("Timeout", duration())])
}

/// What providers, agents and `defaults` share.
fn common_shared() -> Vec<Field> {
    vec![
        field("restart", words(&RESTARTS)),
        field("shutdown", shutdown()),
        field("backoff", Form::Group("backoff")),
        field("mailbox", Form::Group("mailbox")),
        field("watchdog", Form::Group("watchdog")),
        field("on", Form::List("on")),
    ]
}

fn provider_shared() -> Vec<Field> {
    vec![field("start_timeout", Form::Duration)]
}

fn agent_shared() -> Vec<Field> {
    vec![
        field("limits", Form::Group("limits")),
        field("max_attempts", Form::Count),
        field("charge", words(&CHARGES)),
        field("park_after", Form::Duration),
        field("pause_max", Form::Duration),
        field("inbox_bytes", Form::Size),
    ]
}

fn provider() -> Vec<Field> {
    let own = vec![
        needed("id", Form::Name),
        needed("use", Form::Any),
        field("significant", Form::Flag),
        field("restarts", Form::Group("restarts")),
    ];
    [own, common_shared(), provider_shared()].into_iter().flatten().collect()
}

fn agent() -> Vec<Field> {
    let own = vec![
        needed("id", Form::Name),
        needed("module", Form::Text),
        field("settings", Form::Map),
        field("grants", Form::List("grant")),
        field("significant", Form::Flag),
        field("every", Form::Duration),
        field("restarts", Form::Group("restarts")),
    ];
    [own, common_shared(), agent_shared()].into_iter().flatten().collect()
}

fn duration() -> Value {
    json!({"type": "string", "pattern": "^[0-9_]+ *(ms|s|m|h|d)$"})
}

fn reference(group: &str) -> Value {
    json!({"$ref": format!("#/$defs/{group}")})
}

/// `Kind(..)`.
fn variant(kind: &str, inner: Value) -> Value {
    json!({"type": "object", "properties": {kind: inner}, "required": [kind], "additionalProperties": false})
}

fn shape(form: &Form) -> Value {
    match form {
        Form::Text => json!({"type": "string"}),
        Form::Name => json!({"type": "string", "pattern": "^[a-z0-9_-]{1,64}$"}),
        Form::Flag => json!({"type": "boolean"}),
        Form::Count => json!({"type": "integer", "minimum": 0}),
        Form::Number => json!({"type": "number"}),
        Form::Duration => duration(),
        Form::Size => json!({"type": "string", "pattern": "^[0-9_]+ *(B|KiB|MiB|GiB|kB|MB|GB)$"}),
        Form::Words(words) => json!({"enum": words}),
        Form::Any => json!({}),
        Form::Map => json!({"type": "object"}),
        Form::Group(group) => reference(group),
        Form::List(group) => json!({"type": "array", "items": reference(group)}),
        Form::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Form::Either(all) => json!({"anyOf": all}),
    }
}

/// A field's value: `Some(..)` says the same as what is in it, and `None` the same as leaving the field out, save where that means
/// what `defaults` says (`backoff`, `watchdog`).
fn optional(inner: Value, needed: bool) -> Value {
    let mut all = vec![inner.clone(), variant("Some", inner)];
    if !needed {
        all.push(json!({"const": "None"}));
    }
    json!({"anyOf": all})
}

/// The JSON Schema (2020-12) of the fleet file.
pub fn schema() -> Value {
    let mut definitions = Map::new();
    for (name, fields) in groups().into_iter().chain(parts()) {
        let required: Vec<&str> =
            fields.iter().filter(|(_, _, needed)| *needed).map(|(name, ..)| *name).collect();
        let one = |(name, form, needed): &Field| {
            let value = match form {
                // Of any form already.
                Form::Any => shape(form),
                _ => optional(shape(form), *needed),
            };
            ((*name).to_owned(), value)
        };
        let properties: Map<String, Value> = fields.iter().map(one).collect();
        let group = json!({
            "type": "object", "properties": properties, "required": required,
            "additionalProperties": false,
        });
        definitions.insert(name.to_owned(), group);
    }
    // The root alone may leave its id out.
    let mut root = definitions.get("Supervisor").cloned().unwrap_or_default();
    root["required"] = json!([]);
    definitions.insert("root".to_owned(), root);
    if let Some(fleet) = definitions.get_mut("Fleet") {
        fleet["properties"]["root"] = optional(reference("root"), true);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Loket fleet file",
        "description": "A RON struct is an object of its fields, Kind(..) an object with the key Kind, a word a string.",
        "$ref": "#/$defs/Fleet",
        "$defs": definitions,
    })
}
