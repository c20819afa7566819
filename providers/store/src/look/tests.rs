//! Questions: what they may do, where they end, what they find.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::brain::kv;
use crate::brain::{Brain, Owner};
use loket_turn::{Hash, TurnNo};
use serde_json::value::RawValue;

const BOUNDS: Bounds = Bounds { time: Duration::from_secs(60), rows: 100 };

fn whose(agent: &str, life: u64) -> Whose {
    Whose { agent: agent.into(), life: Life(life), epoch: Epoch(0), durable: TurnNo(0) }
}

/// A brain with one entry and one text, committed; open still, as in a running fleet.
fn brain(data: &Path, agent: &str, life: u64, value: &str) -> Brain {
    let owner = Owner { agent: agent.into(), life: Life(life), epoch: Epoch(0) };
    let mut brain = Brain::open(&BrainFiles::new(data), owner).unwrap();
    brain.begin(true).unwrap();
    let value = RawValue::from_string(value.to_owned()).unwrap();
    brain.call(|conn| kv::put(conn, "k", &value)).unwrap();
    let texts = [crate::brain::memory::Item {
        text: "a red fox".to_owned(),
        source: Some(agent.to_owned()),
        meta: None,
    }];
    brain.call(|conn| crate::brain::memory::add(conn, &texts, "m1", 7)).unwrap();
    brain.commit(TurnNo(1), Hash([1; 32])).unwrap();
    brain
}

/// A file in the ledger's place.
fn ledger(dir: &Path) -> PathBuf {
    let file = dir.join("led ger?%41.db");
    let conn = Connection::open(&file).unwrap();
    conn.execute_batch(
        "CREATE TABLE agents (name TEXT, done_n INTEGER); INSERT INTO agents VALUES ('ada', 9)",
    )
    .unwrap();
    file
}

fn ask(data: &Path, sql: &str) -> Result<Answer, QueryError> {
    query_brain(data, &whose("ada", 1), sql, BOUNDS)
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

#[test]
fn a_brain_in_use_answers_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut open = brain(dir.path(), "ada", 1, "7");
    open.begin(true).unwrap();
    let found = ask(dir.path(), "SELECT key, value, 2.5 AS half, x'0aff', NULL FROM kv").unwrap();
    assert_eq!(found.columns, ["key", "value", "half", "x'0aff'", "NULL"]);
    let row = vec![text("k"), text("7"), Cell::Real(2.5), Cell::Blob(vec![10, 255]), Cell::Null];
    assert_eq!((found.rows, found.more), (vec![row], false));
    let words = "SELECT m.text FROM memory_words w JOIN memory m ON m.id = w.rowid WHERE memory_words MATCH 'fox'";
    assert_eq!(ask(dir.path(), words).unwrap().rows, [[text("a red fox")]]);
    open.commit(TurnNo(2), Hash([2; 32])).unwrap();
}

#[test]
fn what_would_do_more_than_read_is_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    drop(brain(dir.path(), "ada", 1, "7"));
    let file = BrainFiles::new(dir.path()).path(Life(1), Epoch(0));
    let before =
        (std::fs::read(&file).unwrap(), std::fs::read(file.with_extension("db-wal")).unwrap());
    for sql in [
        "DELETE FROM kv",
        "INSERT INTO kv VALUES ('a', '1')",
        "UPDATE kv SET value = 'x' RETURNING key",
        "CREATE TEMP TABLE t (a)",
        "DROP TABLE kv",
        "ATTACH '/tmp/elsewhere.db' AS e",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA query_only = 0",
        "VACUUM INTO '/tmp/elsewhere.db'",
        "BEGIN IMMEDIATE",
        "SAVEPOINT s",
        "REINDEX",
        "INSERT INTO memory_words (memory_words) VALUES ('rebuild')",
        "SELECT load_extension('x')",
        "SELECT file FROM pragma_database_list",
        "PRAGMA cache_size",
        "SELECT 1; DELETE FROM kv",
        "",
    ] {
        let refused = ask(dir.path(), sql).unwrap_err();
        assert_eq!(refused.code(), "Q001", "{sql}: {refused}");
    }
    assert_eq!(ask(dir.path(), "SELECT nonsense").unwrap_err().code(), "Q002");
    let after =
        (std::fs::read(&file).unwrap(), std::fs::read(file.with_extension("db-wal")).unwrap());
    assert!(before == after, "the file or its log was written");
}

