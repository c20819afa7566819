//! Every kind of damage, done to a data directory that is right, is found; a judge that finds nothing proves nothing.
#![allow(clippy::unwrap_used)]

use super::*;

/// A stopped fleet's directory with two files read, each by a reader of its own, and the driver's record of it.
struct Case {
    folder: tempfile::TempDir,
    docs: Docs,
    sends: Sends,
}

const LEDGER: &str = "
    CREATE TABLE letters (id INTEGER PRIMARY KEY);
    CREATE TABLE counters (accepted INTEGER, completed INTEGER, letters_made INTEGER);
    INSERT INTO counters VALUES (2, 2, 0);
    CREATE TABLE agents (inbox_rows INTEGER, gone INTEGER);
    INSERT INTO agents VALUES (3, 0), (4, 0), (9, 1);";

const BRAIN: &str = "CREATE TABLE memory (id INTEGER PRIMARY KEY, message TEXT, source TEXT, meta TEXT, text TEXT);";

impl Case {
    fn right() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut docs = Docs::new(folder.path()).unwrap();
        let mut sends = Sends::new(folder.path()).unwrap();
        let mut dice = crate::dice::Dice::new(5);
        std::fs::create_dir_all(folder.path().join("brains/01")).unwrap();
        for reader in 0..2 {
            let path = docs.fresh_of(&mut dice, 3_000).unwrap();
            let text = docs.text(&path).unwrap();
            sends.add(path.clone(), format!("reader-{reader}"));
            sends.all[reader].acked = Some(format!("message-{reader}"));
            let conn = Connection::open(folder.path().join(brain(reader))).unwrap();
            conn.execute_batch(BRAIN).unwrap();
            let half = text.floor_char_boundary(text.len() / 2);
            for (part, piece) in [&text[..half], &text[half..]].into_iter().enumerate() {
                let last = if part == 1 { r#", "last": true"# } else { "" };
                let meta = format!(r#"{{"part": {part}{last}}}"#);
                let row = (format!("message-{reader}"), &path, meta, piece);
                let sql = "INSERT INTO memory (message, source, meta, text) VALUES (?, ?, ?, ?)";
                conn.execute(sql, row).unwrap();
            }
        }
        let ledger = Connection::open(folder.path().join("ledger.db")).unwrap();
        ledger.execute_batch(LEDGER).unwrap();
        Self { folder, docs, sends }
    }

    /// The verdict after this was done to a database.
    fn after(&self, file: &str, sql: &str) -> Verdict {
        let conn = Connection::open(self.folder.path().join(file)).unwrap();
        conn.execute_batch(sql).unwrap();
        drop(conn);
        of(self.folder.path(), &self.docs, &self.sends).unwrap()
    }
}

fn brain(reader: usize) -> String {
    format!("brains/01/{}.db", reader + 1)
}

/// Lost, double, not whole, letters, damaged; and whether anything was found.
fn counts(verdict: &Verdict) -> ([i64; 5], bool) {
    let of = |count: usize| i64::try_from(count).unwrap();
    let Verdict { lost, double, not_whole, letters, damaged, .. } = verdict;
    let counts = [of(*lost), of(*double), of(*not_whole), *letters, of(*damaged)];
    (counts, !verdict.findings.is_empty())
}

#[test]
fn what_is_right_is_right() {
    let case = Case::right();
    let verdict = case.after("ledger.db", "");
    assert_eq!(counts(&verdict), ([0; 5], false), "{:?}", verdict.findings);
    assert_eq!((verdict.acknowledged, verdict.brains, verdict.passages), (2, 2, 4));
}

#[test]
fn every_damage_is_found() {
    let copy = "INSERT INTO memory (message, source, meta, text) SELECT message, source, meta, text FROM memory";
    let damages = [
        ("all rows gone", 0, "DELETE FROM memory", [1, 0, 0, 0, 0]),
        ("the last row gone", 0, "DELETE FROM memory WHERE id = 2", [0, 0, 1, 0, 0]),
        ("the first row gone", 0, "DELETE FROM memory WHERE id = 1", [0, 0, 1, 0, 0]),
        ("a file twice under one message", 0, copy, [0, 1, 1, 0, 0]),
        (
            "a letter changed",
            0,
            "UPDATE memory SET text = 'X' || substr(text, 2) WHERE id = 2",
            [0, 0, 1, 0, 0],
        ),
        ("rows in another order", 0, "UPDATE memory SET id = 9 WHERE id = 1", [0, 0, 1, 0, 0]),
        ("under another message", 0, "UPDATE memory SET message = 'other'", [1, 1, 0, 0, 0]),
        ("another file's name", 0, "UPDATE memory SET source = 'x' WHERE id = 1", [0, 1, 0, 0, 0]),
        (
            "not marked as the last",
            0,
            r#"UPDATE memory SET meta = '{"part": 1}' WHERE id = 2"#,
            [0, 0, 1, 0, 0],
        ),
        ("in a second brain", 1, "UPDATE memory SET message = 'message-0'", [1, 1, 0, 0, 0]),
        ("a dead letter", 2, "INSERT INTO letters VALUES (1)", [0, 0, 0, 1, 0]),
        ("one not completed", 2, "UPDATE counters SET completed = 1", [0; 5]),
        ("one accepted that nobody was told of", 2, "UPDATE counters SET accepted = 3", [0; 5]),
        ("a letter that was dropped", 2, "UPDATE counters SET letters_made = 1", [0; 5]),
    ];
    for (what, place, sql, expected) in damages {
        let file = if place == 2 { "ledger.db".to_owned() } else { brain(place) };
        let verdict = Case::right().after(&file, sql);
        assert_eq!(counts(&verdict), (expected, true), "{what}: {:?}", verdict.findings);
    }
}

#[test]
fn a_damaged_database_and_a_missing_acknowledgement_are_found() {
    let case = Case::right();
    // An index that lacks a row is what a torn write looks like to SQLite.
    let torn = "CREATE INDEX i ON memory (source); PRAGMA writable_schema = 1; \
        UPDATE sqlite_master SET sql = 'CREATE INDEX i ON memory (message)' WHERE name = 'i';";
    let verdict = case.after(&brain(0), torn);
    assert_eq!(counts(&verdict), ([0, 0, 0, 0, 1], true), "{:?}", verdict.findings);

    let mut case = Case::right();
    case.sends.all[1].acked = None;
    assert!(counts(&case.after("ledger.db", "")).1);
    let mut case = Case::right();
    case.sends.all[1].acked = Some("message-0".to_owned());
    assert!(counts(&case.after("ledger.db", "")).1, "one id for two files");
}

#[test]
fn what_waits_is_read_from_a_copy() {
    let case = Case::right();
    let data = case.folder.path();
    let before = std::fs::read(data.join("ledger.db")).unwrap();
    assert_eq!(waiting(data, &data.join("copy")).unwrap(), 7);
    assert_eq!(std::fs::read(data.join("ledger.db")).unwrap(), before);
}
