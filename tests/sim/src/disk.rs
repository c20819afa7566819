//! The disk: real files in a directory of their own, and what of them a loss of power would leave.
//!
//! `fsync` and `fdatasync` of this program are ours: they note what the file, or the directory's list of names, holds at that moment
//! and sync nothing. Whoever calls them, SQLite included, is the real code. A kill keeps all that was written; a loss of power keeps
//! what was synced, and of everything else each page of 4 KiB, each length and each name by chance. A kill or a loss of power may be
//! armed: it then strikes inside the next sync, before that counts. The shared memory of SQLite is never kept. Start reading at
//! [`Disk`].

use crate::rng::Rng;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_int;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is lost or kept as one.
const PAGE: usize = 4_096;

thread_local! {
    static DISK: RefCell<Option<State>> = const { RefCell::new(None) };
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// What was written stays.
    Kill,
    /// What was synced stays.
    Power,
}

/// How the process is going to die, with what chance, and how many syncs are spared until then.
pub(crate) type Armed = (Death, Rng, usize);

/// The names in a directory, and which files they are.
type Names = BTreeMap<PathBuf, u64>;

#[derive(Default)]
struct State {
    root: PathBuf,
    /// What a file held when it was last synced, by its number.
    synced: BTreeMap<u64, Arc<Vec<u8>>>,
    /// What a directory listed when it was last synced, by its path below the root.
    listed: BTreeMap<PathBuf, Names>,
    armed: Option<Armed>,
    image: Option<(Death, Image)>,
    syncs: u64,
}

/// Files, by their paths below the root; a directory has no bytes.
type Files = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// What a death leaves.
#[derive(Default)]
struct Image {
    files: Files,
    /// After a kill: what each file held when it was last synced.
    synced: BTreeMap<PathBuf, Arc<Vec<u8>>>,
}

/// The disk of the simulated machine. One per thread.
pub(crate) struct Disk {
    base: tempfile::TempDir,
    boots: u64,
}

impl Disk {
    /// An empty disk, in memory where the machine has such a place.
    ///
    /// # Errors
    /// The machine's.
    pub(crate) fn new() -> io::Result<Self> {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let base = tempfile::Builder::new().prefix("loket-sim-").tempdir_in(place)?;
        let disk = Self { base, boots: 0 };
        fs::create_dir(disk.root())?;
        DISK.set(Some(State { root: disk.root(), ..State::default() }));
        Ok(disk)
    }

    /// How many processes have died on it.
    pub(crate) fn boots(&self) -> u64 {
        self.boots
    }

    /// The data directory of the present process.
    pub(crate) fn root(&self) -> PathBuf {
        self.base.path().join(format!("boot-{}", self.boots))
    }

    /// How often something was synced.
    pub(crate) fn syncs(&self) -> u64 {
        with(|state| state.syncs).unwrap_or(0)
    }

    /// Has a sync be the end of the process; `None` takes it back.
    pub(crate) fn arm(&self, death: Option<Armed>) {
        with(|state| state.armed = death);
    }

    /// Whether an armed death has struck.
    pub(crate) fn struck(&self) -> Option<Death> {
        with(|state| state.image.as_ref().map(|(death, _)| *death)).flatten()
    }

    /// Ends the process's use of the disk: what it leaves is under another directory. What the dying process still does to the old
    /// one is seen by nobody.
    ///
    /// # Errors
    /// The machine's.
    pub(crate) fn die(&mut self, death: Death, rng: &mut Rng) -> io::Result<()> {
        let struck = with(|state| state.image.take()).flatten();
        let image = match struck {
            Some((_, image)) => image,
            None => {
                with(|state| image(state, death, rng)).unwrap_or_else(|| Ok(Image::default()))?
            }
        };
        let state = DISK.take().unwrap_or_default();
        self.boots += 1;
        let root = self.root();
        fs::create_dir(&root)?;
        let mut next = State { root: root.clone(), syncs: state.syncs, ..State::default() };
        for (path, bytes) in &image.files {
            match bytes {
                None => fs::create_dir(root.join(path))?,
                Some(bytes) => fs::write(root.join(path), bytes)?,
            }
        }
        // After a loss of power all that is there is on the disk. After a kill it is as synced as it was.
        for (path, bytes) in image.files {
            let synced = match death {
                Death::Power => bytes.map(Arc::new),
                Death::Kill => image.synced.get(&path).cloned(),
            };
            if let Some(synced) = synced {
                next.synced.insert(fs::metadata(root.join(&path))?.ino(), synced);
            }
        }
        for dir in dirs(&root)? {
            let path = dir.strip_prefix(&root).unwrap_or(&dir).to_owned();
            let here = names(&dir)?;
            let kept = match death {
                Death::Power => here,
                Death::Kill => {
                    let old = state.listed.get(&path).cloned().unwrap_or_default();
                    here.into_iter().filter(|(name, _)| old.contains_key(name)).collect()
                }
            };
            next.listed.insert(path, kept);
        }
        DISK.set(Some(next));
        Ok(())
    }

    /// Forgets the directories of earlier processes.
    pub(crate) fn sweep(&self) {
        for boot in 0..self.boots {
            let _ = fs::remove_dir_all(self.base.path().join(format!("boot-{boot}")));
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        DISK.set(None);
    }
}

fn with<T>(work: impl FnOnce(&mut State) -> T) -> Option<T> {
    DISK.try_with(|disk| disk.try_borrow_mut().ok()?.as_mut().map(work)).ok().flatten()
}

/// Whether a file is worth keeping: SQLite makes its shared memory anew, and the lock is the process's.
fn kept(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    !name.ends_with("-shm") && name != "lock"
}

fn names(dir: &Path) -> io::Result<Names> {
    let mut names = Names::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        names.insert(entry.file_name().into(), entry.metadata()?.ino());
    }
    Ok(names)
}

