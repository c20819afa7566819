//! `status`: what was accepted, completed, is waiting, whether anything was lost, and what waits for a person.

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

/// For people: the counts in a line, and a line for each kind of thing that somebody has to decide.
pub(crate) fn text(answer: &Value) -> String {
    // What became a letter stays counted when it is retried or dropped: the sum is to be right.
    let kept = match (&answer["letters"], &answer["letters_made"]) {
        (kept, made) if kept == made => String::new(),
        (kept, _) => format!(" ({kept} kept)"),
    };
    let counts = format!(
        "{} accepted, {} completed, {} waiting, {} dead letters{kept}, {} restarts, {} lost",
        answer["accepted"],
        answer["completed"],
        answer["waiting"],
        answer["letters_made"],
        answer["restarts"],
        answer["lost"],
    );
    let waits = WAITS.iter().filter_map(|(field, what, see)| {
        let count = answer[*field].as_u64().filter(|count| *count > 0)?;
        Some(format!("\n{what}: {count} ({see})"))
    });
    waits.fold(counts, |text, line| text + &line)
}

/// What does not go on by itself, and where to look.
const WAITS: [(&str, &str, &str); 3] = [
    ("approvals", "for a person to decide", "loket approvals"),
    ("doubts", "in doubt", "loket doubt"),
    ("quarantined", "in quarantine", "loket quarantine"),
];
