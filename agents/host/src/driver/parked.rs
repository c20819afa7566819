//! A turn that waits without an instance (rule H1): what its agent holds meanwhile, and when it goes on.
//!
//! Must never hold the turn: neither its message nor its records, nor its brain. The ledger has them.

use super::body::rung;
use super::end::Failed;
use super::metrics;
use super::turn::Agent;
use loket_runtime::{ChildContext, Waiting};
use loket_turn::{CallState, IntentId, Outcome, TurnKey};

/// All that an agent holds of a turn that waits.
pub(super) struct Waits {
    arrives: Waiting<IntentId, (Outcome, u64)>,
    _counted: metrics::Parked,
}

/// How a wait came to an end.
pub(super) enum Over {
    /// The turn may go on.
    Arrived,
    /// The agent was woken: by a message that waits behind the turn, or because the turn was given up for another brain (rule E7).
    Woken,
    /// The agent is asked to stop.
    Stopped,
}

impl Waits {
    /// Waits.
    pub(super) async fn over(&mut self, context: &ChildContext) -> Over {
        tokio::select! {
            biased;
            () = context.control.stop() => Over::Stopped,
            _ = &mut self.arrives => Over::Arrived,
            () = rung(context) => Over::Woken,
        }
    }
}

impl Agent {
    /// Notes in the ledger that a turn waits for the result of a call. `None`: it may go on at once.
    pub(super) async fn park(
        &self,
        intent: IntentId,
        turn: TurnKey,
    ) -> Result<Option<Waits>, Failed> {
        let arrives = self.services.waiters.result(intent);
        let arrives = arrives.map_err(|error| Failed::environment("park", error.to_string()))?;
        let known = self.services.ledger.park(turn, intent).await;
        if known.map_err(|error| Failed::ledger(&error))?.is_some() {
            return Ok(None);
        }
        // An operator's word may have come before there was anybody to hear it (rule C4).
        let state = self.services.ledger.state_of(intent).await;
        if state.map_err(|error| Failed::ledger(&error))? == CallState::MaySend {
            return Ok(None);
        }
        Ok(Some(Waits { arrives, _counted: metrics::Parked::new() }))
    }
}
