//! The beginning of a guest's call, which for most is the whole of it: a record or an idle provider of the lane answers before the
//! guest's own call has returned. What is not answered then goes on in [`super::calls`].
//!
//! Must never wait: it runs on the guest's fibre. Start reading at [`Counter::begin`].

use super::calls::{Counter, RESEND_AFTER_MS};
use super::end::Halt;
use crate::engine::{self, Abort, AtOnce, Host, SliceVerdict};
use loket_kernel::{Chain, Envelope, Moment};
use loket_runtime::{Cargo, Reply, TurnCall};
use loket_turn::simulation::{Mutation, broken};
use loket_turn::{Answered, EffectClass, Failure, Live, Outcome, Step, Stop};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

/// Names of a turn that are kept: looked through one by one, so few.
const NAMES_MAX: usize = 8;

/// A call that goes, or has gone, to the kernel.
pub(super) struct Call {
    pub(super) live: Live,
    /// The turn's clock at this call (rule C9).
    pub(super) clock_ms: u64,
    pub(super) name: Arc<str>,
    pub(super) args: Vec<u8>,
}

/// What became of a sending.
pub(super) enum Sent {
    /// The kernel's mailbox did not take it.
    Rejected(Failure),
    /// The answer will come here.
    Waits(oneshot::Receiver<Reply>),
    /// It has come.
    Told(Reply),
    /// The provider's incarnation ended without one.
    Lost,
}

/// A call that was not answered at once.
pub(super) enum OnTheWay {
    /// Its first sending is out.
    Sent(Call, Sent),
    /// A Once call that an earlier run of the turn has sent: nothing is.
    Once(Call),
}

/// How a call begins. What moves at each call is an outcome; what waits is in a box, since it waits.
enum Begun {
    Answered(Outcome),
    OnTheWay(Box<OnTheWay>),
}

impl Sent {
    /// The answer; `None` when the provider's incarnation ended without one.
    pub(super) async fn told(self) -> Result<Option<Reply>, Failure> {
        match self {
            Self::Rejected(failure) => Err(failure),
            Self::Waits(answer) => Ok(answer.await.ok()),
            Self::Told(reply) => Ok(Some(reply)),
            Self::Lost => Ok(None),
        }
    }
}

impl Host for Rc<Counter> {
    async fn call(&mut self, capability: String, args: Vec<u8>) -> Result<engine::Answer, Abort> {
        match AtOnce::call(&**self, &capability, &args) {
            Some(answer) => answer,
            None => self.rest().await,
        }
    }

    fn at_once(&self) -> Option<Rc<dyn AtOnce>> {
        Some(Rc::clone(self) as Rc<dyn AtOnce>)
    }

    async fn rest(&mut self) -> Result<engine::Answer, Abort> {
        let Some(on_the_way) = self.on_the_way.take() else {
            return Err(Abort::Host("no call is on its way".to_owned()));
        };
        let answered = self.arrive(*on_the_way).await;
        self.in_call.set(false);
        self.told(answered)
    }

    fn slice(&mut self) -> SliceVerdict {
        match self.ends_at_ms.map(|end| end.saturating_add(self.paused_ms.get())) {
            Some(end) if self.clock.monotonic_ms() >= end => SliceVerdict::Deadline,
            _ => SliceVerdict::Continue,
        }
    }
}

impl AtOnce for Counter {
    fn call(&self, capability: &str, args: &[u8]) -> Option<Result<engine::Answer, Abort>> {
        self.in_call.set(true);
        let answered = match self.begin(capability, args) {
            Ok(Begun::Answered(Ok(result))) => Ok(Ok(result)),
            Ok(Begun::Answered(outcome)) => self.told(Ok(outcome)),
            Ok(Begun::OnTheWay(on_the_way)) => {
                self.on_the_way.set(Some(on_the_way));
                return None;
            }
            Err(halt) => self.told(Err(halt)),
        };
        self.in_call.set(false);
        Some(answered)
    }
}

fn to_guest(failure: Failure) -> engine::Failure {
    let Failure { code, message, retryable, retry_after_ms } = failure;
    engine::Failure { code, message, retryable, retry_after_ms }
}

impl Counter {
    /// What the guest is told, or how its turn ends.
    fn told(&self, answered: Result<Outcome, Halt>) -> Result<engine::Answer, Abort> {
        let halt = match answered {
            Ok(outcome) => return Ok(outcome.map_err(to_guest)),
            Err(halt) => halt,
        };
        let abort = match &halt {
            Halt::Park(_) | Halt::Away(_) => Abort::Park,
            Halt::Diverged(_) => Abort::Divergence,
            Halt::Over(text) | Halt::Environment(text) => Abort::Host(text.clone()),
        };
        self.halt.set(Some(halt));
        Err(abort)
    }

