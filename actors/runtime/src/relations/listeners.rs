//! Who listens to names coming up and going down, and to groups.
//!
//! A listener is called where the event happens, on any thread of the node: it only hands on and never blocks. Start reading at
//! [`Listener`].

use super::{Relations, Table};
use loket_supervision::machine::Exit;
use std::sync::Arc;

/// Listeners of one node: each costs a call at every start and end.
pub const LISTENERS_MAX: usize = 64;

/// Hears of names and groups. A name that goes down without having come up is a start that failed.
pub trait Listener: Send + Sync + 'static {
    /// A child is up.
    fn up(&self, name: &str, incarnation: u64) {
        let _ = (name, incarnation);
    }
    /// A child has ended. Once per incarnation, before its supervisor hears of it.
    fn down(&self, name: &str, incarnation: u64, reason: &Exit) {
        let _ = (name, incarnation, reason);
    }
    /// A child has joined a group.
    fn joined(&self, group: &str, member: &str) {
        let _ = (group, member);
    }
    /// A child has left a group, by itself or by its end; told once for each time that it had joined.
    fn left(&self, group: &str, member: &str) {
        let _ = (group, member);
    }
}

/// See [`LISTENERS_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{LISTENERS_MAX} listeners are there already")]
pub struct TooManyListeners;

impl TooManyListeners {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        "too_many_listeners"
    }
}

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Listening {
    relations: Relations,
    number: u64,
}

impl Relations {
    /// Listens from here on.
    ///
    /// # Errors
    /// [`TooManyListeners`].
    pub fn listen(&self, listener: Arc<dyn Listener>) -> Result<Listening, TooManyListeners> {
        let mut table = self.table();
        if table.listeners.len() >= LISTENERS_MAX {
            return Err(TooManyListeners);
        }
        let number = table.number();
        table.listeners.push((number, listener));
        drop(table);
        Ok(Listening { relations: self.clone(), number })
    }
}

impl Table {
    pub(super) fn listeners(&self) -> Vec<Arc<dyn Listener>> {
        self.listeners.iter().map(|(_, listener)| Arc::clone(listener)).collect()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let number = self.number;
        let gone = {
            let mut table = self.relations.table();
            let at = table.listeners.iter().position(|(of, _)| *of == number);
            at.map(|at| table.listeners.remove(at))
        };
        // Dropped without the lock: it may hold anything.
        drop(gone);
    }
}
