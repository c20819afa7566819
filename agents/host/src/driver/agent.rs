//! An agent's incarnation: takes over in the ledger, then one turn after the other until it is stopped or one fails.

use super::begin::Pinned;
use super::brain::Brain;
use super::end::{Failed, Stopped};
use super::turn::Agent;
use super::{AgentPlan, HostServices, ModuleSource, metrics};
use crate::engine::Background;
use loket_runtime::{Body, ChildContext, Door};
use loket_supervision::machine::Exit;
use loket_turn::{Blame, Fail, FailVerdict, Hash, IntentId, NextTurn, chain_after};
use std::sync::Arc;
use tokio::sync::Notify;

/// The body of an agent's incarnation.
///
/// `background` gives the background queue of the lane that it is called on.
pub fn agent_body(
    services: HostServices,
    plan: AgentPlan,
    source: ModuleSource,
    background: fn() -> Background,
) -> Body {
    Box::new(move |context| Box::pin(live(services, plan, source, background, context)))
}

async fn live(
    services: HostServices,
    plan: AgentPlan,
    source: ModuleSource,
    background: fn() -> Background,
    mut context: ChildContext,
) -> Exit {
    let Door::Agent(door) = context.door.clone() else {
        return Failed::host("start", "an agent was given a door that is not an agent's").exit();
    };
    let taken = take_over(services, plan, source, background(), &context).await;
    let (mut agent, mut next) = match taken {
        Ok(taken) => taken,
        Err(failed) => return failed.exit(),
    };
    context.control.started();
    loop {
        let Some(turn) = next.take() else {
            tokio::select! {
                biased;
                () = context.control.stop() => return Exit::Shutdown,
                () = door.notified() => {}
            }
            next = match agent.look().await {
                Ok(next) => next,
                Err(failed) => return failed.exit(),
            };
            continue;
        };
        if context.control.is_stopping() {
            return Exit::Shutdown;
        }
        let n = turn.n;
        let attempt_of = agent.key(n);
        next = match agent.turn(turn).await {
            Ok(next) => next,
            Err(Stopped::Parked(intent)) => {
                metrics::turn("parked");
                match agent.parked(intent, &attempt_of, &context).await {
                    Ok(true) => match agent.look().await {
                        Ok(next) => next,
                        Err(failed) => return failed.exit(),
                    },
                    Ok(false) => return Exit::Shutdown,
                    Err(failed) => return failed.exit(),
                }
            }
            Err(Stopped::Failed(failed)) => return agent.failed(n, failed).await,
            Err(Stopped::Quarantined(reason)) => {
                return quarantined(&agent, &reason, &context, &door).await;
            }
        };
    }
}

/// Loads what the agent runs, then fences older incarnations (rule J4).
async fn take_over(
    services: HostServices,
    plan: AgentPlan,
    source: ModuleSource,
    background: Background,
    context: &ChildContext,
) -> Result<(Agent, Option<NextTurn>), Failed> {
    let doors = context.lane.index().and_then(|lane| services.doors.get(lane)).cloned();
    let Some(doors) = doors else {
        return Err(Failed::host("start", "the lane has no doors"));
    };
    let module = services.modules.source(source).await.map_err(|message| Failed {
        cause: "module",
        blame: Blame::Config,
        message,
        backtrace: String::new(),
    })?;
    let present = Pinned::present(&services, &plan, module).await?;
    let state = services
        .ledger
        .open(plan.name.clone(), context.incarnation)
        .await
        .map_err(|error| Failed::environment("ledger", error.to_string()))?;
    let brain = Brain {
        agent: plan.name.clone(),
        incarnation: context.incarnation,
        store: doors.store.clone(),
    };
    let agent = Agent {
        services,
        plan,
        doors,
        background,
        incarnation: context.incarnation,
        present,
        brain,
        life: state.life,
        epoch: state.epoch,
        done: state.done,
        chain: state.chain,
    };
    Ok((agent, state.next))
}

impl Agent {
    /// Asks the ledger for the next turn.
    async fn look(&self) -> Result<Option<NextTurn>, Failed> {
        let next = self.services.ledger.next(self.plan.name.clone(), self.incarnation).await;
        next.map_err(|error| Failed::environment("ledger", error.to_string()))
    }

    /// Waits without an instance until the call's result is there. `false` when the agent was stopped meanwhile (rule H1).
    async fn parked(
        &self,
        intent: IntentId,
        turn: &loket_turn::TurnKey,
        context: &ChildContext,
    ) -> Result<bool, Failed> {
        let arrives = self.services.waiters.result(intent);
        let arrives = arrives.map_err(|error| Failed::environment("park", error.to_string()))?;
        let known = self.services.ledger.park(turn.clone(), intent).await;
        if known.map_err(|error| Failed::environment("ledger", error.to_string()))?.is_some() {
            return Ok(true);
        }
        tokio::select! {
            biased;
            () = context.control.stop() => Ok(false),
            _ = arrives => Ok(true),
        }
    }

    /// Notes the failed attempt in the ledger, then ends with the exit that the supervisor is to see (rules G1, G3).
    async fn failed(&self, n: loket_turn::TurnNo, failed: Failed) -> Exit {
        metrics::turn("failed");
        let exit = failed.exit();
        let fail = Fail {
            turn: self.key(n),
            cause: failed.cause.to_owned(),
            blame: failed.blame,
            message: failed.message.clone(),
            backtrace: failed.backtrace.clone(),
            max_attempts: self.plan.spec.max_attempts,
            chain_if_skipped: chain_after(self.chain, n, Hash::default()),
            now_ms: self.services.clock.now().0,
        };
        match self.services.ledger.fail(fail).await {
            Ok(FailVerdict::Retry { attempts }) => tracing::warn!(
                agent = %self.plan.name, n = n.0, attempts, cause = failed.cause,
                blame = failed.blame.as_str(), "turn failed: {}", failed.message
            ),
            Ok(FailVerdict::Letter { letter }) => {
                metrics::turn("letter");
                tracing::error!(
                    agent = %self.plan.name, n = n.0, letter = letter.0, cause = failed.cause,
                    "the message is a dead letter; see `loket letters show {letter}`: {}", failed.message
                );
            }
            Err(error) => tracing::error!(
                agent = %self.plan.name, n = n.0, code = error.code(),
                "the failed attempt was not noted: {error}"
            ),
        }
        exit
    }
}

/// Takes no turns until an operator acts; the inbox still accepts up to its bound (rule G4).
async fn quarantined(
    agent: &Agent,
    reason: &str,
    context: &ChildContext,
    door: &Arc<Notify>,
) -> Exit {
    metrics::turn("quarantined");
    tracing::error!(agent = %agent.plan.name, "quarantined, it takes no turns: {reason}");
    loop {
        tokio::select! {
            biased;
            () = context.control.stop() => return Exit::Shutdown,
            () = door.notified() => {
                tracing::warn!(agent = %agent.plan.name, "a message waits for a quarantined agent");
            }
        }
    }
}
