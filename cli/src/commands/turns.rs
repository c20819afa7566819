//! `turns`: what an agent has done.

use crate::args::TurnsArgs;
use crate::client;
use crate::exit::{CliError, Code};
use crate::output;
use serde_json::{Value, json};
use std::time::Duration;

/// How long it may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Lists turns, newest first.
pub(super) fn turns(args: TurnsArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data(args.target.data)?;
    let asked = json!({"agent": args.agent, "before": args.before, "limit": args.limit});
    let answer = client::call(&data, "agent.turns.list", asked, TIMEOUT)?;
    if json { Ok(output::versioned(answer)) } else { Ok(list(&answer)) }
}

fn list(answer: &Value) -> Code {
    let turns = answer["turns"].as_array().cloned().unwrap_or_default();
    if turns.is_empty() {
        return output::line("no turns that are still kept");
    }
    let mut text = format!(
        "{:>6}  {:<8} {:<7} {:>8} {:>5} {:>5}  {:<24}  {:<12} from",
        "turn", "stands", "answer", "attempts", "parks", "calls", "ended", "kind"
    );
    for turn in &turns {
        text.push_str(&format!(
            "\n{:>6}  {:<8} {:<7} {:>8} {:>5} {:>5}  {:<24}  {:<12} {}",
            turn["n"].to_string(),
            word(&turn["standing"]),
            answered(turn),
            turn["attempts"].to_string(),
            turn["parks"].to_string(),
            turn["calls"].to_string(),
            turn["ended_ms"].as_u64().map_or_else(|| "-".to_owned(), loket_time::rfc3339),
            output::cell(word(&turn["kind"])),
            word(&turn["sender"]),
        ));
    }
    output::line(&output::safe(&text))
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn answered(turn: &Value) -> &'static str {
    match turn["ok"].as_bool() {
        Some(true) => "result",
        Some(false) => "failure",
        None => "-",
    }
}
