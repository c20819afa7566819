//! The data directory, the format, groups, the disk's end, restarts.
#![allow(clippy::unwrap_used)]

use loket_ledger::kit::{Subject, message, staged, wait};
use loket_ledger::{
    APPLICATION_ID, Durability, FORMAT, LEDGER_FILE, OpenError, Options, SqliteLedger, metrics,
};
use loket_turn::{
    Accept, AcceptError, EffectClass, Ledger, LedgerError, ResultWrite, Switch, Switched, TurnKey,
    TurnNo,
};
use rusqlite::Connection;
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

fn process(dir: &Path) -> Options {
    let mut options = Options::new(dir);
    options.durability = Durability::Process;
    // The messages of these tests are accepted in 1970.
    options.clock = Arc::new(|| 2_000);
    options
}

fn open(options: Options) -> (Arc<SqliteLedger>, Subject) {
    let (to, events) = crossbeam_channel::bounded(1);
    let tell = Box::new(move |event| drop(to.try_send(event)));
    let engine = SqliteLedger::open(options, tell).unwrap();
    let ledger = engine.clone();
    (engine, Subject { ledger, events })
}

fn refusal(options: Options) -> OpenError {
    match SqliteLedger::open(options, Box::new(|_| {})) {
        Ok(_) => panic!("opened"),
        Err(why) => why,
    }
}

/// J4: a second opening of the directory is refused and told who has it; after a stop it is free.
#[test]
fn j4_one_process_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _it) = open(process(dir.path()));
    let why = refusal(process(dir.path()));
    let named = matches!(why, OpenError::Locked { pid, .. } if pid == std::process::id());
    assert!(named && why.code() == "L101", "{why}");
    engine.stop();
    let stopped = wait(engine.stats());
    assert_eq!(stopped, Err(LedgerError::Stopped));
    open(process(dir.path()));
}

/// The format is marked; a newer one and a stranger's file are refused untouched.
#[test]
fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("deep/er").join(LEDGER_FILE);
    let options = process(file.parent().unwrap());
    open(options.clone());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(file.parent().unwrap()), mode(&file)), (0o700, 0o600));
    let conn = Connection::open(&file).unwrap();
    let version: u32 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let id: i32 = conn.query_row("PRAGMA application_id", [], |row| row.get(0)).unwrap();
    assert_eq!((version, id), (FORMAT, APPLICATION_ID));
    conn.pragma_update(None, "user_version", FORMAT + 1).unwrap();
    drop(conn);
    let why = refusal(options.clone());
    assert!(
        matches!(why, OpenError::Newer { found, known: FORMAT, .. } if found == FORMAT + 1),
        "{why}"
    );
    std::fs::remove_file(&file).unwrap();
    let conn = Connection::open(&file).unwrap();
    conn.execute_batch("CREATE TABLE theirs(x)").unwrap();
    drop(conn);
    assert!(matches!(refusal(options), OpenError::NotALedger { .. }));
}

/// A3, C8, J4: inbox, open turn, places, incarnation and keys are the same after a restart.
#[test]
fn c8_everything_is_rebuilt_at_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, it) = open(process(dir.path()));
    let turn = it.opened("a");
    it.enrol(&["b"], 1);
    it.accept("a", "x");
    it.accept("a", "y");
    wait(engine.reserve(turn.clone(), "b".into(), 1)).unwrap();
    let mut write = it.intent(&turn, 2, "args");
    write.records = vec![staged(1, "b", "k")];
    wait(engine.intent(write)).unwrap();
    let before = wait(engine.next("a".into(), 1)).unwrap();
    engine.stop();
    let (engine, it) = open(process(dir.path()));
    assert_eq!(wait(engine.next("a".into(), 1)).unwrap(), before);
    let full = wait(engine.accept(message("b", "x")));
    assert!(matches!(full, Err(AcceptError::Overloaded { depth: 1, .. })), "{full:?}");
    let stale = TurnKey { incarnation: 0, ..turn.clone() };
    assert!(matches!(wait(engine.end(it.ending(&stale))), Err(LedgerError::Fenced { .. })));
    wait(engine.end(it.ending(&turn))).unwrap();
    it.accept("b", "x");
    it.nothing_lost(2);
}

