//! A ledger that was there before.
#![allow(clippy::unwrap_used)]

use loket_ledger::{LEDGER_FILE, OpenError, Options, SqliteLedger};
use rusqlite::Connection;

/// E3: where brains are, a missing or empty ledger is not made anew, and nothing is touched.
#[test]
fn e3_a_ledger_that_must_be_there_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(LEDGER_FILE);
    let options = Options { must_be_there: true, ..Options::new(dir.path()) };
    let open = |options| SqliteLedger::open(options, Box::new(|_| {}));
    let lost = |options| matches!(open(options), Err(OpenError::Lost { .. }));
    assert!(lost(options.clone()) && !file.exists());
    std::fs::write(&file, "").unwrap();
    let log = dir.path().join("ledger.db-wal");
    std::fs::write(&log, "a log that SQLite would throw away").unwrap();
    assert!(lost(options.clone()));
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 0);
    assert!(log.exists());
    // A database that holds nothing.
    std::fs::remove_file(&log).unwrap();
    Connection::open(&file).unwrap().execute_batch("PRAGMA journal_mode = WAL; VACUUM").unwrap();
    let bytes = std::fs::read(&file).unwrap();
    assert!(!bytes.is_empty() && lost(options.clone()));
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    std::fs::remove_file(&file).unwrap();
    open(Options::new(dir.path())).unwrap().stop();
    open(options).unwrap();
}
