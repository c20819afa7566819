//! `history` and `why`: what supervisors reported, and the story it tells of one child. Of a running fleet, or of one that ended.

use crate::args::{HistoryArgs, WhyArgs};
use crate::client;
use crate::exit::{self, CliError, Code};
use crate::node::kept_in;
use crate::output;
use loket_runtime::PlaceState;
use loket_supervision::story::{self, Row};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// How long it may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Reports that a story is told from: the latest; what the file gives at most.
const STORY_ROWS: usize = loket_agent::HISTORY_LIMIT_MAX;

/// Prints reports, a line each. Exits with 1 when the child is unknown.
pub(super) fn history(args: HistoryArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data_with(args.target.data, loket_ledger::HISTORY_FILE)?;
    let limit = usize::try_from(args.limit).unwrap_or(STORY_ROWS);
    let rows = rows(&data, args.child.as_deref(), limit)?;
    if let Some(child) = args.child.as_deref().filter(|_| rows.is_empty())
        && tree(&data)?.as_ref().and_then(|tree| find(tree, child)).is_none()
    {
        return Err(unknown(child));
    }
    if json {
        return Ok(output::versioned(json!({"rows": rows})));
    }
    if rows.is_empty() {
        return Ok(output::line("no reports"));
    }
    let lines: Vec<_> = rows.iter().map(line).collect();
    Ok(output::line(&output::safe(&lines.join("\n"))))
}

/// Prints the chain of causes of a child's present state. Exits with 1 when the child is unknown.
pub(super) fn why(args: WhyArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data_with(args.target.data, loket_ledger::HISTORY_FILE)?;
    let tree = tree(&data)?;
    let rows: Vec<Row> = rows(&data, None, STORY_ROWS)?
        .into_iter()
        .filter_map(|row| serde_json::from_value(row).ok())
        .collect();
    let now = tree.as_ref().and_then(|tree| find(tree, &args.child));
    if now.is_none() && !rows.iter().any(|row| *row.report.offender.id == *args.child) {
        return Err(unknown(&args.child));
    }
    let state = now.map_or("not running", |now| now["state"].as_str().unwrap_or("unknown"));
    let story = story::why(&rows, &args.child, now.is_some() && !is_down(state));
    if json {
        return Ok(output::versioned(json!({
            "child": args.child, "state": state, "incarnation": now.map(|now| &now["incarnation"]),
            "links": story.links, "earlier": story.earlier,
        })));
    }
    let mut text = String::new();
    for (index, link) in story.links.iter().enumerate() {
        text.push_str(&format!("{}  {}\n", instant(link.at_ms), link.text));
        if index == 0 && story.earlier > 0 {
            text.push_str(&format!("... {} more like it\n", story.earlier));
        }
    }
    if story.links.is_empty() {
        text.push_str("nothing has happened to it since it was started\n");
    }
    text.push_str(&format!("now: {} is {state}", args.child));
    if let Some(incarnation) = now.and_then(|now| now["incarnation"].as_u64()) {
        text.push_str(&format!(", incarnation {incarnation}"));
    }
    if let Some((above, state)) = tree.as_ref().and_then(|tree| down_above(tree, &args.child)) {
        text.push_str(&format!(", below {above}, which is {state}"));
    }
    Ok(output::line(&output::safe(&text)))
}

/// The highest supervisor above a child that does not run, with its state.
fn down_above<'t>(tree: &'t Value, id: &str) -> Option<(&'t str, &'t str)> {
    let below = tree["children"].as_array()?.iter().find(|child| find(child, id).is_some())?;
    match tree["state"].as_str() {
        Some("running") => down_above(below, id),
        state => Some((tree["id"].as_str()?, state?)),
    }
}

/// Whether a child of the tree in this state does not run; one that is paused, stuck or quarantined does.
fn is_down(state: &str) -> bool {
    use PlaceState::{Restarting, Starting, Stopped, Stopping};
    [Starting, Restarting, Stopping, Stopped].iter().any(|down| down.as_str() == state)
}

fn unknown(child: &str) -> CliError {
    let text = format!("no child {child:?}, now or in the reports; `loket tree` names them");
    CliError::new("not_found", exit::FAILED, text)
}

/// The tree of the running fleet; none when none runs.
fn tree(data: &Path) -> Result<Option<Value>, CliError> {
    match client::call(data, "agent.tree", json!({}), TIMEOUT) {
        Ok(tree) => Ok(Some(tree)),
        Err(error) if error.exit == exit::NOT_RUNNING => Ok(None),
        Err(error) => Err(error),
    }
}

/// From the running fleet; from the file when none runs.
fn rows(data: &Path, child: Option<&str>, limit: usize) -> Result<Vec<Value>, CliError> {
    let args = json!({"child": child, "limit": limit});
    match client::call(data, "agent.history", args, TIMEOUT) {
        Ok(mut answer) => Ok(match answer["rows"].take() {
            Value::Array(rows) => rows,
            _ => Vec::new(),
        }),
        Err(error)
            if error.exit == exit::NOT_RUNNING
                && data.join(loket_ledger::HISTORY_FILE).exists() =>
        {
            kept_in(data, child.map(str::to_owned), limit)
                .map_err(|why| CliError::new("history_unavailable", exit::FAILED, why))
        }
        Err(error) => Err(error),
    }
}

fn line(value: &Value) -> String {
    let row: Row = match serde_json::from_value(value.clone()) {
        Ok(row) => row,
        // A report of a version that says more than this one knows.
        Err(_) => return value.to_string(),
    };
    let offender = &row.report.offender;
    let mut line =
        format!("{}  {}  {}  {}", instant(row.at_ms), row.supervisor, row.context(), offender.id);
    if let Some(incarnation) = offender.incarnation {
        line.push_str(&format!("  incarnation {incarnation}"));
    }
    if let Some(reason) = &row.report.reason {
        line.push_str(&format!("  {reason}"));
    }
    line
}

fn find<'t>(tree: &'t Value, id: &str) -> Option<&'t Value> {
    if tree["id"] == id {
        return Some(tree);
    }
    tree["children"].as_array()?.iter().find_map(|child| find(child, id))
}

/// Unix milliseconds as people and other programs read them, in UTC.
fn instant(ms: u64) -> String {
    let days = i64::try_from(ms / 86_400_000).unwrap_or(0);
    let (year, month, day) = civil(days);
    let (second, milli) = (ms / 1_000 % 86_400, ms % 1_000);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// The date of a day since 1970, by the proleptic Gregorian calendar with years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{instant, is_down};

    #[test]
    fn who_is_paused_runs() {
        let down = |words: &[&str]| words.iter().filter(|word| is_down(word)).count();
        assert_eq!(down(&["stopped", "starting", "stopping", "restarting"]), 4);
        assert_eq!(down(&["running", "paused", "stuck", "quarantined"]), 0);
    }

    #[test]
    fn instants_are_those_of_the_calendar() {
        assert_eq!(instant(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(instant(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(instant(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(instant(1_709_251_200_001), "2024-03-01T00:00:00.001Z");
        assert_eq!(instant(4_102_444_799_000), "2099-12-31T23:59:59.000Z");
    }
}
