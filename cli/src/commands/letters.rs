//! `letters`: dead letters.

use crate::args::{LettersArgs, LettersVerb};
use crate::client;
use crate::exit::{self, CliError, Code};
use crate::output;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// How long these may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Lists, shows, retries, drops.
pub(super) fn letters(args: LettersArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data(args.target.data)?;
    let ask = |verb: &str, args: Value| {
        client::call(&data, &format!("agent.letters.{verb}"), args, TIMEOUT)
    };
    match args.verb.unwrap_or(LettersVerb::List) {
        LettersVerb::List => {
            let answer = ask("list", json!({}))?;
            if json { Ok(output::versioned(answer)) } else { Ok(list(&answer)) }
        }
        LettersVerb::Show { letter } => {
            let answer = ask("show", json!({"letter": letter}))?;
            if json { Ok(output::versioned(answer)) } else { Ok(show(&answer)) }
        }
        LettersVerb::Retry { letter, yes } => retry(&data, letter, yes, json),
        LettersVerb::Drop { letter } => {
            let answer = ask("drop", json!({"letter": letter}))?;
            if json {
                Ok(output::json(&answer))
            } else {
                Ok(output::line(&format!("dropped {letter}")))
            }
        }
    }
}

fn list(answer: &Value) -> Code {
    let letters = answer["letters"].as_array().cloned().unwrap_or_default();
    if letters.is_empty() {
        return output::line("no dead letters");
    }
    let mut text =
        format!("{:>6}  {:<24} {:<12} {:>8}  message", "letter", "agent", "cause", "attempts");
    for letter in &letters {
        text.push_str(&format!(
            "\n{:>6}  {:<24} {:<12} {:>8}  {}",
            letter["id"].to_string(),
            letter["agent"].as_str().unwrap_or_default(),
            letter["cause"].as_str().unwrap_or_default(),
            letter["attempts"].to_string(),
            letter["message"].as_str().unwrap_or_default(),
        ));
    }
    output::line(&output::safe(&text))
}

/// One letter for people: what happened, to which message, and what had been done by then.
fn show(answer: &Value) -> Code {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let letter = &answer["letter"];
    let mut text = format!(
        "letter {}: {} failed {} times, cause {}, to blame: {}\n{}\n\nmessage {} of kind {} from {}\n  {}",
        answer["id"],
        word(&answer["agent"]),
        answer["attempts"],
        word(&answer["cause"]),
        word(&answer["blame"]),
        word(&answer["reason"]),
        word(&letter["id"]),
        output::cell(&word(&letter["kind"])),
        word(&letter["sender"]),
        word(&letter["body"]).replace('\n', "\n  "),
    );
    text.push_str("\n\neffects done by then");
    for effect in answer["effects"].as_array().into_iter().flatten() {
        let effect = effect.as_str().map_or_else(|| effect.to_string(), str::to_owned);
        text.push_str(&format!("\n  {effect}"));
    }
    if answer["effects"].as_array().is_none_or(Vec::is_empty) {
        text.push_str("\n  none");
    }
    let backtrace = word(&answer["backtrace"]);
    if !backtrace.is_empty() {
        text.push_str(&format!("\n\nbacktrace\n{}", backtrace.trim_end()));
    }
    output::line(&output::safe(&text))
}

fn retry(data: &Path, letter: u64, yes: bool, json: bool) -> Result<Code, CliError> {
    let args = json!({"letter": letter, "confirmed": yes});
    let answer = client::call(data, "agent.letters.retry", args, TIMEOUT)?;
    if json {
        return Ok(output::json(&answer));
    }
    if let Some(effects) = answer["needs_confirmation"].as_array() {
        let listed: Vec<_> = effects.iter().filter_map(Value::as_str).collect();
        let text = format!(
            "a retry may repeat these effects; confirm with --yes:\n  {}",
            listed.join("\n  ")
        );
        return Err(CliError::new("needs_confirmation", exit::FAILED, text));
    }
    let id = answer["message"].as_str().unwrap_or_default();
    Ok(output::line(&format!("letter {letter} is message {id} now, at the end of the inbox")))
}
