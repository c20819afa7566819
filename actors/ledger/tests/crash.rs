//! What a killed process, a full disk and a second process do to the ledger. Children are this test
//! binary itself, started with an environment variable; what they were told is kept here, outside
//! of them.
#![allow(clippy::unwrap_used)]

use loket_ledger::kit::{Subject, message, wait};
use loket_ledger::open_turns::{OPEN_TURNS_FILE, SLOT_BYTES, leftovers};
use loket_ledger::{Durability, Options, SqliteLedger};
use loket_turn::{Accept, Ledger, Survival, TurnKey, TurnNo};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const DIR: &str = "LOKET_LEDGER_TEST_DIR";
const FROM: &str = "LOKET_LEDGER_TEST_FROM";

fn options(dir: &Path) -> Options {
    let mut options = Options::new(dir);
    options.durability = Durability::Process;
    // The messages of these tests are accepted in 1970.
    options.clock = Arc::new(|| 2_000);
    options
}

fn open(dir: &Path) -> (Arc<SqliteLedger>, Subject) {
    let (to, events) = crossbeam_channel::bounded(1);
    // Events are not looked at here.
    let tell = Box::new(move |event| drop(to.try_send(event)));
    let engine = SqliteLedger::open(options(dir), tell).unwrap();
    let ledger = engine.clone();
    (engine, Subject { ledger, events })
}

/// The tests of this file take turns: a child that another test is just starting holds a copy of
/// every descriptor for a moment, the lock's too.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn child(test: &str, dir: &Path, from: u64) -> Child {
    // A write over the size limit is an error then, not a signal.
    Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env(FROM, from.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

fn keyed(i: u64) -> Accept {
    Accept { key: Some(format!("k{i}")), ..message("a", &format!("body {i}")) }
}

/// Bursts of messages and, between them, turns that end.
#[test]
fn child_accepts() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let mut next: u64 = std::env::var(FROM).unwrap().parse().unwrap();
    let (engine, it) = open(Path::new(&dir));
    let life = it.enrol(&["a"], 1_000_000)[0];
    let state = wait(engine.open("a".into(), 1)).unwrap();
    let (mut done, mut chain) = (state.done, state.chain);
    loop {
        let burst: Vec<_> = (next..next + 16).map(|i| (i, engine.accept(keyed(i)))).collect();
        next += 16;
        for (i, pending) in burst {
            wait(pending).unwrap();
            println!("ack {i}");
        }
        for _ in 0..4 {
            done = TurnNo(done.0 + 1);
            let turn = TurnKey { agent: "a".into(), life, incarnation: 1, n: done };
            let _open = engine.open_turns().enter(&turn, false);
            let mut end = it.ending(&turn);
            chain = loket_turn::chain_after(chain, done, end.hash);
            end.chain = chain;
            wait(engine.end(end)).unwrap();
            println!("done {done}");
        }
    }
}

/// A1, D1: whatever was acknowledged before any of 20 kills is there after it.
#[test]
fn a1_nothing_acknowledged_is_lost_to_kill_9() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let (mut acked, mut done, mut from) = (BTreeSet::new(), 0_u64, 0_u64);
    for round in 0..20_u64 {
        let mut child = child("child_accepts", dir.path(), from);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let kill_after = 3 + (round * 37) % 97;
        let mut seen = 0;
        for line in lines.map_while(Result::ok) {
            // The harness may print on the same line before the first.
            if let Some((_, i)) = line.split_once("ack ") {
                acked.insert(i.trim().parse::<u64>().unwrap());
                seen += 1;
            } else if let Some((_, n)) = line.split_once("done ") {
                done = done.max(n.trim().parse().unwrap());
                seen += 1;
            }
            if seen == kill_after {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(seen >= kill_after, "the child ended by itself in round {round}");
        from += 100_000;
    }
    let (engine, it) = open(dir.path());
    let stats = wait(engine.stats()).unwrap();
    assert_eq!(stats.lost(), 0, "{stats:?}");
    assert!(stats.completed >= done, "{stats:?}, acknowledged {done}");
    assert!(stats.accepted >= acked.len() as u64);
    for i in acked {
        let again = wait(engine.accept(keyed(i))).unwrap();
        assert!(again.duplicate, "message {i} was acknowledged and is gone");
    }
    it.nothing_lost(stats.waiting);
    assert_eq!(stats.boots, 21);
}

#[test]
fn child_holds_a_turn_open() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let (engine, it) = open(Path::new(&dir));
    let life = it.enrol(&["a"], 10)[0];
    let waiting = wait(engine.stats()).unwrap().waiting;
    if waiting == 0 {
        it.accept("a", "x");
    }
    let alone = std::env::var(FROM).unwrap() == "1";
    let turn = TurnKey { agent: "a".into(), life, incarnation: 1, n: TurnNo(1) };
    let _open = engine.open_turns().enter(&turn, alone);
    println!("entered ");
    loop {
        std::thread::park();
    }
}

