//! What an agent's incarnation does: takes over in the ledger, then one turn after the other until it is stopped or one fails.
//!
//! When it does what is in [`super::body`]. Start reading at [`Agent::work`].

use super::begin::Pinned;
use super::body::Next;
use super::brain::{Brain, CORRUPT, HELD};
use super::end::{EXCHANGED, Failed, Stopped};
use super::handover::Opening;
use super::patience::Patience;
use super::pause::Pauses;
use super::turn::{Agent, counted, written};
use super::{AgentPlan, HostServices, ModuleSource, metrics};
use crate::engine::Background;
use loket_runtime::{ChildContext, Control};
use loket_supervision::machine::{Exit, Rule};
use loket_turn::{
    AgentState, Blame, CallNo, Enrol, Epoch, Fail, FailVerdict, Hash, LedgerError, Life, NextTurn,
    Quarantine, Release, TurnNo, chain_after,
};
use std::rc::Rc;
use std::sync::Arc;

/// What a turn came to, for the loop.
enum Stepped {
    On(Next),
    Quarantined(Quarantine),
    Ended(Exit),
}

/// Loads what the agent runs. Nothing of the ledger is touched yet.
pub(super) async fn make(
    services: Arc<HostServices>,
    plan: AgentPlan,
    source: ModuleSource,
    background: Background,
    (lane, incarnation, control): (Option<usize>, u64, Control),
) -> Result<Box<Agent>, Failed> {
    let doors = lane.and_then(|lane| services.doors.get(lane)).cloned();
    let Some(doors) = doors else {
        return Err(Failed::host("start", "the lane has no doors"));
    };
    let module = services.modules.source(source).await.map_err(|message| Failed {
        cause: "module",
        blame: Blame::Config,
        message,
        backtrace: String::new(),
        fatal: true,
    })?;
    let brain = Brain {
        agent: plan.name.clone(),
        incarnation,
        store: doors.store,
        clock: services.clock.clone(),
    };
    Ok(Box::new(Agent {
        present: Pinned::present(&plan, module)?,
        pauses: Pauses::new(&control, &services.clock, plan.spec.pause_max_ms),
        services,
        own: plan.into(),
        kernel: doors.kernel,
        background,
        brain,
        life: Life::default(),
        epoch: Epoch::default(),
        level: false,
        unsure: false,
        done: TurnNo::default(),
        durable: TurnNo::default(),
        chain: Hash::default(),
        in_call: Rc::default(),
        purse: None,
    }))
}

impl Agent {
    /// Works, until all is to stop. What is dropped then is dropped as by a kill: nothing of it is lost, the next start runs it
    /// again.
    pub(super) async fn work_or_stop(
        &mut self,
        next: Next,
        patience: &mut Patience,
        context: &ChildContext,
    ) -> Result<Next, Exit> {
        let all = self.services.stop_all.clone();
        let done = tokio::select! {
            biased;
            () = all.raised() => None,
            done = self.work(next, patience, context) => Some(done),
        };
        match done {
            Some(done) => done,
            None => {
                // An end before the supervisor asks for it would be a crash to restart from.
                context.control.stop().await;
                Err(Exit::Shutdown)
            }
        }
    }

    /// Does what an incarnation does next, and sorts what went wrong.
    async fn work(
        &mut self,
        next: Next,
        patience: &mut Patience,
        context: &ChildContext,
    ) -> Result<Next, Exit> {
        let (next, opening) = match next {
            Next::HandedOver(it) => (Next::Turn(Box::new(it.turn)), Some(it.opening)),
            other => (other, None),
        };
        let done = match next {
            Next::TakeOver => self.take_over().await,
            Next::Turn(turn) => match self.step(*turn, opening, context).await {
                Ok(Stepped::On(next)) => {
                    context.control.stuck(false);
                    *patience = Patience::default();
                    Ok(next)
                }
                Ok(Stepped::Quarantined(why)) => {
                    self.quarantine(why).await;
                    Ok(Next::Held)
                }
                Ok(Stepped::Ended(exit)) => return Err(exit),
                Err(failed) => Err(failed),
            },
            Next::Woken(waits) => match self.is_elsewhere().await {
                Ok(true) => Ok(Next::Look),
                Ok(false) => Ok(Next::Parked(waits)),
                Err(failed) => Err(failed),
            },
            _ => self.look().await,
        };
        match done {
            Ok(next) => Ok(next),
            Err(failed) => self.recover(failed, patience, context).await,
        }
    }

