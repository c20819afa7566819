//! Links: two children that share their fate. Symmetric, at most one between any two.
//!
//! When one ends, the other gets an exit signal with the reason. `normal` harms nobody; any other reason ends the other with that
//! same reason, unless it traps exits and gets the signal as a message. Who was killed ends with `killed`, which can be trapped; a
//! kill itself cannot. A supervisor hears no signals but its parent's. Start reading at [`Relations::link`].

use super::{Linked, Name, Relations};
use loket_supervision::machine::Exit;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Links of one child: as many exit signals may wait for it at most.
pub const LINKS_MAX: usize = 1_024;

/// What reaches a child that traps exits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitSignal {
    /// Whose end it is.
    pub from: Arc<str>,
    /// Why it ended.
    pub reason: Exit,
}

/// The exit signals of a child that traps them, in order.
#[derive(Debug)]
pub struct ExitSignals(mpsc::Receiver<ExitSignal>);

/// Why two children were not linked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// One of them does not live.
    #[error("{0} does not run")]
    NoProc(String),
    /// See [`LINKS_MAX`].
    #[error("{0} has {LINKS_MAX} links already")]
    TooMany(String),
}

impl LinkError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoProc(_) => "noproc",
            Self::TooMany(_) => "too_many_links",
        }
    }
}

impl ExitSignals {
    /// Ready with the next signal; never, once no more can come.
    pub async fn next(&mut self) -> ExitSignal {
        match self.0.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

impl Relations {
    /// Links two children. A second link between them is the first one; a link to oneself is none.
    ///
    /// # Errors
    /// [`LinkError`]: nothing is linked then.
    pub fn link(&self, one: &str, other: &str) -> Result<(), LinkError> {
        let mut table = self.table();
        let mut names = Vec::with_capacity(2);
        for name in [one, other] {
            let Some((key, living)) = table.living.get_key_value(name) else {
                return Err(LinkError::NoProc(name.to_owned()));
            };
            if living.ties.as_ref().is_some_and(|ties| ties.links.len() >= LINKS_MAX) {
                return Err(LinkError::TooMany(name.to_owned()));
            }
            names.push(Arc::clone(key));
        }
        if let [one, other] = &*names
            && one != other
        {
            for (here, there) in [(one, other), (other, one)] {
                if let Some(living) = table.living.get_mut(here) {
                    living.ties().links.insert(Arc::clone(there));
                }
            }
        }
        Ok(())
    }

    /// Takes a link back. No signal of the other's end comes from here on.
    pub fn unlink(&self, one: &str, other: &str) {
        let mut table = self.table();
        for (here, there) in [(one, other), (other, one)] {
            if let Some(ties) = table.living.get_mut(here).and_then(|it| it.ties.as_mut()) {
                ties.links.remove(there);
            }
        }
    }

    /// Whom a child is linked to, by name.
    pub fn links(&self, name: &str) -> Vec<Arc<str>> {
        let table = self.table();
        let ties = table.living.get(name).and_then(|living| living.ties.as_ref());
        ties.map(|ties| ties.links.iter().cloned().collect()).unwrap_or_default()
    }

    /// From here on, exit signals to this incarnation come as messages.
    pub(crate) fn trap_exits(&self, name: &Name, incarnation: u64) -> ExitSignals {
        let (sender, signals) = mpsc::channel(LINKS_MAX);
        let mut table = self.table();
        if let Some(living) = table.living.get_mut(name)
            && living.incarnation == incarnation
        {
            living.ties().traps = Some(sender);
        }
        ExitSignals(signals)
    }
}

/// Sends an exit signal to the other end of a link.
pub(super) fn signal(to: &Linked, from: &Name, reason: &Exit) {
    if let Some(traps) = &to.traps {
        // Each link sends one signal, so there is room; who has ended meanwhile needs none.
        let _ = traps.try_send(ExitSignal { from: Arc::clone(from), reason: reason.clone() });
        return;
    }
    if *reason != Exit::Normal
        && let Some(cell) = to.cell.upgrade()
    {
        cell.exit_signal(reason.clone());
    }
}
