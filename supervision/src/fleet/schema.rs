//! The form of the fleet file as a JSON Schema, for editors.
//!
//! RON has no schema language of its own: a struct is described as an object of its fields, `Kind(..)` as an object with the one
//! key `Kind`, a word as a string. A test holds the fields to those that the reader knows. Start reading at [`schema`].

use loket_kernel::{MAX_GRANTS, MAX_RULES};
use serde_json::{Map, Value, json};

use super::bounds;
use super::common::{
    AUTO_SHUTDOWNS, CHARGES, DURABILITIES, DYNAMICS, ESCALATIONS, RESTARTS, STOPS, STRATEGIES,
    WINDOWS,
};
use super::forms::{Form, count, duration, name, reference, shape, variant, words};
use super::reactions::{ACTIONS, BLAMES, CAUSES};
use super::top::VERSION;

/// An instant as `expires` has it.
const INSTANT: &str = concat!(
    "^(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])",
    "T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$"
);
/// An address with its port.
const ADDRESS: &str = "^(\\[[0-9a-fA-F:.%]+\\]|[0-9.]+):[0-9]{1,5}$";
/// The name that the fleet and its root may not bear.
const SYSTEM: [&str; 1] = ["system"];

type Field = (&'static str, Form, bool);

fn field(name: &'static str, form: Form) -> Field {
    (name, form, false)
}

fn needed(name: &'static str, form: Form) -> Field {
    (name, form, true)
}

/// A bound of a scope: names, each a text or a parameter, or a number.
fn bound() -> Value {
    let name = json!({"anyOf": [{"type": "string", "minLength": 1}, variant("Param", json!({"type": "string"}))]});
    json!({"anyOf": [
        {"type": "array", "items": name, "minItems": 1},
        {"type": "integer", "minimum": 0, "maximum": u64::MAX},
    ]})
}

/// What a budget bounds, of each unit.
fn amounts() -> Vec<Field> {
    let count = |name| field(name, Form::Count(bounds::BUDGET));
    vec![count("calls"), count("tokens"), count("bytes"), field("money", Form::Money)]
}

/// A share of a budget, or amounts.
fn soft() -> Form {
    Form::Either(vec![shape(&Form::Number(bounds::SOFT)), reference("soft")])
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
                needed("cap", Form::Capability),
                field("scope", Form::Map(bound())),
                field("budget", Form::Group("budget")),
                field("approve", Form::Capabilities(MAX_RULES)),
                field("approve_within", Form::Time(None)),
                field("expires", Form::Pattern(INSTANT)),
            ],
        ),
        (
            "budget",
            amounts()
                .into_iter()
                .chain([field("soft", soft()), field("per", Form::Time(None))])
                .collect(),
        ),
        ("per_message", amounts().into_iter().chain([field("soft", soft())]).collect()),
        ("soft", amounts()),
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
                needed("to", Form::Filled(Some(bounds::MAX_TO))),
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
                field("first", Form::Either(vec![json!({"const": "Immediate"}), duration(false)])),
                field("min", Form::Duration),
                field("max", Form::Duration),
                field("factor", Form::Number(bounds::FACTOR)),
                field("jitter", Form::Number(bounds::JITTER)),
                field("reset_after", Form::Duration),
            ],
        ),
        ("watchdog", vec![needed("soft", Form::Time(None)), needed("hard", Form::Time(None))]),
        (
            "mailbox",
            vec![
                field("capacity", count(bounds::CAPACITY)),
                field(
                    "overload",
                    Form::Either(vec![
                        json!({"const": "Reject"}),
                        variant("Wait", duration(false)),
                    ]),
                ),
            ],
        ),
        (
            "limits",
            vec![
                field("memory", Form::Size(bounds::MAX_MEMORY)),
                field("output", Form::Size(bounds::MAX_OUTPUT)),
                field("module", Form::Size(bounds::MAX_MODULE)),
                field("deadline", Form::Time(Some(bounds::MAX_DEADLINE_MS))),
                field("compile", Form::Time(Some(bounds::MAX_DEADLINE_MS))),
                field("calls", count(bounds::CALLS)),
                field("table", count(bounds::TABLE)),
            ],
        ),
        (
            "restarts",
            vec![needed("intensity", count(bounds::INTENSITY)), needed("period", Form::Time(None))],
        ),
    ]
}