#[test]
fn a_question_without_end_is_stopped_and_a_large_answer_is_said() {
    let dir = tempfile::tempdir().unwrap();
    drop(brain(dir.path(), "ada", 1, "7"));
    let endless =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let bounds = Bounds { time: Duration::from_millis(20), rows: 1 };
    let stopped = query_brain(dir.path(), &whose("ada", 1), endless, bounds).unwrap_err();
    assert_eq!(stopped.code(), "Q003", "{stopped}");
    // One function that takes minutes: nothing interrupts it.
    let long = "SELECT instr(replace(hex(zeroblob(4000000)), '0', 'a'), replace(hex(zeroblob(2000000)), '0', 'a') || 'b')";
    let soon = crate::wait::Deadline::after(Duration::from_secs(30));
    let stopped = query_brain(dir.path(), &whose("ada", 1), long, bounds).unwrap_err();
    assert_eq!(stopped.code(), "Q003", "{stopped}");
    assert!(!soon.is_over(), "its end was waited for");
    let ten =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10) SELECT i FROM n";
    let bounds = Bounds { rows: 3, ..BOUNDS };
    let some = query_brain(dir.path(), &whose("ada", 1), ten, bounds).unwrap();
    assert_eq!((some.rows.len(), some.more), (3, true));
    let all = ask(dir.path(), ten).unwrap();
    assert_eq!((all.rows.len(), all.more), (10, false));
    for large in [
        "SELECT zeroblob(40000000)",
        "SELECT hex(zeroblob(20000000))",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9) SELECT zeroblob(9000000) FROM n",
    ] {
        assert_eq!(ask(dir.path(), large).unwrap_err().code(), "Q004", "{large}");
    }
    let long = format!("SELECT 1 --{}", "x".repeat(SQL_BYTES_MAX));
    assert_eq!(ask(dir.path(), &long).unwrap_err().code(), "Q004");
}

#[test]
fn a_brain_that_is_not_made_yet_is_told() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(ask(dir.path(), "SELECT 1").unwrap_err().code(), "Q005");
    assert!(!dir.path().join("brains").exists(), "a question makes no file");
}

#[test]
fn e6_a_brain_that_was_on_the_disk_and_is_gone_is_told_and_not_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let gone = Whose { durable: TurnNo(13), ..whose("ada", 1) };
    let error = query_brain(dir.path(), &gone, "SELECT 1", BOUNDS).unwrap_err();
    assert_eq!(error.code(), "Q007", "{error}");
    assert!(error.to_string().contains("up to 13"), "{error}");
    let brains = [gone];
    let places = Places { data: dir.path(), ledger: &ledger, brains: &brains, glob: None };
    let error = query_fleet(&places, "SELECT count(*) FROM kv", BOUNDS).unwrap_err();
    assert_eq!(error.code(), "Q007", "{error}");
    let others = Places { glob: Some("pool/*"), ..places };
    assert!(query_fleet(&others, "SELECT count(*) FROM kv", BOUNDS).is_ok());
}

#[test]
fn one_question_reads_the_ledger_and_all_brains() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let _open = brain(dir.path(), "ada", 1, "1");
    drop(brain(dir.path(), "pool/bob", 300, "2"));
    // The third has no file yet.
    let brains = [whose("ada", 1), whose("pool/bob", 300), whose("pool/new", 301)];
    let places = Places { data: dir.path(), ledger: &ledger, brains: &brains, glob: None };
    let sql = "SELECT b.agent, b.applied_n, k.value, a.done_n FROM brains b JOIN kv k USING (agent)
                 LEFT JOIN agents a ON a.name = b.agent ORDER BY b.agent";
    for rows in
        ["SELECT count(*) FROM kv", "SELECT count(*) FROM main.kv", "SELECT sum(1) FROM brains"]
    {
        let found = query_fleet(&places, rows, BOUNDS).unwrap();
        assert_eq!(found.rows, [[Cell::Integer(2)]], "no column is read: {rows}");
    }
    let found = query_fleet(&places, sql, BOUNDS).unwrap();
    let ada = vec![text("ada"), Cell::Integer(1), text("1"), Cell::Integer(9)];
    let bob = vec![text("pool/bob"), Cell::Integer(1), text("2"), Cell::Null];
    assert_eq!(found.rows, [ada, bob]);
    let pool = Places { glob: Some("pool/*"), ..places };
    let sources = query_fleet(&pool, "SELECT source FROM memory", BOUNDS).unwrap();
    assert_eq!(sources.rows, [[text("pool/bob")]]);
    for sql in ["DELETE FROM agents", "DELETE FROM kv", "ATTACH 'x' AS y", "DETACH ledger"] {
        assert_eq!(query_fleet(&places, sql, BOUNDS).unwrap_err().code(), "Q001", "{sql}");
    }
}
