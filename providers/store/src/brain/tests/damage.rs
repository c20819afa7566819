//! Rule E5: flipped bits and cut files. Nothing panics, and what a damaged file answers is what it was, or no answer.
//!
//! The few cases of every run are the short form; `tests/damage/brains.sh` runs 10,000.

use super::*;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// How many cases; without it, [`CASES`].
const HOW_MANY: &str = "LOKET_DAMAGE_CASES";

/// Enough to see each kind of outcome.
const CASES: u64 = 300;

/// Turns of the brain that is damaged, and the last that is on the disk in the killed one.
const TURNS: u64 = 24;
const ON_DISK: u64 = 12;

/// What one damaged file came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Came {
    /// Nothing was lost.
    Same,
    /// Turns that were not on the disk are gone: they are run again from the ledger (rule F1).
    RunAgain,
    /// It was not opened: its agent is quarantined.
    Refused,
    /// A call had no answer, and the file is not used again: quarantined.
    Noticed,
    /// It is not as far as it was, or has another past: the driver compares that and quarantines.
    OtherPast,
    /// It answers with something else.
    Unseen,
    /// It could not be opened, and the host takes it for the machine's fault: tried again and again.
    TriedAgain,
}

/// How a brain was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    ClosedWell,
    Killed,
    /// Killed with all of its log in the file already.
    KilledIdle,
}

/// A brain as it was left, and all that it could answer after each turn.
struct Sample {
    left: Left,
    file: Vec<u8>,
    log: Vec<u8>,
    answers: BTreeMap<u64, String>,
    on_disk: u64,
}

fn chain(n: u64) -> Hash {
    Hash::of(&n.to_le_bytes())
}

fn turn(brain: &mut Brain, n: u64) {
    brain.begin(true).unwrap();
    put(
        brain,
        &format!("key{}", n % 9),
        &format!(r#"{{"turn": {n}, "text": "{}"}}"#, "x".repeat(300)),
    );
    let long = format!("turn {n} of the fox {}", "word ".repeat(n as usize * 7));
    let items =
        [Item { text: long, source: Some(format!("s{}", n % 4)), meta: Some(json("{\"m\": 1}")) }];
    brain.call(|conn| memory::add(conn, &items, "m1", n)).unwrap();
    if n.is_multiple_of(8) {
        brain.call(|conn| forget::forget(conn, Some(&[n.cast_signed() - 3]), None)).unwrap();
    }
    brain.commit(TurnNo(n), chain(n)).unwrap();
}

fn sample(left: Left) -> Sample {
    let dir = tempfile::tempdir().unwrap();
    let mut brain = open(dir.path(), 1);
    let mut answers = BTreeMap::new();
    for n in 1..=TURNS {
        turn(&mut brain, n);
        brain.begin(true).unwrap();
        answers.insert(n, answers_of(&mut brain).unwrap());
        brain.roll_back();
        if n == ON_DISK || n == TURNS && left != Left::Killed {
            assert_eq!(brain.make_durable().unwrap(), Some(TurnNo(n)));
        }
    }
    let path = BrainFiles::new(dir.path()).path(Life(1), Epoch(0));
    let log = path.with_extension("db-wal");
    let on_disk = if left == Left::Killed { ON_DISK } else { TURNS };
    // A kill leaves both files as they are at a moment; a good close comes to its end first.
    let kept = |_: &Brain| (fs::read(&path).unwrap(), fs::read(&log).unwrap());
    let (file, log) = match left {
        Left::ClosedWell => {
            brain.close_well();
            (fs::read(&path).unwrap(), fs::read(&log).unwrap_or_default())
        }
        _ => kept(&brain),
    };
    assert_eq!(log.is_empty(), left == Left::ClosedWell);
    Sample { left, file, log, answers, on_disk }
}

/// All that a guest can ask for.
fn answers_of(brain: &mut Brain) -> Result<String, CallError> {
    let (entries, _) = brain.call(|conn| kv::list(conn, "", None, 1_000))?;
    let mut all = vec![serde_json::to_string(&entries).unwrap()];
    for word in ["fox", "word", "turn", "7"] {
        let terms = query::terms(word).unwrap();
        let what = Search { terms, limit: 100, recency: 0.3, now_ms: 1_000 };
        let hits = brain.call(|conn| search::search(conn, &what))?;
        all.push(serde_json::to_string(&hits).unwrap());
    }
    for source in [None, Some("s1"), Some("s3")] {
        all.push(brain.call(|conn| memory::count(conn, source))?.to_string());
    }
    Ok(all.join("\n"))
}

fn came(sample: &Sample, dir: &Path) -> Came {
    let mut brain = match Brain::open(&BrainFiles::new(dir), owner(1)) {
        Ok(brain) => brain,
        Err(error) if error.may_pass() => {
            println!("taken for the machine's fault: {error:?}");
            return Came::TriedAgain;
        }
        Err(_) => return Came::Refused,
    };
    let (TurnNo(applied), past) = brain.state();
    if applied < sample.on_disk || applied > TURNS || past != chain(applied) {
        return Came::OtherPast;
    }
    match brain.begin(true) {
        Ok(()) => {}
        Err(TurnError::Damaged(_)) => return Came::Noticed,
        Err(error) => {
            println!("taken for the machine's fault: {error:?}");
            return Came::TriedAgain;
        }
    }
    match answers_of(&mut brain) {
        Ok(found) if found != sample.answers[&applied] => Came::Unseen,
        Ok(_) if applied == TURNS => Came::Same,
        Ok(_) => Came::RunAgain,
        // Not used again: the next begin says so, and that is the quarantine.
        Err(_) if matches!(brain.begin(true), Err(TurnError::Damaged(_))) => Came::Noticed,
        Err(error) => {
            println!("taken for the machine's fault: {error:?}");
            Came::TriedAgain
        }
    }
}

/// The same numbers for the same case, so that a failure can be looked at again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % below.max(1)
    }
}

