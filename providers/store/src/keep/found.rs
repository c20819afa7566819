//! What a start finds in the folders of brains: whether there is any brain, and what was never finished.

use super::{KeepError, SNAPSHOTS};
use crate::brain::{BrainFiles, files};
use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

/// How the names of files end that are made and not yet under their name, with what SQLite keeps beside them. A renewal's (rule J2)
/// end otherwise: it is ended, not removed.
const UNFINISHED: [&str; 8] = [
    "making",
    "making-wal",
    "making-shm",
    "making-journal",
    "template",
    "template-wal",
    "template-shm",
    "template-journal",
];

/// Whether a data directory holds the file of any brain. Folders alone are none, nor is what was never finished: a first start may
/// have ended there.
///
/// # Errors
/// [`KeepError::Io`].
pub fn holds_brains(data: &Path) -> Result<bool, KeepError> {
    let files = BrainFiles::new(data);
    for folder in entries(files.root())? {
        let path = folder.path();
        if path.is_dir() && entries(&path)?.iter().any(is_brain) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes files of brains and snapshots whose making was cut off; gives how many. Only under the lock of the data directory, before
/// anybody makes a file there.
///
/// # Errors
/// [`KeepError::Io`].
pub fn remove_unfinished(data: &Path) -> Result<u64, KeepError> {
    let mut folders: Vec<_> =
        entries(BrainFiles::new(data).root())?.iter().map(DirEntry::path).collect();
    folders.retain(|path| path.is_dir());
    folders.push(data.join(SNAPSHOTS));
    let mut removed = 0;
    for folder in folders {
        for entry in entries(&folder)?.iter().filter(|entry| is_unfinished(entry)) {
            let path = entry.path();
            files::remove_if_there(&path).map_err(KeepError::io(&path))?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn is_unfinished(entry: &DirEntry) -> bool {
    entry.path().extension().is_some_and(|end| UNFINISHED.iter().any(|it| end == *it))
}

fn is_brain(entry: &DirEntry) -> bool {
    entry.path().extension().is_some_and(|end| end == "db")
}

/// What is in a folder; one that is not there is empty.
pub(super) fn entries(folder: &Path) -> Result<Vec<DirEntry>, KeepError> {
    match fs::read_dir(folder).and_then(Iterator::collect) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        found => found.map_err(KeepError::io(folder)),
    }
}
