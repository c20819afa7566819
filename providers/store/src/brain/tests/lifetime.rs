//! Open, begin, commit, roll back, life, format, durability.

use super::*;
use std::fs;

#[test]
fn d2_commit_carries_n_and_chain_with_the_content() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Hash::of(b"chain");
    let mut brain = begun(dir.path());
    put(&mut brain, "k", "1");
    brain.commit(TurnNo(1), chain).unwrap();
    assert_eq!(brain.state(), (TurnNo(1), chain));
    drop(brain);
    let mut brain = begun(dir.path());
    assert_eq!(brain.state(), (TurnNo(1), chain));
    assert_eq!(get(&mut brain, "k").as_deref(), Some("1"));
}

#[test]
fn g1_roll_back_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mut brain = begun(dir.path());
    put(&mut brain, "k", "1");
    add_at(&mut brain, &["red fox"], 1);
    brain.roll_back();
    assert!(!brain.turn_open());
    assert!(matches!(brain.commit(TurnNo(1), Hash::default()), Err(TurnError::NoTurn)));
    brain.begin(false).unwrap();
    assert_eq!(get(&mut brain, "k"), None);
    assert!(find(&mut brain, "fox", 0.1, 1).is_empty());
    // An open turn is rolled back by the next begin as well.
    put(&mut brain, "k", "2");
    brain.begin(false).unwrap();
    assert_eq!(get(&mut brain, "k"), None);
}

#[test]
fn d2_a_turn_is_never_applied_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut brain = begun(dir.path());
    brain.commit(TurnNo(3), Hash::default()).unwrap();
    for n in [1, 3] {
        brain.begin(false).unwrap();
        put(&mut brain, "k", "1");
        let refused = brain.commit(TurnNo(n), Hash::default());
        assert!(matches!(refused, Err(TurnError::Applied { .. })));
    }
    brain.begin(false).unwrap();
    assert_eq!(get(&mut brain, "k"), None);
}

#[test]
fn e3_a_file_of_another_life_or_epoch_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let files = BrainFiles::new(dir.path());
    drop(open(dir.path(), 1));
    // Lives have files of their own; so somebody must have put it there.
    fs::create_dir_all(files.path(Life(2), Epoch(0)).parent().unwrap()).unwrap();
    copy_brain(&files, 1, (2, 0));
    let refused = Brain::open(&files, owner(2)).unwrap_err();
    assert!(matches!(refused, OpenError::OtherLife { found: Life(1), .. }), "{refused}");
    assert!(!refused.may_pass());
    let other = Owner { epoch: Epoch(1), ..owner(1) };
    let refused = Brain::open(&files, other.clone()).unwrap_err();
    assert!(matches!(refused, OpenError::Missing { epoch: Epoch(1) }), "{refused}");
    copy_brain(&files, 1, (1, 1));
    let refused = Brain::open(&files, other).unwrap_err();
    assert!(matches!(refused, OpenError::OtherEpoch { found: Epoch(0), .. }), "{refused}");
    // A new life of the same name begins empty.
    let mut brain = begun(dir.path());
    put(&mut brain, "k", "1");
    brain.commit(TurnNo(1), Hash::default()).unwrap();
    assert_eq!(open(dir.path(), 3).state().0, TurnNo(0));
}

fn copy_brain(files: &BrainFiles, from: u64, (life, epoch): (u64, u64)) {
    for side in ["db", "db-wal"] {
        let from = files.path(Life(from), Epoch(0)).with_extension(side);
        if from.exists() {
            fs::copy(from, files.path(Life(life), Epoch(epoch)).with_extension(side)).unwrap();
        }
    }
}

#[test]
fn e1_wal_and_normal_and_no_checkpoint_on_close() {
    let dir = tempfile::tempdir().unwrap();
    let files = BrainFiles::new(dir.path());
    let mut brain = begun(dir.path());
    let ask = |sql: &str| brain.conn.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(ask("SELECT journal_mode FROM pragma_journal_mode"), "wal");
    let number = |sql: &str| brain.conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(number("PRAGMA synchronous"), 1);
    assert_eq!(number("PRAGMA wal_autocheckpoint"), 0);
    assert_eq!(number("PRAGMA mmap_size"), 0);
    assert_eq!(number("PRAGMA user_version"), 1);
    put(&mut brain, "k", "1");
    brain.commit(TurnNo(1), Hash::default()).unwrap();
    let before = fs::read(files.path(Life(1), Epoch(0))).unwrap();
    drop(brain);
    let log = files.path(Life(1), Epoch(0)).with_extension("db-wal");
    assert!(fs::metadata(&log).unwrap().len() > 0, "the log is still there after the close");
    assert_eq!(
        fs::read(files.path(Life(1), Epoch(0))).unwrap(),
        before,
        "nothing was copied by the close"
    );
}

#[test]
fn e6_made_durable_the_file_stands_without_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let files = BrainFiles::new(dir.path());
    let mut brain = begun(dir.path());
    put(&mut brain, "k", "1");
    brain.commit(TurnNo(7), Hash::default()).unwrap();
    assert_eq!(brain.make_durable().unwrap(), Some(TurnNo(7)));
    drop(brain);
    for side in ["db-wal", "db-shm"] {
        fs::remove_file(files.path(Life(1), Epoch(0)).with_extension(side)).unwrap();
    }
    let mut brain = begun(dir.path());
    assert_eq!(brain.state().0, TurnNo(7));
    assert_eq!(get(&mut brain, "k").as_deref(), Some("1"));
}

