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
        match known(&services.acts, call, services.ledger.state_of(call)).await {
            Ok(Known::Outcome(before)) => return Performed::Done(before),
            Ok(Known::Earlier) => {
                if let Some(said) = earlier(&services) {
                    return Performed::json(&said);
                }
            }
            Ok(Known::Nothing) => {}
            Err(error) => return ledger_failed(&error),
        }
        let done = work(services.clone()).await;
        if let Performed::Done(outcome) = &done {
            services.acts.note(call, outcome.clone());
        }
        done
    }))
}

/// What is known of a call that asks.
#[derive(Debug, PartialEq)]
enum Known {
    /// It was done in this process, or has its result.
    Outcome(Outcome),
    /// An earlier process had sent it.
    Earlier,
    Nothing,
}

/// `state` is what the ledger has of it, and is asked only if nothing was done here.
async fn known<E>(
    acts: &Acts,
    call: IntentId,
    state: impl Future<Output = Result<CallState, E>>,
) -> Result<Known, E> {
    if let Some(before) = acts.outcome_of(call) {
        return Ok(Known::Outcome(before));
    }
    Ok(match state.await? {
        CallState::Known(outcome, _) => Known::Outcome(outcome),
        CallState::Open { earlier: true } => Known::Earlier,
        _ => Known::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::future::ready;
    use std::task::{Context, Poll, Waker};

    fn of(acts: &Acts, state: CallState) -> Known {
        let known = std::pin::pin!(known(acts, CALL, ready(Ok::<_, Infallible>(state))));
        match known.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(known)) => known,
            _ => panic!("it waits for nobody"),
        }
    }

    const CALL: IntentId = IntentId([7; 16]);

    #[test]
    fn c4_what_was_done_to_the_tree_is_done_once_in_a_process_and_not_again_in_the_next() {
        let acts = Acts::default();
        assert_eq!(of(&acts, CallState::Open { earlier: false }), Known::Nothing);
        assert_eq!(of(&acts, CallState::Open { earlier: true }), Known::Earlier);
        let killed: Outcome = Ok(b"killed".to_vec());
        assert_eq!(of(&acts, CallState::Known(killed.clone(), 1)), Known::Outcome(killed.clone()));
        acts.note(CALL, killed.clone());
        // Its result could not be written, say: it is asked for again.
        assert_eq!(of(&acts, CallState::Open { earlier: false }), Known::Outcome(killed));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let acts = Acts::default();
        for n in 0..=REMEMBERED_MAX {
            acts.note(IntentId((n as u128).to_le_bytes()), Ok(Vec::new()));
        }
        assert_eq!(acts.outcome_of(IntentId([0; 16])), None);
        assert!(acts.outcome_of(IntentId(1_u128.to_le_bytes())).is_some());
    }
}
