//! Which turns are open, in a small file written by plain writes and never synced (rule B2): what
//! is open when the process dies is counted as one death of that turn at the next start.
//!
//! The file `open-turns` in the data directory is an array of [`SLOTS`] slots of [`SLOT_BYTES`]
//! bytes, little endian:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1 | state: 0 free, 1 open beside other turns, 2 open and alone |
//! | 1 | 7 | zero |
//! | 8 | 8 | the agent's life |
//! | 16 | 8 | the turn's number |
//! | 24 | 8 | the start of the process that opened it, counted from 1 (`boots` of the ledger) |
//! | 32 | 32 | the start of the agent's name, zero padded: for people |
//!
//! A slot is written by one `pwrite`. A clean stop leaves no open slot. Nothing here may fail a
//! turn: when a write fails or all slots are taken, that turn is simply not counted. Start reading
//! at [`OpenTurns::enter`].

use crossbeam_queue::ArrayQueue;
use loket_turn::{Life, TurnKey, TurnNo};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// Bytes of one slot.
pub const SLOT_BYTES: usize = 64;

/// Slots: turns that are open at once and counted. Above any number of instance slots of one
/// process; the file is 256 KiB.
pub const SLOTS: usize = 4096;

/// The file's name in the data directory.
pub const OPEN_TURNS_FILE: &str = "open-turns";

const FREE: u8 = 0;
const OPEN: u8 = 1;
const ALONE: u8 = 2;

/// A turn that was open when a process died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leftover {
    /// The agent's life.
    pub life: Life,
    /// The turn.
    pub n: TurnNo,
    /// Nothing ran beside it.
    pub alone: bool,
    /// The start of the process that opened it.
    pub boot: u64,
}

struct Inner {
    file: File,
    free: ArrayQueue<usize>,
    boot: u64,
}

/// The file of open turns. Cheap to share; both operations are one `pwrite`.
pub struct OpenTurns(Arc<Inner>);

/// A turn that is open; dropping it closes the turn's slot. A killed process never drops it: that
/// is the point.
#[must_use = "the turn counts as open only while this lives"]
pub struct OpenTurn {
    inner: Arc<Inner>,
    slot: Option<usize>,
}

/// Reads what a dead process left open. An absent or short file has nothing open.
///
/// # Errors
/// The file system's.
pub fn leftovers(dir: &Path) -> io::Result<Vec<Leftover>> {
    let bytes = match std::fs::read(dir.join(OPEN_TURNS_FILE)) {
        Ok(bytes) => bytes,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(why) => return Err(why),
    };
    let slots = bytes.chunks_exact(SLOT_BYTES).take(SLOTS);
    Ok(slots.filter_map(leftover).collect())
}

fn leftover(slot: &[u8]) -> Option<Leftover> {
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&slot[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let alone = match slot[0] {
        OPEN => false,
        ALONE => true,
        _ => return None,
    };
    Some(Leftover { life: Life(number(8)), n: TurnNo(number(16)), alone, boot: number(24) })
}

impl OpenTurns {
    /// Starts with no turn open. `boot` is the count of starts of this process.
    pub(crate) fn create(dir: &Path, boot: u64) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(dir.join(OPEN_TURNS_FILE))?;
        file.set_len((SLOTS * SLOT_BYTES) as u64)?;
        let free = ArrayQueue::new(SLOTS);
        for slot in 0..SLOTS {
            // The queue has exactly as many places as there are slots.
            let _ = free.push(slot);
        }
        Ok(Self(Arc::new(Inner { file, free, boot })))
    }

    /// Marks `turn` as open until the guard is dropped. `alone`: nothing runs beside it, because it
    /// was open at earlier deaths.
    pub fn enter(&self, turn: &TurnKey, alone: bool) -> OpenTurn {
        let mut bytes = [0; SLOT_BYTES];
        bytes[0] = if alone { ALONE } else { OPEN };
        bytes[8..16].copy_from_slice(&turn.life.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&turn.n.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.0.boot.to_le_bytes());
        let name = turn.agent.as_bytes();
        let shown = name.len().min(32);
        bytes[32..32 + shown].copy_from_slice(&name[..shown]);
        let slot = self.0.free.pop().filter(|slot| {
            let written = self.0.file.write_all_at(&bytes, (slot * SLOT_BYTES) as u64);
            if let Err(why) = &written {
                tracing::warn!(%why, "an open turn could not be noted");
                let _ = self.0.free.push(*slot);
            }
            written.is_ok()
        });
        OpenTurn { inner: Arc::clone(&self.0), slot }
    }
}

impl loket_turn::OpenTurns for OpenTurns {
    fn enter(&self, turn: &TurnKey, alone: bool) -> loket_turn::OpenTurnMark {
        Box::new(Self::enter(self, turn, alone))
    }
}

impl Drop for OpenTurn {
    fn drop(&mut self) {
        let Some(slot) = self.slot else { return };
        let at = (slot * SLOT_BYTES) as u64;
        match self.inner.file.write_all_at(&[FREE], at) {
            Ok(()) => {
                let _ = self.inner.free.push(slot);
            }
            // The slot stays taken: a turn may be counted that had ended, which the ledger's own
            // numbers show.
            Err(why) => tracing::warn!(%why, "a closed turn could not be noted"),
        }
    }
}
