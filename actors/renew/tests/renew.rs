//! Rule J2: what reads back is in the new file, and a crash at any step leaves one file that counts.
#![allow(clippy::unwrap_used)]

use loket_renew::{renew, settle};
use rusqlite::Connection;
use std::fs;
use std::path::{Path, PathBuf};

fn open(file: &Path) -> Connection {
    let conn = Connection::open(file).unwrap();
    conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
    conn.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    conn
}

fn rows(file: &Path) -> i64 {
    open(file).query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
}

fn beside(file: &Path, end: &str) -> PathBuf {
    PathBuf::from(format!("{}{end}", file.display()))
}

/// A file with one row in it and one in its log only.
fn made(folder: &Path) -> PathBuf {
    let file = folder.join("x.db");
    let conn = open(&file);
    conn.execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES (1)").unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    conn.execute_batch("INSERT INTO t VALUES (2)").unwrap();
    conn.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    drop(conn);
    assert!(fs::metadata(beside(&file, "-wal")).unwrap().len() > 0);
    file
}

fn inode(file: &Path) -> u64 {
    std::os::unix::fs::MetadataExt::ino(&fs::metadata(file).unwrap())
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn j2_what_reads_back_is_in_a_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = made(folder.path());
    let before = inode(&file);
    renew(&file).unwrap();
    assert_ne!(inode(&file), before, "the old file was extended");
    assert_eq!(names(folder.path()), ["x.db"], "the log belonged to the old file");
    assert_eq!(rows(&file), 2);
}

#[test]
fn j2_a_crash_before_the_new_file_has_the_name_leaves_the_old_one() {
    for marked in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let file = made(folder.path());
        fs::write(beside(&file, ".making-anew"), "half a file").unwrap();
        if marked {
            fs::write(beside(&file, ".renewed"), "").unwrap();
        }
        settle(&file).unwrap();
        assert_eq!(rows(&file), 2, "the row in the log is gone");
        assert!(!beside(&file, ".making-anew").exists() && !beside(&file, ".renewed").exists());
    }
}

#[test]
fn j2_a_crash_after_the_new_file_has_the_name_keeps_the_old_log_out_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = made(folder.path());
    // The new file is further than the old log: a page of the log would take it back.
    let log = fs::read(beside(&file, "-wal")).unwrap();
    renew(&file).unwrap();
    let conn = open(&file);
    conn.execute_batch("INSERT INTO t VALUES (3); PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(conn);
    fs::write(beside(&file, "-wal"), log).unwrap();
    fs::write(beside(&file, ".renewed"), "").unwrap();
    settle(&file).unwrap();
    assert_eq!(rows(&file), 3);
    assert!(!beside(&file, ".renewed").exists());
}

#[test]
fn a_file_that_was_never_renewed_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let file = made(folder.path());
    let before = names(folder.path());
    settle(&file).unwrap();
    assert_eq!(names(folder.path()), before);
    assert_eq!(rows(&file), 2);
}
