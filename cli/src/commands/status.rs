//! `status`: what was accepted, completed, is waiting, and whether anything was lost.

use crate::args::Target;
use crate::client;
use crate::exit::{self, CliError, Code};
use crate::output;
use serde_json::{Value, json};
use std::time::Duration;

/// How long it may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Prints the counts. Exits with 1 when something was lost.
pub(super) fn status(target: Target, as_json: bool) -> Result<Code, CliError> {
    let data = client::find_data(target.data)?;
    let answer = client::call(&data, "agent.status", json!({}), TIMEOUT)?;
    let code = if answer["lost"] == json!(0) { exit::OK } else { exit::FAILED };
    if as_json {
        output::versioned(answer);
    } else {
        output::line(&text(&answer));
    }
    Ok(code)
}

/// One line for people.
pub(crate) fn text(answer: &Value) -> String {
    // What became a letter stays counted when it is retried or dropped: the sum is to be right.
    let kept = match (&answer["letters"], &answer["letters_made"]) {
        (kept, made) if kept == made => String::new(),
        (kept, _) => format!(" ({kept} kept)"),
    };
    format!(
        "{} accepted, {} completed, {} waiting, {} dead letters{kept}, {} restarts, {} lost",
        answer["accepted"],
        answer["completed"],
        answer["waiting"],
        answer["letters_made"],
        answer["restarts"],
        answer["lost"],
    )
}
