//! The named fields of one struct, taken one by one.
//!
//! What is never taken is unknown: the list of known names is the list of those asked for, so the
//! two cannot drift apart. A field may be taken only once the reader is sure to ask for all.

use std::collections::BTreeSet;

use super::cx::Cx;
use super::slice::{self, Pair};

/// The fields of `Agent(..)`, `Backoff`-like groups, and so on.
pub(crate) struct Fields<'a> {
    whole: &'a str,
    what: &'static str,
    list: Vec<Pair<'a>>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Opens `raw`, a group of named fields; reports and gives none when it is something else.
    ///
    /// Reports double fields (E004); the first one counts.
    pub(crate) fn open(cx: &mut Cx<'a>, raw: &'a str, what: &'static str) -> Option<Self> {
        let (_, group) = slice::split(raw);
        // `()` holds no field, and RON reads it as a unit.
        let Some(pairs) = slice::fields(group) else {
            let message = format!("`{what}` is a group of named fields in parentheses");
            cx.help("E005", head(raw), message, format!("write `{what}` as `(name: value, ..)`"));
            return None;
        };
        let mut list: Vec<Pair<'a>> = Vec::with_capacity(pairs.len());
        let anchor = cx.place(raw).offset;
        let mut seen = BTreeSet::new();
        for (name, value) in pairs {
            if !seen.insert(name) {
                cx.help("E004", name, format!("`{name}` is given twice"), "keep one of them");
            } else {
                cx.mark(anchor, name, value);
                list.push((name, value));
            }
        }
        Some(Self { whole: raw, what, list, known: Vec::new() })
    }

    /// The field's value, if it is there and not `None`.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<&'a str> {
        self.take_raw(name).and_then(slice::present).map(slice::skip_space)
    }

    /// The field's value as it is written, `None` included.
    pub(crate) fn take_raw(&mut self, name: &'static str) -> Option<&'a str> {
        self.known.push(name);
        self.list.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// The field's value; E003 when it is missing.
    pub(crate) fn need(&mut self, cx: &mut Cx<'a>, name: &'static str) -> Option<&'a str> {
        let found = self.take(name);
        if found.is_none() {
            let message = format!("`{}` lacks its `{name}`", self.what);
            cx.help("E003", head(self.whole), message, format!("add `{name}: ..`"));
        }
        found
    }

    /// Reports every field that nobody asked for.
    pub(crate) fn close(self, cx: &mut Cx<'a>) {
        for (name, _) in &self.list {
            if !self.known.contains(name) {
                cx.unknown(name, &format!("field of `{}`", self.what), name, &self.known);
            }
        }
    }
}

/// The part of a value that a caret can stand under: its name, or its first character.
pub(crate) fn head(raw: &str) -> &str {
    match slice::split(raw) {
        (Some(name), _) => name,
        (None, rest) => rest.chars().next().map_or(rest, |c| &rest[..c.len_utf8()]),
    }
}
