//! Data directories that cannot be used: in use, made by a newer version, not a folder. Nothing in them is changed.

use crate::fleet::{Fleet, PATIENCE, READER, file, finish, read, within};
use serde_json::json;
use std::path::{Path, PathBuf};

const ECHO: &str = r#"Agent(id: "desk", module: "builtin:echo", grants: [(cap: "store.brain")]),"#;

#[test]
fn a_second_run_on_the_same_data_directory() {
    let mut fleet = Fleet::running(ECHO);
    assert_eq!(fleet.call("desk", "count").json(), 1);
    let second = finish(fleet.run());
    second.failed(73, "L101", &["data", &fleet.pid().to_string()]);
    // The first one goes on as if nothing had been.
    assert_eq!(fleet.call("desk", "count").json(), 2);
    fleet.kill_process();
    // A killed process holds no lock, whatever its files say.
    fleet.start();
    assert_eq!(fleet.call("desk", "count").json(), 3);
    fleet.stop();
    fleet.command(&["status"]).failed(69, "C001", &["no fleet runs on"]);
}

/// A fleet's file says which agents there are: another one's would remove them all.
#[test]
fn another_fleets_data_directory_is_not_taken_by_mistake() {
    let mut fleet = Fleet::running(ECHO);
    assert_eq!(fleet.call("desk", "count").json(), 1);
    fleet.stop();
    // To look whose it is takes a log, an empty one, and its index.
    let files = |fleet: &Fleet| {
        let all = kept(fleet).into_iter();
        let index = |path: &Path| path.to_string_lossy().ends_with("-shm");
        all.filter(|(path, bytes)| !bytes.is_empty() && !index(path)).collect::<Vec<_>>()
    };
    let whole = files(&fleet);
    let theirs = r#"Agent(id: "clerk", module: "builtin:echo", grants: [(cap: "store.brain")]),"#;
    let theirs = file("", theirs).replace("name: \"test\"", "name: \"theirs\"");
    fleet.write("fleet.ron", theirs);
    finish(fleet.run()).failed(73, "L107", &["\"test\"", "\"theirs\"", "--data", "--renamed"]);
    assert!(files(&fleet) == whole, "something was changed");
    // The same fleet under another name.
    fleet.write("fleet.ron", file("", ECHO).replace("name: \"test\"", "name: \"desks\""));
    finish(fleet.run()).failed(73, "L107", &["\"desks\""]);
    let mut renamed = fleet.run();
    renamed.arg("--renamed");
    fleet.start_as(renamed, fleet.data());
    assert_eq!(fleet.call("desk", "count").json(), 2, "it knows what it knew");
    fleet.stop();
    fleet.start();
    fleet.stop();
    fleet.write("fleet.ron", file("", ECHO));
    finish(fleet.run()).failed(73, "L107", &["\"desks\"", "\"test\""]);
}

/// Sets the format's number in a database of a stopped fleet, and gives the bytes that the file has then.
fn newer(file: &Path, version: i64) -> Vec<u8> {
    let conn = rusqlite::Connection::open(file).unwrap();
    conn.pragma_update(None, "user_version", version).unwrap();
    conn.close().unwrap();
    std::fs::read(file).unwrap()
}

#[test]
fn a_ledger_of_a_newer_version() {
    let mut fleet = Fleet::running(ECHO);
    assert_eq!(fleet.call("desk", "count").json(), 1);
    fleet.stop();
    let ledger = fleet.data().join("ledger.db");
    let conn = rusqlite::Connection::open(&ledger).unwrap();
    let version = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    conn.close().unwrap();
    let bytes = newer(&ledger, 99);
    finish(fleet.run()).failed(73, "L102", &["99", "newer"]);
    assert_eq!(std::fs::read(&ledger).unwrap(), bytes, "the file was touched");
    newer(&ledger, version);
    fleet.start();
    assert_eq!(fleet.call("desk", "count").json(), 2);
}

#[test]
fn a_brain_of_a_newer_version() {
    let mut fleet = Fleet::running(&format!("{ECHO} {READER}"));
    fleet.write("docs/a.txt", "words");
    assert_eq!(fleet.call("desk", "count").json(), 1);
    assert_eq!(fleet.call("reader", &read("a.txt")).json()["passages"], 1);
    fleet.stop();
    let brain = fleet.data().join("brains/01/1.db");
    let bytes = newer(&brain, 99);
    fleet.start();
    // Its agent takes no turn, the inbox accepts, the others go on, and the file stays as it is.
    assert_eq!(fleet.command(&["send", "desk", "count"]).exit, 0);
    assert_eq!(fleet.call("reader", r#"{"ask": "words"}"#).json()["files_read"], 1);
    within(PATIENCE, "the desk is quarantined", || {
        let log = fleet.log();
        Some(()).filter(|()| {
            log.contains("quarantined") && log.contains("its format 99 comes from a newer version")
        })
    });
    let status = fleet.status();
    assert_eq!((&status["waiting"], &status["lost"]), (&json!(1), &json!(0)), "{status}");
    assert_eq!(status["letters"], 0, "{status}");
    fleet.stop();
    assert_eq!(std::fs::read(&brain).unwrap(), bytes, "the file was touched");
    newer(&brain, 1);
    fleet.start();
    assert_eq!(fleet.call("desk", "count").json(), 3, "the message that waited was the second");
}

#[test]
fn a_data_directory_that_is_none() {
    let fleet = Fleet::of(&file("", ECHO));
    fleet.write("data", "a file");
    finish(fleet.run()).failed(73, "L104", &["data"]);
    assert_eq!(std::fs::read(fleet.data()).unwrap(), b"a file");
    let fleet = Fleet::of(&file("", ECHO));
    std::fs::create_dir(fleet.data()).unwrap();
    std::fs::write(
        fleet.data().join("ledger.db"),
        "this is no database, and longer than a header: ".repeat(99),
    )
    .unwrap();
    let said = finish(fleet.run());
    assert_eq!(said.exit, 73, "{said:?}");
    assert!(said.err.contains("error[L") && !said.err.contains("panicked"), "{said:?}");
}

/// All that lies in the data directory and tells of agents: ledger and brains.
fn kept(fleet: &Fleet) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for folder in [fleet.data(), fleet.data().join("brains/01")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().contains(".db") {
                all.push((path.clone(), std::fs::read(path).unwrap()));
            }
        }
    }
    all.sort();
    all
}

