//! The emergency stop (`loket stop --all`): served where the control socket is, on the system's own thread, so that it acts
//! whatever the lanes are busy with.
//!
//! Must never do more than stop, nor anything that the kernel does not admit: it is judged like `agent.shutdown`, by the present
//! table, only not on a lane. Start reading at [`Emergency::stop`].

use super::operator::Outsider;
use crate::client::Request;
use loket_runtime::{Authority, Clock, RunningGuests, Runtime, StopAll, TreeControl};
use loket_turn::Outcome;
use serde_json::{Value, json};
use std::sync::Arc;

/// What is stopped, and who is asked whether it may be.
#[derive(Clone)]
pub(super) struct Emergency {
    authority: Arc<Authority>,
    clock: Clock,
    guests: RunningGuests,
    all: StopAll,
    tree: Arc<dyn TreeControl>,
}

impl Emergency {
    /// That of a running node.
    pub(super) fn of(runtime: &Runtime, all: &StopAll) -> Self {
        let node = runtime.node();
        Self {
            authority: Arc::clone(node.authority()),
            clock: node.clock().clone(),
            guests: node.running_guests().clone(),
            all: all.clone(),
            tree: runtime.control(),
        }
    }

    /// Whether a request is for it.
    pub(super) fn is_meant(request: &Request) -> bool {
        request.capability == STOP && request.args.get("all") == Some(&Value::Bool(true))
    }

    /// Ends all turns at their next slice or where they wait, lets none begin, then stops the tree in order.
    pub(super) fn stop(&self, operator: &Outsider, args: Vec<u8>) -> Outcome {
        operator.may(&self.authority, STOP, args, self.clock.now())?;
        let running = self.guests.count();
        if self.all.raise() {
            tracing::warn!(running, "an emergency stop: no turn begins any more, all that run end");
        }
        self.tree.stop(false);
        Ok(json!({"stopping": true, "all": true, "interrupted": running}).to_string().into_bytes())
    }
}

/// The capability that it is judged by.
const STOP: &str = "agent.shutdown";