/// J3: what does not fit is refused as a full disk; the rest stands, and room made by upkeep is
/// used again.
#[test]
fn j3_a_full_disk_refuses_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = process(dir.path());
    options.hard_limit_bytes = Some(1024 * 1024);
    let (engine, it) = open(options);
    let mut turn = it.opened("a");
    it.enrol(&["a"], 1_000_000);
    let big = || Accept { body: vec![b'x'; 100_000], ..message("a", "") };
    let mut kept = 0;
    let why = loop {
        match wait(engine.accept(big())) {
            Ok(_) => kept += 1,
            Err(why) => break why,
        }
        assert!(kept < 100);
    };
    assert!(matches!(why, AcceptError::Ledger(LedgerError::DiskFull(_))), "{why}");
    assert_eq!((why.code(), why.retryable()), ("disk_full", true));
    it.nothing_lost(kept);
    for n in 1..=4 {
        turn.n = TurnNo(n);
        wait(engine.end(it.ending(&turn))).unwrap();
    }
    wait(engine.brain_durable("a".into(), turn.life, TurnNo(4))).unwrap();
    // The writer sweeps between requests.
    let back = (0..10_000).find(|_| wait(engine.accept(big())).is_ok());
    assert!(back.is_some(), "room was made and not used");
    it.nothing_lost(kept - 4 + 1);
    for n in 5..=kept + 1 {
        turn.n = TurnNo(n);
        let next = wait(engine.end(it.ending(&turn))).unwrap();
        assert_eq!(next.is_none(), n == kept + 1, "a refused message has left a gap at {n}");
    }
}

/// A5: at the size limit new messages are refused; what is in flight goes on.
#[test]
fn a5_at_the_size_limit_only_new_messages_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = process(dir.path());
    options.size_limit_bytes = 400_000;
    let (engine, it) = open(options);
    let turn = it.opened("a");
    it.enrol(&["a", "b"], 1_000_000);
    let big = Accept { body: vec![b'x'; 100_000], ..message("a", "") };
    let why = (0..10).find_map(|_| wait(engine.accept(big.clone())).err());
    assert!(matches!(why, Some(AcceptError::LedgerFull { limit: 400_000, .. })), "{why:?}");
    wait(engine.intent(it.intent(&turn, 1, "call"))).unwrap();
    let call = Accept {
        reply_to: Some(loket_turn::ReplyTo::Intent { agent: "a".into(), intent: it.key(&turn, 1) }),
        ..message("b", "x")
    };
    wait(engine.accept(call)).unwrap();
    wait(engine.end(it.ending(&turn))).unwrap();
}

/// E6: the file returns to its floor when brains have everything.
#[test]
fn e6_what_brains_have_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, it) = open(process(dir.path()));
    let mut turn = it.opened("a");
    let floor = wait(engine.stats()).unwrap().bytes;
    for n in 1..=300 {
        it.accept("a", "0123456789");
        turn.n = TurnNo(n);
        wait(engine.end(it.ending(&turn))).unwrap();
    }
    assert!(wait(engine.stats()).unwrap().bytes > floor + 40_000);
    wait(engine.brain_durable("a".into(), turn.life, TurnNo(300))).unwrap();
    let file = dir.path().join(LEDGER_FILE);
    let rows = |conn: &Connection, table: &str| -> i64 {
        conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    // Beside the writer, which sweeps between requests: the file is small again before the last step of it.
    let beside = Connection::open(&file).unwrap();
    let back = (0..10_000).find(|_| {
        wait(engine.stats()).unwrap().bytes <= floor + 16_384 && rows(&beside, "messages") == 0
    });
    assert!(back.is_some());
    drop(beside);
    engine.stop();
    let conn = Connection::open(&file).unwrap();
    for table in ["messages", "turns", "records"] {
        assert_eq!(rows(&conn, table), 0, "{table}");
    }
}

