//! Reading the fleet file and the command line's parameters; telling what is wrong with them.

use super::catalog::FileCatalog;
use crate::exit::{self, CliError};
use crate::output;
use loket_supervision::fleet::{self, Finding, Fleet, MAX_TEXT_BYTES};
use serde_json::json;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The text of a fleet file.
pub(crate) fn read_fleet(path: &Path) -> Result<String, CliError> {
    let failed = |why: String| {
        let text = format!("the fleet file {} cannot be read: {why}", path.display());
        CliError::new("C013", exit::USAGE, text)
    };
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut text = String::new();
    let limit = MAX_TEXT_BYTES as u64 + 1;
    match file.take(limit).read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// `--set name=value`, split.
pub(crate) fn sets(sets: &[String]) -> Result<Vec<(String, String)>, CliError> {
    let mut split = Vec::with_capacity(sets.len());
    for set in sets {
        let Some((name, value)) = set.split_once('=') else {
            let text = format!("--set takes NAME=VALUE, not {set:?}");
            return Err(CliError::new("usage", exit::USAGE, text));
        };
        split.push((name.to_owned(), value.to_owned()));
    }
    Ok(split)
}

/// A fleet file that is read only to be looked at: its modules are believed in. All errors are printed, warnings are not: those are
/// `check`'s.
pub(crate) fn parse_fleet(path: &Path, given: &[String], json: bool) -> Result<Fleet, CliError> {
    let (text, sets) = (read_fleet(path)?, sets(given)?);
    let name = path.display().to_string();
    let parsed = fleet::parse(&text, &name, &sets, &FileCatalog::believing(path));
    parsed.map(|(fleet, _)| fleet).map_err(|findings| told(&findings, json))
}

/// Prints findings that keep a fleet from starting; the error says how many.
pub(super) fn told(findings: &[Finding], json: bool) -> CliError {
    if json {
        output::versioned(json!({"ok": false, "findings": findings}));
    } else {
        for finding in findings {
            output::note(&output::safe(&finding.to_string()));
        }
    }
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    let code = findings.iter().find(|finding| finding.is_error()).map_or("E001", |f| f.code);
    CliError::new(
        code,
        exit::FAILED,
        format!("{errors} errors in the fleet file; nothing was started"),
    )
}
