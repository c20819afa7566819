//! Files of brains beside the present ones: copies that can be gone back to, and files that take a brain's place (rule E7).
//!
//! A copy is made by SQLite's backup, never by reading the file, so that a brain in use is copied whole. What takes a brain's place is
//! looked through first and is on the disk, whole, before anybody is told of it. All of it blocks: never on a lane. Start reading at
//! [`Keeper`]; `scratch.rs` is a brain beside the fleet, to run turns again in.

mod error;
mod found;
mod look_through;
mod ownerless;
mod scratch;
#[cfg(test)]
mod tests;

pub use crate::brain::Change;
pub use error::KeepError;
pub use found::{holds_brains, remove_unfinished};
pub use ownerless::{Found, find_ownerless, lay_aside, remove_laid_aside};
pub use scratch::{Scratch, ScratchStore};

use crate::brain::{BrainFiles, files, schema};
use loket_turn::simulation::{Mutation, broken};
use loket_turn::{BrainStanding, Epoch, Hash, Life, TurnNo};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, params};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The directory of snapshots beneath the data directory.
const SNAPSHOTS: &str = "snapshots";

/// Milliseconds that a copy waits for a lock on its source.
const BUSY_MS: u64 = 5_000;

/// What a brain's file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileState {
    /// Its life (rule E3).
    pub life: Life,
    /// Its epoch (rule E7).
    pub epoch: Epoch,
    /// The last turn applied.
    pub n: TurnNo,
    /// The chain hash after it.
    pub chain: Hash,
}

/// Keeps the files of one data directory.
#[derive(Debug, Clone)]
pub struct Keeper {
    files: BrainFiles,
    snapshots: PathBuf,
}

impl Keeper {
    /// The keeper of a data directory. Nothing is touched yet.
    pub fn new(data: &Path) -> Self {
        Self { files: BrainFiles::new(data), snapshots: data.join(SNAPSHOTS) }
    }

    /// The file of a brain.
    pub fn brain(&self, life: Life, epoch: Epoch) -> PathBuf {
        self.files.path(life, epoch)
    }

    /// The file of a snapshot, by the name that the ledger has.
    pub fn snapshot_file(&self, name: &str) -> PathBuf {
        self.snapshots.join(name)
    }

    /// Copies a brain as it is at this moment into the directory of snapshots. Gives the file's name and what it says of itself.
    ///
    /// # Errors
    /// [`KeepError`]; of a damaged brain there is none, for others would be built upon it (rule E5).
    pub fn snapshot(&self, life: Life, epoch: Epoch) -> Result<(String, FileState), KeepError> {
        files::make_folder(&self.snapshots).map_err(KeepError::io(&self.snapshots))?;
        let making = self.snapshots.join(format!("{life}-{epoch}.making"));
        or_remove(&making, || {
            let state = self.whole_copy(life, epoch, &making)?;
            let name = format!("{life}-{epoch}-{}.db", state.n);
            settle(&making, &self.snapshots.join(&name))?;
            Ok((name, state))
        })
    }

    /// Removes a snapshot's file; that it is gone already is no error.
    ///
    /// # Errors
    /// [`KeepError::Io`].
    pub fn remove_snapshot(&self, name: &str) -> Result<(), KeepError> {
        let file = self.snapshot_file(name);
        files::remove_if_there(&file).map_err(KeepError::io(&file))
    }

    /// Copies a brain into a file of the operator's, which must not be there.
    ///
    /// # Errors
    /// [`KeepError`]; a damaged brain is not exported.
    pub fn export(&self, life: Life, epoch: Epoch, to: &Path) -> Result<FileState, KeepError> {
        if to.exists() {
            return Err(KeepError::Exists { file: to.to_owned() });
        }
        let making = to.with_extension("loket-making");
        or_remove(&making, || {
            let state = self.whole_copy(life, epoch, &making)?;
            settle(&making, to)?;
            Ok(state)
        })
    }

    /// A copy of a brain that was looked through.
    fn whole_copy(&self, life: Life, epoch: Epoch, making: &Path) -> Result<FileState, KeepError> {
        let brain = self.brain(life, epoch);
        let copied = copy(&brain, making).and_then(|state| {
            look_through::whole(making)?;
            Ok(state)
        });
        copied.map_err(|error| error.of_brain(&brain))
    }

    /// Makes the file of the next epoch out of another one, fsynced with its directory: a switch in the ledger may name it (rule E7).
    /// Its state is the ledger's: nothing is left to catch up on.
    ///
    /// # Errors
    /// [`KeepError`]: it is no whole brain.
    pub fn adopt(&self, from: &Path, at: &BrainStanding) -> Result<(), KeepError> {
        let epoch = Epoch(at.epoch.0 + 1);
        let path = self.brain(at.life, epoch);
        if let Some(folder) = path.parent() {
            files::make_folder(folder).map_err(KeepError::io(folder))?;
        }
        let making = path.with_extension("making");
        or_remove(&making, || {
            copy(from, &making)?;
            look_through::whole(&making)?;
            give_to(&making, at)?;
            for side in ["db-wal", "db-shm"] {
                let side = path.with_extension(side);
                files::remove_if_there(&side).map_err(KeepError::io(&side))?;
            }
            settle(&making, &path)
        })
    }

