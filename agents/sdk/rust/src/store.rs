//! The agent's own brain: settings, keys and values, and memory.
//!
//! All of it is transactional with the turn: a turn that traps has written nothing.

use serde_json::{Map, Value};

use crate::{Failure, call, object};

/// What the fleet file says to this agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// This agent's name, as others address it; empty when the provider does not say.
    pub agent: String,
    values: Map<String, Value>,
}

impl Settings {
    /// The setting `key`, or `default` when it is absent or empty.
    #[must_use]
    pub fn get<'a>(&'a self, key: &str, default: &'a str) -> &'a str {
        match self.values.get(key).and_then(Value::as_str) {
            None | Some("") => default,
            Some(value) => value,
        }
    }

    /// The setting `key` as a number within `from..=to`; `default` when absent.
    ///
    /// # Errors
    /// `bad_setting` when it is there but no such number: a typing error must not become a default.
    pub fn number(&self, key: &str, default: u64, from: u64, to: u64) -> Result<u64, Failure> {
        let text = self.get(key, "");
        if text.is_empty() {
            return Ok(default);
        }
        text.parse().ok().filter(|n| (from..=to).contains(n)).ok_or_else(|| {
            Failure::new(
                "bad_setting",
                &format!("`{key}` must be a number from {from} to {to}, not `{text}`"),
            )
        })
    }
}

/// The settings of this agent: strings by name.
///
/// # Errors
/// What the provider answered.
pub fn settings() -> Result<Settings, Failure> {
    let mut answer = call("store.brain.settings", &object! {})?;
    let values = match answer["settings"].take() {
        Value::Object(values) => values,
        _ => Map::new(),
    };
    Ok(Settings { agent: answer["agent"].as_str().unwrap_or_default().into(), values })
}

/// The value of `key`, `null` when there is none.
///
/// # Errors
/// What the provider answered.
pub fn get(key: &str) -> Result<Value, Failure> {
    Ok(call("store.brain.kv.get", &object! { "key": key })?["value"].take())
}

/// Sets `key`.
///
/// # Errors
/// What the provider answered.
pub fn put(key: &str, value: &Value) -> Result<(), Failure> {
    call("store.brain.kv.put", &object! { "key": key, "value": value }).map(drop)
}

/// Removes `key` and says whether it was there.
///
/// # Errors
/// What the provider answered.
pub fn delete(key: &str) -> Result<bool, Failure> {
    Ok(call("store.brain.kv.delete", &object! { "key": key })?["existed"]
        .as_bool()
        .unwrap_or(false))
}

/// The first `limit` keys that begin with `prefix`, in key order, with their values.
///
/// # Errors
/// What the provider answered.
pub fn list(prefix: &str, limit: usize) -> Result<Vec<(String, Value)>, Failure> {
    let mut answer = call("store.brain.kv.list", &object! { "prefix": prefix, "limit": limit })?;
    let Value::Array(entries) = answer["entries"].take() else {
        return Ok(Vec::new());
    };
    Ok(entries
        .into_iter()
        .map(|mut entry| (entry["key"].as_str().unwrap_or_default().into(), entry["value"].take()))
        .collect())
}

/// Adds one to the counter at `key` and returns its new value.
///
/// # Errors
/// What the provider answered.
pub fn count_up(key: &str) -> Result<u64, Failure> {
    let n = get(key)?.as_u64().unwrap_or(0) + 1;
    put(key, &n.into())?;
    Ok(n)
}

/// Append-only texts that can be searched.
pub mod memory {
    use serde_json::Value;

    use crate::{Failure, call, object};

    /// Adds rows `{"text", "source"?, "meta"?}`.
    ///
    /// # Errors
    /// What the provider answered.
    pub fn add(items: &[Value]) -> Result<(), Failure> {
        call("store.brain.memory.add", &object! { "items": items }).map(drop)
    }

    /// The `limit` rows that fit `query` best, best first, as the provider describes them.
    ///
    /// # Errors
    /// What the provider answered.
    pub fn search(query: &str, limit: u64) -> Result<Vec<Value>, Failure> {
        let mut answer =
            call("store.brain.memory.search", &object! { "query": query, "limit": limit })?;
        Ok(match answer["hits"].take() {
            Value::Array(hits) => hits,
            _ => Vec::new(),
        })
    }

    /// Forgets all rows of `source`; returns how many.
    ///
    /// # Errors
    /// What the provider answered.
    pub fn forget(source: &str) -> Result<u64, Failure> {
        let answer = call("store.brain.memory.forget", &object! { "source": source })?;
        Ok(answer["forgotten"].as_u64().unwrap_or(0))
    }

    /// How many rows there are.
    ///
    /// # Errors
    /// What the provider answered.
    pub fn count() -> Result<u64, Failure> {
        Ok(call("store.brain.memory.count", &object! {})?["count"].as_u64().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::json;

    fn settings_of(values: Value) -> Settings {
        let Value::Object(values) = values else { unreachable!() };
        Settings { agent: String::new(), values }
    }

    #[test]
    fn a_setting_is_its_value_or_the_default() {
        let settings = settings_of(json!({ "model": "fast", "empty": "" }));
        assert_eq!(settings.get("model", "default"), "fast");
        assert_eq!(settings.get("empty", "default"), "default");
        assert_eq!(settings.get("absent", "default"), "default");
    }

    #[test]
    fn a_wrong_number_is_said_and_not_replaced() {
        let settings = settings_of(json!({ "n": "8", "word": "eight", "big": "65", "zero": "0" }));
        assert_eq!(settings.number("n", 4, 1, 64), Ok(8));
        assert_eq!(settings.number("absent", 4, 1, 64), Ok(4));
        for key in ["word", "big", "zero"] {
            assert_eq!(settings.number(key, 4, 1, 64).unwrap_err().code, "bad_setting");
        }
    }
}
