//! `send` and `call`: a message for an agent.

use crate::args::MessageArgs;
use crate::client;
use crate::exit::{self, CliError, Code};
use crate::output;
use serde_json::{Value, json};
use std::io::Read;
use std::time::Duration;

/// How long `send` waits for the acceptance.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(30);

/// Beside the agent's own time, for the way there and back.
const WAY: Duration = Duration::from_secs(5);

/// Accepted for good, or an error.
pub(super) fn send(args: MessageArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data(args.target.data.clone())?;
    let ask = json!({
        "to": args.agent, "kind": args.kind, "body": body(&args.message)?, "key": args.key,
    });
    let answer = client::call(&data, "agent.send", ask, ACCEPT_TIMEOUT)?;
    if json {
        return Ok(output::json(&answer));
    }
    let id = answer["message"].as_str().unwrap_or_default();
    let again = if answer["duplicate"] == json!(true) { " (the same as before)" } else { "" };
    Ok(output::line(&format!("accepted {id}{again}")))
}

/// Waits for the answer.
pub(super) fn call(args: MessageArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data(args.target.data.clone())?;
    let timeout = Duration::from_secs(args.timeout);
    let ask = json!({
        "to": args.agent, "kind": args.kind, "body": body(&args.message)?, "key": args.key,
        "timeout_ms": u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
    });
    let answer = client::call(&data, "agent.call", ask, timeout.saturating_add(WAY))?;
    if json {
        return Ok(output::json(&answer));
    }
    Ok(output::line(&output::safe(&readable(&answer))))
}

/// The message as text; `-` is standard input. JSON objects are sent as such.
pub(super) fn body(message: &str) -> Result<Value, CliError> {
    let mut text = message.to_owned();
    if message == "-" {
        text.clear();
        let limit = loket_turn::limits::BODY_BYTES_MAX as u64 + 1;
        let read = std::io::stdin().take(limit).read_to_string(&mut text);
        read.map_err(|error| {
            CliError::new("C006", exit::USAGE, format!("standard input: {error}"))
        })?;
    }
    if text.len() > loket_turn::limits::BODY_BYTES_MAX {
        let limit = loket_turn::limits::BODY_BYTES_MAX;
        let text =
            format!("the message is over the limit of {limit} bytes; send a file's name instead");
        return Err(CliError::new("too_large", exit::USAGE, text));
    }
    // Text that is a JSON object or list reaches the agent as it is, byte for byte: a JSON string body is its text.
    Ok(Value::String(text))
}

/// An answer with an `answer` field is for people: show that, and what it cites.
pub(crate) fn readable(answer: &Value) -> String {
    let Some(text) = answer.get("answer").and_then(Value::as_str) else {
        return match answer {
            Value::String(text) => text.clone(),
            other => serde_json::to_string_pretty(other).unwrap_or_default(),
        };
    };
    let mut shown = text.to_owned();
    for cited in answer.get("citations").and_then(Value::as_array).into_iter().flatten() {
        let path = cited["path"].as_str().unwrap_or("?");
        shown.push_str(&format!("\n  [{path}, passage {}]", cited["part"]));
    }
    shown
}
