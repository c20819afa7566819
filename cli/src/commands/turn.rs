//! `turn`: how one turn went. The ledger has its message, its recorded calls and its answer; its Pure calls, which have no record, and
//! what it changed in the brain come from running it again beside the fleet, where nothing is sent.

use super::replay::call;
use crate::args::TurnArgs;
use crate::client;
use crate::exit::{CliError, Code};
use crate::node::Workshop;
use crate::output;
use loket_host::rerun::{By, End};
use loket_store::keep::Change;
use loket_turn::{TurnNo, Unit};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// How long the ledger's part may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long the run beside the fleet may take.
const RERUN: Duration = Duration::from_secs(20);

/// Characters of a value that are shown; `--json` has all of it.
const SHOWN_CHARS: usize = 200;

/// Shows one turn.
pub(super) fn turn(args: TurnArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data(args.target.data)?;
    let asked = json!({"agent": args.agent, "turn": args.turn});
    let mut answer = client::call(&data, "agent.turns.show", asked, TIMEOUT)?;
    if !args.records {
        answer["rerun"] = match word(&answer["standing"]) {
            "ended" => match rerun(&data, &args.agent, TurnNo(args.turn)) {
                Ok(found) => found,
                Err(why) => json!({"unknown": format!("{}: {}", why.code, why.message)}),
            },
            "skipped" => json!({"unknown": "it was skipped: nothing of it is in the brain"}),
            _ => json!({"unknown": "it has not ended"}),
        };
    }
    if json {
        Ok(output::versioned(answer))
    } else {
        Ok(output::line(&output::safe(&text(&answer))))
    }
}

/// All calls of the turn, and what it changed in the brain.
fn rerun(data: &Path, agent: &str, n: TurnNo) -> Result<Value, CliError> {
    let workshop = Workshop::open(data, agent, RERUN)?;
    let Some(ran) = workshop.turn(n)?.ran else {
        return Ok(json!({"unknown": "it was skipped: nothing of it is in the brain"}));
    };
    let scratch = workshop.brain_before(n)?;
    let of_file = |error| crate::node::of_file(&error);
    scratch.watch_changes().map_err(of_file)?;
    scratch.begin().map_err(of_file)?;
    let module = workshop.module(ran.begin.module)?;
    let again = workshop.again(&scratch, n, &ran, &module, By::Number)?;
    if !matches!(&again.end, End::Answered(_, hash) if *hash == ran.hash) {
        let why = format!("run again it does something else: see `loket replay {agent} {n}`");
        return Ok(json!({"unknown": why}));
    }
    let (changes, more) = scratch.changes().map_err(of_file)?;
    scratch.roll_back();
    Ok(json!({
        "calls": again.calls.iter().map(call).collect::<Vec<_>>(), "not_shown": again.not_shown,
        "changes": changes.iter().map(change).collect::<Vec<_>>(), "more_changes": more,
    }))
}

fn change(it: &Change) -> Value {
    json!({"place": it.place, "key": it.key, "before": it.before, "after": it.after})
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n  ")
}

fn text(turn: &Value) -> String {
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
            "\n\nbegun at {}, seed {}, module {}",
            loket_time::rfc3339(begin["time_ms"].as_u64().unwrap_or_default()),
            begin["seed"],
            word(&begin["module"])
        ));
    }
    calls(turn, &mut text);
    text.push_str(&format!("\n\nanswer\n  {}", indented(&outcome(&turn["reply"]))));
    if turn["rerun"].is_object() {
        brain(&turn["rerun"], &mut text);
    }
    text
}

/// The recorded calls, and between them those that were run again.
fn calls(turn: &Value, text: &mut String) {
    let (records, all) = (list(&turn["records"]), list(&turn["rerun"]["calls"]));
    text.push_str(if all.is_empty() { "\n\nrecorded calls" } else { "\n\ncalls" });
    let pure = all.iter().filter(|call| call["recorded"] == false);
    let mut shown: Vec<&Value> = records.iter().chain(pure).collect();
    shown.sort_by_key(|call| call["call"].as_u64());
    for call in &shown {
        text.push_str(&format!(
            "\n  {:>3}  {:<8} {} {}\n       {}{}",
            call["call"].to_string(),
            word(&call["class"]),
            word(&call["capability"]),
            indented(word(&call["args"])),
            indented(&outcome(&call["outcome"])),
            took(call),
        ));
    }
    if shown.is_empty() {
        text.push_str("\n  none");
    }
    if let Some(more) = turn["rerun"]["not_shown"].as_u64().filter(|more| *more > 0) {
        text.push_str(&format!("\n  and {more} that are too large to be shown"));
    }
}

/// How long a call took and what it used, as far as its record says.
fn took(call: &Value) -> String {
    let mut parts = Vec::new();
    if let Some(ms) = call["took_ms"].as_u64() {
        parts.push(format!("{ms} ms"));
    }
    for unit in [Unit::Tokens, Unit::Money] {
        if let Some(used) = call["cost"][unit.as_str()].as_u64().filter(|used| *used > 0) {
            parts.push(format!("{} {}", unit.show(used), unit.as_str()));
        }
    }
    if parts.is_empty() { String::new() } else { format!("\n       took {}", parts.join(", ")) }
}

/// What it changed in the brain.
fn brain(rerun: &Value, text: &mut String) {
    text.push_str("\n\nbrain");
    if let Some(why) = rerun["unknown"].as_str() {
        text.push_str(&format!("\n  not known: {}", indented(why)));
        return;
    }
    let changes = list(&rerun["changes"]);
    for it in changes {
        let (place, key) = (word(&it["place"]), word(&it["key"]));
        for (mark, side) in [("-", &it["before"]), ("+", &it["after"])] {
            if let Some(value) = side.as_str() {
                text.push_str(&format!("\n  {mark} {place} {key}  {}", short(value)));
            }
        }
    }
    match (changes.is_empty(), rerun["more_changes"].as_u64()) {
        (true, _) => text.push_str("\n  nothing changed"),
        (false, Some(more)) if more > 0 => text.push_str(&format!("\n  and {more} changes more")),
        _ => {}
    }
}

/// The beginning of a value, on one line.
fn short(value: &str) -> String {
    let line = value.replace('\n', " ");
    match line.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => line,
    }
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
