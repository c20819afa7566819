//! A guest's calls: from the record, or through the kernel and back.
//!
//! Must never answer a live call without telling the journal, nor let a guest see what no record holds (rule C6).

use super::approval::Approval;
use super::end::Halt;
use super::pause::{Pauses, RESTARTING_RETRY_MS};
use super::sending::{Call, OnTheWay, Sent};
use loket_contract::CODE_ENVIRONMENT;
use loket_kernel::{Address, Grant, Moment};
use loket_runtime::{
    Authority, CallEnvelope, Clock, Mailbox, Reply, Slots, TurnContext, TurnPurse, Waiters,
};
use loket_supervision::fleet::AgentSpec;
use loket_turn::{Answered, CallState, EffectClass, Failure, IntentId, Ledger, Live, Outcome};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, MutexGuard, PoisonError};

/// How often a call whose provider ended under it is sent again before the guest is told `restarting` (rule C4).
const SENDINGS_MAX: u32 = 5;

/// Before the first re-sending, milliseconds; doubled each time. The sum is longer than a restart without backoff takes.
pub(super) const RESEND_AFTER_MS: u64 = 20;

/// The guest's way out. Shared with the engine, which has calls answered inside the guest's own, see [`super::sending`].
pub(super) struct Counter {
    pub(super) from: Address,
    pub(super) kernel: Mailbox<CallEnvelope>,
    pub(super) turn: Arc<TurnContext>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) waiters: Arc<Waiters>,
    pub(super) authority: Arc<Authority>,
    pub(super) slots: Slots,
    pub(super) clock: Clock,
    /// The agent's spec: how long its calls wait for a person is a matter of their grants.
    pub(super) spec: Arc<AgentSpec>,
    /// How long a call waits in memory, milliseconds.
    pub(super) park_after_ms: u64,
    pub(super) deadline: Option<Moment>,
    /// When the guest's time is over, on the monotonic clock; `None` in catch-up (rule F2).
    pub(super) ends_at_ms: Option<u64>,
    pub(super) pauses: Pauses,
    /// How long this run has been paused, milliseconds: its deadlines are so much later.
    pub(super) paused_ms: Cell<u64>,
    /// Whether the guest waits for an answer: who is to blame if nothing goes on.
    pub(super) in_call: Rc<Cell<bool>>,
    /// Names of capabilities that this turn has called, a few.
    pub(super) names: RefCell<Vec<Arc<str>>>,
    /// The call that waits for its answer.
    pub(super) on_the_way: Cell<Option<Box<OnTheWay>>>,
    /// Set when the turn is stopped from inside a call.
    pub(super) halt: Cell<Option<Halt>>,
}

impl Counter {
    pub(super) fn journal(&self) -> MutexGuard<'_, loket_turn::Journal> {
        self.turn.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn's budgets, if it has any.
    pub(super) fn purse(&self) -> Option<&TurnPurse> {
        self.turn.purse.as_deref()
    }

    /// A Once call that an earlier run of this turn has sent: never sent again but on an operator's word (rule C4). Its provider
    /// is not asked either: what it or the kernel would say today is no answer to a call that may have been carried out.
    pub(super) async fn once_again(&self, call: &Call) -> Result<Answered, Halt> {
        let live = &call.live;
        if self.state_of(live.key()).await? != CallState::MaySend {
            return self.wait(live, EffectClass::Once).await;
        }
        let answered = self.live(call, self.send(call)).await?;
        if answered.durable {
            return Ok(answered);
        }
        // Refused before it left: not what the operator wanted, and still no answer.
        if let Err(failure) = &answered.outcome {
            let (agent, capability) = (&self.turn.key.agent, &call.name);
            tracing::warn!(%agent, %capability, "not sent again: {failure}");
        }
        let doubt = self.ledger.doubt(live.key()).await;
        doubt.map_err(|error| Halt::Environment(error.to_string()))?;
        self.wait(live, EffectClass::Once).await
    }

