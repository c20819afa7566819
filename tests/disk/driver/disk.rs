//! A disk that keeps only what it was told to: what was synced is there, and of the rest anything may be.
//!
//! What is simulated, exactly. *Files*: of the writes and truncations after the last fsync of a file each one, apart from
//! the others, is there whole, missing, or torn at a multiple of 512 bytes (its front or its back is there); so later ones
//! can be there without earlier ones. A file grown by a later write has zeros where an earlier one is missing.
//! *Directories*: of the creations, renames and removals after the last fsync of a directory the first few are there, in
//! order; how many is chosen for each directory by itself, so that two directories may disagree. An fsync of a file says
//! nothing of its name. *A failed fsync*, where one is asked for: what it should have brought to the disk never
//! gets there, though it reads back, and later fsyncs of the file succeed. *Not simulated*: bytes that change where nobody
//! wrote, a disk that lies about an fsync it reported as good, writes torn
//! within 512 bytes.

use crate::Result;
use crate::dice::Dice;
use crate::log::Change;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Bytes that a disk writes whole or not at all.
const SECTOR: usize = 512;

#[derive(Debug, Clone)]
enum FileOp {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

#[derive(Debug, Clone, Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<FileOp>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    File(usize),
    Folder,
}

#[derive(Debug, Clone)]
enum NameOp {
    Add(PathBuf, Entry),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

type Names = BTreeMap<PathBuf, Entry>;

/// How much of what was not synced an image keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// All: what a kill leaves.
    Nothing,
    /// None of it.
    Everything,
    /// Each change by itself: kept, dropped or torn.
    Random,
}

/// The files of one directory and their past.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    root: PathBuf,
    files: Vec<File>,
    by_inode: HashMap<u64, usize>,
    durable: Names,
    pending: BTreeMap<PathBuf, Vec<NameOp>>,
}

