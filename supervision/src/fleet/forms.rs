//! The forms that values of a fleet file have, each as a JSON Schema. Start reading at [`shape`].

use std::ops::RangeInclusive;

use loket_kernel::{MAX_SEGMENT, MAX_SEGMENTS};
use serde_json::{Value, json};

use super::bounds::MAX_ID;
use super::units::MAX_MONEY;

/// The form of one field.
pub(super) enum Form {
    Text,
    /// Text that is not empty, of so many bytes at most.
    Filled(Option<usize>),
    Pattern(&'static str),
    /// An id, but for these words.
    Name(&'static [&'static str]),
    Capability,
    Flag,
    Count(RangeInclusive<u64>),
    Number(RangeInclusive<f64>),
    /// A duration, which may be 0.
    Duration,
    /// A duration of more than 0, of so many milliseconds at most.
    Time(Option<u64>),
    /// A size of more than 0, and of so many bytes at most.
    Size(u64),
    /// An amount of more than 0.
    Money,
    /// One of these words.
    Words(Vec<&'static str>),
    /// A value of any form.
    Any,
    /// Names with values of this form.
    Map(Value),
    /// A group defined elsewhere.
    Group(&'static str),
    /// So many groups at most.
    List(&'static str, usize),
    /// So many capabilities at most.
    Capabilities(usize),
    /// One of several, each as a schema.
    Either(Vec<Value>),
}

pub(super) fn words<T>(table: &[(&'static str, T)]) -> Form {
    Form::Words(table.iter().map(|(word, _)| *word).collect())
}

pub(super) fn count(range: RangeInclusive<u32>) -> Form {
    Form::Count(u64::from(*range.start())..=u64::from(*range.end()))
}

/// A whole number with a unit; `positive`: 0 is refused.
fn quantity(units: &str, positive: bool) -> Value {
    let digits = if positive { "[0_]*[1-9][0-9_]*" } else { "_*[0-9][0-9_]*" };
    json!({"type": "string", "pattern": format!("^{digits}[ \\t]*({units})$")})
}

pub(super) fn duration(positive: bool) -> Value {
    quantity("ms|s|m|h|d", positive)
}

fn money() -> Value {
    let pattern = "^_*[0-9][0-9_]*([.]_*([0-9]_*){1,6})?$";
    let amount = json!({"type": "string", "pattern": pattern, "not": {"pattern": "^[0_.]*$"}});
    at_most(amount, MAX_MONEY / 1_000_000, "")
}

fn capability() -> Value {
    let (segment, more) = (format!("[a-z0-9_-]{{1,{MAX_SEGMENT}}}"), MAX_SEGMENTS - 1);
    json!({"type": "string", "pattern": format!("^{segment}(\\.{segment}){{0,{more}}}$")})
}

pub(super) fn name(reserved: &[&str]) -> Value {
    let pattern = format!("^[a-z0-9_-]{{1,{MAX_ID}}}$");
    json!({"type": "string", "pattern": pattern, "not": {"enum": reserved}})
}

pub(super) fn reference(group: &str) -> Value {
    json!({"$ref": format!("#/$defs/{group}")})
}

/// `Kind(..)`.
pub(super) fn variant(kind: &str, inner: Value) -> Value {
    json!({"type": "object", "properties": {kind: inner}, "required": [kind], "additionalProperties": false})
}

/// With a bound that no word of JSON Schema can say, since the value has a unit.
fn at_most(mut form: Value, most: u64, unit: &str) -> Value {
    form["description"] = format!("at most {most} {unit}").trim_end().into();
    form
}

pub(super) fn shape(form: &Form) -> Value {
    match form {
        Form::Text => json!({"type": "string"}),
        Form::Filled(None) => json!({"type": "string", "minLength": 1}),
        Form::Filled(Some(most)) => json!({"type": "string", "minLength": 1, "maxLength": most}),
        Form::Pattern(pattern) => json!({"type": "string", "pattern": pattern}),
        Form::Name(reserved) => name(reserved),
        Form::Capability => capability(),
        Form::Flag => json!({"type": "boolean"}),
        Form::Count(range) => {
            json!({"type": "integer", "minimum": range.start(), "maximum": range.end()})
        }
        Form::Number(range) => {
            json!({"type": "number", "minimum": range.start(), "maximum": range.end()})
        }
        Form::Duration => duration(false),
        Form::Time(None) => duration(true),
        Form::Time(Some(most)) => at_most(duration(true), *most, "ms"),
        Form::Size(most) => at_most(quantity("B|KiB|MiB|GiB|kB|MB|GB", true), *most, "B"),
        Form::Money => money(),
        Form::Words(words) => json!({"enum": words}),
        Form::Any => json!({}),
        Form::Map(values) => json!({"type": "object", "additionalProperties": values}),
        Form::Group(group) => reference(group),
        Form::List(group, most) => {
            json!({"type": "array", "items": reference(group), "maxItems": most})
        }
        Form::Capabilities(most) => {
            json!({"type": "array", "items": capability(), "maxItems": most})
        }
        Form::Either(all) => json!({"anyOf": all}),
    }
}