    /// A call that has been sent: sends it again until it is answered or there is no use in it.
    pub(super) async fn live(&self, call: &Call, sent: Sent) -> Result<Answered, Halt> {
        let Call { live, name, .. } = call;
        let mut wait_ms = RESEND_AFTER_MS;
        let (mut lost, mut tries) = (false, 0);
        let mut sent = Some(sent);
        // Taken back when the call has its answer, so that it lets nothing else pass.
        let mut lease = None;
        // What was given back untaken is no try: `pause_max` bounds that.
        while tries < SENDINGS_MAX {
            let sent = sent.take().unwrap_or_else(|| self.send(call));
            let told = match sent.told().await {
                Ok(told) => told,
                Err(failure) if lost => return self.give_up(live, failure).await,
                Err(failure) => return Ok(self.unrecorded(EffectClass::Pure, Err(failure))),
            };
            match told {
                // Whatever is said now is no answer to a sending that may have arrived.
                Some(Reply::Done { outcome: Err(failure), recorded_ms: None, .. }) if lost => {
                    return self.give_up(live, failure).await;
                }
                Some(Reply::Done { class, outcome, recorded_ms, effect }) => {
                    let outcome = outcome.map_err(|failure| self.explained(name, failure));
                    return self.settle(live, class, outcome, recorded_ms, effect);
                }
                Some(Reply::Deferred { class }) => return self.wait(live, class).await,
                Some(Reply::Held(beyond)) => {
                    tries += 1;
                    if beyond.is_none() {
                        // One that a long pause has outlived. Its end would take the next one along.
                        drop(lease.take());
                    }
                    match self.held(call, beyond.as_ref()).await? {
                        Approval::Go(approved) => lease = approved.or(lease),
                        Approval::Denied(answered) => return Ok(answered),
                    }
                }
                // Nobody has taken it.
                Some(Reply::Away(provider)) => {
                    if let Some(failure) = self.pause(name, &provider).await? {
                        return self.give_up(live, failure).await;
                    }
                }
                // The turn waits for the machine and is run again: whatever was done, the same key asks for the same.
                Some(Reply::Unanswered(why)) => return Err(Halt::Environment(why)),
                // The provider's incarnation ended: whatever was done, the same key asks for the same (rule C4).
                None => {
                    (lost, tries) = (true, tries + 1);
                    if let Some(answered) = self.after_loss(live).await? {
                        return Ok(answered);
                    }
                    self.clock.sleep(wait_ms).await;
                    wait_ms *= 2;
                }
            }
        }
        drop(lease);
        let failure = Failure::retryable(
            "restarting",
            format!("{SENDINGS_MAX} times {name} was called, and no answer came back"),
            Some(RESTARTING_RETRY_MS),
        );
        self.give_up(live, failure).await
    }

