//! Scopes: what a grant says about arguments, in one form that can be compared without knowing what
//! it means. Never interprets a key or a value; the provider does, with the scope in its badge.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// Most bytes of a pattern: the longest path Linux takes.
pub const MAX_PATTERN: usize = 4096;

errors! {
    /// Why a text is no pattern.
    pub enum PatternError {
        Empty = "K111", "the pattern is empty";
        TooLong = "K112", "the pattern is longer than {MAX_PATTERN} bytes";
        Star = "K113", "a `*` stands alone, or at the end as `/*`";
    }
}

fn check(text: &str) -> Result<(), PatternError> {
    let stem = text.strip_suffix('*').filter(|stem| stem.is_empty() || stem.ends_with('/'));
    match text.len() {
        0 => Err(PatternError::Empty),
        1.. if text.len() > MAX_PATTERN => Err(PatternError::TooLong),
        _ if stem.unwrap_or(text).contains('*') => Err(PatternError::Star),
        _ => Ok(()),
    }
}

text! {
    /// An exact text, `prefix/*` for what begins with `prefix/` and goes on, or `*` for all.
    pub struct Pattern(check) -> PatternError;
}

impl Pattern {
    /// Whether this pattern names `value`. No normalisation: `a/../b` matches `a/*`.
    pub fn matches(&self, value: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some("") => true,
            Some(stem) => value.len() > stem.len() && value.starts_with(stem),
            None => value == self.as_str(),
        }
    }

    /// Whether every value that `other` matches is matched by this pattern too.
    pub fn covers(&self, other: &Self) -> bool {
        match (self.0.strip_suffix('*'), other.0.strip_suffix('*')) {
            (Some(stem), Some(narrower)) => narrower.starts_with(stem),
            (None, Some(_)) => false,
            (_, None) => self.matches(&other.0),
        }
    }
}

/// What a scope says of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bound {
    /// Only values that one of the patterns matches; an empty list allows none.
    Names(Vec<Pattern>),
    /// A number up to and including this one; the unit is the key's.
    AtMost(u64),
}

impl Bound {
    fn within(&self, parent: &Self) -> bool {
        match (self, parent) {
            (Self::Names(ours), Self::Names(theirs)) => {
                ours.iter().all(|our| theirs.iter().any(|their| their.covers(our)))
            }
            (Self::AtMost(ours), Self::AtMost(theirs)) => ours <= theirs,
            _ => false,
        }
    }
}

/// Key to bound. What an absent key means is the provider's affair: [`Scope::unrestricted`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope(BTreeMap<String, Bound>);

#[rustfmt::skip]
impl Scope {
    /// A scope that says nothing.
    pub fn new() -> Self { Self::default() }
    /// Binds a key; answers what it was bound to before.
    pub fn insert(&mut self, key: impl Into<String>, bound: Bound) -> Option<Bound> {
        self.0.insert(key.into(), bound)
    }
    /// What the scope says of a key.
    pub fn get(&self, key: &str) -> Option<&Bound> { self.0.get(key) }
    /// Whether the key is there, is a list of names, and one of them matches the value.
    pub fn allows(&self, key: &str, value: &str) -> bool {
        self.names(key).is_some_and(|names| names.iter().any(|name| name.matches(value)))
    }
    /// Whether the scope says nothing of the key.
    pub fn unrestricted(&self, key: &str) -> bool { !self.0.contains_key(key) }
    /// The patterns of a key that is a list of names.
    pub fn names(&self, key: &str) -> Option<&[Pattern]> {
        if let Some(Bound::Names(names)) = self.0.get(key) { Some(names) } else { None }
    }
    /// The upper bound of a key that is a number.
    pub fn at_most(&self, key: &str) -> Option<u64> {
        if let Some(Bound::AtMost(limit)) = self.0.get(key) { Some(*limit) } else { None }
    }
    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> { self.0.keys().map(String::as_str) }
    /// Whether this scope gives no more than `parent`. Both must have the same keys: an absent one
    /// can mean "all" or "nothing", only its provider knows. A parent that has all says so: `*`.
    pub fn within(&self, parent: &Self) -> bool {
        self.0.len() == parent.0.len()
            && self.0.iter().all(|(key, ours)| parent.get(key).is_some_and(|b| ours.within(b)))
    }
}
