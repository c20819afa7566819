//! `diff` and `reload`: what a changed fleet file would do to a running fleet, and doing it.

use crate::args::{DiffArgs, ReloadArgs};
use crate::client;
use crate::exit::{self, CliError, Code};
use crate::node::parse_fleet;
use crate::output;
use loket_supervision::fleet::{self, Deed};
use serde_json::{Value, json};
use std::time::Duration;

/// How long a reload may take: children that are ended have their shutdown times.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Prints the steps from one file to another. Exits with 1 when a reload would refuse them.
pub(super) fn diff(args: &DiffArgs, json: bool) -> Result<Code, CliError> {
    let old = parse_fleet(&args.old, &args.sets, json)?;
    let new = parse_fleet(&args.new, &args.sets, json)?;
    let steps = fleet::diff(&old, &new);
    let refused = steps.iter().any(|step| step.deed == Deed::Refuse);
    if json {
        output::versioned(json!({"ok": !refused, "steps": steps}));
    } else if steps.is_empty() {
        output::line("no difference");
    } else {
        let lines: Vec<_> = steps.iter().map(ToString::to_string).collect();
        output::line(&output::safe(&lines.join("\n")));
    }
    Ok(if refused { exit::FAILED } else { exit::OK })
}

/// Applies a changed file. Exits with 1 when it was refused, or when a step of it failed.
pub(super) fn reload(args: ReloadArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data(args.target.data)?;
    // The fleet runs in another folder.
    let file = args.fleet.map(|path| {
        std::path::absolute(&path).map_err(|error| {
            let text = format!("the fleet file {} cannot be named: {error}", path.display());
            CliError::new("C013", exit::USAGE, text)
        })
    });
    let ask = json!({"file": file.transpose()?, "dry_run": args.dry_run});
    let answer = client::call(&data, "agent.reload", ask, TIMEOUT).map_err(|error| {
        // A file that cannot be read is the same mistake wherever it is read.
        if error.code == "C013" { CliError { exit: exit::USAGE, ..error } } else { error }
    })?;
    let ok = answer["ok"] == json!(true);
    if json {
        output::versioned(answer);
    } else {
        output::line(&output::safe(&told(&answer)));
    }
    Ok(if ok { exit::OK } else { exit::FAILED })
}

/// What became of a reload, for people.
pub(crate) fn told(answer: &Value) -> String {
    let list = |key: &str| answer[key].as_array().map_or(&[][..], Vec::as_slice);
    let mut lines = Vec::new();
    let (ok, applied) = (answer["ok"] == json!(true), answer["applied"] == json!(true));
    for finding in list("findings") {
        let word = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        let (code, severity) = (word("code"), word("severity"));
        lines.push(format!(
            "{severity}[{code}]: {} ({}:{}:{})",
            word("message"),
            word("file"),
            finding["line"],
            finding["column"]
        ));
    }
    for step in list("steps") {
        let mut line = step["text"].as_str().unwrap_or_default().to_owned();
        if let Some(why) = step["failed"].as_str() {
            line.push_str(&format!(": FAILED: {why}"));
        } else if let Some(child) = step["child"].as_str().filter(|_| step["stays"] == "stopped") {
            line.push_str(&format!(
                ": it stays stopped as told; `loket restart {child}` starts it"
            ));
        }
        lines.push(line);
    }
    lines.push(match (ok, applied, list("steps").is_empty()) {
        (false, false, _) => "refused: nothing was changed".to_owned(),
        (false, true, _) => "reloaded, but for what failed".to_owned(),
        (true, _, true) => "nothing has changed".to_owned(),
        (true, true, false) => "reloaded".to_owned(),
        (true, false, false) => "would be reloaded".to_owned(),
    });
    lines.join("\n")
}
