//! Other agents.

use serde_json::Value;

use crate::{Failure, call as ask, call_bytes, object};

/// Sends a message, which leaves when this turn ends. The same `key` and body to the same agent are
/// one message, however often they are sent.
///
/// # Errors
/// What the provider answered, `overloaded` among it.
pub fn send(to: &str, kind: &str, body: &Value, key: Option<&str>) -> Result<(), Failure> {
    let mut args = object! { "to": to, "kind": kind, "body": body };
    if let Some(key) = key {
        args["key"] = key.into();
    }
    ask("agent.send", &args).map(drop)
}

/// Sends a message and waits for the answer, at most `timeout_ms` milliseconds. An answer that is
/// no JSON comes as a string.
///
/// # Errors
/// What the callee or the provider answered.
pub fn call(to: &str, kind: &str, body: &Value, timeout_ms: u64) -> Result<Value, Failure> {
    let args = object! { "to": to, "kind": kind, "body": body, "timeout_ms": timeout_ms };
    let answer = call_bytes("agent.call", args.to_string().as_bytes())?;
    Ok(serde_json::from_slice(&answer)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&answer).into_owned())))
}

/// Starts `name` under a SimpleOneForOne supervisor when this turn ends. It can be sent to at once,
/// and called from the next turn on. One that is already there is as good.
///
/// # Errors
/// What the provider answered, but for `already_started`.
pub fn spawn(under: &str, name: &str, settings: &Value) -> Result<(), Failure> {
    match ask("agent.spawn", &object! { "under": under, "name": name, "settings": settings }) {
        Err(failure) if !failure.is("already_started") => Err(failure),
        _ => Ok(()),
    }
}

/// The names of the agents under a supervisor.
///
/// # Errors
/// What the provider answered.
pub fn list(under: &str) -> Result<Vec<String>, Failure> {
    let answer = ask("agent.list", &object! { "under": under })?;
    let names = answer["agents"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(names.iter().filter_map(|name| name.as_str().map(Into::into)).collect())
}
