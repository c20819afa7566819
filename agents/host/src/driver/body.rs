//! An agent's incarnation from its start to its end: what it waits for, and what it does between two waits.
//!
//! What an agent holds while it waits is [`live`]'s future and its [`Agent`], ten thousand times over: all that is needed only while
//! it works has a box of its own, and a turn that waits is held by nobody. Start reading at [`agent_body`].

use super::agent::make;
use super::end::Failed;
use super::handover::HandedOver;
use super::parked::{Over, Waits};
use super::patience::Patience;
use super::turn::Agent;
use super::{AgentPlan, HostServices, ModuleSource};
use crate::engine::Background;
use loket_runtime::{Body, ChildContext, Door};
use loket_supervision::machine::Exit;
use loket_turn::{NextTurn, simulation};
use std::pin::Pin;
use std::sync::Arc;

/// The body of an agent's incarnation.
///
/// `background` gives the background queue of the lane that it is called on.
pub fn agent_body(
    services: Arc<HostServices>,
    plan: AgentPlan,
    source: ModuleSource,
    background: fn() -> Background,
) -> Body {
    Box::new(move |context| {
        let at = (context.lane.index(), context.incarnation, context.control.clone());
        let making = Box::pin(make(services, plan, source, background(), at));
        Box::pin(live(making, Box::new(context)))
    })
}

/// How an agent's incarnation comes to be.
type Making = Pin<Box<dyn Future<Output = Result<Box<Agent>, Failed>>>>;

async fn live(making: Making, mut context: Box<ChildContext>) -> Exit {
    let mut agent = match making.await {
        Ok(agent) => agent,
        Err(failed) => return failed.exit(),
    };
    context.control.started();
    // From here on the node may be up, and asked from outside, before this thread goes on.
    simulation::interrupted().await;
    let mut next = Next::TakeOver;
    let mut patience = Patience::default();
    loop {
        if context.control.is_stopping() {
            if agent.services.stop_all.is_raised() {
                return Exit::Shutdown;
            }
            return Box::pin(agent.leave()).await;
        }
        next = match next {
            Next::Idle => {
                context.control.stuck(false);
                match woken(&context).await {
                    true => Next::Look,
                    false => continue,
                }
            }
            // A message that waits on, or an operator's word: the ledger knows which.
            Next::Held => match woken(&context).await {
                true => Next::TakeOver,
                false => return Exit::Shutdown,
            },
            Next::Parked(mut waits) => match waits.over(&context).await {
                Over::Arrived => Next::Look,
                Over::Woken => Next::Woken(waits),
                Over::Stopped => return Exit::Shutdown,
            },
            work => match Box::pin(agent.work_or_stop(work, &mut patience, &context)).await {
                Ok(next) => next,
                Err(exit) => return exit,
            },
        };
    }
}

/// Waits until the agent is woken: `true`, or asked to stop: `false`.
async fn woken(context: &ChildContext) -> bool {
    tokio::select! {
        biased;
        () = context.control.stop() => false,
        () = rung(context) => true,
    }
}

pub(super) async fn rung(context: &ChildContext) {
    match &context.door {
        Door::Agent(bell) => bell.notified().await,
        // Nobody wakes it; a stop ends it.
        _ => std::future::pending().await,
    }
}

/// What an incarnation does next.
pub(super) enum Next {
    /// Ask the ledger who it is: at first, and whenever it cannot know what became of its last write.
    TakeOver,
    /// Ask for the next message.
    Look,
    /// Wait for one.
    Idle,
    /// Wait for the result of a call of its turn.
    Parked(Waits),
    /// See whether it still waits for that.
    Woken(Waits),
    /// Handle one.
    Turn(Box<NextTurn>),
    /// Handle one that the incarnation before has handed over.
    HandedOver(Box<HandedOver>),
    /// Take none until an operator acts (rule G4).
    Held,
}

impl Next {
    pub(super) fn of(turn: Option<NextTurn>) -> Self {
        turn.map_or(Self::Idle, |turn| Self::Turn(Box::new(turn)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<A, B, F>(_: fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    /// What every agent holds while it waits, beside what is in its `Agent`.
    #[test]
    fn h1_what_waits_is_small() {
        let held = bytes(live);
        assert!(held <= 384, "{held} bytes for each agent");
        assert!(size_of::<Agent>() <= 256, "{} bytes", size_of::<Agent>());
    }
}
