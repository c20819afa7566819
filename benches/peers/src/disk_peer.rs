//! What a durable turn would cost without a shared log: two threads, each writes a page of a file and has it synced, turn by turn.

use crate::Measured;
use crate::load::Load;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;

/// A page of a brain.
const PAGE: usize = 4_096;

/// Pages of a file: written round and round, so that its length does not change.
const PAGES: u64 = 64;

const THREADS: usize = 2;

/// Turns have no callers: the load's number is not looked at.
pub(crate) fn two_threads(load: Load) -> Measured {
    // In the working directory, where `loket bench` has its folder, too: /tmp may be memory.
    let folder = tempfile::Builder::new().prefix(".loket-peers-").tempdir_in(".");
    let folder = folder.map_err(|error| error.to_string())?;
    let began = Instant::now();
    let until = began + load.time;
    let turns = |file: File| {
        move || -> std::io::Result<u64> {
            let (page, mut turns) = ([7_u8; PAGE], 0);
            while turns == 0 || Instant::now() < until {
                file.write_all_at(&page, turns % PAGES * PAGE as u64)?;
                file.sync_data()?;
                turns += 1;
            }
            Ok(turns)
        }
    };
    let mut threads = Vec::new();
    for n in 0..THREADS {
        let file = File::create(folder.path().join(n.to_string())).map_err(|e| e.to_string())?;
        file.set_len(PAGES * PAGE as u64).map_err(|error| error.to_string())?;
        threads.push(std::thread::spawn(turns(file)));
    }
    let mut all = 0;
    for thread in threads {
        let turns = thread.join().map_err(|_| "a thread panicked".to_owned())?;
        all += turns.map_err(|error| error.to_string())?;
    }
    Ok(began.elapsed().as_nanos() as f64 / all as f64)
}