    /// Removes the files of epochs before `epoch`'s predecessor: that one may still be open.
    pub fn forget_before(&self, life: Life, epoch: Epoch) {
        let Some(old) = epoch.0.checked_sub(2) else { return };
        let path = self.brain(life, Epoch(old));
        for side in ["db", "db-wal", "db-shm"] {
            let side = path.with_extension(side);
            if let Err(error) = files::remove_if_there(&side) {
                tracing::warn!(file = %side.display(), "an old brain stays: {error}");
            }
        }
    }
}

/// What a file says of itself.
///
/// # Errors
/// [`KeepError`]: it is none of ours.
pub fn state_of(file: &Path) -> Result<FileState, KeepError> {
    let conn = read(file)?;
    schema::check(&conn).map_err(|error| KeepError::open(file, &error))?;
    said(&conn).map_err(KeepError::sqlite(file))
}

fn said(conn: &Connection) -> rusqlite::Result<FileState> {
    conn.query_row("SELECT life, epoch, applied_n, chain FROM loket", [], |row| {
        let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
        Ok(FileState {
            life: Life(number(0)?),
            epoch: Epoch(number(1)?),
            n: TurnNo(number(2)?),
            chain: Hash(row.get(3)?),
        })
    })
}

fn read(file: &Path) -> Result<Connection, KeepError> {
    // Before SQLite opens it: it would wait for who writes to a pipe.
    match std::fs::metadata(file) {
        Err(_) => return Err(KeepError::Gone { file: file.to_owned() }),
        Ok(meta) if !meta.is_file() => return Err(KeepError::NotAFile { file: file.to_owned() }),
        Ok(_) => {}
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(file, flags).and_then(|conn| {
        conn.busy_timeout(Duration::from_millis(BUSY_MS))?;
        Ok(conn)
    });
    opened.map_err(KeepError::sqlite(file))
}

/// Copies a brain in one step, so that it is whole, into a file of any name; gives what the copy says of itself.
fn copy(from: &Path, to: &Path) -> Result<FileState, KeepError> {
    let source = read(from)?;
    schema::check(&source).map_err(|error| KeepError::open(from, &error))?;
    clear(to)?;
    let work = || {
        let mut target = Connection::open(to)?;
        let backup = Backup::new(&source, &mut target)?;
        // All pages in one step: the source's lock is held for so long that nothing comes between.
        let step = backup.step(-1)?;
        drop(backup);
        if step != StepResult::Done {
            return Ok(None);
        }
        // One file, without a log beside it.
        target.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
        let state = said(&target)?;
        target.close().map_err(|(_, error)| error)?;
        Ok(Some(state))
    };
    let copied = work().map_err(KeepError::sqlite(from))?;
    copied.ok_or_else(|| KeepError::Busy { file: from.to_owned() })
}

/// Writes into a copy that it is the brain of this agent's next epoch.
fn give_to(making: &Path, at: &BrainStanding) -> Result<(), KeepError> {
    let write = || {
        let conn = Connection::open_with_flags(making, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        conn.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
        let sql =
            "UPDATE loket SET life = ?1, epoch = ?2, applied_n = ?3, chain = ?4, pure_version = ?5";
        let (life, epoch) = (at.life.0.cast_signed(), at.epoch.0.cast_signed() + 1);
        let (mut n, mut chain) = (at.done.0.cast_signed(), at.chain);
        if broken(Mutation::RewindUndone) {
            let said = said(&conn)?;
            (n, chain) = (said.n.0.cast_signed(), said.chain);
        }
        conn.execute(sql, params![life, epoch, n, chain.0, crate::PURE_VERSION])?;
        conn.close().map_err(|(_, error)| error)
    };
    write().map_err(KeepError::sqlite(making))
}

/// Makes a file under another name than it will have. When that comes to nothing, what there is of it is removed: nobody else would.
fn or_remove<T>(
    making: &Path,
    make: impl FnOnce() -> Result<T, KeepError>,
) -> Result<T, KeepError> {
    make().inspect_err(|_| {
        if let Err(error) = clear(making) {
            tracing::warn!("an unfinished copy stays until the next start: {error}");
        }
    })
}

/// Removes a file and what SQLite keeps beside it; what is not there is no error.
fn clear(file: &Path) -> Result<(), KeepError> {
    for side in ["", "-wal", "-shm", "-journal"] {
        let mut name = file.as_os_str().to_owned();
        name.push(side);
        let side = PathBuf::from(name);
        files::remove_if_there(&side).map_err(KeepError::io(&side))?;
    }
    Ok(())
}

/// Brings a file that is made to the disk under its name (rule E1).
fn settle(making: &Path, path: &Path) -> Result<(), KeepError> {
    let done = || {
        if broken(Mutation::NewBrainUnsynced) {
            return std::fs::rename(making, path);
        }
        std::fs::File::open(making)?.sync_all()?;
        std::fs::rename(making, path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        files::sync_folder(folder.unwrap_or(Path::new(".")))
    };
    done().map_err(KeepError::io(path))
}
