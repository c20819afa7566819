//! Compiled modules on disk, so that an interpreter guest starts in milliseconds and not in seconds.
//!
//! A cache entry is machine code that the process will run. It must never be used unless it lies in a folder that only
//! this user can write, and is, byte for byte, what this program wrote for this module and this engine. Whatever is wrong with
//! an entry, it is as if it were not there.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::entry::{Entry, Key, MAX_ENTRY_BYTES};

/// The folder's mode: nobody else may even look.
const DIR_MODE: u32 = 0o700;

/// Tells the temporary files of one process apart.
static TEMPORARY: AtomicU64 = AtomicU64::new(0);

/// Why a folder cannot be the cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// It could not be made or opened.
    #[error("the module cache {path}: {source}", path = path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// Someone else could put machine code there.
    #[error(
        "the module cache {path} is not a folder that only its owner can write: choose another, or remove it",
        path = path.display()
    )]
    NotPrivate {
        /// The folder.
        path: PathBuf,
    },
}

impl CacheError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "M080",
            Self::NotPrivate { .. } => "M081",
        }
    }
}

/// A folder of compiled modules. Several processes may share it.
#[derive(Clone, Debug)]
pub struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// Opens the cache in `dir`, which is made if absent and closed to everyone but this user.
    ///
    /// # Errors
    /// [`CacheError`]: it cannot be made, is a link or a file, or belongs to somebody else.
    pub fn new(dir: impl Into<PathBuf>) -> Result<Self, CacheError> {
        let dir = dir.into();
        let io = |source| CacheError::Io { path: dir.clone(), source };
        DirBuilder::new().recursive(true).mode(DIR_MODE).create(&dir).map_err(io)?;
        if !std::fs::symlink_metadata(&dir).map_err(io)?.is_dir() {
            return Err(CacheError::NotPrivate { path: dir });
        }
        // A probe tells who we are: what we create belongs to us, and the folder must belong to the same.
        std::fs::set_permissions(&dir, Permissions::from_mode(DIR_MODE)).map_err(io)?;
        let probe = temporary(&dir);
        let ours = File::create_new(&probe).and_then(|f| f.metadata()).map(|m| m.uid());
        let removed = std::fs::remove_file(&probe);
        let (ours, ()) = (ours.map_err(io)?, removed.map_err(io)?);
        let folder = std::fs::symlink_metadata(&dir).map_err(io)?;
        if folder.uid() != ours || folder.mode() & 0o077 != 0 {
            return Err(CacheError::NotPrivate { path: dir });
        }
        Ok(Self { dir })
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.dir.join(key.name())
    }

    /// The entry of this key, if there is one and it is whole.
    pub(super) fn get(&self, key: &Key) -> Option<Entry> {
        let file = File::open(self.path(key)).ok()?;
        let mut read = Vec::new();
        file.take(MAX_ENTRY_BYTES + 1).read_to_end(&mut read).ok()?;
        Entry::verified(key, read)
    }

    /// Writes an entry beside its place and moves it there, so that no reader ever sees half of one. Best effort.
    pub(super) fn put(&self, key: &Key, entry: &Entry) {
        let temporary = temporary(&self.dir);
        let write = || -> std::io::Result<()> {
            File::create_new(&temporary)?.write_all(entry.bytes())?;
            std::fs::rename(&temporary, self.path(key))
        };
        if let Err(e) = write() {
            tracing::warn!(error = %e, dir = %self.dir.display(), "a compiled module was not cached");
            let _ = std::fs::remove_file(&temporary);
        }
    }
}

fn temporary(dir: &Path) -> PathBuf {
    let n = TEMPORARY.fetch_add(1, Ordering::Relaxed);
    dir.join(format!(".{}-{n}.tmp", std::process::id()))
}
