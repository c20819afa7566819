//! `budgets`: what may be spent, by grants, messages and all agents below a supervisor, and what is.

use crate::args::BudgetsArgs;
use crate::client;
use crate::exit::{CliError, Code};
use crate::output;
use loket_turn::Unit;
use serde_json::{Value, json};
use std::time::Duration;

/// How long this may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What a level of the tree is indented by, in characters.
const INDENT: usize = 2;

/// Levels that are indented; supervisors are nested no deeper.
const DEEPEST: usize = 16;

/// Lists them.
pub(super) fn budgets(args: BudgetsArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data(args.target.data)?;
    let asked = args.agent.map_or_else(|| json!({}), |agent| json!({"agent": agent}));
    let answer = client::call(&data, "agent.budgets.list", asked, TIMEOUT)?;
    if json { Ok(output::versioned(answer)) } else { Ok(list(&answer)) }
}

fn list(answer: &Value) -> Code {
    let all = answer["budgets"].as_array().map_or(&[][..], Vec::as_slice);
    if all.is_empty() {
        return output::line("no budgets");
    }
    output::line(&output::safe(&text(all, answer["more"] == true)))
}

fn text(all: &[Value], more: bool) -> String {
    let mut text = format!(
        "{:<24} {:<24} {:<7} {:>12} {:>12} {:>12} {:>12} window ends",
        "whose", "for", "unit", "limit", "asks at", "spent", "reserved"
    );
    let known: Vec<&Value> = all.iter().map(|it| &it["supervisor"]).collect();
    let top = all.iter().filter(|it| it["under"].is_null() || !known.contains(&&it["under"]));
    top.for_each(|it| below(it, all, 0, &mut text));
    if more {
        text.push_str("\nmore agents have budgets; these are the first ones");
    }
    text
}

/// A budget, and what is spent of it and of one below it at once.
fn below(it: &Value, all: &[Value], depth: usize, text: &mut String) {
    rows(it, depth, text);
    if it["supervisor"].is_string() && depth < DEEPEST {
        let under = all.iter().filter(|other| other["under"] == it["supervisor"]);
        under.for_each(|other| below(other, all, depth + 1, text));
    }
}

/// The rows of one budget, a line a unit.
fn rows(it: &Value, depth: usize, text: &mut String) {
    let (whose, what) = match it["level"].as_str() {
        Some("supervisor") => (&it["supervisor"], "all agents below".to_owned()),
        Some("message") => (&it["agent"], format!("message {}", it["n"])),
        _ => (&it["agent"], word(&it["capability"])),
    };
    let whose = format!("{:1$}{2}", "", depth * INDENT, word(whose));
    let ends = match it["ends_ms"].as_u64() {
        Some(ends_ms) => loket_time::rfc3339(ends_ms),
        None if it["level"] == "message" => "with the message".to_owned(),
        None => "never".to_owned(),
    };
    for line in it["lines"].as_array().into_iter().flatten() {
        text.push_str(&format!(
            "\n{whose:<24} {what:<24} {:<7} {:>12} {:>12} {:>12} {:>12} {ends}",
            word(&line["unit"]),
            shown(line, "limit"),
            asks_at(it, line),
            shown(line, "spent"),
            shown(line, "reserved"),
        ));
    }
}

/// The amount beyond which a person is asked, or that one has been.
fn asks_at(it: &Value, line: &Value) -> String {
    match (line["soft"].is_null(), it["lifted"] == true) {
        (true, _) => "-".to_owned(),
        (false, true) => "approved".to_owned(),
        (false, false) => shown(line, "soft"),
    }
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// An amount in its unit, as people write it.
fn shown(line: &Value, field: &str) -> String {
    let amount = line[field].as_u64().unwrap_or_default();
    let unit = line["unit"].as_str().and_then(Unit::parse);
    unit.map_or_else(|| amount.to_string(), |unit| unit.show(amount))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_together_stands_above_who_spends_it() {
        let line = json!([{"unit": "money", "limit": 2_500_000, "spent": 0, "reserved": 0}]);
        let all = [
            json!({"level": "supervisor", "supervisor": "root", "lines": line, "ends_ms": 0}),
            json!({"level": "supervisor", "supervisor": "desk", "under": "root", "lines": line}),
            json!({"level": "grant", "agent": "a", "capability": "llm", "under": "desk", "lines": line}),
            json!({"level": "message", "agent": "a", "n": 7, "under": "desk", "lines": line}),
            json!({"level": "grant", "agent": "b", "capability": "llm", "under": null, "lines": line}),
        ];
        let shown = text(&all, false);
        let whose: Vec<&str> = shown.lines().skip(1).map(|row| row[..24].trim_end()).collect();
        assert_eq!(whose, ["root", "  desk", "    a", "    a", "b"]);
        for word in ["all agents below", "message 7", "with the message", "1970-01-01", "never"] {
            assert!(shown.contains(word), "{word:?} is not in {shown}");
        }
    }
}
