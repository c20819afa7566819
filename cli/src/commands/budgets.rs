//! `budgets`: what agents may spend through their grants, and what they have spent.

use crate::args::BudgetsArgs;
use crate::client;
use crate::exit::{CliError, Code};
use crate::output;
use loket_turn::Unit;
use serde_json::{Value, json};
use std::time::Duration;

/// How long this may take.
const TIMEOUT: Duration = Duration::from_secs(30);

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
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut text = format!(
        "{:<20} {:<24} {:<7} {:>12} {:>12} {:>12} window ends",
        "agent", "grant", "unit", "limit", "spent", "reserved"
    );
    for budget in all {
        let ends =
            budget["ends_ms"].as_u64().map_or_else(|| "never".to_owned(), loket_time::rfc3339);
        for line in budget["lines"].as_array().into_iter().flatten() {
            text.push_str(&format!(
                "\n{:<20} {:<24} {:<7} {:>12} {:>12} {:>12} {ends}",
                word(&budget["agent"]),
                word(&budget["capability"]),
                word(&line["unit"]),
                shown(line, "limit"),
                shown(line, "spent"),
                shown(line, "reserved"),
            ));
        }
    }
    if answer["more"] == true {
        text.push_str("\nmore agents have budgets; these are the first ones");
    }
    output::line(&output::safe(&text))
}

/// An amount in its unit, as people write it.
fn shown(line: &Value, field: &str) -> String {
    let amount = line[field].as_u64().unwrap_or_default();
    let unit = line["unit"].as_str().and_then(Unit::parse);
    unit.map_or_else(|| amount.to_string(), |unit| unit.show(amount))
}
