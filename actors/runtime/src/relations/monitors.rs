//! Monitors: one way, as many as one likes, exactly one Down each.
//!
//! A monitor is of the incarnation that is there when it is made; who is not there is `noproc` at once. Start reading at
//! [`Relations::monitor`].

use super::{Name, Relations};
use loket_supervision::machine::Exit;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// Monitors of one node at a time: each is an entry and a slot of some hundred bytes.
pub const MONITORS_MAX: usize = 1_000_000;

/// A monitor's number, unique in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonitorId(u64);

impl fmt::Display for MonitorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a monitor tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down {
    /// Who has ended.
    pub name: Arc<str>,
    /// Which life; `None` when there was none under the name.
    pub incarnation: Option<u64>,
    /// Why; [`Exit::NoProc`] when there was nobody.
    pub reason: Exit,
}

/// Why somebody is not watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MonitorError {
    /// See [`MONITORS_MAX`].
    #[error("{MONITORS_MAX} monitors are there already")]
    TooMany,
}

impl MonitorError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooMany => "too_many_monitors",
        }
    }
}

/// A monitor: ready with its Down, once. Dropping it ends it, and no Down is left anywhere (OTP's `demonitor` with `flush`).
#[derive(Debug)]
pub struct Monitor {
    relations: Relations,
    name: Name,
    id: MonitorId,
    down: oneshot::Receiver<Down>,
}

impl Relations {
    /// Watches the incarnation that is under this name now.
    ///
    /// # Errors
    /// [`MonitorError::TooMany`].
    pub fn monitor(&self, name: &str) -> Result<Monitor, MonitorError> {
        let (sender, down) = oneshot::channel();
        let mut table = self.table();
        if table.monitors >= MONITORS_MAX {
            return Err(MonitorError::TooMany);
        }
        let id = table.number();
        let name = match table.living.get_key_value(name) {
            Some((name, _)) => Arc::clone(name),
            None => {
                let name: Name = name.into();
                let (incarnation, reason) = (None, Exit::NoProc);
                let _ = sender.send(Down { name: Arc::clone(&name), incarnation, reason });
                let (relations, id) = (self.clone(), MonitorId(id));
                return Ok(Monitor { relations, name, id, down });
            }
        };
        if let Some(living) = table.living.get_mut(&name) {
            living.ties().monitors.insert(id, sender);
            table.monitors += 1;
        }
        drop(table);
        Ok(Monitor { relations: self.clone(), name, id: MonitorId(id), down })
    }

    /// Monitors that have told nothing yet.
    pub fn monitors(&self) -> usize {
        self.table().monitors
    }
}

impl Monitor {
    /// Its number.
    pub fn id(&self) -> MonitorId {
        self.id
    }

    /// Ends it. `true` when its Down had not come: now it never does (OTP's `demonitor` with `flush` and `info`).
    pub fn demonitor(mut self) -> bool {
        self.leave() && self.down.try_recv().is_err()
    }

    fn leave(&mut self) -> bool {
        let mut table = self.relations.table();
        let ties = table.living.get_mut(&self.name).and_then(|living| living.ties.as_mut());
        let there = ties.is_some_and(|ties| ties.monitors.remove(&self.id.0).is_some());
        table.monitors -= usize::from(there);
        there
    }
}

impl Future for Monitor {
    type Output = Down;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Down> {
        let (name, reason) = (Arc::clone(&self.name), Exit::NoProc);
        let down = Pin::new(&mut self.down).poll(cx);
        // A slot is dropped unused only with the whole table: the node is gone.
        down.map(|down| down.unwrap_or(Down { name, incarnation: None, reason }))
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.leave();
    }
}
