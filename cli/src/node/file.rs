//! Reading the files that a command line names, and its parameters; telling what is wrong with them. A file of the user is never read
//! beyond a bound, and nobody waits for it: pipes and devices, which may never end, are refused.

use super::catalog::FileCatalog;
use crate::exit::{self, CliError};
use crate::output;
use loket_supervision::fleet::{self, Finding, Fleet, MAX_TEXT_BYTES};
use serde_json::json;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a file to be read. Opening a pipe would wait for who writes to it, so it is opened without waiting, and refused.
fn open(path: &Path) -> io::Result<File> {
    let unwaited = rustix::fs::OFlags::NONBLOCK.union(rustix::fs::OFlags::NOCTTY).bits();
    let file = File::options().read(true).custom_flags(unwaited.cast_signed()).open(path)?;
    let kind = file.metadata()?.file_type();
    // What a folder is, its read says.
    if kind.is_file() || kind.is_dir() {
        return Ok(file);
    }
    Err(io::Error::other("not a regular file; a pipe or a device may never end: give it as a file"))
}

/// The bytes of a file, one more than `limit` at most: from that the caller knows that there are too many.
///
/// # Errors
/// It is no regular file, or the system's words.
pub(crate) fn read_within(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take((limit as u64).saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of a fleet file.
pub(crate) fn read_fleet(path: &Path) -> Result<String, CliError> {
    let failed = |why: String| {
        let text = format!("the fleet file {} cannot be read: {why}", path.display());
        CliError::new("C013", exit::USAGE, text)
    };
    let file = open(path).map_err(|error| failed(error.to_string()))?;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::read_within;

    #[test]
    fn one_byte_beyond_the_limit_is_read_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("huge");
        std::fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
        assert_eq!(read_within(&path, 10).unwrap().len(), 11);
        std::fs::write(&path, "as it is").unwrap();
        assert_eq!(read_within(&path, 10).unwrap(), b"as it is");
    }
}