/// A2: a key is forgotten after seven days, and not while the sender's turn is open (I1).
#[test]
fn a2_keys_are_forgotten_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let day = 24 * 60 * 60 * 1000;
    let now = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let mut options = process(dir.path());
    let clock = now.clone();
    options.clock = Arc::new(move || clock.load(std::sync::atomic::Ordering::Relaxed));
    let (engine, it) = open(options);
    it.opened("sender");
    it.enrol(&["a"], 10);
    it.accept("sender", "go");
    let keyed = |sender: &str| Accept {
        key: Some("k".to_owned()),
        sender: sender.into(),
        now_ms: 0,
        ..message("a", "x")
    };
    for sender in ["@test", "sender"] {
        wait(engine.accept(keyed(sender))).unwrap();
    }
    now.store(6 * day, std::sync::atomic::Ordering::Relaxed);
    wait(engine.stats()).unwrap();
    assert!(wait(engine.accept(keyed("@test"))).unwrap().duplicate);
    now.store(8 * day, std::sync::atomic::Ordering::Relaxed);
    let fresh = (0..10_000).find(|_| {
        let probe = Accept { body: b"other".to_vec(), ..keyed("@test") };
        wait(engine.accept(probe)).is_ok()
    });
    assert!(fresh.is_some(), "the old key is still there");
    assert!(wait(engine.accept(keyed("sender"))).unwrap().duplicate, "its sender's turn is open");
}

/// Keeps every value of every histogram.
#[derive(Default, Clone)]
struct Values(Arc<Mutex<HashMap<String, Vec<f64>>>>);

struct One(Values, String);

impl ::metrics::HistogramFn for One {
    fn record(&self, value: f64) {
        self.0.0.lock().unwrap().entry(self.1.clone()).or_default().push(value);
    }
}

impl ::metrics::Recorder for Values {
    fn describe_counter(
        &self,
        _: ::metrics::KeyName,
        _: Option<::metrics::Unit>,
        _: ::metrics::SharedString,
    ) {
    }
    fn describe_gauge(
        &self,
        _: ::metrics::KeyName,
        _: Option<::metrics::Unit>,
        _: ::metrics::SharedString,
    ) {
    }
    fn describe_histogram(
        &self,
        _: ::metrics::KeyName,
        _: Option<::metrics::Unit>,
        _: ::metrics::SharedString,
    ) {
    }
    fn register_counter(
        &self,
        _: &::metrics::Key,
        _: &::metrics::Metadata<'_>,
    ) -> ::metrics::Counter {
        ::metrics::Counter::noop()
    }
    fn register_gauge(&self, _: &::metrics::Key, _: &::metrics::Metadata<'_>) -> ::metrics::Gauge {
        ::metrics::Gauge::noop()
    }
    fn register_histogram(
        &self,
        key: &::metrics::Key,
        _: &::metrics::Metadata<'_>,
    ) -> ::metrics::Histogram {
        ::metrics::Histogram::from_arc(Arc::new(One(self.clone(), key.name().to_owned())))
    }
}

impl Values {
    fn take(&self, name: &str) -> Vec<f64> {
        self.0.lock().unwrap().remove(name).unwrap_or_default()
    }
}

