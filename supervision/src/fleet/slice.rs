//! Slices of RON: a value is a piece of the fleet's text, and is taken apart one layer at a time.
//!
//! serde stops at the first error and forgets where things stood. So nothing here is decoded into
//! a struct: each layer comes out as slices of the very text, whose addresses give their places.
//! A slice does not inherit `#![enable(..)]`: every decode goes through [`options`].

use ron::extensions::Extensions;
use ron::value::RawValue;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

/// A key and its value, both slices of the text.
pub(crate) type Pair<'a> = (&'a str, &'a str);

/// Deepest nesting of a file: RON's own default, which no stack overflows at.
pub(crate) const MAX_NESTED: usize = 128;

/// How RON is read everywhere: a bare value means `Some`; nesting is bounded.
pub(crate) fn options() -> ron::Options {
    let options = ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME);
    options.with_recursion_limit(MAX_NESTED)
}

/// Whether the whole text is RON.
pub(crate) fn syntax(text: &str) -> Result<(), ron::error::SpannedError> {
    options().from_str::<IgnoredAny>(text).map(|_| ())
}

/// The text after spaces, comments and `#![..]` attributes.
pub(crate) fn body(text: &str) -> &str {
    let mut rest = skip_space(text);
    while let Some(attribute) = rest.strip_prefix("#!") {
        match attribute.find(']') {
            Some(end) => rest = skip_space(&attribute[end + 1..]),
            None => return rest,
        }
    }
    rest.trim_end()
}

/// Skips spaces and comments. The text is valid RON by then: comments are closed.
pub(crate) fn skip_space(text: &str) -> &str {
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start_matches(|c: char| c.is_whitespace() || is_mark(c));
        if let Some(line) = trimmed.strip_prefix("//") {
            rest = line.find('\n').map_or("", |end| &line[end..]);
        } else if let Some(block) = trimmed.strip_prefix("/*") {
            rest = after_block(block);
        } else {
            return trimmed;
        }
    }
}

/// The invisible direction marks that RON counts as space.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}')
}

/// The text after the end of a block comment; they nest.
fn after_block(text: &str) -> &str {
    let (mut depth, mut at) = (1_usize, 0);
    let bytes = text.as_bytes();
    while depth > 0 {
        match bytes.get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            Some(_) => at += 1,
            None => return "",
        }
    }
    text.get(at..).unwrap_or("")
}

/// The name before the parentheses, if any, and the rest: `Llm(..)` is `Llm` and `(..)`.
pub(crate) fn split(raw: &str) -> (Option<&str>, &str) {
    let raw = skip_space(raw);
    let name = raw.strip_prefix("r#").unwrap_or(raw);
    if !name.starts_with(|c: char| c == '_' || c.is_alphabetic()) {
        return (None, raw);
    }
    let end = name.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(name.len());
    let rest = &name[end..];
    // A raw string `r"..."` or byte string begins like a name.
    if rest.starts_with(['"', '#', '\'']) {
        return (None, raw);
    }
    (Some(&name[..end]), skip_space(rest))
}

/// What an optional value holds: none for `None`, the inner value for `Some(..)`, else itself.
pub(crate) fn present(raw: &str) -> Option<&str> {
    match split(raw) {
        (Some("None"), _) => None,
        (Some("Some"), _) => {
            options().from_str::<Option<&RawValue>>(raw).ok()?.map(RawValue::get_ron)
        }
        _ => Some(raw),
    }
}

/// A scalar, or whatever serde type; none when the value is of another form.
pub(crate) fn scalar<'a, T: Deserialize<'a>>(raw: &'a str) -> Option<T> {
    options().from_str(raw).ok()
}

/// The elements of a list.
pub(crate) fn list(raw: &str) -> Option<Vec<&str>> {
    let items: Vec<&RawValue> = scalar(raw)?;
    Some(items.into_iter().map(|item| skip_space(item.get_ron())).collect())
}

/// The entries of a map, in order, double keys and all.
pub(crate) fn entries(raw: &str) -> Option<Vec<Pair<'_>>> {
    scalar::<Entries<'_>>(raw).map(|e| e.0)
}

/// The fields of `(name: value, ..)`, in order, double names and all.
pub(crate) fn fields(raw: &str) -> Option<Vec<Pair<'_>>> {
    scalar::<Named<'_>>(raw).map(|n| n.0)
}

struct Entries<'a>(Vec<Pair<'a>>);
struct Named<'a>(Vec<Pair<'a>>);
struct Name<'a>(&'a str);
struct EntriesVisitor;
struct NamedVisitor;
struct NameVisitor;

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_map(EntriesVisitor)
    }
}

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            all.push((skip_space(key.get_ron()), skip_space(value.get_ron())));
        }
        Ok(Entries(all))
    }
}

impl<'de> Deserialize<'de> for Named<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_struct("", &[], NamedVisitor)
    }
}

impl<'de> Visitor<'de> for NamedVisitor {
    type Value = Named<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("named fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some((name, value)) = map.next_entry::<Name<'de>, &RawValue>()? {
            all.push((name.0, skip_space(value.get_ron())));
        }
        Ok(Named(all))
    }
}

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_identifier(NameVisitor)
    }
}

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Name(name))
    }
}
