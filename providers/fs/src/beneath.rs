//! Opening beneath a folder. One place decides what "inside" means.

use loket_turn::Failure;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Opens the root folder that a grant names. Links in the root itself are the operator's own.
pub(crate) fn open_root(root: &Path) -> Result<OwnedFd, Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(root, flags, Mode::empty())
        .map_err(|errno| failure(errno, &root.display().to_string()))
}

/// Opens `path` beneath `root`, for reading. Never blocks on a pipe or device.
pub(crate) fn open(root: &OwnedFd, path: &str) -> Result<File, Failure> {
    let path = if path.is_empty() { "." } else { path };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match openat2(root, path, flags, Mode::empty(), resolve) {
        Ok(file) => Ok(file.into()),
        Err(Errno::NOSYS) => open_by_steps(root, path, flags),
        Err(errno) => Err(failure(errno, path)),
    }
}

/// For systems without `openat2`: a step at a time, no links at all.
fn open_by_steps(root: &OwnedFd, path: &str, last: OFlags) -> Result<File, Failure> {
    if path.starts_with('/') {
        return Err(failure(Errno::XDEV, path));
    }
    let steps: Vec<&str> = path.split('/').filter(|step| !matches!(*step, "" | ".")).collect();
    if steps.contains(&"..") {
        return Err(failure(Errno::XDEV, path));
    }
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut here: Option<OwnedFd> = None;
    for (index, step) in steps.iter().enumerate() {
        let flags = if index + 1 == steps.len() { last | OFlags::NOFOLLOW } else { folder };
        let at = here.as_ref().unwrap_or(root);
        let next = rustix::fs::openat(at, *step, flags, Mode::empty());
        here = Some(next.map_err(|errno| failure(errno, path))?);
    }
    match here {
        Some(file) => Ok(file.into()),
        None => rustix::fs::openat(root, ".", folder, Mode::empty())
            .map(File::from)
            .map_err(|errno| failure(errno, path)),
    }
}

/// What a guest is told of an error of the file system.
pub(crate) fn failure(errno: Errno, path: &str) -> Failure {
    let (code, why) = match errno {
        Errno::NOENT | Errno::NOTDIR => ("not_found", "there is no such file"),
        Errno::XDEV | Errno::LOOP => ("out_of_scope", "the path leads out of the granted folder"),
        Errno::ACCESS | Errno::PERM => ("unreadable", "the file may not be read"),
        Errno::NAMETOOLONG | Errno::INVAL => ("bad_args", "the path is not a path"),
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::IO => {
            let text = format!("{path:?}: {errno}");
            return Failure::retryable("io", text, Some(1_000));
        }
        _ => ("io", "the file cannot be read"),
    };
    Failure::new(code, format!("{path:?}: {why} ({errno})"))
}
