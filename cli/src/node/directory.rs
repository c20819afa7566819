//! The data directory of a fleet that starts.

use super::past;
use crate::exit::{self, CliError};
use loket_store::keep::remove_unfinished;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// Makes it. Nobody else may look into it: it holds what agents know, and the control socket. A directory that is there keeps its mode,
/// for it may have other uses; that others may look into it is told.
pub(super) fn make(data: &Path) -> Result<(), CliError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
    let mode = made.and_then(|()| Ok(std::fs::metadata(data)?.permissions().mode() & 0o777));
    let mode = mode.map_err(|error| {
        let text = format!("the data directory {} cannot be made: {error}", data.display());
        CliError::new("L104", exit::DATA, text)
    })?;
    if mode & 0o077 != 0 {
        let data = data.display().to_string();
        tracing::warn!(data, "others may look into the data directory (mode {mode:o}): chmod 700");
    }
    Ok(())
}

/// What the name of a folder begins with in which a command works; the number of its process follows.
pub(super) const SCRATCH: &str = "scratch-";

/// Removes the folders of commands that were killed: no process has their number any more.
fn clear_scratch(data: &Path) {
    let of_dead = |name: &str| {
        let pid =
            name.strip_prefix(SCRATCH)?.parse().ok().and_then(rustix::process::Pid::from_raw)?;
        let gone = rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH);
        gone.then_some(())
    };
    for entry in std::fs::read_dir(data).into_iter().flatten().flatten() {
        if entry.file_name().to_str().and_then(of_dead).is_some()
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::warn!(folder = %entry.path().display(), "a dead command's folder stays: {error}");
        }
    }
}

/// Removes what an earlier process began to copy and did not end. The ledger's lock is held, and nobody copies yet.
pub(super) fn clear(data: &Path) -> Result<(), CliError> {
    clear_scratch(data);
    let removed = remove_unfinished(data).map_err(|error| past::of_file(&error))?;
    if removed > 0 {
        tracing::info!(removed, "unfinished files of brains were removed");
    }
    Ok(())
}