impl Disk {
    /// An empty directory, which itself is on the disk.
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), ..Self::default() }
    }

    /// One more change has happened.
    pub(crate) fn apply(&mut self, change: &Change) -> Result<()> {
        match change {
            Change::Create { inode, path } => {
                self.by_inode.insert(*inode, self.files.len());
                self.name(path, NameOp::Add(path.clone(), Entry::File(self.files.len())));
                self.files.push(File::default());
            }
            Change::Write { inode, at, bytes } => {
                self.file(*inode)?.pending.push(FileOp::Write(*at, bytes.clone()));
            }
            Change::Truncate { inode, len } => {
                self.file(*inode)?.pending.push(FileOp::Truncate(*len));
            }
            Change::Fsync { inode } => {
                let file = self.file(*inode)?;
                for op in std::mem::take(&mut file.pending) {
                    perform(&mut file.durable, &op);
                }
            }
            Change::Lost { inode } => self.file(*inode)?.pending.clear(),
            Change::Rename { from, to } => self.name(to, NameOp::Rename(from.clone(), to.clone())),
            Change::Unlink { path } => self.name(path, NameOp::Remove(path.clone())),
            Change::Mkdir { path } => self.name(path, NameOp::Add(path.clone(), Entry::Folder)),
            Change::DirSync { path } => {
                for op in self.pending.remove(path).unwrap_or_default() {
                    rename(&mut self.durable, &op);
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, inode: u64) -> Result<&mut File> {
        let id = self.by_inode.get(&inode).ok_or("a file that was never made")?;
        Ok(&mut self.files[*id])
    }

    fn name(&mut self, path: &Path, op: NameOp) {
        let folder = path.parent().unwrap_or(&self.root).to_owned();
        self.pending.entry(folder).or_default().push(op);
    }

    /// Writes one possible state after a loss of power below `to`.
    pub(crate) fn image(&self, to: &Path, loss: Loss, dice: &mut Dice) -> Result<()> {
        let mut names = self.durable.clone();
        for ops in self.pending.values() {
            let kept = match loss {
                Loss::Nothing => ops.len(),
                Loss::Everything => 0,
                Loss::Random => dice.roll(ops.len() + 1),
            };
            ops[..kept].iter().for_each(|op| rename(&mut names, op));
        }
        std::fs::create_dir_all(to)?;
        for (path, entry) in &names {
            if !self.reachable(&names, path) {
                continue;
            }
            let place = to.join(path.strip_prefix(&self.root)?);
            match entry {
                Entry::Folder => std::fs::create_dir_all(place)?,
                Entry::File(id) => std::fs::write(place, self.content(*id, loss, dice))?,
            }
        }
        Ok(())
    }

    /// Every folder above it has its name.
    fn reachable(&self, names: &Names, path: &Path) -> bool {
        let above = path.ancestors().skip(1).take_while(|folder| *folder != self.root);
        above.into_iter().all(|folder| names.get(folder) == Some(&Entry::Folder))
    }

    fn content(&self, id: usize, loss: Loss, dice: &mut Dice) -> Vec<u8> {
        let file = &self.files[id];
        let mut bytes = file.durable.clone();
        for op in &file.pending {
            match (loss, op) {
                (Loss::Everything, _) => {}
                (Loss::Nothing, op) => perform(&mut bytes, op),
                (Loss::Random, op) => match dice.roll(4) {
                    0 => {}
                    1 => torn(&mut bytes, op, dice),
                    _ => perform(&mut bytes, op),
                },
            }
        }
        bytes
    }
}

fn perform(bytes: &mut Vec<u8>, op: &FileOp) {
    match op {
        FileOp::Truncate(len) => bytes.resize(*len, 0),
        FileOp::Write(at, new) => {
            bytes.resize(bytes.len().max(at + new.len()), 0);
            bytes[*at..at + new.len()].copy_from_slice(new);
        }
    }
}

/// The front or the back of a write, cut where a sector ends. What is no longer than one sector is dropped.
fn torn(bytes: &mut Vec<u8>, op: &FileOp, dice: &mut Dice) {
    let FileOp::Write(at, new) = op else { return };
    let first = SECTOR - at % SECTOR;
    if first >= new.len() {
        return;
    }
    let cuts = (new.len() - first).div_ceil(SECTOR);
    let cut = first + dice.roll(cuts) * SECTOR;
    let part = match dice.roll(2) {
        0 => FileOp::Write(*at, new[..cut].to_vec()),
        _ => FileOp::Write(at + cut, new[cut..].to_vec()),
    };
    perform(bytes, &part);
}

fn rename(names: &mut Names, op: &NameOp) {
    match op {
        NameOp::Add(path, entry) => {
            names.insert(path.clone(), *entry);
        }
        NameOp::Remove(path) => {
            names.remove(path);
        }
        NameOp::Rename(from, to) => {
            if let Some(entry) = names.remove(from) {
                names.insert(to.clone(), entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(changes: &[Change]) -> Disk {
        let mut disk = Disk::new(Path::new("/d"));
        for change in changes {
            disk.apply(change).expect("a change");
        }
        disk
    }

    fn made() -> Vec<Change> {
        vec![
            Change::Create { inode: 1, path: "/d/f".into() },
            Change::Write { inode: 1, at: 0, bytes: vec![1; 1024] },
            Change::Fsync { inode: 1 },
        ]
    }

    fn content(disk: &Disk, loss: Loss, seed: u64) -> Option<Vec<u8>> {
        let folder = tempfile::tempdir().expect("a folder");
        disk.image(folder.path(), loss, &mut Dice::new(seed)).expect("an image");
        std::fs::read(folder.path().join("f")).ok()
    }

    #[test]
    fn an_fsync_of_a_file_says_nothing_of_its_name() {
        let mut changes = made();
        assert_eq!(content(&disk(&changes), Loss::Everything, 1), None);
        changes.push(Change::DirSync { path: "/d".into() });
        assert_eq!(content(&disk(&changes), Loss::Everything, 1), Some(vec![1; 1024]));
    }

    #[test]
    fn unsynced_writes_are_kept_dropped_and_torn_apart_from_each_other() {
        let mut changes = made();
        changes.push(Change::DirSync { path: "/d".into() });
        changes.push(Change::Write { inode: 1, at: 0, bytes: vec![2; 1024] });
        changes.push(Change::Write { inode: 1, at: 1024, bytes: vec![3; 512] });
        let disk = disk(&changes);
        let seen: std::collections::HashSet<_> =
            (0..200).filter_map(|seed| content(&disk, Loss::Random, seed)).collect();
        let state = |first: u8, second: u8, third: Option<u8>| {
            let mut bytes = vec![first; 512];
            bytes.extend(vec![second; 512]);
            bytes.extend(third.map(|byte| vec![byte; 512]).unwrap_or_default());
            bytes
        };
        for (first, second) in [(1, 1), (2, 2), (1, 2), (2, 1)] {
            assert!(seen.contains(&state(first, second, None)), "{first} {second} alone");
            assert!(seen.contains(&state(first, second, Some(3))), "{first} {second} and the last");
        }
        assert_eq!(seen.len(), 8);
        assert_eq!(content(&disk, Loss::Nothing, 1), Some(state(2, 2, Some(3))));
        assert_eq!(content(&disk, Loss::Everything, 1), Some(state(1, 1, None)));
    }

    #[test]
    fn a_rename_that_was_not_synced_may_be_there_or_not() {
        let mut changes = made();
        changes.push(Change::DirSync { path: "/d".into() });
        changes.push(Change::Rename { from: "/d/f".into(), to: "/d/g".into() });
        let disk = disk(&changes);
        let there = (0..64).filter(|seed| content(&disk, Loss::Random, *seed).is_some()).count();
        assert!(there > 0 && there < 64, "{there} of 64");
    }
}
