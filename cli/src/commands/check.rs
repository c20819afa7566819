//! `check`: all findings of a fleet file, with places. Runs nothing that the file names.

use crate::args::CheckArgs;
use crate::exit::{self, CliError, Code};
use crate::node::{FileCatalog, read_fleet, sets};
use crate::output;
use loket_supervision::fleet::{self, Finding};
use serde_json::json;

/// Prints the findings; exits with 1 when there are errors.
pub(super) fn check(args: &CheckArgs, json: bool) -> Result<Code, CliError> {
    let text = read_fleet(&args.fleet)?;
    let sets = sets(&args.sets)?;
    let catalog = FileCatalog::new(&args.fleet)?;
    let name = args.fleet.display().to_string();
    let (errors, warnings) = match fleet::parse(&text, &name, &sets, &catalog) {
        Ok((_, warnings)) => (Vec::new(), warnings),
        Err(findings) => findings.into_iter().partition(Finding::is_error),
    };
    let failed = !errors.is_empty() || (args.deny_warnings && !warnings.is_empty());
    if json {
        let findings: Vec<_> = errors.iter().chain(&warnings).collect();
        output::versioned(json!({"ok": !failed, "findings": findings}));
    } else {
        print(&errors, &warnings, &name);
    }
    Ok(if failed { exit::FAILED } else { exit::OK })
}

fn print(errors: &[Finding], warnings: &[Finding], name: &str) {
    for finding in errors.iter().chain(warnings) {
        output::line(&output::safe(&finding.to_string()));
    }
    let sum = match (errors.len(), warnings.len()) {
        (0, 0) => format!("{name}: no findings"),
        (errors, warnings) => format!("{name}: {errors} errors, {warnings} warnings"),
    };
    output::line(&output::safe(&sum));
}
