//! `approvals` and `answer`: what waits for a person.

use crate::args::{AnswerArgs, ApprovalsArgs, ApprovalsVerb};
use crate::client;
use crate::exit::{CliError, Code};
use crate::output;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// How long these may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Characters of the arguments that a list shows: a line; `show` has them whole.
const SHOWN: usize = 60;

/// Lists, shows, approves, denies.
pub(super) fn approvals(args: ApprovalsArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data(args.target.data)?;
    match args.verb.unwrap_or(ApprovalsVerb::List) {
        ApprovalsVerb::List => {
            let answer = ask(&data, "list", json!({}))?;
            if json { Ok(output::versioned(answer)) } else { Ok(list(&answer)) }
        }
        ApprovalsVerb::Show { approval } => {
            let answer = ask(&data, "show", json!({"approval": approval}))?;
            if json { Ok(output::versioned(answer)) } else { Ok(show(&answer)) }
        }
        ApprovalsVerb::Approve { approval } => {
            said(&ask(&data, "approve", json!({"approval": approval}))?, json)
        }
        ApprovalsVerb::Deny { approval, reason } => {
            said(&ask(&data, "deny", json!({"approval": approval, "reason": reason}))?, json)
        }
    }
}

/// Answers a question.
pub(super) fn answer(args: AnswerArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data(args.target.data)?;
    let text = super::messages::body(&args.text)?;
    said(&ask(&data, "answer", json!({"approval": args.approval, "text": text}))?, json)
}

fn ask(data: &Path, verb: &str, args: Value) -> Result<Value, CliError> {
    client::call(data, &format!("agent.approvals.{verb}"), args, TIMEOUT)
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn said(answer: &Value, json: bool) -> Result<Code, CliError> {
    if json {
        return Ok(output::json(answer));
    }
    let text = format!(
        "{} {}: {} of {}",
        word(&answer["state"]),
        answer["id"],
        word(&answer["capability"]),
        word(&answer["agent"])
    );
    Ok(output::line(&output::safe(&text)))
}

fn list(answer: &Value) -> Code {
    let all = answer["approvals"].as_array().map_or(&[][..], Vec::as_slice);
    if all.is_empty() {
        return output::line("nothing waits for a person");
    }
    let mut text = format!("{:>8}  {:<24} {:<24} arguments", "approval", "agent", "capability");
    for one in all {
        let args = one["args"].to_string();
        let mut shown: String = args.chars().take(SHOWN).collect();
        if shown.len() < args.len() {
            shown.push_str(" ...");
        }
        text.push_str(&format!(
            "\n{:>8}  {:<24} {:<24} {shown}",
            one["id"].to_string(),
            word(&one["agent"]),
            word(&one["capability"]),
        ));
        if let Some(budget) = budget(one) {
            text.push_str(&format!("\n{:>8}  beyond the soft limit of {budget}", ""));
        }
    }
    if answer["more"] == true {
        text.push_str("\nmore wait; these are the oldest");
    }
    output::line(&output::safe(&text))
}

/// The budget whose soft limit a call goes beyond, if that is why it waits.
fn budget(one: &Value) -> Option<String> {
    let agent = word(&one["agent"]);
    Some(match one["budget"]["level"].as_str()? {
        "supervisor" => {
            format!("what all agents below {} share", word(&one["budget"]["supervisor"]))
        }
        "message" => format!("what one message may cost {agent}"),
        _ => format!("{agent} for {}", word(&one["budget"]["capability"])),
    })
}

/// One for people: who wants what, since when, and what to do.
fn show(answer: &Value) -> Code {
    let args = serde_json::to_string_pretty(&answer["args"]).unwrap_or_default();
    let since = loket_time::rfc3339(answer["asked_ms"].as_u64().unwrap_or_default());
    let mut text = format!(
        "approval {}: {} in turn {} of {}, since {since}: {}\n\n{args}",
        answer["id"],
        word(&answer["capability"]),
        answer["n"],
        word(&answer["agent"]),
        word(&answer["state"]),
    );
    if let (Some(until), true) = (answer["expires_ms"].as_u64(), answer["state"] == "waits") {
        let what = match answer["budget"].is_object() {
            true => "is approved, for its budget's window ends and a new one begins",
            false => "is denied",
        };
        text.push_str(&format!("\n\nUnanswered, it {what}, at {}", loket_time::rfc3339(until)));
    }
    if let Some(budget) = budget(answer) {
        text.push_str(&format!(
            "\n\nIt goes beyond the soft limit of {budget}. Approved, that may be spent to its limits until its \
             window ends, by all who draw on it; `loket budgets` shows how it stands."
        ));
    }
    if let Some(by) = answer["by"].as_str() {
        text.push_str(&format!("\n\n{} by {by}", word(&answer["state"])));
    }
    if let Some(reason) = answer["reason"].as_str().filter(|reason| !reason.is_empty()) {
        text.push_str(&format!(": {reason}"));
    }
    output::line(&output::safe(&text))
}
