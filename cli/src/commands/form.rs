//! `fmt` and `schema`: the form of fleet files.

use crate::args::FmtArgs;
use crate::exit::{self, CliError, Code};
use crate::node::read_fleet;
use crate::output;
use loket_supervision::fleet;
use serde_json::json;
use std::io::Write;
use std::path::Path;

/// Writes fleet files in their one form; with `--check` only tells which are not. A file that cannot be formed is told, and the rest
/// is formed all the same. Exits with 1 when `--check` found one or one could not be read as RON, with 2 when one is out of reach.
pub(super) fn fmt(args: &FmtArgs, json: bool) -> Result<Code, CliError> {
    let (mut changed, mut failed) = (Vec::new(), Vec::new());
    for path in &args.files {
        match form(path, args.check) {
            Ok(false) => {}
            Ok(true) => changed.push(path.display().to_string()),
            Err(error) => failed.push((path.display().to_string(), error)),
        }
    }
    for (_, error) in &failed {
        error.print(json);
    }
    if json {
        let failed: Vec<_> =
            failed.iter().map(|(file, e)| json!({"file": file, "code": e.code})).collect();
        output::versioned(json!({"changed": changed, "written": !args.check, "failed": failed}));
    } else {
        let word = if args.check { "not formatted" } else { "formatted" };
        for path in &changed {
            output::line(&output::safe(&format!("{word}: {path}")));
        }
    }
    let worst = failed.iter().map(|(_, error)| error.exit.0).max();
    let found = if args.check && !changed.is_empty() { exit::FAILED } else { exit::OK };
    Ok(worst.map_or(found, Code))
}

/// Brings one file into its form, or only looks; says whether it was in another.
fn form(path: &Path, check: bool) -> Result<bool, CliError> {
    let text = read_fleet(path)?;
    let formatted = fleet::format(&text)
        .map_err(|why| CliError::new("E001", exit::FAILED, format!("{}:{why}", path.display())))?;
    if formatted == text {
        return Ok(false);
    }
    if !check {
        replace(path, &formatted).map_err(|error| {
            let text = format!("{} cannot be written: {error}", path.display());
            CliError::new("C013", exit::USAGE, text)
        })?;
    }
    Ok(true)
}

/// A whole file or the old one: written beside it, then renamed over it, with its mode.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    // A link stays one: what it leads to is replaced.
    let path = std::fs::canonicalize(path)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".fmt");
    let beside = path.with_file_name(name);
    let written = (|| {
        let mut file = std::fs::File::create_new(&beside)?;
        file.set_permissions(std::fs::metadata(&path)?.permissions())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}

/// Prints the JSON Schema of the fleet file.
pub(super) fn schema() -> Code {
    output::json(&fleet::schema())
}