    /// Pins what it runs, fences older incarnations and learns how far the ledger is (rules B1, J4).
    async fn take_over(&mut self) -> Result<Next, Failed> {
        if let Some(left) = self.services.handovers.take(&self.own.name)
            && self.life == Life::default()
            && let Some(next) = self.go_on_from(left)
        {
            return Ok(next);
        }
        // Asked together, so that they are answered together.
        let (pinned, state) = tokio::join!(self.present.pin(&self.services), self.open());
        pinned?;
        let mut state = state.map_err(|error| Failed::ledger(&error))?;
        let (terms, above) = (self.own.terms(), self.own.above());
        if state.has_budgets || !terms.is_empty() || !above.is_empty() {
            let (name, ledger) = (self.own.name.clone(), &self.services.ledger);
            let budgets = ledger.set_budgets(name, self.brain.incarnation, terms, above).await;
            let budgets = budgets.map_err(|error| Failed::ledger(&error))?;
            if let Some(next) = &mut state.next {
                next.budgets = budgets;
            }
        }
        let first = self.life == Life::default();
        (self.life, self.epoch) = (state.life, state.epoch);
        (self.done, self.durable, self.chain) = (state.done, state.durable, state.chain);
        self.unsure = false;
        if let Some(why) = state.quarantine {
            if first && why.cause == CORRUPT {
                // Somebody may have mended the file before this start; if not, the next turn finds it damaged again.
                let (name, how) = (self.own.name.clone(), Release::AcceptRerun);
                let released =
                    self.services.ledger.release_quarantine(name, how, false, None).await;
                released.map_err(|error| Failed::ledger(&error))?;
                return Ok(Next::TakeOver);
            }
            tracing::warn!(agent = %self.own.name, cause = why.cause, "in quarantine: {}", why.reason);
            return Ok(Next::Held);
        }
        self.level = state.durable >= state.done;
        if state.next.is_none()
            && !self.level
            && let Some(why) = self.bring_up_idle().await?
        {
            self.quarantine(why).await;
            return Ok(Next::Held);
        }
        Ok(Next::of(state.next))
    }

    /// Its state in the ledger; a new life, if it had ended for good and is started once more.
    async fn open(&self) -> Result<AgentState, LedgerError> {
        let (ledger, name) = (&self.services.ledger, &self.own.name);
        match (ledger.open(name.clone(), self.brain.incarnation).await, &self.own.enrol) {
            (Err(LedgerError::NoSuchAgent(_)), Some(enrol)) => {
                ledger.enrol(vec![Enrol::clone(enrol)]).await?;
                ledger.open(name.clone(), self.brain.incarnation).await
            }
            (opened, _) => opened,
        }
    }

    /// An orderly end leaves no brain behind the ledger (rule E4), also one that had not been looked at yet. The supervisor's
    /// `shutdown` bounds it; what is left undone, the next start does.
    pub(super) async fn leave(&mut self) -> Exit {
        let known = self.life != Life::default() && !self.unsure;
        let left = match (self.level && known, known) {
            (true, _) => Ok(()),
            (false, true) => self.bring_up_idle().await.map(drop),
            (false, false) => match self.take_over().await {
                Ok(Next::Held) => Ok(()),
                Ok(_) if !self.level => self.bring_up_idle().await.map(drop),
                other => other.map(drop),
            },
        };
        if let Err(failed) = left {
            tracing::warn!(agent = %self.own.name, "the brain is left behind: {}", failed.message);
        }
        Exit::Shutdown
    }

    /// Asks the ledger for the next turn.
    async fn look(&self) -> Result<Next, Failed> {
        let next = self.services.ledger.next(self.own.name.clone(), self.brain.incarnation).await;
        next.map(Next::of).map_err(|error| Failed::ledger(&error))
    }

    /// One turn, and what follows from it. `opening`: its take-over, which it did not wait for.
    async fn step(
        &mut self,
        turn: NextTurn,
        opening: Option<Opening>,
        context: &ChildContext,
    ) -> Result<Stepped, Failed> {
        let n = turn.n;
        let ran = match turn.parked_on {
            // It was parked when the process or the incarnation ended, and nothing has come since.
            Some(intent) => Err(Stopped::Parked(intent)),
            None => self.turn(turn, &context.control).await,
        };
        if let Some(opening) = opening {
            self.opened(opening.await)?;
        }
        match ran {
            Ok(next) => Ok(Stepped::On(Next::of(next))),
            Err(Stopped::Parked(intent)) => {
                metrics::turn("parked");
                let waits = self.park(intent, self.key(n)).await?;
                Ok(Stepped::On(waits.map_or(Next::Look, Next::Parked)))
            }
            Err(Stopped::Paused(provider)) => {
                self.set_aside(n, &provider, &context.control).await?;
                Ok(Stepped::On(Next::TakeOver))
            }
            Err(Stopped::Failed(failed)) if failed.cause == CORRUPT => Err(failed),
            Err(Stopped::Failed(failed)) if failed.blame == Blame::Environment => Err(failed),
            Err(Stopped::Failed(failed)) => {
                Ok(Stepped::Ended(self.failed(n, failed, &context.control).await))
            }
            Err(Stopped::Quarantined(why)) => Ok(Stepped::Quarantined(why)),
        }
    }

    /// The word on a take-over that was not waited for. Refused, it is the reason of whatever else went wrong: nothing of the turn
    /// was written then, and nothing is known of the agent.
    fn opened(&mut self, opened: Result<AgentState, LedgerError>) -> Result<(), Failed> {
        opened.map(drop).map_err(|error| {
            (self.life, self.level) = (Life::default(), false);
            Failed::ledger(&error)
        })
    }

