//! What the writer's thread knows by heart of one living agent.

use crate::ops::OnceCall;
use loket_turn::{AgentName, Epoch, Hash, IntentId};
use std::sync::Arc;

/// A place that a turn holds in another inbox until it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) to: u64,
    pub(crate) bytes: u64,
}

/// Places between inboxes: what an agent's open turn holds elsewhere, and what others hold in its own inbox.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    held: Vec<Held>,
    reserved_rows: u64,
    reserved_bytes: u64,
}

/// A living agent.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) name: AgentName,
    pub(crate) life: u64,
    pub(crate) incarnation: u64,
    /// That incarnation runs, as far as this process was told.
    pub(crate) running: bool,
    pub(crate) epoch: Epoch,
    /// The epoch that the incarnation took over in: it works on that one's file (rule E7).
    pub(crate) taken: Epoch,
    /// The last turn that ended or was skipped.
    pub(crate) done: u64,
    /// The last accepted message's number.
    pub(crate) last: u64,
    pub(crate) chain: Hash,
    pub(crate) waiting_bytes: u64,
    pub(crate) rows_max: u64,
    pub(crate) bytes_max: u64,
    /// The turn `done + 1` has a row in `turns`.
    pub(crate) open_row: bool,
    pub(crate) durable: u64,
    pub(crate) swept: u64,
    /// It takes no turns until an operator acts (rule G4).
    pub(crate) quarantined: bool,
    /// It draws on rows in `budgets`: nobody else is looked up there.
    pub(crate) has_budgets: bool,
    /// The supervisors above it that have budgets, the nearest first, as its incarnation has told.
    pub(crate) above: Arc<[Arc<str>]>,
    /// Boxed, as the two below it: few have one, and there is an agent in memory for each that sleeps.
    pub(crate) places: Option<Box<Places>>,
    /// The call of its open turn that has no result yet, and the life of who is called (rule H2).
    pub(crate) waits: Option<Box<(IntentId, u64)>>,
    /// The Once call of its open turn that has no result yet (rule C4).
    pub(crate) once: Option<Box<OnceCall>>,
}

/// Bytes of an [`Agent`] at most: the allocator's class, and one is in memory for each that sleeps.
const AGENT_BYTES_MAX: usize = 192;
const _: () = assert!(size_of::<Agent>() <= AGENT_BYTES_MAX);

impl Agent {
    pub(crate) fn waiting(&self) -> u64 {
        self.last.saturating_sub(self.done)
    }

    /// Messages that wait and places that are reserved.
    pub(crate) fn depth(&self) -> u64 {
        self.waiting() + self.reserved().0
    }

    /// Messages and bytes that others hold places for.
    pub(crate) fn reserved(&self) -> (u64, u64) {
        self.places.as_ref().map_or((0, 0), |it| (it.reserved_rows, it.reserved_bytes))
    }

    /// Places that its open turn holds elsewhere.
    pub(crate) fn held(&self) -> &[Held] {
        self.places.as_ref().map_or(&[], |it| &it.held)
    }

    /// Its open turn holds this one, too.
    pub(crate) fn also_holds(&mut self, place: Held) {
        self.places.get_or_insert_default().held.push(place);
    }

    /// Its open turn holds these; gives what it held before.
    pub(crate) fn now_holds(&mut self, held: Vec<Held>) -> Vec<Held> {
        let old = std::mem::replace(&mut self.places.get_or_insert_default().held, held);
        self.drop_empty();
        old
    }

    /// Another one's turn holds a place here.
    pub(crate) fn reserve(&mut self, bytes: u64) {
        let places = self.places.get_or_insert_default();
        places.reserved_rows += 1;
        places.reserved_bytes += bytes;
    }

    pub(crate) fn give_back(&mut self, bytes: u64) {
        if let Some(places) = &mut self.places {
            places.reserved_rows = places.reserved_rows.saturating_sub(1);
            places.reserved_bytes = places.reserved_bytes.saturating_sub(bytes);
        }
        self.drop_empty();
    }

    fn drop_empty(&mut self) {
        if self.held().is_empty() && self.reserved() == (0, 0) {
            self.places = None;
        }
    }
}