fn put_back(whole: &[(PathBuf, Vec<u8>)]) {
    for (path, bytes) in whole {
        std::fs::write(path, bytes).unwrap();
    }
}

fn lose_ledger(fleet: &Fleet) {
    for end in ["", "-wal", "-shm"] {
        drop(std::fs::remove_file(fleet.data().join(format!("ledger.db{end}"))));
    }
    assert!(!fleet.data().join("ledger.db").exists());
}

#[test]
fn e3_a_lost_ledger_is_no_new_fleet() {
    let mut fleet = Fleet::running(ECHO);
    assert_eq!(fleet.call("desk", "count").json(), 1);
    fleet.stop();
    let (ledger, whole) = (fleet.data().join("ledger.db"), kept(&fleet));
    for empty in [false, true] {
        if empty {
            std::fs::write(&ledger, "").unwrap();
            fleet.command(&["brain", "desk", "snapshot"]).failed(73, "L106", &["ledger.db"]);
        } else {
            lose_ledger(&fleet);
        }
        let before = kept(&fleet);
        finish(fleet.run()).failed(73, "L106", &["ledger.db", "backup", "--data"]);
        assert_eq!(kept(&fleet), before, "something was written");
    }
    // Back from a backup it goes on.
    put_back(&whole);
    fleet.start();
    assert_eq!(fleet.call("desk", "count").json(), 2);
    fleet.stop();
    // Anew, on purpose.
    std::fs::rename(fleet.data().join("brains"), fleet.path("brains.old")).unwrap();
    lose_ledger(&fleet);
    fleet.start();
    assert_eq!(fleet.call("desk", "count").json(), 1);
}

#[test]
fn e3_a_first_start_that_was_cut_off_begins_again() {
    for left in [&[][..], &["1.making", "1.template", "1.template-wal"]] {
        let mut fleet = Fleet::of(&file("", ECHO));
        std::fs::create_dir_all(fleet.data().join("brains/01")).unwrap();
        for name in left {
            std::fs::write(fleet.data().join("brains/01").join(name), "half a brain").unwrap();
        }
        std::fs::write(fleet.data().join("ledger.db"), "").unwrap();
        fleet.start();
        assert_eq!(fleet.call("desk", "count").json(), 1);
    }
}

/// Agents whose last turn is not known to be in their brain on the disk.
fn behind(fleet: &Fleet) -> i64 {
    let ledger = rusqlite::Connection::open(fleet.data().join("ledger.db")).unwrap();
    let sql = "SELECT count(*) FROM agents WHERE durable_n < done_n";
    ledger.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// A fleet of two that was killed before either brain was brought to the disk, which happens after two seconds.
fn killed_in_time() -> Option<Fleet> {
    let mut fleet = Fleet::running(&format!("{ECHO} {READER}"));
    fleet.write("docs/a.txt", "words of the file");
    assert_eq!(fleet.call("reader", &read("a.txt")).json()["passages"], 1);
    assert_eq!(fleet.call("desk", "count").json(), 1);
    fleet.kill_process();
    Some(fleet).filter(|fleet| behind(fleet) == 2)
}

#[test]
fn a_clean_stop_right_after_a_kill_leaves_no_brain_behind() {
    let mut fleet = (0..5).find_map(|_| killed_in_time()).expect("five kills came too late");
    fleet.start();
    fleet.stop();
    assert_eq!(behind(&fleet), 0, "rule E4");
}

#[test]
fn after_a_kill_an_idle_brain_is_brought_up_and_to_the_disk() {
    let mut fleet = (0..5).find_map(|_| killed_in_time()).expect("five kills came too late");
    // One that the machine lost altogether: the ledger has all that it knew.
    let brain = fleet.data().join("brains/02/2.db");
    for end in ["", "-wal", "-shm"] {
        let file = brain.with_extension(format!("db{end}"));
        if file.exists() {
            std::fs::remove_file(file).unwrap();
        }
    }
    // Nobody says a word to either of them (rules E6, E4).
    fleet.start();
    within(PATIENCE, "both are on the disk", || (behind(&fleet) == 0).then_some(()));
    fleet.stop();
    let conn = rusqlite::Connection::open(brain).unwrap();
    let text: String = conn.query_row("SELECT text FROM memory", [], |row| row.get(0)).unwrap();
    assert_eq!(text, "words of the file");
}