/// J1: what is queued together is committed together; a lone request is a group of its own.
#[test]
fn j1_queued_requests_share_a_commit() {
    let dir = tempfile::tempdir().unwrap();
    let values = Values::default();
    let options = Options::new(dir.path());
    let (engine, it) = ::metrics::with_local_recorder(&values, || open(options));
    it.enrol(&["a"], 10_000);
    values.take(metrics::BATCH_SIZE);
    for _ in 0..5 {
        it.accept("a", "x");
    }
    wait(engine.stats()).unwrap();
    assert_eq!(values.take(metrics::BATCH_SIZE)[..5], [1.0; 5]);
    let queued: Vec<_> = (0..1_000).map(|_| engine.accept(message("a", "x"))).collect();
    for pending in queued {
        wait(pending).unwrap();
    }
    wait(engine.stats()).unwrap();
    let groups = values.take(metrics::BATCH_SIZE);
    assert!(groups.len() < 500, "{} groups", groups.len());
    assert!(groups.iter().all(|size| *size <= loket_ledger::GROUP as f64));
    it.nothing_lost(1_005);
}

/// C2: at `Process` intents and the results of Once calls are fsynced, and nothing else is.
#[test]
fn c2_intents_are_fsynced_at_process() {
    let dir = tempfile::tempdir().unwrap();
    let values = Values::default();
    let (engine, it) = ::metrics::with_local_recorder(&values, || open(process(dir.path())));
    let turn = it.opened("a");
    it.accept("a", "x");
    let syncs = || {
        wait(engine.stats()).unwrap();
        values.take(metrics::FSYNC_SECONDS).len()
    };
    assert_eq!(syncs(), 0);
    wait(engine.intent(it.intent(&turn, 1, "keyed"))).unwrap();
    assert_eq!(syncs(), 1);
    let mut once = it.intent(&turn, 2, "once");
    once.intent.class = EffectClass::Once;
    wait(engine.intent(once)).unwrap();
    assert_eq!(syncs(), 1);
    let result = |call| ResultWrite {
        intent: it.key(&turn, call),
        outcome: Ok(Vec::new()),
        used: None,
        stamp_ms: 1,
    };
    wait(engine.result(result(1))).unwrap().0.unwrap();
    assert_eq!(syncs(), 0, "the result of a Keyed call");
    wait(engine.result(result(2))).unwrap().0.unwrap();
    assert_eq!(syncs(), 1, "the result of a Once call");
    wait(engine.end(it.ending(&turn))).unwrap();
    assert_eq!(syncs(), 0);
}

/// E7: an exchanged brain is fsynced at `Process`, too: the file that is given up does not stay, so the ledger may not fall back to it.
#[test]
fn e7_a_switch_is_fsynced_at_process() {
    let dir = tempfile::tempdir().unwrap();
    let values = Values::default();
    let (engine, it) = ::metrics::with_local_recorder(&values, || open(process(dir.path())));
    it.enrol(&["a"], 10_000);
    wait(engine.stats()).unwrap();
    values.take(metrics::FSYNC_SECONDS);
    let standing = wait(engine.brain_standing("a".into())).unwrap();
    let reason = "test".to_owned();
    let switch =
        Switch { from: standing, exact: false, abandon: None, reason, first: None, now_ms: 1 };
    let switched = wait(engine.switch_brain(switch, None)).unwrap();
    assert!(matches!(switched, Switched::Done { .. }), "{switched:?}");
    wait(engine.stats()).unwrap();
    assert_eq!(values.take(metrics::FSYNC_SECONDS).len(), 1);
}

/// However the writer ends, what was queued is answered: here by an event's receiver that panics.
#[test]
fn j1_a_dead_writer_answers_everyone() {
    let dir = tempfile::tempdir().unwrap();
    let tell = Box::new(|_| panic!("an event's receiver"));
    let engine = SqliteLedger::open(process(dir.path()), tell).unwrap();
    let (_to, events) = crossbeam_channel::bounded(1);
    let ledger = engine.clone();
    let it = Subject { ledger, events };
    it.enrol(&["a"], 10_000);
    let queued: Vec<_> = (0..2_000).map(|_| engine.accept(message("a", "x"))).collect();
    let answers: Vec<_> = queued.into_iter().map(wait).collect();
    let stopped = Err(AcceptError::Ledger(LedgerError::Stopped));
    assert_eq!(answers.last(), Some(&stopped));
    engine.stop();
    open(process(dir.path()));
}
