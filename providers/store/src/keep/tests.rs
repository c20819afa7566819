//! Copies and exchanges of brains.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::brain::{Brain, Owner, kv};
use loket_turn::{AgentName, Files};
use serde_json::value::RawValue;
use std::time::SystemTime;

fn owner(life: u64, epoch: u64) -> Owner {
    Owner { agent: "ada".into(), life: Life(life), epoch: Epoch(epoch) }
}

fn put(brain: &mut Brain, n: u64, value: &str) {
    brain.begin(true).unwrap();
    let value = RawValue::from_string(value.to_owned()).unwrap();
    brain.call(|conn| kv::put(conn, "k", &value)).unwrap();
    brain.commit(TurnNo(n), Hash([n as u8; 32])).unwrap();
}

fn get(brain: &mut Brain) -> Option<String> {
    brain.begin(true).unwrap();
    let found = brain.call(|conn| kv::get(conn, "k")).unwrap();
    brain.roll_back();
    found.map(|value| value.get().to_owned())
}

fn standing(epoch: u64, done: u64) -> BrainStanding {
    BrainStanding {
        agent: AgentName::from("ada"),
        life: Life(1),
        epoch: Epoch(epoch),
        done: TurnNo(done),
        chain: Hash([9; 32]),
        open: None,
    }
}

#[test]
fn e7_a_snapshot_of_a_brain_in_use_is_whole_and_takes_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = Keeper::new(dir.path());
    let mut brain = Brain::open(&BrainFiles::new(dir.path()), owner(1, 0)).unwrap();
    put(&mut brain, 1, "1");
    // A turn is open, and what it did is not in the copy.
    brain.begin(true).unwrap();
    let other = RawValue::from_string("7".to_owned()).unwrap();
    brain.call(|conn| kv::put(conn, "k", &other)).unwrap();
    let (name, state) = keeper.snapshot(Life(1), Epoch(0)).unwrap();
    assert_eq!((&*name, state.n, state.epoch), ("1-0-1.db", TurnNo(1), Epoch(0)));
    assert_eq!(state_of(&keeper.snapshot_file(&name)).unwrap(), state);
    brain.commit(TurnNo(2), Hash([2; 32])).unwrap();

    keeper.adopt(&keeper.snapshot_file(&name), &standing(0, 5)).unwrap();
    let mut next = Brain::open(&BrainFiles::new(dir.path()), owner(1, 1)).unwrap();
    assert_eq!(next.state(), (TurnNo(5), Hash([9; 32])), "its state is the ledger's");
    assert_eq!(get(&mut next).as_deref(), Some("1"), "its content is the snapshot's");
    assert_eq!(get(&mut brain).as_deref(), Some("7"), "the old file is as it was");
    keeper.remove_snapshot(&name).unwrap();
    assert_eq!(state_of(&keeper.snapshot_file(&name)).unwrap_err().code(), "S008");
}

/// The damage lies where a copy does not meet it: what it says of itself can be read.
#[test]
fn e5_no_copy_is_kept_of_a_damaged_brain() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = Keeper::new(dir.path());
    let mut brain = Brain::open(&BrainFiles::new(dir.path()), owner(1, 0)).unwrap();
    put(&mut brain, 1, "1");
    brain.make_durable().unwrap();
    drop(brain);
    let path = keeper.brain(Life(1), Epoch(0));
    let conn = Connection::open(&path).unwrap();
    let sql = "SELECT (rootpage - 1) * 4096 FROM sqlite_schema WHERE name = 'kv'";
    let at: usize =
        conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().try_into().unwrap();
    conn.close().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[at..at + 4096].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(state_of(&path).unwrap().n, TurnNo(1), "it looks whole");
    assert_eq!(keeper.snapshot(Life(1), Epoch(0)).unwrap_err().code(), "S013");
    let out = dir.path().join("out.db");
    assert_eq!(keeper.export(Life(1), Epoch(0), &out).unwrap_err().code(), "S013");
    assert!(!out.exists());
    assert_eq!(unfinished(dir.path()), [""; 0]);
}

