//! A child as the supervisor knows it, and the table of all of them in start order.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use super::event::Now;
use super::exit::Exit;
use super::spec::{ChildId, ChildSpec, Kind};
use super::view::{ChildState, ChildView};
use super::window::Restarts;

/// A child's place in start order. Stays the same until the child is removed or a code change
/// reorders.
pub(super) type Seq = u64;

/// Where a child is in its life, with what only that state needs.
#[derive(Debug, Clone)]
pub(super) enum Life {
    /// Not running; nobody is about to start it.
    Undefined,
    /// A start order is out. `verdict` is set once the start has been killed for taking too long.
    Starting { verdict: Option<Box<Exit>> },
    /// Up since then.
    Running { since: Now },
    /// Gone; the exit has not been served yet.
    Exited { ran_ms: u64, reason: Box<Exit> },
    /// A stop or kill order is out.
    Stopping { killed: bool },
    /// Waits for its retry timer. `charge`: whether the attempt uses up budget.
    Restarting { until: Now, charge: bool },
}

/// One child.
#[derive(Debug, Clone)]
pub(super) struct Child {
    pub(super) id: ChildId,
    /// Shared with the template under SimpleOneForOne; its `id` is then the template's.
    pub(super) spec: Arc<ChildSpec>,
    /// The current or last life; 0 before the first.
    pub(super) incarnation: u64,
    /// The last life that came up; 0 before the first.
    pub(super) ran: u64,
    pub(super) life: Life,
    /// Of the state the child is in; timers of another epoch are void.
    pub(super) epoch: u64,
    /// Restarts since it was last healthy, for the backoff.
    pub(super) failures: u32,
    pub(super) restarts: u64,
    /// Boxed, as in its life: most of many thousand children have never ended.
    pub(super) last_exit: Option<Box<Exit>>,
    /// Stamps for its own budget.
    pub(super) window: Restarts,
}

impl Child {
    pub(super) fn new(id: ChildId, spec: Arc<ChildSpec>, incarnation: u64) -> Self {
        Self {
            id,
            spec,
            incarnation,
            ran: 0,
            life: Life::Undefined,
            epoch: 0,
            failures: 0,
            restarts: 0,
            last_exit: None,
            window: Restarts::default(),
        }
    }

    /// OTP's `is_process_alive`.
    pub(super) fn is_alive(&self) -> bool {
        matches!(self.life, Life::Running { .. } | Life::Starting { .. } | Life::Stopping { .. })
    }

    /// OTP's `is_pid`: alive, or dead without the supervisor having served the exit.
    pub(super) fn has_pid(&self) -> bool {
        self.is_alive() || matches!(self.life, Life::Exited { .. })
    }

    /// Its spec under its own name.
    pub(super) fn own_spec(&self) -> ChildSpec {
        ChildSpec { id: self.id.clone(), ..ChildSpec::clone(&self.spec) }
    }

    pub(super) fn state(&self) -> ChildState {
        match self.life {
            Life::Undefined => ChildState::Undefined,
            Life::Starting { .. } => ChildState::Starting,
            Life::Running { .. } => ChildState::Running,
            Life::Exited { .. } => ChildState::Exited,
            Life::Stopping { .. } => ChildState::Stopping,
            Life::Restarting { until, .. } => ChildState::Restarting { until },
        }
    }

    pub(super) fn view(&self) -> ChildView {
        ChildView {
            id: self.id.clone(),
            incarnation: self.has_pid().then_some(self.incarnation),
            state: self.state(),
            restarts: self.restarts,
            last_exit: self.last_exit.as_deref().cloned(),
            spec: self.own_spec(),
        }
    }
}

