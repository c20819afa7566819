//! Files of older formats: a golden one of each is opened, brought to this version's format, and worked on.
#![allow(clippy::unwrap_used)]

use loket_ledger::kit::{Subject, staged, wait};
use loket_ledger::{Durability, FORMAT, LEDGER_FILE, Options, SqliteLedger};
use loket_turn::{AcceptError, Ledger, TurnKey, TurnNo};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;

/// Written by a version whose format was 1. Agent `a` has ended turn 1 of 3, which spawned `w/1`, and its turn 2 is open with a
/// message for `b` and an intent; the inbox of `b` holds one; `gone` was removed with one message.
const FORMAT_1: &[u8] = include_bytes!("golden/format-1.db");

fn open(dir: &Path) -> (Arc<SqliteLedger>, Subject) {
    let mut options = Options::new(dir);
    options.durability = Durability::Power;
    options.clock = Arc::new(|| 2_000);
    let (to, events) = crossbeam_channel::bounded(64);
    let tell = Box::new(move |event| drop(to.try_send(event)));
    let engine = SqliteLedger::open(options, tell).unwrap();
    (engine.clone(), Subject { ledger: engine, events })
}

/// What a file's schema says, in one order.
fn shape(file: &Path) -> (u32, Vec<String>) {
    let conn = Connection::open(file).unwrap();
    let version = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let mut rows = conn.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").unwrap();
    let rows = rows.query_map([], |row| row.get(0)).unwrap();
    let mut all = rows.collect::<Result<Vec<String>, _>>().unwrap();
    all.sort();
    (version, all)
}

#[test]
fn a_file_of_format_1_keeps_all_it_holds_and_has_the_shape_of_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(LEDGER_FILE);
    std::fs::write(&file, FORMAT_1).unwrap();
    assert_eq!(shape(&file).0, 1, "the golden file is of format 1");
    let (engine, it) = open(dir.path());
    let next = wait(engine.next("a".into(), 1)).unwrap().unwrap();
    assert_eq!((next.n, &*next.message.body), (TurnNo(2), &b"y"[..]));
    let full = wait(engine.accept(loket_ledger::kit::message("b", "x")));
    assert!(matches!(full, Err(AcceptError::Overloaded { .. })), "its place is kept: {full:?}");
    assert_eq!(wait(engine.letters()).unwrap().len(), 1);
    let children = wait(engine.dynamic_children()).unwrap();
    assert_eq!(children.iter().map(|child| &*child.agent).collect::<Vec<_>>(), ["w/1"]);
    it.nothing_lost(2);
    let life = wait(engine.open("a".into(), 1)).unwrap().life;
    let turn = TurnKey { agent: "a".into(), life, incarnation: 1, n: TurnNo(2) };
    let mut end = it.ending(&turn);
    end.records = vec![staged(3, "b", "k")];
    wait(engine.end(end)).unwrap();
    engine.stop();
    let fresh = tempfile::tempdir().unwrap();
    open(fresh.path()).0.stop();
    assert_eq!(shape(&file), shape(&fresh.path().join(LEDGER_FILE)));
    assert_eq!(shape(&file).0, FORMAT);
    // It is opened as what it is now.
    let (again, it) = open(dir.path());
    assert!(wait(again.groups()).unwrap().is_empty());
    it.nothing_lost(1);
}
