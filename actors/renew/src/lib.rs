//! A new file in place of one whose fsync failed (rule J2).
//!
//! After a failed fsync the system may have marked pages clean that never reached the disk: a later fsync of the same file
//! succeeds and proves nothing. So what reads back is copied into a new file, that is synced, and it takes the old one's
//! name. Ledger and brains are SQLite files with a write-ahead log beside them, and the two cannot be replaced in one
//! step; a mark file says which of them counts while they are. It must never be called while a connection to the old
//! file is open, and never writes to the old file.
//!
//! | on the disk | what counts | what [`settle`] does |
//! |---|---|---|
//! | no mark, `.making` | the old file and its log | removes `.making` |
//! | mark, `.making` | the old file and its log | removes both |
//! | mark | the new file: the log is the old one's | removes the log, then the mark |
//!
//! Start reading at [`renew`].
#![forbid(unsafe_code)]

use rusqlite::backup::Backup;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, ffi};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Ends the name of the file that is being made.
const MAKING: &str = ".making-anew";

/// Ends the name of the mark.
const MARK: &str = ".renewed";

/// Pages that are copied: all in one step, nobody else has the file open.
const ALL_PAGES: i32 = -1;

/// Why no new file took the old one's place. The old one is as it was, or [`settle`] makes it so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenewError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An fsync failed: what it was to keep is not known to be on the disk.
    #[error("{}: not synced: {source}", path.display())]
    Sync {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What there is cannot be read, or not copied.
    #[error("{}: {source}", path.display())]
    Sqlite {
        /// The old file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// Whether SQLite says that an fsync failed: of a file, or of its directory.
pub fn is_failed_sync(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC))
}

/// Switches a file to its write-ahead log and gives the mode that SQLite came to: `wal`, if all is well.
///
/// The answer comes before the switch is written: whoever only reads that misses the error, and goes on with a journal whose
/// removal is not synced, so that a commit is not durable. Here the statement is run to its end.
///
/// # Errors
/// SQLite's.
pub fn switch_to_log(conn: &Connection) -> rusqlite::Result<String> {
    let mut switch = conn.prepare("PRAGMA journal_mode = WAL")?;
    let mut rows = switch.query([])?;
    let mut mode = String::new();
    while let Some(row) = rows.next()? {
        mode = row.get(0)?;
    }
    Ok(mode)
}

/// Copies what reads back of `file` and its log into a new file, syncs it, and gives it the name. No connection to the old
/// one may be open. Blocks.
///
/// # Errors
/// [`RenewError`]. What was there before still counts, or the new file does already; [`settle`] tells them apart.
pub fn renew(file: &Path) -> Result<(), RenewError> {
    settle(file)?;
    let (making, mark) = (beside(file, MAKING), beside(file, MARK));
    let sqlite = |source| RenewError::Sqlite { path: file.to_owned(), source };
    copy(file, &making).map_err(sqlite)?;
    sync(&making)?;
    let io = |path: &Path| at(path);
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&mark)
        .map_err(io(&mark))?;
    sync_folder(file)?;
    fs::rename(&making, file).map_err(io(file))?;
    sync_folder(file)?;
    settle(file)?;
    tracing::warn!(file = %file.display(), "a new file took the place of one whose fsync failed");
    Ok(())
}

/// Ends what a crash left of a renewal. To be called before the file is opened. Where there was none it touches nothing.
///
/// # Errors
/// The file system refused.
pub fn settle(file: &Path) -> Result<(), RenewError> {
    let (making, mark) = (beside(file, MAKING), beside(file, MARK));
    let marked = mark.try_exists().map_err(at(&mark))?;
    let unmade = making.try_exists().map_err(at(&making))?;
    if unmade {
        remove(&making)?;
        remove(&beside(&making, "-journal"))?;
    } else if marked {
        remove(&beside(file, "-wal"))?;
        remove(&beside(file, "-shm"))?;
    }
    if unmade || marked {
        // The mark goes last: a crash between the two comes here again.
        sync_folder(file)?;
        remove(&mark)?;
        sync_folder(file)?;
    }
    Ok(())
}

fn copy(file: &Path, making: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let old = Connection::open_with_flags(file, flags)?;
    old.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let mut new = Connection::open(making)?;
    Backup::new(&old, &mut new)?.step(ALL_PAGES)?;
    new.close().map_err(|(_, why)| why)?;
    old.close().map_err(|(_, why)| why)
}

fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(end);
    name.into()
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> RenewError + use<> {
    let path = path.to_owned();
    move |source| RenewError::Io { path, source }
}

fn remove(path: &Path) -> Result<(), RenewError> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(at(path)(why)),
        _ => Ok(()),
    }
}

fn sync(path: &Path) -> Result<(), RenewError> {
    let file = File::open(path).map_err(at(path))?;
    file.sync_all().map_err(|source| RenewError::Sync { path: path.to_owned(), source })
}

fn sync_folder(file: &Path) -> Result<(), RenewError> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    sync(folder.unwrap_or(Path::new(".")))
}
