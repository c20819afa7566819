//! What a call of a turn asks for is done once, though it may be sent twice: after a crash, by the caller's next incarnation, or
//! because its result could not be written (rules C3, C4).
//!
//! What the ledger does, it does with the call's result in one step ([`for_call`]). What is done to the tree is about the lives that
//! run in this process: it is remembered here ([`once`]), and what an earlier process was asked for ended with that process.

use crate::operator::ledger_failed;
use crate::provider::AgentServices;
use loket_contract::Performed;
use loket_runtime::Clock;
use loket_turn::{CallState, ForCall, IntentId, Outcome};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Calls that are remembered: each is forgotten long after its result is in the ledger, unless that takes none for so long.
const REMEMBERED_MAX: usize = 1_024;

/// What was done to the tree for which call, and what came of it.
#[derive(Debug, Default)]
pub struct Acts(Mutex<VecDeque<(IntentId, Outcome)>>);

impl Acts {
    fn outcome_of(&self, call: IntentId) -> Option<Outcome> {
        let acts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        acts.iter().find(|(done, _)| *done == call).map(|(_, outcome)| outcome.clone())
    }

    fn note(&self, call: IntentId, outcome: Outcome) {
        let mut acts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if acts.len() >= REMEMBERED_MAX {
            acts.pop_front();
        }
        acts.push_back((call, outcome));
    }
}

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

/// Does something to the tree, once for a call. `earlier`: what is answered to a call that an earlier process had sent; `None`: it is
/// done in this one, too.
pub(crate) fn once<F>(
    services: &AgentServices,
    of: Option<IntentId>,
    earlier: impl FnOnce(&AgentServices) -> Option<Value> + 'static,
    work: impl FnOnce(AgentServices) -> F + 'static,
) -> Performed
where
    F: Future<Output = Performed> + 'static,
{
    let services = services.clone();
    let Some(call) = of else { return Performed::Later(Box::pin(work(services))) };
    Performed::Later(Box::pin(async move {
        if let Some(before) = services.acts.outcome_of(call) {
            return Performed::Done(before);
        }
        match services.ledger.state_of(call).await {
            Ok(CallState::Known(outcome, _)) => return Performed::Done(outcome),
            Ok(CallState::Open { earlier: true }) => {
                if let Some(said) = earlier(&services) {
                    return Performed::json(&said);
                }
            }
            Ok(_) => {}
            Err(error) => return ledger_failed(&error),
        }
        let done = work(services.clone()).await;
        if let Performed::Done(outcome) = &done {
            services.acts.note(call, outcome.clone());
        }
        done
    }))
}
