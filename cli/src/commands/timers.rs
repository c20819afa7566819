//! `timers`: what agents have set for later.

use crate::args::TimersArgs;
use crate::client;
use crate::exit::{CliError, Code};
use crate::output;
use serde_json::{Value, json};
use std::time::Duration;

/// How long these may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Lists, or cancels one.
pub(super) fn timers(args: TimersArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data(args.target.data)?;
    if let Some(timer) = args.cancel {
        let asked = json!({"timer": timer});
        let answer = client::call(&data, "agent.timers.cancel", asked, TIMEOUT)?;
        if json {
            return Ok(output::json(&answer));
        }
        return Ok(output::line(&output::safe(&format!("cancelled {timer}"))));
    }
    let asked = args.agent.map_or_else(|| json!({}), |agent| json!({"agent": agent}));
    let answer = client::call(&data, "agent.timers.list", asked, TIMEOUT)?;
    if json { Ok(output::versioned(answer)) } else { Ok(list(&answer)) }
}

fn list(answer: &Value) -> Code {
    let all = answer["timers"].as_array().map_or(&[][..], Vec::as_slice);
    if all.is_empty() {
        return output::line("no timers");
    }
    let word = |value: &Value| output::cell(value.as_str().unwrap_or_default());
    let mut text = format!("{:<24} {:<32} {:<20} {:<12} again", "due", "timer", "agent", "kind");
    for timer in all {
        let due = loket_time::rfc3339(timer["due_ms"].as_u64().unwrap_or_default());
        let (kind, again) = match (timer["sleeps"] == true, timer["expr"].as_str()) {
            (true, _) => ("(a sleep)".to_owned(), String::new()),
            (false, Some(expr)) => (word(&timer["kind"]), format!("{expr} {}", word(&timer["tz"]))),
            (false, None) => (word(&timer["kind"]), String::new()),
        };
        text.push_str(&format!(
            "\n{due:<24} {:<32} {:<20} {kind:<12} {again}",
            word(&timer["id"]),
            word(&timer["agent"]),
        ));
    }
    if answer["more"] == true {
        text.push_str("\nmore are set; these are the next ones");
    }
    output::line(&output::safe(text.trim_end()))
}
