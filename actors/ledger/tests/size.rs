//! The file's size returns to its floor: what brains have durably is given up, and its pages go back to the file system (rule E6).
//!
//! `LOKET_MESSAGES=1000000` is the long form.
#![allow(clippy::unwrap_used)]

use loket_ledger::kit::{Subject, message, wait};
use loket_ledger::{Durability, LEDGER_FILE, Options, SqliteLedger};
use loket_turn::{End, Hash, TurnKey, TurnNo, chain_after};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Messages when nobody says how many: enough for the file to grow far beyond its floor.
const MESSAGES: u64 = 20_000;

/// Messages that wait at the same time.
const AT_ONCE: u64 = 1_000;

/// Turns after which the brain has all of them on the disk.
const DURABLE_EVERY: u64 = 10_000;

/// Bytes of a message.
const BODY: usize = 600;

/// Bytes beyond which the file may not stay: the pages that are kept for the next burst, and what an empty ledger has.
const FLOOR: u64 = 4 * 1024 * 1024 + 512 * 1024;

/// Bytes of a page.
const PAGE: u64 = 4096;

/// Looks that the writer is given to come to rest.
const LOOKS: u32 = 30_000;

/// Between two of them: a writer that is always asked is never idle, and upkeep is done when it is.
const PAUSE: Duration = Duration::from_millis(1);

fn bytes(dir: &Path) -> u64 {
    std::fs::metadata(dir.join(LEDGER_FILE)).unwrap().len()
}

#[test]
fn e6_the_file_returns_to_its_floor() {
    let messages = std::env::var("LOKET_MESSAGES").ok().map_or(MESSAGES, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::new(dir.path());
    options.durability = Durability::Process;
    options.clock = Arc::new(|| 2_000);
    let ledger = SqliteLedger::open(options, Box::new(|_| {})).unwrap();
    let (_, events) = crossbeam_channel::bounded(1);
    let it = Subject { ledger: ledger.clone(), events };
    let life = it.enrol(&["a"], AT_ONCE * 10)[0];
    wait(it.ledger.open("a".into(), 1)).unwrap();
    let (mut chain, mut n, mut peak) = (Hash::default(), 0, 0);
    let body = "x".repeat(BODY);
    while n < messages {
        let sent: Vec<_> = (0..AT_ONCE).map(|_| it.ledger.accept(message("a", &body))).collect();
        sent.into_iter().for_each(|sent| drop(wait(sent).unwrap()));
        let mut ends = Vec::new();
        for _ in 0..AT_ONCE {
            n += 1;
            let turn = TurnKey { agent: "a".into(), life, incarnation: 1, n: TurnNo(n) };
            let end = it.ending(&turn);
            chain = chain_after(chain, TurnNo(n), end.hash);
            ends.push(it.ledger.end(End { chain, ..end }));
        }
        ends.into_iter().for_each(|end| drop(wait(end).unwrap()));
        peak = peak.max(bytes(dir.path()) + wal(dir.path()));
        // A brain is brought to the disk now and then; until that the ledger keeps its turns.
        if n % DURABLE_EVERY == 0 || n >= messages {
            wait(it.ledger.brain_durable("a".into(), life, TurnNo(n))).unwrap();
        }
    }
    assert!(peak > 2 * FLOOR || messages < MESSAGES, "it never grew: {peak} bytes");
    it.nothing_lost(0);
    let mut looks = 0;
    while pages(dir.path()) * PAGE > FLOOR {
        looks += 1;
        assert!(looks < LOOKS, "{} pages stay after {messages} messages", pages(dir.path()));
        wait(it.ledger.stats()).unwrap();
        std::thread::park_timeout(PAUSE);
    }
    ledger.stop();
    let left = bytes(dir.path());
    println!("{messages} messages: {peak} bytes at most, {left} bytes at rest");
    assert!(left <= FLOOR, "{left} bytes after a stop");
}

/// Pages of the database, its log included: the file itself follows with the next checkpoint.
fn pages(dir: &Path) -> u64 {
    let conn = rusqlite::Connection::open(dir.join(LEDGER_FILE)).unwrap();
    let pages: i64 = conn.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    pages.unsigned_abs()
}

fn wal(dir: &Path) -> u64 {
    let log = dir.join(format!("{LEDGER_FILE}-wal"));
    std::fs::metadata(log).map_or(0, |meta| meta.len())
}
