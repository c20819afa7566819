//! A node that runs: waiting for it and taking it down.
//!
//! Start reading at [`Runtime`].

use crate::signals::{Signal, Signals};
use crate::{LanesError, Node, Place, PlaceState, TreeControl};
use loket_supervision::machine::{Event, Exit};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Hears of the top supervisor's start and end.
pub(crate) async fn watch(signals: Signals, top: Arc<Place>, run: Arc<Run>) {
    loop {
        signals.arrived().await;
        while let Some(signal) = signals.pop() {
            match signal {
                Signal::Machine(Event::Started { .. }) => {
                    top.status().state = PlaceState::Running;
                    run.set(RunState::Up);
                }
                Signal::Machine(
                    Event::Exited { reason, .. } | Event::StartFailed { reason, .. },
                ) => {
                    {
                        let mut status = top.status();
                        status.state = PlaceState::Stopped;
                        (status.life, status.last_exit) = (None, Some(Box::new(reason.clone())));
                    }
                    top.close();
                    return run.set(RunState::Ended(reason));
                }
                _ => {}
            }
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum RunState {
    Starting,
    Up,
    Ended(Exit),
}

#[derive(Debug)]
pub(crate) struct Run {
    state: Mutex<RunState>,
    changed: Condvar,
    notify: Notify,
}

impl Default for Run {
    fn default() -> Self {
        let state = Mutex::new(RunState::Starting);
        Self { state, changed: Condvar::new(), notify: Notify::new() }
    }
}

impl Run {
    /// The first end stands.
    pub(crate) fn set(&self, state: RunState) {
        {
            let mut now = crate::lock(&self.state);
            if !matches!(*now, RunState::Ended(_)) {
                *now = state;
            }
        }
        self.changed.notify_all();
        self.notify.notify_waiters();
    }

    /// Blocks until `found` finds something in the state.
    fn wait<T>(&self, found: impl Fn(&RunState) -> Option<T>) -> T {
        let mut state = crate::lock(&self.state);
        loop {
            if let Some(found) = found(&state) {
                return found;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A node that runs. Dropping it ends its threads, not in order: [`TreeControl::stop`] and [`wait`](Self::wait) come first.
#[derive(Debug)]
pub struct Runtime {
    pub(crate) node: Node,
    pub(crate) run: Arc<Run>,
}

impl Runtime {
    /// The node's parts.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The tree in one's hands.
    pub fn control(&self) -> Arc<dyn TreeControl> {
        self.node.control()
    }

    /// Blocks until all children are up. Not for arbiters.
    ///
    /// # Errors
    /// The reason why the tree ended instead.
    pub fn wait_up(&self) -> Result<(), Exit> {
        self.run.wait(|state| match state {
            RunState::Starting => None,
            RunState::Up => Some(Ok(())),
            RunState::Ended(exit) => Some(Err(exit.clone())),
        })
    }

    /// Blocks until the tree has ended, and says why. Not for arbiters.
    pub fn wait(&self) -> Exit {
        self.run.wait(|state| match state {
            RunState::Ended(exit) => Some(exit.clone()),
            _ => None,
        })
    }

    /// Blocks until the tree has ended, at most `timeout_ms`: a child that is stuck in its thread ends for no kill, and then
    /// only the end of the process helps. Not for arbiters.
    pub fn wait_at_most(&self, timeout_ms: u64) -> Option<Exit> {
        let running = |state: &mut RunState| !matches!(state, RunState::Ended(_));
        let state = crate::lock(&self.run.state);
        let timeout = Duration::from_millis(timeout_ms);
        let waited = self.run.changed.wait_timeout_while(state, timeout, running);
        match &*waited.unwrap_or_else(PoisonError::into_inner).0 {
            RunState::Ended(exit) => Some(exit.clone()),
            _ => None,
        }
    }

    /// Ready when the tree has ended.
    pub async fn ended(&self) -> Exit {
        loop {
            let mut changed = std::pin::pin!(self.run.notify.notified());
            // From here on `notify_waiters` reaches us.
            changed.as_mut().enable();
            if let RunState::Ended(exit) = &*crate::lock(&self.run.state) {
                return exit.clone();
            }
            changed.await;
        }
    }

    /// Ends the threads, once the tree has ended.
    ///
    /// # Errors
    /// [`LanesError::Stuck`] after `timeout_ms`.
    pub fn close(self, timeout_ms: u64) -> Result<(), LanesError> {
        self.node.lanes.stop(timeout_ms)
    }
}
