//! Work on threads that let the others go first.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Pieces of such work that are to be done.
static PIECES: AtomicUsize = AtomicUsize::new(0);

/// A piece of work on a thread that lets the others go first. While there is any nobody stays awake: such a thread would have no core,
/// for offering one is not enough where it counts for less.
#[derive(Debug)]
pub struct Bulk(());

impl Bulk {
    /// It is to be done from now on, until this is dropped.
    pub fn begin() -> Self {
        PIECES.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// Whether there is any.
    pub(crate) fn is_there() -> bool {
        PIECES.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Bulk {
    fn drop(&mut self) {
        PIECES.fetch_sub(1, Ordering::Relaxed);
    }
}