#[test]
fn e7_a_file_of_a_later_epoch_that_is_gone_is_not_made_empty() {
    let dir = tempfile::tempdir().unwrap();
    let gone = Brain::open(&BrainFiles::new(dir.path()), owner(1, 1)).unwrap_err();
    assert_eq!(gone.code(), "S008");
    assert!(!gone.may_pass(), "no wait brings it back");
}

/// Names of files that are no brains, wherever they lie.
fn unfinished(data: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for folder in [data.join("brains/01"), data.join(SNAPSHOTS), data.to_owned()] {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        let all = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.extend(all.filter(|name| name.contains("making") || name.contains("template")));
    }
    names.sort();
    names
}

#[test]
fn e7_a_copy_that_comes_to_nothing_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = Keeper::new(dir.path());
    let mut brain = Brain::open(&BrainFiles::new(dir.path()), owner(1, 0)).unwrap();
    put(&mut brain, 1, "1");
    // The name that the copy is to have is a folder's.
    std::fs::create_dir_all(dir.path().join("snapshots/1-0-1.db/full")).unwrap();
    assert_eq!(keeper.snapshot(Life(1), Epoch(0)).unwrap_err().code(), "S006");
    let next = keeper.brain(Life(1), Epoch(1));
    std::fs::create_dir_all(next.join("full")).unwrap();
    let refused = keeper.adopt(&keeper.brain(Life(1), Epoch(0)), &standing(0, 1)).unwrap_err();
    assert_eq!((refused.code(), unfinished(dir.path())), ("S006", vec![]));
}

#[test]
fn e7_what_a_crash_left_unfinished_is_removed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(remove_unfinished(dir.path()).unwrap(), 0, "a new directory");
    let keeper = Keeper::new(dir.path());
    let mut brain = Brain::open(&BrainFiles::new(dir.path()), owner(1, 0)).unwrap();
    put(&mut brain, 1, "1");
    let (name, _) = keeper.snapshot(Life(1), Epoch(0)).unwrap();
    let stray = ["brains/01/1-4.making", "brains/01/1-4.making-journal", "snapshots/1-0.making"];
    let renewal = dir.path().join("brains/01/1.db.making-anew");
    for file in stray.map(|it| dir.path().join(it)).iter().chain([&renewal]) {
        std::fs::write(file, "half").unwrap();
    }
    assert_eq!(remove_unfinished(dir.path()).unwrap(), 3);
    assert_eq!(unfinished(dir.path()), ["1.db.making-anew"], "a renewal is ended elsewhere");
    assert_eq!(get(&mut brain).as_deref(), Some("1"));
    assert_eq!(state_of(&keeper.snapshot_file(&name)).unwrap().n, TurnNo(1));
}