#[test]
fn a_newer_format_is_refused_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let brain = open(dir.path(), 1);
    brain.conn.pragma_update(None, "user_version", 2).unwrap();
    drop(brain);
    let refused = Brain::open(&BrainFiles::new(dir.path()), owner(1)).unwrap_err();
    assert!(refused.to_string().contains("newer version"), "{refused}");
    assert_eq!((refused.code(), refused.may_pass()), ("S001", false));
}

#[test]
fn something_else_under_a_brains_name_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = BrainFiles::new(dir.path()).path(Life(1), Epoch(0));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "x".repeat(8192)).unwrap();
    let refused = Brain::open(&BrainFiles::new(dir.path()), owner(1)).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged(_)), "{refused:?}");
    fs::remove_file(&path).unwrap();
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let refused = Brain::open(&BrainFiles::new(dir.path()), owner(1)).unwrap_err();
    assert!(matches!(refused, OpenError::NotABrain), "{refused:?}");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn e1_a_log_without_its_file_does_not_reach_a_new_brain() {
    let dir = tempfile::tempdir().unwrap();
    let files = BrainFiles::new(dir.path());
    let mut brain = begun(dir.path());
    put(&mut brain, "k", "1");
    brain.commit(TurnNo(1), Hash::default()).unwrap();
    drop(brain);
    fs::remove_file(files.path(Life(1), Epoch(0))).unwrap();
    let mut brain = begun(dir.path());
    assert_eq!(brain.state().0, TurnNo(0));
    assert_eq!(get(&mut brain, "k"), None);
}

#[test]
fn c6_an_interrupted_call_breaks_the_turn() {
    let dir = tempfile::tempdir().unwrap();
    let mut brain = begun(dir.path());
    brain.steps_max = 0;
    put(&mut brain, "k", "1");
    let texts: Vec<String> = (0..2_000).map(|n| format!("fox {n}")).collect();
    let texts: Vec<Item> = texts.iter().map(|text| item(text)).collect();
    let stopped = brain.call(|conn| memory::add(conn, &texts, "m", 1));
    assert!(matches!(stopped, Err(CallError::Sqlite(_))), "{stopped:?}");
    assert!(brain.is_broken());
    assert!(matches!(brain.commit(TurnNo(1), Hash::default()), Err(TurnError::Broken)));
    brain.steps_max = STEPS_MAX;
    brain.begin(false).unwrap();
    assert_eq!(get(&mut brain, "k"), None);
    brain.commit(TurnNo(1), Hash::default()).unwrap();
}

#[test]
fn c6_a_turn_with_a_call_that_had_no_answer_never_commits() {
    let dir = tempfile::tempdir().unwrap();
    let mut brain = begun(dir.path());
    put(&mut brain, "k", "1");
    // An error that leaves SQLite's transaction open.
    let failed: Result<(), _> =
        brain.call(|_| Err(CallError::Sqlite(rusqlite::Error::InvalidQuery)));
    assert!(failed.is_err() && !brain.conn.is_autocommit());
    assert!(matches!(brain.commit(TurnNo(1), Hash::default()), Err(TurnError::Broken)));
    brain.begin(false).unwrap();
    assert_eq!(get(&mut brain, "k"), None);
}

#[test]
fn d2_content_and_n_are_one_commit() {
    let dir = tempfile::tempdir().unwrap();
    let mut brain = begun(dir.path());
    let commits = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let seen = std::sync::Arc::clone(&commits);
    let count = move || {
        seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        false
    };
    brain.conn.commit_hook(Some(count)).unwrap();
    put(&mut brain, "k", "1");
    add_at(&mut brain, &["fox"], 1);
    brain.commit(TurnNo(1), Hash::default()).unwrap();
    assert_eq!(commits.load(std::sync::atomic::Ordering::Relaxed), 1);
    brain.begin(false).unwrap();
    brain.commit(TurnNo(2), Hash::default()).unwrap();
    assert_eq!(commits.load(std::sync::atomic::Ordering::Relaxed), 2);
}

#[test]
fn e6_what_a_reader_holds_back_is_not_called_durable() {
    let dir = tempfile::tempdir().unwrap();
    let mut brain = begun(dir.path());
    brain.commit(TurnNo(1), Hash::default()).unwrap();
    let reader =
        rusqlite::Connection::open(BrainFiles::new(dir.path()).path(Life(1), Epoch(0))).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM kv").unwrap();
    let _: i64 = reader.query_row("SELECT count(*) FROM kv", [], |row| row.get(0)).unwrap();
    brain.begin(false).unwrap();
    put(&mut brain, "k", "1");
    brain.commit(TurnNo(2), Hash::default()).unwrap();
    assert_eq!(brain.make_durable().unwrap(), None);
    drop(reader);
    assert_eq!(brain.make_durable().unwrap(), Some(TurnNo(2)));
}

#[test]
fn e1_sqlite_is_new_enough() {
    // An older one can lose a log that is reset while another connection checkpoints.
    assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
}

/// J2: when the fsync that failed was that of the making, there is no file to renew, and the brain is made from the start.
#[test]
fn j2_a_brain_whose_making_failed_is_made_from_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let files = BrainFiles::new(dir.path());
    files.suspect(Life(1), Epoch(0));
    let brain = Brain::open(&files, owner(1)).unwrap();
    assert_eq!(brain.state().0, TurnNo(0));
    assert!(!brain.is_suspect());
}