fn dirs(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![root.to_owned()];
    let mut at = 0;
    while let Some(dir) = found.get(at).cloned() {
        at += 1;
        let mut below: Vec<PathBuf> = fs::read_dir(&dir)?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()).filter(|path| path.is_dir()))
            .collect();
        below.sort();
        found.append(&mut below);
    }
    Ok(found)
}

fn image(state: &State, death: Death, rng: &mut Rng) -> io::Result<Image> {
    let mut image = Image::default();
    match death {
        Death::Kill => {
            for dir in dirs(&state.root)? {
                let below = dir.strip_prefix(&state.root).unwrap_or(&dir).to_owned();
                for (name, ino) in names(&dir)?.into_iter().filter(|(name, _)| kept(name)) {
                    let path = dir.join(&name);
                    let bytes = if path.is_dir() { None } else { Some(fs::read(&path)?) };
                    if let Some(synced) = state.synced.get(&ino) {
                        image.synced.insert(below.join(&name), Arc::clone(synced));
                    }
                    image.files.insert(below.join(name), bytes);
                }
            }
        }
        Death::Power => after_power(state, Path::new(""), rng, &mut image.files)?,
    }
    Ok(image)
}

/// What is left of a directory: names that were synced, or are there by chance.
fn after_power(state: &State, below: &Path, rng: &mut Rng, image: &mut Files) -> io::Result<()> {
    let dir = state.root.join(below);
    let here = if dir.is_dir() { names(&dir)? } else { Names::new() };
    let before = state.listed.get(below).cloned().unwrap_or_default();
    let all: BTreeSet<&PathBuf> = here.keys().chain(before.keys()).collect();
    for name in all.into_iter().filter(|name| kept(name)) {
        let (now, then) = (here.get(name).copied(), before.get(name).copied());
        let ino = if now == then || rng.percent(50) { now } else { then };
        let Some(ino) = ino else { continue };
        let path = below.join(name);
        let synced = state.synced.get(&ino);
        if now == Some(ino) && dir.join(name).is_dir() {
            image.insert(path.clone(), None);
            after_power(state, &path, rng, image)?;
        } else if now == Some(ino) {
            let written = fs::read(dir.join(name))?;
            let empty = Vec::new();
            let bytes = torn(synced.map_or(&empty, |bytes| bytes), &written, rng);
            image.insert(path, Some(bytes));
        } else if let Some(bytes) = synced {
            image.insert(path, Some(bytes.to_vec()));
        }
    }
    Ok(())
}

/// Each page as it was synced, or as it was written since; so too the length.
fn torn(synced: &[u8], written: &[u8], rng: &mut Rng) -> Vec<u8> {
    if synced == written {
        return synced.to_vec();
    }
    let new_percent = *rng.pick(&[0, 0, 50, 90, 100, 100]);
    let (short, long) = (synced.len().min(written.len()), synced.len().max(written.len()));
    let len = match new_percent {
        0 => synced.len(),
        100 => written.len(),
        _ => {
            let some = rng.below(long - short + 1);
            // A file that was cut is cut or is not: its length is one number, in one sector. One that grew does so by and by.
            match (written.len() < synced.len(), 2 * some < long - short) {
                (false, _) => short + some,
                (true, true) => short,
                (true, false) => long,
            }
        }
    };
    let mut bytes = vec![0; len];
    for (at, page) in bytes.chunks_mut(PAGE).enumerate() {
        let start = at * PAGE;
        // What was cut off is as it was, if it is there: nothing was written in its place.
        let was_cut = start >= written.len();
        let from = if rng.percent(new_percent) && !was_cut { written } else { synced };
        let end = (start + page.len()).min(from.len());
        if start < end {
            page[..end - start].copy_from_slice(&from[start..end]);
        }
    }
    bytes
}

/// A sync of this descriptor. Always well.
fn synced(fd: c_int) {
    let Ok(path) = fs::read_link(format!("/proc/self/fd/{fd}")) else { return };
    with(|state| {
        if state.image.is_some() {
            // The process is dead: what it still does is seen by nobody.
            return;
        }
        let Ok(below) = path.strip_prefix(&state.root).map(Path::to_owned) else { return };
        match state.armed.take() {
            Some((death, rng, spared @ 1..)) => state.armed = Some((death, rng, spared - 1)),
            Some((death, mut rng, 0)) => {
                state.image = image(state, death, &mut rng).ok().map(|image| (death, image));
                return;
            }
            None => {}
        }
        state.syncs += 1;
        if path.is_dir() {
            if let Ok(names) = names(&path) {
                state.listed.insert(below, names);
            }
        } else if let (Ok(meta), Ok(bytes)) = (fs::metadata(&path), fs::read(&path)) {
            state.synced.insert(meta.ino(), Arc::new(bytes));
        }
    });
}

/// In place of the C library's.
#[allow(
    unsafe_code,
    reason = "a symbol of the C library, replaced for this program; nothing in it is unsafe"
)]
#[allow(unreachable_pub, reason = "the linker finds it")]
#[unsafe(no_mangle)]
pub extern "C" fn fsync(fd: c_int) -> c_int {
    synced(fd);
    0
}

/// In place of the C library's.
#[allow(
    unsafe_code,
    reason = "a symbol of the C library, replaced for this program; nothing in it is unsafe"
)]
#[allow(unreachable_pub, reason = "the linker finds it")]
#[unsafe(no_mangle)]
pub extern "C" fn fdatasync(fd: c_int) -> c_int {
    synced(fd);
    0
}
