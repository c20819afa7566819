//! What a call of a turn asks for is done once, though it may be sent twice: after a crash, or by the caller's next incarnation (rules
//! C3, C4).
//!
//! What the ledger does, it does with the call's result in one step ([`for_call`]). What is done to the tree is about the lives that
//! ran when it was asked for: they end with their process, and so does what was asked ([`is_of_before`]).

use crate::provider::AgentServices;
use loket_runtime::Clock;
use loket_turn::{CallState, Failure, ForCall, IntentId, LedgerError, Outcome};
use serde_json::Value;

/// The call that something is done for, if a turn asks.
pub(crate) fn for_call<T>(
    of: Option<IntentId>,
    clock: &Clock,
    say: impl FnOnce(&T) -> Option<Value> + Send + 'static,
) -> Option<ForCall<T>> {
    let now_ms = clock.now().0;
    let say = Box::new(move |done: &T| say(done).map(|said| said.to_string().into_bytes()));
    of.map(|call| ForCall { call, now_ms, say })
}

/// The answer of the first time, as it was.
pub(crate) fn answer_before(outcome: Outcome) -> Result<Value, Failure> {
    let unreadable = |error: serde_json::Error| Failure::new("internal", error.to_string());
    outcome.and_then(|bytes| serde_json::from_slice(&bytes).map_err(unreadable))
}

/// Whether a call was asked for before this process began.
pub(crate) async fn is_of_before(
    services: &AgentServices,
    of: Option<IntentId>,
) -> Result<bool, LedgerError> {
    let Some(call) = of else { return Ok(false) };
    let state = services.ledger.state_of(call).await?;
    Ok(matches!(state, CallState::Open(asked_ms) if asked_ms < services.began_ms))
}
