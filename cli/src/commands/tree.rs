//! `tree`: the supervision tree of a running fleet, as it stands. That of a file is `planned.rs`.

use super::planned;
use crate::args::TreeArgs;
use crate::client;
use crate::exit::{CliError, Code};
use crate::output;
use serde_json::{Value, json};
use std::time::Duration;

/// How long it may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Levels that are drawn at most; a fleet file cannot nest deeper.
const DEPTH_MAX: usize = 64;

/// Prints the tree of a file, or of the running fleet.
pub(super) fn tree(args: TreeArgs, json: bool) -> Result<Code, CliError> {
    if let Some(path) = &args.fleet {
        return planned::planned(path, &args, json);
    }
    let data = client::find_data(args.target.data)?;
    let answer = client::call(&data, "agent.tree", json!({}), TIMEOUT)?;
    if json {
        return Ok(output::versioned(answer));
    }
    Ok(output::line(&output::safe(&draw(&answer))))
}

/// The tree as text, a line a child.
pub(crate) fn draw(top: &Value) -> String {
    let mut text = String::new();
    node(top, "", "", DEPTH_MAX, &mut text);
    text.truncate(text.trim_end().len());
    text
}

fn node(value: &Value, first: &str, rest: &str, depth: usize, text: &mut String) {
    text.push_str(first);
    text.push_str(&describe(value));
    text.push('\n');
    let children = value["children"].as_array().map_or(&[][..], Vec::as_slice);
    if depth == 0 {
        return;
    }
    for (index, child) in children.iter().enumerate() {
        let last = index + 1 == children.len();
        let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let (first, rest) = (format!("{rest}{branch}"), format!("{rest}{below}"));
        node(child, &first, &rest, depth - 1, text);
    }
}

fn describe(value: &Value) -> String {
    let word = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let mut line = format!("{}  {}  {}", word("id"), word("kind"), word("state"));
    if value["terminated"] == json!(true) {
        line.push_str("  terminated");
    }
    if let Some(provider) = value["waits_for"].as_str() {
        line.push_str(&format!("  waits for {provider}"));
    }
    if let Some(strategy) = value["strategy"].as_str() {
        line.push_str(&format!("  {strategy}"));
    }
    if let Some(incarnation) = value["incarnation"].as_u64() {
        line.push_str(&format!("  incarnation {incarnation}"));
    }
    if let Some(restarts) = value["restarts"].as_u64().filter(|&restarts| restarts > 0) {
        line.push_str(&format!("  restarts {restarts}"));
    }
    if let Some(exit) = value["last_exit"].as_str() {
        line.push_str(&format!("  last exit: {exit}"));
    }
    if let Some(depth) = value["mailbox"]["depth"].as_u64() {
        line.push_str(&format!("  mailbox {depth}/{}", value["mailbox"]["capacity"]));
    }
    if let Some(lane) = value["lane"].as_u64() {
        line.push_str(&format!("  lane {lane}"));
    }
    line
}