fn fleet() -> Vec<Field> {
    vec![
        needed("version", Form::Count(VERSION..=VERSION)),
        needed("name", Form::Name(&SYSTEM)),
        field("data", Form::Filled(None)),
        field("durability", words(&DURABILITIES)),
        field("params", Form::Map(json!({"type": "string"}))),
        field("defaults", Form::Group("defaults")),
        field("listen", Form::Pattern(ADDRESS)),
        field("lanes", count(bounds::LANES)),
        field("slots", count(bounds::SLOTS)),
        field("keep_turns", count(bounds::KEEP_TURNS)),
        field("quarantine", count(bounds::QUARANTINE)),
        field("operator", Form::List("grant", MAX_GRANTS)),
        field("opening", Form::List("opening", bounds::MAX_OPENING)),
        needed("root", Form::Group("Supervisor")),
    ]
}

fn supervisor() -> Vec<Field> {
    let children = ["Supervisor", "Provider", "Agent"];
    let children = children.map(|kind| variant(kind, reference(kind)));
    vec![
        needed("id", Form::Name(&bounds::RESERVED)),
        field("strategy", words(&STRATEGIES)),
        field("intensity", count(bounds::INTENSITY)),
        field("period", Form::Time(None)),
        field("auto_shutdown", words(&AUTO_SHUTDOWNS)),
        field("max_children", count(bounds::CHILDREN)),
        field("window", words(&WINDOWS)),
        field("escalation", words(&ESCALATIONS)),
        field("stop", words(&STOPS)),
        field("dynamic", words(&DYNAMICS)),
        field("budget", Form::Group("budget")),
        field("on", Form::List("on", bounds::MAX_ON)),
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
    Form::Either(vec![words, variant("Timeout", duration(false))])
}

/// What providers, agents and `defaults` share.
fn common_shared() -> Vec<Field> {
    vec![
        field("restart", words(&RESTARTS)),
        field("shutdown", shutdown()),
        field("backoff", Form::Group("backoff")),
        field("mailbox", Form::Group("mailbox")),
        field("watchdog", Form::Group("watchdog")),
        field("on", Form::List("on", bounds::MAX_ON)),
    ]
}

fn provider_shared() -> Vec<Field> {
    vec![field("start_timeout", Form::Time(None))]
}

fn agent_shared() -> Vec<Field> {
    vec![
        field("limits", Form::Group("limits")),
        field("max_attempts", count(bounds::ATTEMPTS)),
        field("charge", words(&CHARGES)),
        field("park_after", Form::Duration),
        field("pause_max", Form::Duration),
        field("inbox_bytes", Form::Size(bounds::MAX_INBOX)),
    ]
}

fn provider() -> Vec<Field> {
    let own = vec![
        needed("id", Form::Name(&bounds::RESERVED)),
        needed("use", Form::Any),
        field("significant", Form::Flag),
        field("restarts", Form::Group("restarts")),
    ];
    [own, common_shared(), provider_shared()].into_iter().flatten().collect()
}

fn agent() -> Vec<Field> {
    let own = vec![
        needed("id", Form::Name(&bounds::RESERVED)),
        needed("module", Form::Text),
        field("settings", Form::Map(json!({}))),
        field("grants", Form::List("grant", MAX_GRANTS)),
        field("per_message", Form::Group("per_message")),
        field("significant", Form::Flag),
        field("every", Form::Time(None)),
        field("restarts", Form::Group("restarts")),
    ];
    [own, common_shared(), agent_shared()].into_iter().flatten().collect()
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
    root["properties"]["id"] = optional(name(&SYSTEM), false);
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
