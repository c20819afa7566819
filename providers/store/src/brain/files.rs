//! Where brains lie: `<data>/brains/<low byte of the life>/<life>.db`, two levels so that no
//! directory grows too long; of a later epoch than the first, `<life>-<epoch>.db` (rule E7).
//!
//! A brain is made whole under another name, fsynced, renamed, and its directory fsynced (rule E1):
//! a file under a brain's name is never half made.

mod making;

use super::{OpenError, schema};
use loket_turn::{Epoch, Life};
use making::Making;
use rusqlite::Connection;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The folder of a brain, that of all brains and the data directory: each name lies in the one above.
const NAMES_ABOVE: usize = 3;

/// Held while a folder is looked for and made: who finds it there finds it on the disk.
static FOLDERS: Mutex<()> = Mutex::new(());

/// The directory of brains. A clone is the same directory.
#[derive(Debug, Clone)]
pub(crate) struct BrainFiles {
    root: PathBuf,
    /// The bytes of an empty brain: copying them costs half of running the schema.
    template: Arc<OnceLock<Vec<u8>>>,
    /// Whose file had an fsync that failed: renewed before it is opened again (rule J2). At most one a brain.
    suspects: Arc<Mutex<HashSet<(Life, Epoch)>>>,
    /// Folders whose names this process has on the disk: one that ended in the middle of a making may have left names that are not,
    /// and what is built upon such a file would go with its name. 256 at most.
    sure: Arc<Mutex<HashSet<PathBuf>>>,
}

impl BrainFiles {
    /// The brains of a data directory. Nothing is touched yet.
    pub(crate) fn new(data: &Path) -> Self {
        Self {
            root: data.join("brains"),
            template: Arc::default(),
            suspects: Arc::default(),
            sure: Arc::default(),
        }
    }

    /// The directory that holds all of them.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The file of a life in an epoch.
    pub(crate) fn path(&self, life: Life, epoch: Epoch) -> PathBuf {
        let name = match epoch {
            Epoch(0) => format!("{life}.db"),
            epoch => format!("{life}-{}.db", epoch.0),
        };
        self.root.join(format!("{:02x}", life.0 & 0xff)).join(name)
    }

    /// Notes that an fsync of this file failed.
    pub(super) fn suspect(&self, life: Life, epoch: Epoch) {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner).insert((life, epoch));
    }

    /// Whether an fsync of this file failed.
    pub(super) fn is_suspect(&self, life: Life, epoch: Epoch) -> bool {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner).contains(&(life, epoch))
    }

    /// Ends a renewal that a crash cut off, and renews the file if an fsync of it has failed (rule J2). What the new file
    /// lacks is run again from the ledger, which keeps what was never told to be durable.
    pub(super) fn mend(&self, life: Life, epoch: Epoch) -> Result<(), OpenError> {
        let path = self.path(life, epoch);
        loket_renew::settle(&path)?;
        if self.is_suspect(life, epoch) {
            // What failed may have been its making: then there is nothing to renew, and it is made from the start.
            if path.try_exists()? {
                loket_renew::renew(&path)?;
                crate::metrics::renewed();
            }
            self.suspects.lock().unwrap_or_else(PoisonError::into_inner).remove(&(life, epoch));
        }
        Ok(())
    }

    /// Makes an empty brain file for a life, unless there is one. Tells whether it made one. The file of a later epoch is never
    /// made empty: it was there, whole and on the disk, before the ledger named it (rule E7).
    pub(crate) fn ensure(&self, life: Life, epoch: Epoch) -> Result<bool, OpenError> {
        let path = self.path(life, epoch);
        if path.try_exists()? {
            self.make_sure(path.parent().unwrap_or(&self.root))?;
            return Ok(false);
        }
        if epoch != Epoch(0) {
            return Err(OpenError::Missing { epoch });
        }
        let _alone = Making::of(&path);
        if path.try_exists()? {
            return Ok(false);
        }
        let folder = path.parent().unwrap_or(&self.root);
        make_folder(folder)?;
        let bytes = self.template(folder, life)?;
        let making = path.with_extension("making");
        // Not the one whose fsync failed, if one did (rule J2).
        remove_if_there(&making)?;
        let mut file = File::create(&making)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        drop(file);
        // A log left by a file that is gone would be replayed into the new one.
        for side in ["db-wal", "db-shm"] {
            remove_if_there(&path.with_extension(side))?;
        }
        fs::rename(&making, &path)?;
        sync_folder(folder)?;
        self.make_sure(folder)?;
        Ok(true)
    }

    /// Brings the names of a folder, and its own, to the disk, once in a process.
    fn make_sure(&self, folder: &Path) -> io::Result<()> {
        let mut sure = self.sure.lock().unwrap_or_else(PoisonError::into_inner);
        if sure.contains(folder) {
            return Ok(());
        }
        for folder in folder.ancestors().take(NAMES_ABOVE) {
            sync_folder(folder)?;
        }
        sure.insert(folder.to_owned());
        Ok(())
    }

    /// The bytes of a brain with the schema and nothing else.
    fn template(&self, folder: &Path, life: Life) -> Result<Vec<u8>, OpenError> {
        if let Some(bytes) = self.template.get() {
            return Ok(bytes.clone());
        }
        let path = folder.join(format!("{life}.template"));
        let sides = ["template", "template-wal", "template-shm", "template-journal"];
        let clear = || -> io::Result<()> {
            sides.iter().try_for_each(|side| remove_if_there(&path.with_extension(side)))
        };
        clear()?;
        let conn = Connection::open(&path)?;
        // Only its bytes are of use: whoever gets them syncs them.
        conn.pragma_update(None, "synchronous", "OFF")?;
        schema::create(&conn)?;
        // Here and not in the close, which keeps its failure to itself: the file is whole without its log.
        conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        conn.close().map_err(|(_, error)| error)?;
        let bytes = fs::read(&path)?;
        clear()?;
        Ok(self.template.get_or_init(|| bytes).clone())
    }
}

/// Makes a directory and those above it, and fsyncs the parents of what it made.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    let _alone = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
    make_folder_alone(folder)
}

fn make_folder_alone(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folder_alone(parent)?;
        match fs::create_dir(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        sync_folder(parent)?;
    }
    Ok(())
}

/// Fsyncs a directory.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes a file; that it is not there is no error.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
