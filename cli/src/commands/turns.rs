//! `turns` and `turn`: what an agent has done, and how one turn went.

use crate::args::{TurnArgs, TurnsArgs};
use crate::client;
use crate::exit::{CliError, Code};
use crate::output;
use serde_json::{Value, json};
use std::time::Duration;

/// How long these may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Lists turns, newest first.
pub(super) fn turns(args: TurnsArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data(args.target.data)?;
    let asked = json!({"agent": args.agent, "before": args.before, "limit": args.limit});
    let answer = client::call(&data, "agent.turns.list", asked, TIMEOUT)?;
    if json { Ok(output::versioned(answer)) } else { Ok(list(&answer)) }
}

/// Shows one turn.
pub(super) fn turn(args: TurnArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data(args.target.data)?;
    let asked = json!({"agent": args.agent, "turn": args.turn});
    let answer = client::call(&data, "agent.turns.show", asked, TIMEOUT)?;
    if json { Ok(output::versioned(answer)) } else { Ok(show(&answer)) }
}

fn list(answer: &Value) -> Code {
    let turns = answer["turns"].as_array().cloned().unwrap_or_default();
    if turns.is_empty() {
        return output::line("no turns that are still kept");
    }
    let mut text = format!(
        "{:>6}  {:<8} {:<7} {:>8} {:>5} {:>5}  {:<12} from",
        "turn", "stands", "answer", "attempts", "parks", "calls", "kind"
    );
    for turn in &turns {
        text.push_str(&format!(
            "\n{:>6}  {:<8} {:<7} {:>8} {:>5} {:>5}  {:<12} {}",
            turn["n"].to_string(),
            word(&turn["standing"]),
            answered(turn),
            turn["attempts"].to_string(),
            turn["parks"].to_string(),
            turn["calls"].to_string(),
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

fn show(turn: &Value) -> Code {
    let indented = |text: &str| text.replace('\n', "\n  ");
    let mut text = format!(
        "turn {} of {}: {}, {} failed attempts, {} parks\n\nmessage {} of kind {} from {}\n  {}",
        turn["n"],
        word(&turn["agent"]),
        word(&turn["standing"]),
        turn["attempts"],
        turn["parks"],
        word(&turn["message"]),
        output::cell(word(&turn["kind"])),
        word(&turn["sender"]),
        indented(word(&turn["body"])),
    );
    if turn["begin"].is_object() {
        let begin = &turn["begin"];
        text.push_str(&format!(
            "\n\nbegun at {} ms, seed {}, module {}",
            begin["time_ms"],
            begin["seed"],
            word(&begin["module"])
        ));
    }
    text.push_str("\n\nrecorded calls");
    let calls = turn["records"].as_array().map(Vec::as_slice).unwrap_or_default();
    for call in calls {
        text.push_str(&format!(
            "\n  {:>3}  {:<8} {} {}\n       {}",
            call["call"].to_string(),
            word(&call["class"]),
            word(&call["capability"]),
            indented(word(&call["args"])),
            indented(&outcome(&call["outcome"])),
        ));
    }
    if calls.is_empty() {
        text.push_str("\n  none (Pure calls are run again, not recorded)");
    }
    text.push_str(&format!("\n\nanswer\n  {}", indented(&outcome(&turn["reply"]))));
    output::line(&output::safe(&text))
}

fn outcome(outcome: &Value) -> String {
    match (&outcome["ok"], &outcome["error"]) {
        (Value::String(text), _) => text.clone(),
        (_, error @ Value::Object(_)) => {
            format!("failure {}: {}", word(&error["code"]), word(&error["message"]))
        }
        _ => "none yet".to_owned(),
    }
}
