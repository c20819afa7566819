//! Who makes which file: one at a time each, thousands of different ones side by side.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The files that are being made: one a store thread at most.
static MADE_NOW: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);

/// Told whenever one of them is done.
static DONE: Condvar = Condvar::new();

/// Held while a file is made: a shard that was restarted may ask for the same brain while its predecessor's job still makes it,
/// and must not put an empty file over it. Other processes are kept out by the ledger's lock on the data directory (rule J4).
pub(super) struct Making(PathBuf);

impl Making {
    /// Waits until nobody else makes this file. Blocks: for store threads.
    pub(super) fn of(path: &Path) -> Self {
        let mut all = lock();
        while !all.get_or_insert_default().insert(path.to_owned()) {
            all = DONE.wait(all).unwrap_or_else(PoisonError::into_inner);
        }
        Self(path.to_owned())
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        lock().get_or_insert_default().remove(&self.0);
        DONE.notify_all();
    }
}

/// A set of paths is never left half changed.
fn lock() -> MutexGuard<'static, Option<HashSet<PathBuf>>> {
    MADE_NOW.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::sync::mpsc::sync_channel;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn e1_a_file_has_one_maker_and_waits_for_no_other_file() {
        let (one, two) = (Path::new("of a test/one.db"), Path::new("of a test/two.db"));
        let first = Making::of(one);
        // Another file: were there one lock, this would wait for ever.
        drop(Making::of(two));
        let (tell, told) = sync_channel(1);
        let second = thread::spawn(move || {
            let made = Making::of(one);
            tell.send("second").unwrap();
            drop(made);
        });
        // A second maker would say so at once; how long is waited for it decides only how surely it is seen.
        let early = told.recv_timeout(Duration::from_millis(200));
        assert!(early.is_err(), "two makers of one file");
        drop(first);
        assert_eq!(told.recv().unwrap(), "second");
        second.join().unwrap();
    }
}