/// One bit flipped in, or the end cut off, the file or its log. Gives what was done.
fn damage(sample: &Sample, case: u64) -> (Vec<u8>, Vec<u8>, &'static str, String) {
    let mut dice = Dice(case.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d);
    dice.roll(2);
    let (mut file, mut log) = (sample.file.clone(), sample.log.clone());
    let of_log = !log.is_empty() && dice.roll(2) == 0;
    let bytes = if of_log { &mut log } else { &mut file };
    let (at, which) = (dice.roll(bytes.len()), if of_log { "log" } else { "file" });
    let kind = if dice.roll(4) == 0 {
        bytes.truncate(at);
        if of_log { "cut log" } else { "cut file" }
    } else {
        bytes[at] ^= 1 << dice.roll(8);
        if of_log { "bit of the log" } else { "bit of the file" }
    };
    (file, log, kind, format!("case {case}: {kind} at byte {at} of the {which}, {:?}", sample.left))
}

#[test]
fn e5_a_damaged_brain_answers_as_before_or_not_at_all() {
    let cases = std::env::var(HOW_MANY).ok().and_then(|text| text.parse().ok()).unwrap_or(CASES);
    let samples = [Left::ClosedWell, Left::Killed, Left::KilledIdle].map(sample);
    let mut sums: BTreeMap<(&str, Came), u64> = BTreeMap::new();
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = BrainFiles::new(dir.path()).path(Life(1), Epoch(0));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let sibling = path.with_file_name("sibling.db");
    fs::write(&sibling, &samples[0].file).unwrap();
    for case in 0..cases {
        let sample = &samples[(case % 3) as usize];
        let (file, log, kind, told) = damage(sample, case);
        let (side, shared) = (path.with_extension("db-wal"), path.with_extension("db-shm"));
        let _ = fs::remove_file(&shared);
        fs::write(&path, file).unwrap();
        fs::write(&side, log).unwrap();
        let came = catch_unwind(AssertUnwindSafe(|| came(sample, dir.path())));
        let came = came.unwrap_or_else(|_| panic!("a panic: {told}"));
        assert_ne!(came, Came::TriedAgain, "{told}");
        // What SQLite cannot see is a bit of a page of the file that makes sense all the same.
        assert!(came != Came::Unseen || kind == "bit of the file", "{told}");
        *sums.entry((kind, came)).or_default() += 1;
    }
    assert_eq!(fs::read(&sibling).unwrap(), samples[0].file, "a sibling was touched");
    println!("{cases} damaged brains: {sums:#?}");
    let refused = sums.iter().filter(|((_, came), _)| *came == Came::Refused);
    assert!(refused.map(|(_, count)| count).sum::<u64>() > 0, "{sums:?}");
}

#[test]
fn e5_a_brain_that_was_not_closed_well_is_looked_through() {
    // Page 4 on is content; a page in the middle of nonsense is found though no call has read it.
    let ruin = |sample: &Sample| {
        let dir = tempfile::tempdir().unwrap();
        let path = BrainFiles::new(dir.path()).path(Life(1), Epoch(0));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = sample.file.clone();
        let last = file.len() - 4096;
        file[last..].fill(0xA5);
        fs::write(&path, file).unwrap();
        fs::write(path.with_extension("db-wal"), &sample.log).unwrap();
        let opened = Brain::open(&BrainFiles::new(dir.path()), owner(1));
        opened.map(drop).map_err(|error| error.code())
    };
    let mut killed = sample(Left::KilledIdle);
    // The log would put the page right again: only its head is left, which says that there was one.
    killed.log.truncate(32);
    assert_eq!(ruin(&killed), Err("S005"));
    assert_eq!(ruin(&sample(Left::ClosedWell)), Ok(()), "after a good close a brain opens at once");
}
