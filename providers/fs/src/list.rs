//! `fs.list`: what a folder holds, sorted, a page at a time.

use crate::beneath;
use crate::provider::ListJob;
use loket_turn::Failure;
use rustix::fs::{Dir, FileType};
use serde::Serialize;
use std::collections::BTreeMap;

/// Entries of one page when the caller does not say.
pub(crate) const LIST_DEFAULT: usize = 256;

/// Entries of one page at most: an answer is copied into the guest and kept in the ledger.
pub(crate) const LIST_MAX: usize = 1_024;

/// Entries that one call looks at, at most: bounds the time on the thread. A larger folder is listed by its sub-folders.
const VISITED_MAX: usize = 200_000;

/// Folders below folders at most.
const DEPTH_MAX: usize = 32;

/// Skipped entries that are named, at most; the rest is counted in the last one's message.
const SKIPPED_MAX: usize = 100;

#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    path: String,
    kind: &'static str,
    bytes: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Skipped {
    path: String,
    code: String,
    message: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct ListResult {
    entries: Vec<Entry>,
    skipped: Vec<Skipped>,
    more: bool,
}

/// Walks and sorts. Two walks of an unchanged folder give the same.
struct Walk<'a> {
    job: &'a ListJob,
    found: BTreeMap<String, Entry>,
    skipped: Vec<Skipped>,
    skipped_more: usize,
    visited: usize,
    more: bool,
}

/// Lists one page.
pub(crate) fn list(job: &ListJob) -> Result<ListResult, Failure> {
    let root = beneath::open_root(&job.root)?;
    let mut walk = Walk {
        job,
        found: BTreeMap::new(),
        skipped: Vec::new(),
        skipped_more: 0,
        visited: 0,
        more: false,
    };
    let mut folders = vec![(job.path.trim_end_matches('/').to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let opened = match beneath::open(&root, &folder) {
            Ok(opened) => opened,
            Err(failure) if depth == 0 => return Err(failure),
            Err(failure) => {
                walk.skip(folder, &failure.code, failure.message);
                continue;
            }
        };
        walk.folder(opened, &folder, depth, &mut folders)?;
    }
    walk.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    if walk.skipped_more > 0 {
        let message = format!("{} more entries were skipped", walk.skipped_more);
        walk.skipped.push(Skipped { path: String::new(), code: "more".to_owned(), message });
    }
    let (entries, more) = (walk.found.into_values().collect(), walk.more);
    Ok(ListResult { entries, skipped: walk.skipped, more })
}

impl Walk<'_> {
    fn folder(
        &mut self,
        opened: std::fs::File,
        folder: &str,
        depth: usize,
        folders: &mut Vec<(String, usize)>,
    ) -> Result<(), Failure> {
        let entries = Dir::read_from(&opened).map_err(|errno| beneath::failure(errno, folder))?;
        for entry in entries {
            let entry = entry.map_err(|errno| beneath::failure(errno, folder))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            self.visited += 1;
            if self.visited > VISITED_MAX {
                let text = format!(
                    "{:?} holds more than {VISITED_MAX} entries: list its sub-folders one by one",
                    self.job.path
                );
                return Err(Failure::new("too_large", text));
            }
            let shown = name.to_string_lossy();
            let path = if folder.is_empty() || folder == "." {
                shown.clone().into_owned()
            } else {
                format!("{folder}/{shown}")
            };
            if name.to_str().is_err() {
                self.skip(path, "not_utf8", "the name is not UTF-8".to_owned());
                continue;
            }
            let stat = rustix::fs::statat(&opened, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
            let Ok(stat) = stat else { continue };
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    if self.job.recursive && depth < DEPTH_MAX {
                        folders.push((path.clone(), depth + 1));
                    }
                    if !self.job.recursive {
                        self.keep(path, "dir", 0);
                    }
                }
                FileType::RegularFile => {
                    if self.job.wants(&path) {
                        self.keep(path, "file", u64::try_from(stat.st_size).unwrap_or(0));
                    }
                }
                FileType::Symlink => {
                    self.skip(path, "link", "symbolic links are not followed".to_owned());
                }
                _ => self.skip(path, "special", "neither a file nor a folder".to_owned()),
            }
        }
        Ok(())
    }

    /// Keeps the first `limit` paths after the page's start.
    fn keep(&mut self, path: String, kind: &'static str, bytes: u64) {
        if self.job.after.as_ref().is_some_and(|after| path <= *after) {
            return;
        }
        self.found.insert(path.clone(), Entry { path, kind, bytes });
        if self.found.len() > self.job.limit {
            self.found.pop_last();
            self.more = true;
        }
    }

    fn skip(&mut self, path: String, code: &str, message: String) {
        if self.skipped.len() < SKIPPED_MAX {
            self.skipped.push(Skipped { path, code: code.to_owned(), message });
        } else {
            self.skipped_more += 1;
        }
    }
}
