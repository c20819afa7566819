//! What a start finds in the folders of brains: whether there is any brain.

use super::KeepError;
use crate::brain::BrainFiles;
use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

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

fn is_brain(entry: &DirEntry) -> bool {
    entry.path().extension().is_some_and(|end| end == "db")
}

/// What is in a folder; one that is not there is empty.
fn entries(folder: &Path) -> Result<Vec<DirEntry>, KeepError> {
    match fs::read_dir(folder).and_then(Iterator::collect) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        found => found.map_err(KeepError::io(folder)),
    }
}