/// B2: a turn that was open when the process died has one death more; the file says which it was.
#[test]
fn b2_deaths_of_the_process_are_counted() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    for (alone, state) in [(0, 1_u8), (0, 1), (1, 2)] {
        let mut child = child("child_holds_a_turn_open", dir.path(), alone);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("entered ")));
        child.kill().unwrap();
        child.wait().unwrap();
        let file = std::fs::read(dir.path().join(OPEN_TURNS_FILE)).unwrap();
        assert_eq!((file[0], file[16]), (state, 1), "state and number of the open turn");
        assert_eq!(&file[32..34], b"a\0");
        assert!(file.chunks(SLOT_BYTES).skip(1).all(|slot| slot[0] == 0));
    }
    let (engine, _it) = open(dir.path());
    let next = wait(engine.open("a".into(), 2)).unwrap().next.unwrap();
    let survival = Survival { deaths: 2, deaths_alone: 1 };
    assert_eq!(next.survival, survival);
    assert_eq!(next.attempts, 0, "no death is an attempt");
    let turn =
        TurnKey { agent: "a".into(), life: loket_turn::Life(1), incarnation: 2, n: TurnNo(1) };
    drop(engine.open_turns().enter(&turn, false));
    engine.stop();
    assert_eq!(leftovers(dir.path()).unwrap(), vec![], "a clean stop leaves none");
    let (engine, _it) = open(dir.path());
    let next = wait(engine.open("a".into(), 3)).unwrap().next.unwrap();
    assert_eq!(next.survival, survival, "a clean stop is no death");
}

/// Fills the disk by its own limit on file sizes, then lifts it.
#[test]
fn child_meets_a_full_disk() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let (engine, it) = open(Path::new(&dir));
    it.enrol(&["a"], 1_000_000);
    limit(Some(512 * 1024));
    let mut refused = 0;
    for i in 0..1_000 {
        let accept = Accept { body: vec![b'x'; 10_000], ..keyed(i) };
        match wait(engine.accept(accept)) {
            Ok(_) => println!("ack {i}"),
            Err(why) => {
                assert!(why.retryable(), "{why}");
                refused += 1;
            }
        }
        if refused == 200 {
            break;
        }
    }
    assert_eq!(refused, 200);
    wait(engine.stats()).unwrap();
    limit(None);
    wait(engine.accept(keyed(5_000))).unwrap();
    println!("back ");
}

fn limit(bytes: Option<u64>) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Fsize);
    let limit = Rlimit { current: bytes, maximum: now.maximum };
    setrlimit(Resource::Fsize, limit).unwrap();
}

/// J2, J3: when a commit cannot be written nothing of it is acknowledged, the writer stays up and
/// goes on once there is room.
#[test]
fn j3_a_commit_without_room_acknowledges_nothing() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let child = child("child_meets_a_full_disk", dir.path(), 0);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("back "), "{text}");
    let acked: Vec<u64> =
        text.lines().filter_map(|line| line.split_once("ack ")?.1.trim().parse().ok()).collect();
    assert!(!acked.is_empty());
    let (engine, it) = open(dir.path());
    let stats = wait(engine.stats()).unwrap();
    assert_eq!(stats.lost(), 0, "{stats:?}");
    for i in acked {
        let again = Accept { body: vec![b'x'; 10_000], ..keyed(i) };
        assert!(wait(engine.accept(again)).unwrap().duplicate, "{i}");
    }
    it.nothing_lost(stats.waiting);
}
