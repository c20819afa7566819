//! Files of brains and snapshots that no row of the ledger names: of agents that are gone, and of copies that a crash left.
//!
//! An agent may have gone by a slip in the fleet file, and its brain is all that it knew: such a file lies in a folder of its own for a
//! while, where it can be imported from, before it goes for good. A brain and what SQLite keeps beside it stay together, for its latest
//! turns may be in its log alone. What does not have a name that is given here is left alone. Start reading at [`find_ownerless`].

use super::found::entries;
use super::{KeepError, SNAPSHOTS};
use crate::brain::{BrainFiles, files};
use loket_turn::{Epoch, Files, Life};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The folder beneath the data directory.
const REMOVED: &str = "removed";

/// How long nobody has written to a file that is taken for ownerless: a copy that is being made has no row yet, and who has just gone
/// may still close its brain.
const UNTOUCHED: Duration = Duration::from_secs(24 * 60 * 60);

/// How long it lies in the folder before it goes for good.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Whose a file is by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Brain(Life, Epoch),
    Snapshot(String),
}

impl Whose {
    /// Of a name up to its `.db`.
    fn of(stem: &str) -> Option<Self> {
        let mut numbers = stem.split('-').map(str::parse::<u64>);
        match (numbers.next()?, numbers.next(), numbers.next(), numbers.next()) {
            (Ok(life), None, ..) => Some(Self::Brain(Life(life), Epoch(0))),
            (Ok(life), Some(Ok(epoch)), None, _) => Some(Self::Brain(Life(life), Epoch(epoch))),
            (Ok(_), Some(Ok(_)), Some(Ok(_)), None) => Some(Self::Snapshot(format!("{stem}.db"))),
            _ => None,
        }
    }

    /// Whether it is nobody's. The brain before the last exchange may still be open.
    fn is_ownerless(&self, owned: &Files) -> bool {
        match self {
            Self::Snapshot(name) => !owned.snapshots.contains(name),
            Self::Brain(life, epoch) => match owned.lives.get(life) {
                Some(now) => epoch.0 + 1 < now.0 || epoch > now,
                None => true,
            },
        }
    }
}

/// A file, and what SQLite keeps beside it.
#[derive(Debug)]
struct Group {
    whose: Whose,
    files: Vec<PathBuf>,
    written: SystemTime,
}

impl Group {
    fn is_older(&self, now: SystemTime, than: Duration) -> bool {
        now.duration_since(self.written).is_ok_and(|age| age >= than)
    }

    /// Does this to each file, the one that the others are beside last.
    fn each(mut self, work: impl Fn(&Path) -> io::Result<()>) -> bool {
        self.files.sort_by_key(|file| std::cmp::Reverse(file.as_os_str().len()));
        let done = self.files.iter().try_for_each(|file| match work(file) {
            // SQLite may have removed what is beside it.
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err((file, error)),
            _ => Ok(()),
        });
        if let Err((file, error)) = &done {
            tracing::warn!(file = %file.display(), "a file that is nobody's stays: {error}");
        }
        done.is_ok()
    }
}

/// Files that nobody has written to for a day and that are nobody's.
#[derive(Debug)]
pub struct Found(Vec<Group>);

impl Found {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// Looks for them. `owned` is what the ledger has said before; `now` is the machine's time, as the files' is.
///
/// # Errors
/// [`KeepError::Io`].
pub fn find_ownerless(data: &Path, owned: &Files, now: SystemTime) -> Result<Found, KeepError> {
    let mut folders = vec![data.join(SNAPSHOTS)];
    let brains = entries(BrainFiles::new(data).root())?;
    folders.extend(brains.iter().map(fs::DirEntry::path).filter(|path| path.is_dir()));
    let mut found = Vec::new();
    for folder in folders {
        let mut groups = groups(&folder)?;
        groups.retain(|it| it.is_older(now, UNTOUCHED) && it.whose.is_ownerless(owned));
        found.append(&mut groups);
    }
    Ok(Found(found))
}

/// Lays aside what was found, as far as it is still nobody's by what the ledger has said since; gives how many. Their week begins now.
///
/// # Errors
/// [`KeepError::Io`]: there is no folder for them.
pub fn lay_aside(
    data: &Path,
    found: Found,
    owned: &Files,
    now: SystemTime,
) -> Result<u64, KeepError> {
    let folder = data.join(REMOVED);
    files::make_folder(&folder).map_err(KeepError::io(&folder))?;
    let mut count = 0;
    for group in found.0 {
        let aside = |file: &Path| {
            File::open(file)?.set_modified(now)?;
            fs::rename(file, folder.join(file.file_name().unwrap_or_default()))
        };
        count += u64::from(group.whose.is_ownerless(owned) && group.each(aside));
    }
    Ok(count)
}

/// Removes what has lain aside for a week; gives how many.
///
/// # Errors
/// [`KeepError::Io`]: the folder cannot be read.
pub fn remove_laid_aside(data: &Path, now: SystemTime) -> Result<u64, KeepError> {
    let mut groups = groups(&data.join(REMOVED))?;
    groups.retain(|group| group.is_older(now, KEPT));
    Ok(groups.into_iter().map(|group| u64::from(group.each(|file| fs::remove_file(file)))).sum())
}

/// The files of a folder that have a name of ours, by brain and snapshot.
fn groups(folder: &Path) -> Result<Vec<Group>, KeepError> {
    let mut groups: BTreeMap<Whose, Group> = BTreeMap::new();
    for entry in entries(folder)? {
        let name = entry.file_name();
        let stem = name.to_str().and_then(|name| name.split_once(".db")).map(|(stem, _)| stem);
        let Some(whose) = stem.and_then(Whose::of) else { continue };
        // One that is gone meanwhile is no file of the group.
        let Some(meta) = entry.metadata().ok().filter(fs::Metadata::is_file) else { continue };
        let written = meta.modified().map_err(KeepError::io(folder))?;
        let group = groups.entry(whose.clone()).or_insert_with(|| Group {
            whose,
            files: Vec::new(),
            written,
        });
        group.files.push(entry.path());
        group.written = group.written.max(written);
    }
    Ok(groups.into_values().collect())
}