fn dated(file: &Path, at: SystemTime) {
    std::fs::File::open(file).unwrap().set_modified(at).unwrap();
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn e7_what_is_nobodys_is_laid_aside_whole_and_goes_after_a_week() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = Keeper::new(dir.path());
    let mut open = [1, 2].map(|life| {
        let owner = Owner { life: Life(life), ..owner(life, 0) };
        let mut brain = Brain::open(&BrainFiles::new(dir.path()), owner).unwrap();
        put(&mut brain, 1, "1");
        brain
    });
    let (named, _) = keeper.snapshot(Life(1), Epoch(0)).unwrap();
    let (orphan, _) = keeper.snapshot(Life(2), Epoch(0)).unwrap();
    keeper.adopt(&keeper.snapshot_file(&named), &standing(0, 1)).unwrap();
    let theirs = dir.path().join("snapshots/mine.db");
    std::fs::write(&theirs, "an operator's own").unwrap();
    let now = std::fs::metadata(&theirs).unwrap().modified().unwrap();
    // Idle for long, and its last turn is in the log alone.
    dated(&keeper.brain(Life(2), Epoch(0)), now - DAY * 3);
    put(&mut open[1], 2, "2");
    let lives = [(Life(1), Epoch(0))].into();
    let owned = Files { lives, snapshots: [named.clone()].into() };
    let find = |at| find_ownerless(dir.path(), &owned, at).unwrap();
    assert_eq!(find(now + DAY / 2).count(), 0, "too young: it may be somebody's in a moment");
    let later = now + DAY * 2;
    let mut again = owned.clone();
    again.snapshots.insert(orphan.clone());
    assert_eq!(lay_aside(dir.path(), find(later), &again, later).unwrap(), 2);
    assert!(keeper.snapshot_file(&orphan).exists(), "it has a name by now");
    assert_eq!(lay_aside(dir.path(), find(later), &owned, later).unwrap(), 1);
    let aside = |name: &str| dir.path().join("removed").join(name);
    assert!(aside("2.db-wal").exists() && aside("1-1.db").exists() && aside(&orphan).exists());
    assert!(!keeper.brain(Life(2), Epoch(0)).exists());
    let kept = [theirs, keeper.snapshot_file(&named), keeper.brain(Life(1), Epoch(0))];
    assert!(kept.iter().all(|file| file.exists()), "{kept:?}");
    assert_eq!(remove_laid_aside(dir.path(), later + DAY * 6).unwrap(), 0);
    assert_eq!(
        state_of(&aside("2.db")).unwrap().n,
        TurnNo(2),
        "it can be imported, to its last turn"
    );
    assert_eq!(remove_laid_aside(dir.path(), later + DAY * 8).unwrap(), 3);
    assert!(entries_of(&dir.path().join("removed")).is_empty());
}

fn entries_of(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn e7_what_is_no_whole_brain_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = Keeper::new(dir.path());
    let mut brain = Brain::open(&BrainFiles::new(dir.path()), owner(1, 0)).unwrap();
    put(&mut brain, 1, "1");
    let out = dir.path().join("out.db");
    let code = |from: &Path| keeper.adopt(from, &standing(0, 1)).unwrap_err().code();
    assert_eq!(code(&out), "S008");
    keeper.export(Life(1), Epoch(0), &out).unwrap();
    assert_eq!(keeper.export(Life(1), Epoch(0), &out).unwrap_err().code(), "S009");
    for (sql, wanted) in [
        ("CREATE TRIGGER t AFTER INSERT ON kv BEGIN DELETE FROM memory; END", "S010"),
        ("CREATE TABLE more (a)", "S010"),
        ("DROP INDEX memory_by_source", "S010"),
        ("DELETE FROM loket", "S010"),
        ("PRAGMA user_version = 99", "S001"),
        ("PRAGMA application_id = 1", "S002"),
    ] {
        let odd = dir.path().join("odd.db");
        std::fs::copy(&out, &odd).unwrap();
        Connection::open(&odd).unwrap().execute_batch(sql).unwrap();
        let said = code(&odd);
        assert!(said == wanted || (sql.starts_with("DELETE") && said == "S007"), "{sql}: {said}");
        assert_eq!(unfinished(dir.path()), [""; 0], "{sql}");
    }
    std::fs::write(&out, b"no database at all, but long enough to have a head").unwrap();
    assert!(["S005", "S007", "S002"].contains(&code(&out)));
    assert!(!keeper.brain(Life(1), Epoch(1)).exists(), "nothing has the brain's name");
}

#[test]
fn a_scratch_brain_leaves_its_source_alone() {
    let (dir, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut brain = Brain::open(&BrainFiles::new(dir.path()), owner(1, 0)).unwrap();
    put(&mut brain, 1, "1");
    let whose = (Life(1), Epoch(0));
    let from = Keeper::new(dir.path()).brain(whose.0, whose.1);
    let scratch = Scratch::new(folder.path(), &"ada".into(), whose, Some(&from)).unwrap();
    assert_eq!(scratch.state().0, TurnNo(1));
    put(&mut scratch.brain.borrow_mut(), 2, "2");
    assert_eq!((scratch.state().0, get(&mut brain).as_deref()), (TurnNo(2), Some("1")));
    let empty = Scratch::new(&folder.path().join("e"), &"ada".into(), whose, None).unwrap();
    assert_eq!(empty.state(), (TurnNo(0), Hash::default()));
}