    /// The chain hash after turn `n`, should it be skipped (rule G3).
    pub(super) fn chain_if_skipped(&self, n: TurnNo) -> Hash {
        chain_after(self.chain, n, Hash::default())
    }

    /// What follows from a failure that is not the guest's: an order of the fleet file, a wait, a quarantine, or the end.
    async fn recover(
        &mut self,
        failed: Failed,
        patience: &mut Patience,
        context: &ChildContext,
    ) -> Result<Next, Exit> {
        // Without a rule a damaged brain is looked at by an operator: no restart mends it.
        if failed.cause == CORRUPT {
            if let Some(exit) = self.ruled(&failed) {
                return Err(exit);
            }
            let n = TurnNo(self.done.0 + 1);
            self.quarantine(self.because(CORRUPT, failed.message, n, None)).await;
            return Ok(Next::Held);
        }
        if failed.blame != Blame::Environment || failed.fatal {
            return Err(failed.exit());
        }
        if failed.cause == EXCHANGED {
            return Ok(Next::TakeOver);
        }
        // The machine's fault costs no attempt and no restart: the agent waits until it is over (rules F2, J3).
        metrics::turn("environment");
        if let Some(exit) = self.ruled(&failed) {
            return Err(exit);
        }
        self.unsure = true;
        context.control.stuck(failed.cause == HELD);
        let pause = patience.next();
        tracing::warn!(
            agent = %self.own.name, cause = failed.cause, again_ms = pause,
            "waiting for the machine: {}", failed.message
        );
        tokio::select! {
            biased;
            // Who leaves asks the ledger first: the turn may have ended there, and the brain be behind it (rule E4).
            () = context.control.stop() => {}
            () = self.services.clock.sleep(pause) => {}
        }
        Ok(Next::TakeOver)
    }

    /// The exit, if the fleet file's `on` has a rule for this failure: then the supervisor is to act on it.
    fn ruled(&self, failed: &Failed) -> Option<Exit> {
        let exit = failed.exit();
        Rule::named(&self.own.spec.rules, &exit).then_some(exit)
    }

    /// Notes the failed attempt in the ledger, then ends with the exit that the supervisor is to see (rules G1, G3).
    async fn failed(&self, n: TurnNo, failed: Failed, control: &Control) -> Exit {
        metrics::turn("failed");
        let mut exit = failed.exit();
        let fail = Fail {
            turn: self.key(n),
            cause: failed.cause.to_owned(),
            blame: failed.blame,
            message: failed.message.clone(),
            backtrace: failed.backtrace.clone(),
            max_attempts: self.own.spec.max_attempts,
            counted: counted(self.purse.as_deref()),
            chain_if_skipped: self.chain_if_skipped(n),
            now_ms: self.services.clock.now().0,
        };
        // Both are asked at once; what comes next is read behind the failed attempt.
        let ledger = &self.services.ledger;
        let failing = ledger.fail(fail);
        let next = ledger.next(self.own.name.clone(), self.brain.incarnation);
        let noted = failing.await;
        if let Ok(verdict) = &noted {
            written(self.purse.as_deref());
            if let Ok(Some(next)) = next.await {
                self.hand_over(n, verdict, next);
            }
        }
        match noted {
            Ok(FailVerdict::Retry { attempts }) => tracing::warn!(
                agent = %self.own.name, n = n.0, attempts, cause = failed.cause,
                blame = failed.blame.as_str(), "turn failed: {}", failed.message
            ),
            Ok(FailVerdict::Letter { letter }) => {
                metrics::turn("letter");
                exit = Exit::Poison { reason: Box::new(exit) };
                // A supervisor may charge for it (rule G5).
                control.letter();
                tracing::error!(
                    agent = %self.own.name, n = n.0, letter = letter.0, cause = failed.cause,
                    "the message is a dead letter; see `loket letters show {letter}`: {}", failed.message
                );
            }
            Err(error) => tracing::error!(
                agent = %self.own.name, n = n.0, code = error.code(),
                "the failed attempt was not noted: {error}"
            ),
        }
        exit
    }

    /// Why this agent takes no more turns.
    pub(super) fn because(
        &self,
        cause: &str,
        reason: impl Into<String>,
        n: TurnNo,
        call: Option<CallNo>,
    ) -> Quarantine {
        let at_ms = self.services.clock.now().0;
        Quarantine { cause: cause.to_owned(), reason: reason.into(), n, call, at_ms }
    }

    /// Takes no turns until an operator acts; the inbox still accepts up to its bound (rule G4). Should the ledger not note it, the
    /// next incarnation comes to the same end by itself.
    async fn quarantine(&self, why: Quarantine) {
        metrics::turn("quarantined");
        tracing::error!(
            agent = %self.own.name, cause = why.cause, n = why.n.0,
            "quarantined, it takes no turns; see `loket quarantine show {}`: {}", self.own.name, why.reason
        );
        let (key, name) = (self.key(why.n), &self.own.name);
        if let Err(error) = self.services.ledger.quarantine(key, why).await {
            tracing::error!(agent = %name, code = error.code(), "the quarantine was not noted: {error}");
        }
    }
}
