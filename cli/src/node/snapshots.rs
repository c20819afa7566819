//! Snapshots that nobody asks for: of a brain whose turns are on the way out, so that those which are kept can be run again (rule E6).
//!
//! One after the other, with a pause: they are no hurry, and thousands of agents may be due at once. Must never hold up the ledger that
//! tells of them: whoever finds the queue full is told of again. Start reading at [`take`].

use super::brains::Files;
use super::metrics;
use super::start::Checked;
use loket_agent::{Keeping, snapshot_if_due};
use loket_ledger::SqliteLedger;
use loket_runtime::Clock;
use loket_turn::{AgentName, Failure};
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Agents that wait for theirs; above it they are told of again.
const WAITING_MAX: usize = 1_024;

/// Between two of them, milliseconds. A small brain's takes some two: a twentieth of one processor at most.
const PAUSE_MS: u64 = 40;

/// Where agents are announced, and where they come out.
pub(super) fn queue() -> (Sender<AgentName>, Receiver<AgentName>) {
    channel(WAITING_MAX)
}

/// What they are taken with.
pub(super) fn keeping(checked: &Checked, ledger: &Arc<SqliteLedger>, clock: Clock) -> Keeping {
    Keeping {
        ledger: Arc::clone(ledger) as _,
        brains: Arc::new(Files::new(&checked.data)),
        clock,
        keep_turns: checked.fleet.keep_turns.into(),
        copying: Arc::clone(&checked.copying),
    }
}

/// Takes them, until nobody announces any more.
pub(super) async fn take(mut due: Receiver<AgentName>, keeping: Keeping) {
    while let Some(agent) = due.recv().await {
        match snapshot_if_due(&keeping, agent.clone()).await {
            Ok(true) => {
                metrics::snapshot();
                keeping.clock.sleep(PAUSE_MS).await;
            }
            Ok(false) => {}
            // It is told of again; what becomes of the brain itself is its turns' business.
            Err(error) => {
                let failure = Failure::from(error);
                tracing::debug!(%agent, "no snapshot of the brain: {failure}");
            }
        }
    }
}
