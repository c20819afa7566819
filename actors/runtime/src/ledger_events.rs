//! Hands on what the ledger tells its node: wakes agents, answers who waits, starts and ends dynamic children.
//!
//! Called on the ledger's thread: it never waits and never calls the ledger. Start reading at [`LedgerEvents::on_event`].

use crate::{DynamicSpec, Registry, TreeControl, Waiters};
use loket_turn::{DynamicChild, LedgerEvent};
use std::sync::Arc;

/// Makes a child of a dynamic child's row: its template with its own settings. `None`: the fleet has no such template any more.
pub type DynamicChildren = Arc<dyn Fn(&DynamicChild) -> Option<DynamicSpec> + Send + Sync>;

/// See the module's head. A clone does the same.
#[derive(Clone)]
pub struct LedgerEvents {
    registry: Arc<Registry>,
    waiters: Arc<Waiters>,
    control: Arc<dyn TreeControl>,
    dynamic: DynamicChildren,
}

impl LedgerEvents {
    /// What a node does with the ledger's events.
    pub fn new(
        registry: Arc<Registry>,
        waiters: Arc<Waiters>,
        control: Arc<dyn TreeControl>,
        dynamic: DynamicChildren,
    ) -> Self {
        Self { registry, waiters, control, dynamic }
    }

    /// Hands one event on.
    pub fn on_event(&self, event: &LedgerEvent) {
        match event {
            LedgerEvent::Arrived { agent } => {
                self.registry.wake(agent);
            }
            LedgerEvent::Spawned(children) => {
                for row in children {
                    self.spawn(row);
                }
            }
            LedgerEvent::Stopped(agents) => {
                for agent in agents {
                    // Under way; a child that is gone already is as stopped as it can be.
                    drop(self.control.stop_dynamic(agent));
                }
            }
            LedgerEvent::Reopened => {
                self.waiters.on_ledger_event(event);
                self.registry.wake_all();
            }
            other => self.waiters.on_ledger_event(other),
        }
    }

    fn spawn(&self, row: &DynamicChild) {
        match (self.dynamic)(row) {
            // If its supervisor does not run at this moment, the child comes with it: its row is durable.
            Some(child) => drop(self.control.start_dynamic(&row.under, child)),
            None => tracing::warn!(
                child = &*row.agent,
                under = &*row.under,
                "a dynamic child has no template in this fleet; it is not started"
            ),
        }
    }
}
