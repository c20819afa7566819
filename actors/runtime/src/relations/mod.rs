//! Who stands in what relation to whom: monitors, links, groups, and who listens to names coming and going.
//!
//! One table under one lock, for the ends of two children may meet: a cell enters it before its child can run and leaves it
//! exactly once, whatever way it ends, before its supervisor hears of it. No lock is held while anybody is told. It decides
//! nothing about restarts and keeps nothing beyond a process. Start reading at [`Relations::begin`] and [`Relations::end`].

mod groups;
mod links;
mod listeners;
mod monitors;
#[cfg(test)]
mod props;

pub use groups::{GROUPS_MAX, GroupError, MEMBERS_MAX};
pub use links::{ExitSignal, ExitSignals, LINKS_MAX, LinkError};
pub use listeners::{LISTENERS_MAX, Listener, Listening, TooManyListeners};
pub use monitors::{Down, MONITORS_MAX, Monitor, MonitorError, MonitorId};

use crate::cell::CellControl;
use loket_supervision::machine::Exit;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use tokio::sync::{mpsc, oneshot};

/// A child's registered name.
pub(crate) type Name = Arc<str>;

/// All relations of a node's children. A clone is the same table.
#[derive(Clone, Default)]
pub struct Relations(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    living: HashMap<Name, Living>,
    /// Members in the order of joining; who joined twice is in it twice.
    groups: BTreeMap<Name, Vec<Name>>,
    listeners: Vec<(u64, Arc<dyn Listener>)>,
    next: u64,
    monitors: usize,
}

/// An incarnation between its beginning and its end.
struct Living {
    incarnation: u64,
    cell: Weak<CellControl>,
    /// Of many thousands few have any.
    ties: Option<Box<Ties>>,
}

/// What others are to an incarnation, and how it hears of them.
#[derive(Default)]
struct Ties {
    monitors: BTreeMap<u64, oneshot::Sender<Down>>,
    links: BTreeSet<Name>,
    groups: BTreeSet<Name>,
    /// Where exit signals go instead of ending it.
    traps: Option<mpsc::Sender<ExitSignal>>,
}

impl Living {
    fn ties(&mut self) -> &mut Ties {
        self.ties.get_or_insert_default()
    }
}

/// What is told once the lock is free.
struct Last {
    monitors: BTreeMap<u64, oneshot::Sender<Down>>,
    linked: Vec<Linked>,
    left: Vec<Name>,
    listeners: Vec<Arc<dyn Listener>>,
}

/// The other end of a link of who has ended.
struct Linked {
    cell: Weak<CellControl>,
    traps: Option<mpsc::Sender<ExitSignal>>,
}

impl fmt::Debug for Relations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.table();
        write!(f, "Relations({} living, {} monitors)", table.living.len(), table.monitors)
    }
}

impl Relations {
    fn table(&self) -> MutexGuard<'_, Table> {
        crate::lock(&self.0)
    }

    /// An incarnation is about to run: from here on it can be watched.
    ///
    /// One that is still there under this name sits on a thread that was given up: it has ended for everybody.
    pub(crate) fn begin(&self, name: &Name, incarnation: u64, cell: Weak<CellControl>) {
        let older = self.table().living.get(name).map(|living| living.incarnation);
        if let Some(older) = older {
            self.end(name, older, &Exit::LaneLost);
        }
        let living = Living { incarnation, cell, ties: None };
        self.table().living.insert(Arc::clone(name), living);
    }

    /// An incarnation is up.
    pub(crate) fn up(&self, name: &Name, incarnation: u64) {
        let listeners = {
            let table = self.table();
            let lives = table.living.get(name).is_some_and(|it| it.incarnation == incarnation);
            if lives { table.listeners() } else { Vec::new() }
        };
        listeners.iter().for_each(|listener| listener.up(name, incarnation));
    }

    /// An incarnation has ended: everybody who is to know is told, once.
    pub(crate) fn end(&self, name: &Name, incarnation: u64, reason: &Exit) {
        let Some(last) = self.table().remove(name, incarnation) else {
            return;
        };
        for sender in last.monitors.into_values() {
            let (agent, reason) = (Arc::clone(name), reason.clone());
            // Who gave its monitor up meanwhile wants to hear no more.
            let _ = sender.send(Down { name: agent, incarnation: Some(incarnation), reason });
        }
        for linked in last.linked {
            links::signal(&linked, name, reason);
        }
        for listener in &last.listeners {
            for group in &last.left {
                listener.left(group, name);
            }
            listener.down(name, incarnation, reason);
        }
    }

    /// The incarnation that is under this name now.
    pub fn living(&self, name: &str) -> Option<u64> {
        self.table().living.get(name).map(|living| living.incarnation)
    }
}

impl Table {
    fn remove(&mut self, name: &str, incarnation: u64) -> Option<Last> {
        if self.living.get(name)?.incarnation != incarnation {
            return None;
        }
        let ties = self.living.remove(name)?.ties.map(|ties| *ties).unwrap_or_default();
        self.monitors -= ties.monitors.len();
        let mut linked = Vec::new();
        for other in &ties.links {
            if let Some(other) = self.living.get_mut(other) {
                let cell = Weak::clone(&other.cell);
                let theirs = other.ties();
                theirs.links.remove(name);
                linked.push(Linked { cell, traps: theirs.traps.clone() });
            }
        }
        let left = self.leave_all(name, &ties.groups);
        Some(Last { monitors: ties.monitors, linked, left, listeners: self.listeners() })
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}