    /// Decides the call, sends it, and looks whether the answer is there: one that was taken in place is.
    #[inline]
    fn begin(&self, capability: &str, args: &[u8]) -> Result<Begun, Halt> {
        let (step, clock_ms) = {
            let mut journal = self.journal();
            (journal.next_call(capability, args), journal.clock_ms())
        };
        let live = match step {
            Ok(Step::Answer(outcome)) => return Ok(Begun::Answered(outcome)),
            Ok(Step::Send(live)) => live,
            Err(stop) => return Err(stopped(stop)),
        };
        let name = self.name(capability);
        if live.resend == Some(EffectClass::Once) && !broken(Mutation::OnceResent) {
            let call = Call { live, clock_ms, name, args: args.to_vec() };
            return Ok(Begun::OnTheWay(Box::new(OnTheWay::Once(call))));
        }
        let mut answer = match self.post(&live, clock_ms, &name, args) {
            Ok(answer) => answer,
            Err(failure) => {
                let call = Call { live, clock_ms, name, args: args.to_vec() };
                return Ok(waits(call, Sent::Rejected(failure)));
            }
        };
        let told = answer.try_recv();
        // Nearly all are this: nothing is kept of them, and nothing else is to be looked at.
        if let Ok(Reply::Done { class, outcome: Ok(result), .. }) = &told
            && self.journal().passes(&live, *class, capability, args, result)
            && let Ok(Reply::Done { outcome, .. }) = told
        {
            return Ok(Begun::Answered(outcome));
        }
        let sent = match told {
            Ok(Reply::Done { class, outcome, recorded_ms, effect }) => {
                let outcome = outcome.map_err(|failure| self.explained(&name, failure));
                let answered = self.settle(&live, class, outcome, recorded_ms, effect)?;
                return Ok(Begun::Answered(self.finish(&live, capability, args, answered)));
            }
            Ok(reply) => Sent::Told(reply),
            Err(TryRecvError::Empty) => Sent::Waits(answer),
            Err(TryRecvError::Closed) => Sent::Lost,
        };
        let call = Call { live, clock_ms, name, args: args.to_vec() };
        Ok(waits(call, sent))
    }

    /// The answer to a call that had to wait.
    async fn arrive(&self, on_the_way: OnTheWay) -> Result<Outcome, Halt> {
        let began_ms = self.clock.monotonic_ms();
        let (call, mut answered) = match on_the_way {
            OnTheWay::Sent(call, sent) => {
                let answered = self.live(&call, sent).await?;
                (call, answered)
            }
            OnTheWay::Once(call) => {
                let answered = self.once_again(&call).await?;
                (call, answered)
            }
        };
        answered.took_ms = self.clock.monotonic_ms().saturating_sub(began_ms);
        Ok(self.finish(&call.live, &call.name, &call.args, answered))
    }

    /// Nothing is told to the guest before the journal, and the budgets, know of it.
    fn finish(&self, live: &Live, capability: &str, args: &[u8], answered: Answered) -> Outcome {
        let recorded = answered.outcome.is_err() || answered.class.records_success();
        let outcome = self.journal().finish(live, capability, args, answered);
        if let Some(purse) = self.purse().filter(|_| recorded) {
            purse.with(|purse, _| purse.recorded());
        }
        outcome
    }

    /// The name as envelopes carry it: made once a turn for the few that its guest calls again and again.
    fn name(&self, capability: &str) -> Arc<str> {
        let mut names = self.names.borrow_mut();
        if let Some(known) = names.iter().find(|known| &***known == capability) {
            return Arc::clone(known);
        }
        let name: Arc<str> = capability.into();
        if names.len() < NAMES_MAX {
            names.push(Arc::clone(&name));
        }
        name
    }

    /// Sends a call; an idle kernel shard, and an idle provider, have handled it when this returns.
    pub(super) fn send(&self, call: &Call) -> Sent {
        match self.post(&call.live, call.clock_ms, &call.name, &call.args) {
            Ok(answer) => Sent::Waits(answer),
            Err(failure) => Sent::Rejected(failure),
        }
    }

    /// Gives where the answer will be, or why the kernel's mailbox did not take the call.
    fn post(
        &self,
        live: &Live,
        clock_ms: u64,
        name: &Arc<str>,
        args: &[u8],
    ) -> Result<oneshot::Receiver<Reply>, Failure> {
        let (reply, answer) = oneshot::channel();
        let turn = TurnCall { turn: Arc::clone(&self.turn), live: live.clone(), clock_ms };
        let envelope = Envelope {
            from: self.from,
            capability: Arc::clone(name),
            args: args.to_vec(),
            chain: Chain::default(),
            deadline: self.deadline.map(|at| Moment(at.0.saturating_add(self.paused_ms.get()))),
            cargo: Cargo { turn: Some(turn), reply },
        };
        match self.kernel.send(envelope) {
            Ok(()) => Ok(answer),
            Err(rejected) => {
                let text = format!("the kernel did not take the call: {}", rejected.error);
                Err(Failure::retryable("overloaded", text, Some(RESEND_AFTER_MS)))
            }
        }
    }
}

fn waits(call: Call, sent: Sent) -> Begun {
    Begun::OnTheWay(Box::new(OnTheWay::Sent(call, sent)))
}

fn stopped(stop: Stop) -> Halt {
    match stop {
        Stop::Diverged(diverged) => Halt::Diverged(diverged),
        Stop::TooManyCalls { limit } => Halt::Over(format!("more than {limit} calls in one turn")),
        _ => {
            let limit = loket_turn::limits::RECORD_BYTES_PER_TURN_MAX;
            Halt::Over(format!("more than {limit} bytes of records in one turn"))
        }
    }
}
