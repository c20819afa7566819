//! What a refused request leaves behind: nothing, in the file, in the book, in the counts.
#![allow(clippy::unwrap_used)]

use crate::engine::{Engine, Fault, Op};
use crate::kit::{Subject, message, wait};
use crate::mend::Mending;
use crate::writer::{self, Queue};
use crate::{Durability, OpenError, Options, SqliteLedger, dir, upkeep};
use loket_turn::{Enrol, Ledger, LedgerError, LedgerEvent, TurnNo};

#[test]
fn j1_a_refused_request_spoils_nothing_of_its_group() {
    let data = tempfile::tempdir().unwrap();
    let _lock = dir::lock(data.path()).unwrap();
    let mut engine = Engine::open(Options::new(data.path())).unwrap();
    let enrol = Enrol { agent: "a".into(), inbox_rows: 9, inbox_bytes: 900, dynamic: None };
    engine.begin();
    engine.request(|engine| engine.enrol(std::slice::from_ref(&enrol))).unwrap();
    engine.request(|engine| engine.accept(&message("a", "kept"))).unwrap();
    let refused = engine.request(|engine| -> Op<()> {
        let accepted = engine.accept(&message("a", "refused"));
        accepted.map_err(|_| Fault::Refused(LedgerError::Busy))?;
        engine.remove(&"a".into(), "refused")?;
        Err(Fault::Refused(LedgerError::Busy))
    });
    assert_eq!(refused, Err(LedgerError::Busy));
    engine.request(|engine| engine.accept(&message("a", "kept too"))).unwrap();
    assert_eq!(engine.events.len(), 2, "{:?}", engine.events);
    engine.commit().unwrap();
    let stats = engine.request(|engine| engine.stats()).unwrap();
    assert_eq!((stats.accepted, stats.waiting, stats.letters_made), (2, 2, 0));
    let agent = engine.book.get("a").unwrap();
    assert_eq!((agent.last, agent.waiting_bytes), (2, 12));
}

/// J3: a group that comes to nothing takes no look with it, though both were queued together.
#[test]
fn j3_who_only_looks_is_answered_though_the_group_fails() {
    let data = tempfile::tempdir().unwrap();
    let _lock = dir::lock(data.path()).unwrap();
    let engine = Engine::open(Options::new(data.path())).unwrap();
    let (queue, closing) = Queue::new();
    let (go, gate) = crossbeam_channel::bounded::<()>(0);
    let first = queue.ask(move |_| -> Op<()> {
        let _ = gate.recv();
        Ok(())
    });
    let writer = std::thread::spawn(move || {
        let events: crate::Events = Box::new(|_| {});
        writer::run(engine, &closing, &events);
    });
    // While the writer is held, these come together: SQLite ends the transaction itself on some failures, as here.
    let spoiled = queue.ask(|engine| -> Op<()> {
        engine.run("ROLLBACK")?;
        Err(Fault::Sql(rusqlite::Error::QueryReturnedNoRows))
    });
    let seen = queue.look(|engine| engine.stats());
    go.send(()).unwrap();
    wait(first).unwrap_or(());
    assert!(wait(spoiled).is_err());
    assert_eq!(wait(seen).unwrap().accepted, 0);
    queue.stop();
    writer.join().unwrap();
}

/// J2: a sync that fails while the file is opened anew is a failed sync like any other. `/dev/null` in the log's place is one: it
/// opens, and cannot be synced.
#[test]
fn j2_a_sync_that_fails_during_the_mending_is_not_tried_again_on_that_file() {
    let data = tempfile::tempdir().unwrap();
    let _lock = dir::lock(data.path()).unwrap();
    let mut engine = Engine::open(Options::new(data.path())).unwrap();
    let enrol = Enrol { agent: "a".into(), inbox_rows: 9, inbox_bytes: 900, dynamic: None };
    engine.begin();
    engine.request(|engine| engine.enrol(std::slice::from_ref(&enrol))).unwrap();
    engine.request(|engine| engine.accept(&message("a", "kept"))).unwrap();
    engine.commit().unwrap();
    let (file, log) = (data.path().join(dir::LEDGER_FILE), dir::wal_path(data.path()));
    let inode = || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&file).unwrap());
    let before = inode();
    engine.needs(Mending::Reopen);
    let aside = data.path().join("aside");
    std::fs::rename(&log, &aside).unwrap();
    std::os::unix::fs::symlink("/dev/null", &log).unwrap();
    let failed = engine.mend().unwrap_err();
    assert!(matches!(failed, OpenError::Sync { .. }), "{failed:?}");
    assert_eq!(engine.mending, Mending::Renew);
    std::fs::rename(&aside, &log).unwrap();
    engine.mend().unwrap();
    assert_ne!(inode(), before, "the same file was used again");
    // What the failed group wrote may have come to stay, and nobody was told.
    assert!(matches!(engine.events.last(), Some(LedgerEvent::Reopened)), "{:?}", engine.events);
    let stats = engine.request(|engine| engine.stats()).unwrap();
    assert_eq!((stats.accepted, stats.waiting), (1, 1));
}

/// E6: a ledger that is asked all the time has no quiet moment; far below its limit it is swept between two groups.
#[test]
fn e6_a_busy_ledger_that_grows_is_swept_behind_its_groups() {
    let data = tempfile::tempdir().unwrap();
    let options = Options { durability: Durability::Process, ..Options::new(data.path()) };
    let ledger = SqliteLedger::open(options.clone(), Box::new(|_| {})).unwrap();
    let it = Subject { ledger: ledger.clone(), events: crossbeam_channel::bounded(1).1 };
    let mut turn = it.opened("a");
    for n in 1..=300 {
        it.accept("a", "x");
        turn.n = TurnNo(n);
        wait(ledger.end(it.ending(&turn))).unwrap();
    }
    ledger.stop();
    let _lock = dir::lock(data.path()).unwrap();
    let mut engine = Engine::open(options).unwrap();
    engine.begin();
    engine.request(|engine| engine.brain_durable(&"a".into(), turn.life, TurnNo(300))).unwrap();
    engine.commit().unwrap();
    let left = |engine: &Engine| -> i64 {
        engine.conn.query_row("SELECT count(*) FROM messages", [], |row| row.get(0)).unwrap()
    };
    upkeep::busy_step(&mut engine, 512);
    assert_eq!(left(&engine), 300, "a small one waits for a quiet moment");
    engine.options.size_limit_bytes = engine.live_bytes;
    upkeep::busy_step(&mut engine, 1);
    assert_eq!(left(&engine), 300 - 64, "as much as a small group can have brought, and more");
    upkeep::busy_step(&mut engine, 512);
    assert_eq!(left(&engine), 0);
}
