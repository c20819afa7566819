//! Files of brains and snapshots that no row of the ledger names: of agents that are gone, and of copies that a crash left.
//!
//! An agent may have gone by a slip in the fleet file, and its brain is all that it knew: such a file lies in a folder of its own for a
//! while, where it can be imported from, before it goes for good. Start reading at [`remove_ownerless`].

use super::found::entries;
use super::{KeepError, SNAPSHOTS};
use crate::brain::{BrainFiles, files};
use loket_turn::{Files, Life};
use std::fs::{self, DirEntry, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The folder beneath the data directory.
const REMOVED: &str = "removed";

/// How long nobody has written to a file that is taken for ownerless: a copy that is being made has no row yet, and who has just gone
/// may still close its brain.
const UNTOUCHED: Duration = Duration::from_secs(24 * 60 * 60);

/// How long it lies in the folder before it goes for good.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What was done with ownerless files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ownerless {
    /// So many were laid aside.
    pub aside: u64,
    /// So many went for good.
    pub removed: u64,
}

/// Lays aside what is nobody's, and removes what has lain there for a week. `owned` is what the ledger has said before this began.
///
/// # Errors
/// [`KeepError::Io`].
pub fn remove_ownerless(
    data: &Path,
    owned: &Files,
    now: SystemTime,
) -> Result<Ownerless, KeepError> {
    let removed_folder = data.join(REMOVED);
    let mut done = Ownerless::default();
    for old in older(&removed_folder, now, KEPT)? {
        files::remove_if_there(&old).map_err(KeepError::io(&old))?;
        done.removed += 1;
    }
    for file in ownerless(data, owned, now)? {
        files::make_folder(&removed_folder).map_err(KeepError::io(&removed_folder))?;
        lay_aside(&file, &removed_folder, now).map_err(KeepError::io(&file))?;
        done.aside += 1;
    }
    Ok(done)
}

fn ownerless(data: &Path, owned: &Files, now: SystemTime) -> Result<Vec<PathBuf>, KeepError> {
    let mut found = older(&data.join(SNAPSHOTS), now, UNTOUCHED)?;
    found.retain(|file| !owned.snapshots.contains(name_of(file)));
    for folder in entries(BrainFiles::new(data).root())? {
        if folder.path().is_dir() {
            let mut brains = older(&folder.path(), now, UNTOUCHED)?;
            brains.retain(|file| life_of(file).is_some_and(|life| !owned.lives.contains(&life)));
            found.append(&mut brains);
        }
    }
    Ok(found)
}

/// The files of a folder that were not written to for so long.
fn older(folder: &Path, now: SystemTime, than: Duration) -> Result<Vec<PathBuf>, KeepError> {
    let is_old = |entry: &DirEntry| {
        let written = entry.metadata().ok().filter(fs::Metadata::is_file)?.modified().ok()?;
        now.duration_since(written).ok().filter(|age| *age >= than)
    };
    let all = entries(folder)?;
    Ok(all.iter().filter(|entry| is_old(entry).is_some()).map(DirEntry::path).collect())
}

fn name_of(file: &Path) -> &str {
    file.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// The life that a brain's file, or what SQLite keeps beside it, is named after.
fn life_of(file: &Path) -> Option<Life> {
    let name = name_of(file);
    let digits = name.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(name.len());
    name[..digits].parse().ok().map(Life)
}

/// Its week begins now.
fn lay_aside(file: &Path, folder: &Path, now: SystemTime) -> std::io::Result<()> {
    File::open(file)?.set_modified(now)?;
    fs::rename(file, folder.join(name_of(file)))
}