    /// What is known of a call whose provider ended under it, before it is sent again. A Once call that has left is not: it is in
    /// doubt, and no next incarnation has anything to say about it (rule C4).
    async fn after_loss(&self, live: &Live) -> Result<Option<Answered>, Halt> {
        match self.state_of(live.key()).await? {
            CallState::Held => self.wait(live, EffectClass::Once).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Whether an ended turn is run again, which has no deadline (rule F2).
    fn is_catch_up(&self) -> bool {
        self.ends_at_ms.is_none()
    }

    pub(super) fn unrecorded(&self, class: EffectClass, outcome: Outcome) -> Answered {
        let stamp_ms = self.clock.now().0;
        Answered { class, outcome, stamp_ms, effect: None, durable: false, took_ms: 0 }
    }

    pub(super) fn settle(
        &self,
        live: &Live,
        class: EffectClass,
        outcome: Outcome,
        recorded_ms: Option<u64>,
        effect: Option<Box<loket_turn::Effect>>,
    ) -> Result<Answered, Halt> {
        if live.pure_only && !matches!(class, EffectClass::Pure | EffectClass::Side) {
            return Err(Halt::Diverged(loket_turn::Diverged {
                call: live.call,
                recorded: "(no such call)".to_owned(),
                rerun: format!("a {} operation", class.as_str()),
            }));
        }
        if let Err(failure) = &outcome {
            // In the re-run part a failure that has no record is none that the guest saw: today's load or table must not
            // answer in its place (rule C6).
            if live.pure_only && self.is_catch_up() && !failure.retryable {
                return Err(Halt::Diverged(loket_turn::Diverged {
                    call: live.call,
                    recorded: "(no such failure)".to_owned(),
                    rerun: failure.to_string(),
                }));
            }
            if failure.code == CODE_ENVIRONMENT || live.pure_only {
                return Err(Halt::Environment(failure.to_string()));
            }
        }
        let unkept = outcome.is_ok() && !class.records_success() && live.resend.is_none();
        let (stamp_ms, durable) = match recorded_ms {
            Some(stamp_ms) => (stamp_ms, true),
            // The journal keeps nothing of it: reading the clock for it would cost as much as the rest.
            None if unkept => (0, false),
            None => (self.clock.now().0, false),
        };
        Ok(Answered { class, outcome, stamp_ms, effect, durable, took_ms: 0 })
    }

    /// A refusal for want of a grant that the turn began with says so: a turn may have waited for days (rule H1), and today's
    /// grants decide about a live call.
    pub(super) fn explained(&self, name: &str, mut failure: Failure) -> Failure {
        let covers = |grant: &&Grant| grant.capability().covers(name);
        if failure.code == "refused"
            && failure.message.starts_with("K003")
            && let Some(grant) = self.turn.pinned.iter().find(covers)
        {
            let cut = grant.capability();
            failure.message = format!(
                "a reload has cut the grant `{cut}`, with which this turn began: {}",
                failure.message
            );
        }
        failure
    }

    /// Waits for a result that another event writes; parks when it takes long or when others want the slot (rule H1).
    async fn wait(&self, live: &Live, class: EffectClass) -> Result<Answered, Halt> {
        let arrives = self.waiters.result(live.key());
        let arrives = arrives.map_err(|error| Halt::Environment(error.to_string()))?;
        // It may have been written before the line above: the ledger knows.
        if let Some((outcome, stamp_ms)) = self.known(live.key()).await? {
            return Ok(Answered {
                class,
                outcome,
                stamp_ms,
                effect: None,
                durable: true,
                took_ms: 0,
            });
        }
        tokio::select! {
            biased;
            arrived = arrives => match arrived {
                Some((outcome, stamp_ms)) => {
                    let (effect, durable, took_ms) = (None, true, 0);
                    Ok(Answered { class, outcome, stamp_ms, effect, durable, took_ms })
                }
                None => Err(Halt::Park(live.key())),
            },
            () = self.slots.contended() => Err(Halt::Park(live.key())),
            () = self.clock.sleep(self.park_after_ms) => Err(Halt::Park(live.key())),
        }
    }

    async fn state_of(&self, intent: IntentId) -> Result<CallState, Halt> {
        let state = self.ledger.state_of(intent).await;
        state.map_err(|error| Halt::Environment(error.to_string()))
    }

    async fn known(&self, intent: IntentId) -> Result<Option<(Outcome, u64)>, Halt> {
        let known = self.ledger.result_of(intent).await;
        known.map_err(|error| Halt::Environment(error.to_string()))
    }

    /// The guest is told a failure. If an intent is out, the failure becomes its result, unless an answer came first (rule C4).
    async fn give_up(&self, live: &Live, mut failure: Failure) -> Result<Answered, Halt> {
        // The guest saw another answer at the time (rule C6).
        if live.pure_only {
            return Err(Halt::Environment(failure.to_string()));
        }
        match self.state_of(live.key()).await? {
            // Nobody but a provider's answer or an operator ends a Once call that has left (rule C4).
            CallState::Held | CallState::MaySend => {
                return self.wait(live, EffectClass::Once).await;
            }
            CallState::Open { .. } => {
                failure.message.push_str("; it had left, and what became of it is not known")
            }
            CallState::Absent | CallState::Known(..) => {}
        }
        let stamp_ms = self.clock.now().0;
        let outcome = Err(failure);
        let write = loket_turn::ResultWrite {
            intent: live.key(),
            outcome: outcome.clone(),
            used: None,
            stamp_ms,
        };
        match self.ledger.result(write).await {
            Ok((kept, stamp_ms)) => {
                let class = EffectClass::Keyed;
                Ok(Answered {
                    class,
                    outcome: kept,
                    stamp_ms,
                    effect: None,
                    durable: true,
                    took_ms: 0,
                })
            }
            Err(loket_turn::LedgerError::NotFound(_)) => {
                Ok(self.unrecorded(EffectClass::Pure, outcome))
            }
            Err(error) => Err(Halt::Environment(error.to_string())),
        }
    }
}
