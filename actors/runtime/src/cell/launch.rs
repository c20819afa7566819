//! How a cell comes to its lane: sent as a seed, made there. If the lane is gone, or goes before, the supervisor hears of it too.
//!
//! Start reading at [`launch`].

use super::{Cell, CellControl};
use crate::panic::guard;
use crate::{Body, Door, Lane};
use loket_supervision::machine::{Blame, Exit};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What a cell is made of.
pub(crate) struct Seed {
    pub(crate) name: Arc<str>,
    /// The number of its place, for the watchdog.
    pub(crate) place: u64,
    pub(crate) incarnation: u64,
    pub(crate) lane: Lane,
    pub(crate) door: Door,
    /// Who is to blame for a panic.
    pub(crate) blame: Blame,
    pub(crate) body: Body,
    pub(crate) control: Arc<CellControl>,
}

/// Starts the cell on its lane. If the lane is gone, or goes before the cell got there, the supervisor hears of it too.
pub(crate) fn launch(seed: Seed) {
    let control = &seed.control;
    control.relations.begin(&control.id, control.incarnation, Arc::downgrade(control));
    let thread = seed.lane.thread();
    let mut sent = InFlight(Some(seed));
    let on = Arc::clone(&thread);
    thread.spawn(move || {
        let seed = sent.0.take();
        Landed(seed.map(|seed| Cell::new(seed, on)))
    });
}

/// A seed on its way to the lane.
struct InFlight(Option<Seed>);

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(seed) = self.0.take() {
            let control = Arc::clone(&seed.control);
            let dropped = guard(seed.blame, || drop(seed));
            control.tell_end(dropped.err().unwrap_or(Exit::LaneLost));
        }
    }
}

/// What came of a seed on its lane. No `async` block, which would keep the seed's room beside the cell's, for each child of the node.
struct Landed(Option<Cell>);

impl Future for Landed {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(cell) => Pin::new(cell).poll(cx),
            None => Poll::Ready(()),
        }
    }
}
