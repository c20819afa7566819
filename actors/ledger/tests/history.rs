//! The file of reports: what is kept, how it is asked, what becomes of a file that cannot be used.
#![allow(clippy::unwrap_used)]

use loket_ledger::{
    HISTORY_FILE, HISTORY_ROWS_MAX, HistoryFile, HistoryQuery, HistoryRecord, read_history,
};

fn record(at_ms: u64, supervisor: &str, child: &str) -> HistoryRecord {
    HistoryRecord {
        at_ms,
        supervisor: supervisor.to_owned(),
        child: child.to_owned(),
        context: "progress".to_owned(),
        body: format!("{{\"at\":{at_ms}}}"),
    }
}

async fn read(file: &HistoryFile, child: Option<&str>, limit: usize) -> Vec<(u64, u64)> {
    let child = child.map(str::to_owned);
    let rows = file.read(HistoryQuery { child, limit }).await.unwrap();
    rows.into_iter().map(|(boot, row)| (boot, row.at_ms)).collect()
}

#[tokio::test]
async fn what_is_kept_is_read_at_once_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let file = HistoryFile::open(dir.path()).unwrap();
    for at in 1..=5 {
        file.keep(record(at, if at < 3 { "root" } else { "pool" }, &format!("c{at}")));
    }
    assert_eq!(read(&file, None, 100).await, [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5)]);
    assert_eq!(read(&file, None, 2).await, [(1, 4), (1, 5)], "the latest, oldest first");
    assert_eq!(read(&file, Some("c2"), 100).await, [(1, 2)]);
    assert_eq!(read(&file, Some("pool"), 100).await, [(1, 3), (1, 4), (1, 5)]);
    file.stop();
    assert!(file.read(HistoryQuery::default()).await.is_err(), "nobody answers any more");
    let query = HistoryQuery { child: None, limit: 1 };
    assert_eq!(read_history(dir.path(), &query).unwrap(), [(1, record(5, "pool", "c5"))]);
    let file = HistoryFile::open(dir.path()).unwrap();
    file.keep(record(6, "root", "c1"));
    assert_eq!(read(&file, Some("c1"), 9).await, [(1, 1), (2, 6)], "each with its run");
}

#[tokio::test]
async fn the_file_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let file = HistoryFile::open(dir.path()).unwrap();
    let all = HISTORY_ROWS_MAX + 3_000;
    for at in 0..all {
        file.keep(record(at, "root", "c"));
        // The queue is bounded, too: what is in it is written before the answer.
        if at % 10_000 == 0 {
            read(&file, None, 1).await;
        }
    }
    assert_eq!(read(&file, None, 1).await, [(1, all - 1)]);
    drop(file);
    let conn = rusqlite::Connection::open(dir.path().join(HISTORY_FILE)).unwrap();
    let kept: u64 = conn
        .query_row("SELECT count(*) FROM report", [], |row| row.get::<_, i64>(0))
        .unwrap()
        .try_into()
        .unwrap();
    assert!((HISTORY_ROWS_MAX..HISTORY_ROWS_MAX + 2_000).contains(&kept), "{kept}");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_left_alone_and_this_run_is_kept_in_memory() {
    for broken in [&b"no database at all, but long enough to be looked at as one"[..], b"newer"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(HISTORY_FILE);
        if broken == b"newer" {
            let conn = rusqlite::Connection::open(&path).unwrap();
            conn.pragma_update(None, "user_version", 99).unwrap();
        } else {
            std::fs::write(&path, broken).unwrap();
        }
        let before = std::fs::read(&path).unwrap();
        let file = HistoryFile::open(dir.path()).unwrap();
        file.keep(record(1, "root", "a"));
        assert_eq!(read(&file, None, 9).await, [(1, 1)]);
        drop(file);
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
    let nowhere = tempfile::tempdir().unwrap();
    assert!(read_history(nowhere.path(), &HistoryQuery::default()).is_err());
    assert!(!nowhere.path().join(HISTORY_FILE).exists(), "reading makes no file");
}
