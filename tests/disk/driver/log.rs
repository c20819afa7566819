//! The record of every change below one directory, as `shim.c` writes it.

use crate::Result;
use std::path::{Path, PathBuf};

/// Bytes before the two variable parts of a record.
const HEAD: usize = 25;

/// A change, in the one order in which all of them happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// A regular file has a name for the first time.
    Create {
        inode: u64,
        path: PathBuf,
    },
    Write {
        inode: u64,
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        inode: u64,
        len: usize,
    },
    /// What was written to the file before is on the disk.
    Fsync {
        inode: u64,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Unlink {
        path: PathBuf,
    },
    Mkdir {
        path: PathBuf,
    },
    /// What was changed in the directory before is on the disk.
    DirSync {
        path: PathBuf,
    },
    /// What was written to the file since its last good fsync will never be on the disk, though it reads back.
    Lost {
        inode: u64,
    },
}

/// A change and where its record ends: an acknowledgement that came when the file was so long came after it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) change: Change,
    pub(crate) end: u64,
}

/// Reads the whole record. A last one that was cut off by the end of the process is left out: it had not happened.
pub(crate) fn read(file: &Path) -> Result<Vec<Entry>> {
    let bytes = std::fs::read(file)?;
    let (mut entries, mut at) = (Vec::new(), 0);
    while let Some((change, len)) = parse(&bytes[at..])? {
        at += len;
        entries.push(Entry { change, end: at as u64 });
    }
    Ok(entries)
}

fn parse(bytes: &[u8]) -> Result<Option<(Change, usize)>> {
    let Some(head) = bytes.get(..HEAD) else { return Ok(None) };
    let number = |from: usize, to: usize| {
        head[from..to].iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let (inode, at) = (number(1, 9), usize::try_from(number(9, 17))?);
    let (a_len, b_len) = (usize::try_from(number(17, 21))?, usize::try_from(number(21, 25))?);
    let len = HEAD + a_len + b_len;
    let Some(rest) = bytes.get(HEAD..len) else { return Ok(None) };
    let (a, b) = rest.split_at(a_len);
    let path = |bytes: &[u8]| -> Result<PathBuf> { Ok(PathBuf::from(std::str::from_utf8(bytes)?)) };
    let change = match head[0] {
        1 => Change::Create { inode, path: path(a)? },
        2 => Change::Write { inode, at, bytes: a.to_vec() },
        3 => Change::Truncate { inode, len: at },
        4 => Change::Fsync { inode },
        5 => Change::Rename { from: path(a)?, to: path(b)? },
        6 => Change::Unlink { path: path(a)? },
        7 => Change::Mkdir { path: path(a)? },
        8 => Change::DirSync { path: path(a)? },
        9 => Change::Lost { inode },
        other => return Err(format!("the record names a change {other}").into()),
    };
    Ok(Some((change, len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, inode: u64, at: u64, a: &[u8], b: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend(inode.to_le_bytes());
        bytes.extend(at.to_le_bytes());
        bytes.extend((a.len() as u32).to_le_bytes());
        bytes.extend((b.len() as u32).to_le_bytes());
        bytes.extend(a);
        bytes.extend(b);
        bytes
    }

    #[test]
    fn a_record_that_was_cut_off_has_not_happened() {
        let mut bytes = record(5, 0, 0, b"/d/a", b"/d/b");
        let whole = bytes.len();
        bytes.extend(record(2, 7, 4096, b"page", b""));
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("log");
        std::fs::write(&file, &bytes).expect("a file");
        let entries = read(&file).expect("entries");
        assert_eq!(entries[0].change, Change::Rename { from: "/d/a".into(), to: "/d/b".into() });
        assert_eq!(
            entries[1].change,
            Change::Write { inode: 7, at: 4096, bytes: b"page".to_vec() }
        );
        assert_eq!((entries.len(), entries[1].end), (2, bytes.len() as u64));
        std::fs::write(&file, &bytes[..bytes.len() - 1]).expect("a file");
        let entries = read(&file).expect("entries");
        assert_eq!((entries.len(), entries[0].end), (1, whole as u64));
    }
}
