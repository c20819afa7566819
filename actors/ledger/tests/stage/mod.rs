//! A ledger on a clock that its test holds. Start reading at [`open`].
#![allow(clippy::unwrap_used)]

use loket_ledger::kit::Subject;
use loket_ledger::{Durability, Options, SqliteLedger};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) fn open(dir: &Path, clock: &Arc<AtomicU64>) -> (Arc<SqliteLedger>, Subject) {
    let mut options = Options::new(dir);
    options.durability = Durability::Process;
    let clock = Arc::clone(clock);
    options.clock = Arc::new(move || clock.load(Ordering::SeqCst));
    let (to, events) = crossbeam_channel::bounded(1);
    let tell = Box::new(move |event| drop(to.try_send(event)));
    let engine = SqliteLedger::open(options, tell).unwrap();
    (engine.clone(), Subject { ledger: engine, events })
}