/// All children, found by id or by start order, each in logarithmic time: 100,000 must start and
/// stop in time that grows linearly, whatever is removed in between.
#[derive(Debug, Clone, Default)]
pub(super) struct Children {
    /// Each in a place of its own: a table that grew in order keeps nearly twice the room that it needs.
    by_seq: BTreeMap<Seq, Box<Child>>,
    by_id: HashMap<ChildId, Seq>,
    next: Seq,
    /// Incarnation that no removed child had passed: an id that comes back starts above it.
    floor: u64,
    /// Lives used up by an earlier process, of ids that are not here yet.
    seeds: HashMap<ChildId, u64>,
}

impl Children {
    /// Appends a child at the end of the start order.
    pub(super) fn push(&mut self, id: ChildId, spec: Arc<ChildSpec>) -> Seq {
        let seeded = self.seeds.remove(&id).unwrap_or(0);
        self.adopt(Child::new(id, spec, seeded.max(self.floor)))
    }

    /// Appends a child that has a history.
    pub(super) fn adopt(&mut self, child: Child) -> Seq {
        let seq = self.next;
        self.next += 1;
        self.by_id.insert(child.id.clone(), seq);
        self.by_seq.insert(seq, Box::new(child));
        seq
    }

    /// Takes all children out, in start order, keeping the count of lives.
    pub(super) fn take_all(&mut self) -> Vec<Child> {
        self.by_id.clear();
        std::mem::take(&mut self.by_seq).into_values().map(|child| *child).collect()
    }

    pub(super) fn remove(&mut self, seq: Seq) {
        if let Some(child) = self.by_seq.remove(&seq) {
            self.by_id.remove(&child.id);
            self.floor = self.floor.max(child.incarnation);
        }
    }

    pub(super) fn seed(&mut self, id: ChildId, last: u64) {
        match self.find(&id).and_then(|seq| self.by_seq.get_mut(&seq)) {
            Some(child) if !child.has_pid() => child.incarnation = child.incarnation.max(last),
            Some(_) => {}
            None => {
                self.seeds.insert(id, last);
            }
        }
    }

    pub(super) fn unseed(&mut self, id: &str) {
        self.seeds.remove(id);
    }

    pub(super) fn find(&self, id: &str) -> Option<Seq> {
        self.by_id.get(id).copied()
    }

    /// The child of this id, if this is its current life.
    pub(super) fn find_life(&self, id: &str, incarnation: u64) -> Option<Seq> {
        let seq = self.find(id)?;
        (self.by_seq.get(&seq)?.incarnation == incarnation).then_some(seq)
    }

    /// Whether a child of this id may have had this life: of one that was removed only the highest
    /// number of all is known.
    pub(super) fn has_been(&self, id: &str, incarnation: u64) -> bool {
        let last = self.find(id).and_then(|seq| self.by_seq.get(&seq));
        let last = last.map_or(self.floor, |child| child.incarnation);
        (1..=last).contains(&incarnation)
    }

    pub(super) fn get(&self, seq: Seq) -> Option<&Child> {
        self.by_seq.get(&seq).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, seq: Seq) -> Option<&mut Child> {
        self.by_seq.get_mut(&seq).map(Box::as_mut)
    }

    /// The first of the range in start order, which is taken off the range.
    pub(super) fn first_of(&self, range: &mut Range<Seq>) -> Option<Seq> {
        let seq = *self.by_seq.range(range.clone()).next()?.0;
        range.start = seq + 1;
        Some(seq)
    }

    /// The last of the range in start order, which is taken off the range.
    pub(super) fn last_of(&self, range: &mut Range<Seq>) -> Option<Seq> {
        let seq = *self.by_seq.range(range.clone()).next_back()?.0;
        range.end = seq;
        Some(seq)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Child> {
        self.by_seq.values().map(Box::as_ref)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Child> {
        self.by_seq.values_mut().map(Box::as_mut)
    }

    pub(super) fn len(&self) -> usize {
        self.by_seq.len()
    }

    pub(super) fn supervisors(&self) -> usize {
        self.iter().filter(|child| child.spec.kind == Kind::Supervisor).count()
    }
}
