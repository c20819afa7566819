//! Free values: settings, message bodies, scope names; `Param("x")` is resolved here.
//!
//! They become JSON, because that is what a guest gets. What JSON cannot say is an error, never a
//! guess.

use serde_json::{Map, Number, Value};

use super::cx::Cx;
use super::nearest::nearest;
use super::slice;

/// Deepest nesting of a free value: RON itself stops at 128, a guest's JSON reader often earlier.
const MAX_DEPTH: usize = 32;

impl<'a> Cx<'a> {
    /// The entries of a map whose keys are strings; double keys are E004, the first one counts.
    pub(crate) fn entries(&mut self, raw: &'a str, what: &str) -> Vec<(String, &'a str, &'a str)> {
        let Some(pairs) = slice::entries(raw) else {
            let help = "write it as { \"key\": value, .. }";
            self.help("E005", super::fields::head(raw), format!("`{what}` is a map"), help);
            return Vec::new();
        };
        let mut all: Vec<(String, &'a str, &'a str)> = Vec::with_capacity(pairs.len());
        let mut seen = std::collections::BTreeSet::new();
        for (key_raw, value) in pairs {
            let Some(key) = self.string(key_raw, "a key") else {
                continue;
            };
            if seen.insert(key.clone()) {
                all.push((key, key_raw, value));
            } else {
                let message = format!("the key \"{key}\" is given twice in `{what}`");
                self.help("E004", key_raw, message, "keep one of them");
            }
        }
        all
    }

    /// The elements of a list.
    pub(crate) fn list(&mut self, raw: &'a str, what: &str) -> Vec<&'a str> {
        slice::list(raw).unwrap_or_else(|| {
            let message = format!("`{what}` is a list");
            self.help("E005", super::fields::head(raw), message, "write it as [.., ..]");
            Vec::new()
        })
    }

    /// A string, or the parameter that stands for it.
    pub(crate) fn text(&mut self, raw: &'a str, what: &str) -> Option<String> {
        match slice::split(raw) {
            (Some("Param"), rest) => self.param(raw, rest),
            _ => self.string(raw, what),
        }
    }

    /// The value of `Param("name")`.
    fn param(&mut self, raw: &'a str, rest: &'a str) -> Option<String> {
        let Some((name,)) = slice::scalar::<(String,)>(rest) else {
            let help = "write Param(\"name\"), with a name of `params`";
            self.help("E005", raw, "`Param` takes one name", help);
            return None;
        };
        if let Some(param) = self.params.get_mut(&name) {
            param.used = true;
            return Some(param.value.clone());
        }
        let near = nearest(&name, self.params.keys().map(String::as_str)).map(str::to_owned);
        let help = near.map_or_else(
            || format!("add \"{name}\" to `params`"),
            |near| format!("did you mean \"{near}\"?"),
        );
        self.help("E009", raw, format!("there is no parameter \"{name}\""), help);
        None
    }

    /// A free value as JSON; `Null` where it was refused.
    pub(crate) fn json(&mut self, raw: &'a str, what: &str) -> Value {
        self.json_at(raw, what, 0)
    }

    fn json_at(&mut self, raw: &'a str, what: &str, depth: usize) -> Value {
        let raw = slice::skip_space(raw);
        if depth > MAX_DEPTH {
            let message = format!("`{what}` is nested deeper than {MAX_DEPTH}");
            let help = "no guest needs it so deep: flatten it, or send it as text";
            self.help("E007", raw, message, help);
            return Value::Null;
        }
        match (slice::split(raw), raw.chars().next()) {
            ((Some("Param"), rest), _) => self.param(raw, rest).map_or(Value::Null, Value::String),
            ((Some("Some"), _), _) => match slice::present(raw) {
                Some(inner) => self.json_at(inner, what, depth + 1),
                None => Value::Null,
            },
            ((Some("None"), ""), _) => Value::Null,
            ((Some("true"), ""), _) => Value::Bool(true),
            ((Some("false"), ""), _) => Value::Bool(false),
            ((Some(word), _), _) => {
                let help = format!("put it in double quotes: \"{word}\"");
                self.help("E005", raw, format!("`{word}` is no value of `{what}`"), help);
                Value::Null
            }
            ((None, _), Some('[')) => {
                let items = self.list(raw, what);
                items.into_iter().map(|item| self.json_at(item, what, depth + 1)).collect()
            }
            ((None, _), Some('{')) => {
                let entries = self.entries(raw, what);
                let mut map = Map::new();
                for (key, _, value) in entries {
                    let value = self.json_at(value, what, depth + 1);
                    map.insert(key, value);
                }
                Value::Object(map)
            }
            _ => self.plain(raw, what),
        }
    }

    /// A string or a number.
    fn plain(&mut self, raw: &str, what: &str) -> Value {
        if raw.starts_with(['"', 'r']) {
            return self.string(raw, what).map_or(Value::Null, Value::String);
        }
        let number = slice::scalar::<u64>(raw)
            .map(Number::from)
            .or_else(|| slice::scalar::<i64>(raw).map(Number::from))
            .or_else(|| slice::scalar::<f64>(raw).and_then(Number::from_f64));
        number.map_or_else(
            || {
                let help = "a string, number, true, false, None, [..] or { \"key\": .. }";
                self.help("E005", raw, format!("`{what}` holds what JSON cannot say"), help);
                Value::Null
            },
            Value::Number,
        )
    }
}
