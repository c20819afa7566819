//! The data directory: made private, locked against a second process (rule J4), fsynced with its
//! parents (rules J2a, E1).

use crate::OpenError;
use loket_renew::RenewError;
use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The ledger's file in the data directory.
pub const LEDGER_FILE: &str = "ledger.db";

/// The lock's file in the data directory. It holds the pid of the process that has the lock.
pub const LOCK_FILE: &str = "lock";

/// The lock on a data directory; the kernel gives it back when the process ends, however it ends.
pub(crate) struct Lock {
    _file: File,
}

fn io(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { path, source }
}

/// A renewal that failed, as a failure to open (rule J2).
pub(crate) fn not_renewed(why: RenewError) -> OpenError {
    match why {
        RenewError::Io { path, source } => OpenError::Io { path, source },
        RenewError::Sync { path, source } => OpenError::Sync { path, source },
        RenewError::Sqlite { path, source } => {
            OpenError::Sqlite { file: path, reason: source.to_string() }
        }
        other => OpenError::Sqlite { file: LEDGER_FILE.into(), reason: other.to_string() },
    }
}

/// What SQLite says of the ledger's file, as a failure to open.
pub(crate) fn sqlite(file: &Path) -> impl Fn(rusqlite::Error) -> OpenError + use<> {
    let file = file.to_owned();
    move |why| match loket_renew::is_failed_sync(&why) {
        true => OpenError::Sync { path: file.clone(), source: io::Error::other(why) },
        false => OpenError::Sqlite { file: file.clone(), reason: why.to_string() },
    }
}

/// Fsyncs a file or directory; nothing to do where there is none.
pub(crate) fn sync(path: &Path) -> Result<(), OpenError> {
    match File::open(path) {
        Ok(file) => {
            file.sync_all().map_err(|source| OpenError::Sync { path: path.to_owned(), source })
        }
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(why) => Err(io(path)(why)),
    }
}

/// Refuses a directory without a ledger, or with an empty file in its place: SQLite would make a new one there, and throw away a log
/// that stands beside it.
pub(crate) fn must_be_there(dir: &Path) -> Result<(), OpenError> {
    let file = dir.join(LEDGER_FILE);
    match std::fs::metadata(&file) {
        Ok(meta) if meta.len() > 0 => Ok(()),
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(io(&file)(why)),
        _ => Err(OpenError::Lost { file }),
    }
}

/// The write-ahead log beside the ledger's file.
pub(crate) fn wal_path(dir: &Path) -> PathBuf {
    dir.join(format!("{LEDGER_FILE}-wal"))
}

/// Makes the directory if absent, mode 0700, and each missing parent; fsyncs every parent that got
/// a new entry.
pub(crate) fn create(dir: &Path) -> Result<(), OpenError> {
    let missing: Vec<&Path> =
        dir.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    for path in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {}
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {}
            Err(why) => return Err(io(path)(why)),
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Takes the lock or says who has it (rule J4).
pub(crate) fn lock(dir: &Path) -> Result<Lock, OpenError> {
    let path = dir.join(LOCK_FILE);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(io(&path))?;
    if let Err(why) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if why != rustix::io::Errno::WOULDBLOCK {
            return Err(io(&path)(why.into()));
        }
        let mut text = String::new();
        // The other process may be about to write its pid; then 0 is shown.
        let _ = file.read_to_string(&mut text);
        return Err(OpenError::Locked {
            dir: dir.to_owned(),
            pid: text.trim().parse().unwrap_or(0),
        });
    }
    file.set_len(0).map_err(io(&path))?;
    file.rewind().map_err(io(&path))?;
    writeln!(file, "{}", std::process::id()).map_err(io(&path))?;
    Ok(Lock { _file: file })
}

/// Fsyncs what an earlier process may have left written but unsynced, before any of it is read
/// (rule J2a). Called while SQLite has no file open: closing another descriptor of its file would
/// drop its locks.
pub(crate) fn sync_leftovers(dir: &Path) -> Result<(), OpenError> {
    sync(&dir.join(LEDGER_FILE))?;
    sync(&wal_path(dir))?;
    sync(dir)
}
