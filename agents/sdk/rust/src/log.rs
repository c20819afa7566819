//! The log: a side channel, not shown again when a turn is re-run.

use serde_json::Value;

use crate::{call, object};

/// Writes a line at level `info`. An agent that may not log goes on without.
pub fn info(message: &str, fields: &Value) {
    write("info", message, fields);
}

/// Writes a line at level `warn`.
pub fn warn(message: &str, fields: &Value) {
    write("warn", message, fields);
}

/// Writes a line at `level`.
pub(crate) fn write(level: &str, message: &str, fields: &Value) {
    // The answer is always the same, and a refusal is the operator's choice: neither changes what
    // we do.
    let _ = call("log.write", &object! { "level": level, "message": message, "fields": fields });
}
