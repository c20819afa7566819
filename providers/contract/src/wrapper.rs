//! The journaling wrapper: one call through a provider, in the order of rule C1: admitted (the kernel did), journaled as its class
//! asks, handled, recorded, returned.
//!
//! It must never perform a Keyed or Once call before its intent is durable, nor answer one before its result is (rule C2).

use crate::budget::{self, Draws, Stopped};
use crate::failpoints::{self, Point};
use crate::serve::Desk;
use crate::{
    CallView, Operation, Performed, Provider, ProviderServices, TurnView, metrics, unsure,
};
use loket_kernel::Badge;
use loket_runtime::{AdmittedCall, Clock, Reply, TurnCall};
use loket_turn::simulation::{Mutation, broken};
use loket_turn::{
    Amounts, EffectClass, Failure, IntentWrite, IntentWritten, Journal, LedgerError, Level,
    Outcome, ResultWrite, Used,
};
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use tokio::sync::oneshot;

/// What is left of a call that could not be answered at once.
pub(crate) type InFlight = Pin<Box<dyn Future<Output = ()>>>;

/// A call after `prepare`: who waits, and what it is called.
struct Ticket {
    operation: &'static Operation,
    turn: Option<TurnCall>,
    reply: oneshot::Sender<Reply>,
    /// When it came, if it is to be timed, and by which clock.
    came: Option<(u64, Clock)>,
    /// A test has armed a fail point with these arguments.
    marked: bool,
    /// The budget that it draws on, if its grant has one.
    draws: Option<Draws>,
}

impl Ticket {
    fn class(&self) -> EffectClass {
        self.operation.class
    }

    fn at(&self, point: Point) {
        failpoints::hit(point, Some(self.class()), self.marked);
    }

    fn count(&self, ok: bool) {
        let took = |(came, clock): &(u64, Clock)| clock.monotonic_ns().saturating_sub(*came);
        let took_ns = self.came.as_ref().map(took);
        metrics::answered(self.operation.capability, ok, took_ns);
    }

    /// It is not answered at once: its time is kept, and what went before is nothing beside it.
    fn waits(&mut self, clock: &Clock) {
        self.came.get_or_insert_with(|| (clock.monotonic_ns(), clock.clone()));
    }

    /// The machine was at fault, and that is no answer. A turn waits for the machine and asks again; who has no turn is told.
    fn unanswered(self, failure: Failure) {
        if self.turn.is_none() {
            return self.done(Err(failure), None);
        }
        let capability = self.operation.capability;
        tracing::warn!(capability, "not answered, it will be asked for again: {failure}");
        metrics::unanswered(capability);
        let _ = self.reply.send(Reply::Unanswered(failure.to_string()));
    }

    /// The ledger did not write what the call needs written.
    fn not_written(self, error: &LedgerError) {
        match error.is_no_answer() {
            true => self.unanswered(Failure::new(error.code(), error.to_string())),
            false => drop(self),
        }
    }

    /// A person is asked before it goes beyond the soft limit of a budget.
    fn held(self, level: Level) {
        metrics::beyond(self.operation.capability, level.as_str());
        let _ = self.reply.send(Reply::Held(Some(level)));
    }

    /// Counts the answer's bytes.
    fn answered(&self, answer: &[u8], written: bool) {
        if let Some(draws) = self.draws {
            draws.answered(self.turn.as_ref(), answer.len(), written);
        }
    }

    fn done(self, outcome: Outcome, recorded_ms: Option<u64>) {
        self.count(outcome.is_ok());
        if let Ok(answer) = &outcome {
            self.answered(answer, recorded_ms.is_some());
        }
        let (class, marked) = (self.class(), self.marked);
        // A caller that has gone away is no error: its turn was killed, or it gave up.
        let _ = self.reply.send(Reply::Done { class, outcome, recorded_ms, effect: None });
        failpoints::hit(Point::AfterReply, Some(class), marked);
    }
}

/// Serves one call. Gives what is still to be awaited; the cell polls that beside other calls.
pub(crate) fn serve<P: Provider>(
    provider: &Rc<RefCell<P>>,
    desk: &Desk,
    call: AdmittedCall,
) -> Option<InFlight> {
    let (badge, capability, args, cargo) = call.into_parts();
    let operations = provider.borrow().operations();
    let Some(operation) = operations.iter().find(|known| known.capability == &*capability) else {
        let message = format!("{capability} is not an operation; docs/capabilities.md lists them");
        let outcome = Err(Failure::new("unknown_operation", message));
        let class = EffectClass::Pure;
        let _ = cargo.reply.send(Reply::Done { class, outcome, recorded_ms: None, effect: None });
        return None;
    };
    let clock = &desk.services.clock;
    let came = metrics::sample().then(|| (clock.monotonic_ns(), clock.clone()));
    let marked = failpoints::marked(&args);
    let (turn, reply) = (cargo.turn, cargo.reply);
    let draws =
        badge.budget().and_then(|budget| Draws::new(budget.0, operation.capability, turn.as_ref()));
    let mut ticket = Ticket { operation, turn, reply, came, marked, draws };
    if ticket.turn.as_ref().is_some_and(|turn| turn.live.pure_only)
        && !matches!(ticket.class(), EffectClass::Pure | EffectClass::Side)
    {
        // The driver sees the class and reports the divergence (rule C11); nothing is performed.
        let outcome = Err(Failure::new("diverged", "a re-run may not make this call"));
        ticket.done(outcome, None);
        return None;
    }
    let prepared = match prepare(provider, &ticket, &badge, &args) {
        Ok(prepared) => prepared,
        Err(failure) => {
            ticket.done(Err(failure), None);
            return None;
        }
    };
    ticket.at(Point::BeforeIntent);
    if ticket.class().has_intent() && ticket.turn.is_some() {
        ticket.waits(clock);
        let provider = Rc::clone(provider);
        return Some(Box::pin(journaled(provider, desk.clone(), ticket, prepared, args)));
    }
    if let Some(draws) = ticket.draws
        && let Err(stopped) = draws.draw(ticket.turn.as_ref(), &args, clock.now().0)
    {
        match stopped {
            Stopped::Failed(failure) => ticket.done(Err(failure), None),
            Stopped::Beyond(level) => ticket.held(level),
        }
        return None;
    }
    ticket.at(Point::AfterIntent);
    let performed = provider.borrow_mut().perform(prepared);
    settle(ticket, performed, clock)
}

fn prepare<P: Provider>(
    provider: &Rc<RefCell<P>>,
    ticket: &Ticket,
    badge: &Badge,
    args: &[u8],
) -> Result<P::Prepared, Failure> {
    let turn = ticket.turn.as_ref().map(TurnView);
    let view = CallView { operation: ticket.operation, badge, turn, args };
    provider.borrow_mut().prepare(&view)
}

/// Answers a call that needs no intent, now or later.
fn settle(mut ticket: Ticket, performed: Performed, clock: &Clock) -> Option<InFlight> {
    match performed {
        Performed::Done(outcome) | Performed::Paid { outcome, .. } => {
            ticket.at(Point::AfterCall);
            ticket.done(outcome, None);
            None
        }
        Performed::Staged { result, effect } => {
            ticket.at(Point::AfterCall);
            ticket.count(true);
            ticket.answered(&result, false);
            let (class, marked) = (ticket.class(), ticket.marked);
            let _ = ticket.reply.send(Reply::Done {
                class,
                outcome: Ok(result),
                recorded_ms: None,
                effect: Some(Box::new(effect)),
            });
            failpoints::hit(Point::AfterReply, Some(class), marked);
            None
        }
        Performed::Deferred => {
            let class = ticket.class();
            let _ = ticket.reply.send(Reply::Deferred { class });
            None
        }
        Performed::Unanswered(failure) => {
            ticket.unanswered(failure);
            None
        }
        Performed::Later(later) => {
            ticket.waits(clock);
            let clock = clock.clone();
            Some(Box::pin(async move {
                let mut next = Some(later.await);
                while let Some(performed) = next.take() {
                    match performed {
                        Performed::Later(again) => next = Some(again.await),
                        other => {
                            settle(ticket, other, &clock);
                            return;
                        }
                    }
                }
            }))
        }
    }
}

/// Intent, request, result: each durable before the next (rules C2, C4).
async fn journaled<P: Provider>(
    provider: Rc<RefCell<P>>,
    desk: Desk,
    mut ticket: Ticket,
    prepared: P::Prepared,
    args: Vec<u8>,
) {
    let Some(turn) = ticket.turn.clone() else {
        return;
    };
    let Desk { services, me } = desk;
    let mut write = intent_write(&turn, &ticket, &args, services.clock.now().0);
    write.holder = (ticket.class() == EffectClass::Once).then_some(me);
    let paid = ticket.draws.is_some() && ticket.operation.tokens;
    let most = if paid { provider.borrow().uses_at_most(&prepared) } else { Used::NOTHING };
    let wants = Amounts::of_call(&args, most);
    match ticket.draws.map(|draws| draws.charge(&turn, wants)).transpose() {
        Ok(charge) => write.charge = charge,
        Err(failure) => return ticket.done(Err(failure), None),
    }
    if broken(Mutation::FenceInWrapper) && is_stale(&services, &turn).await {
        return;
    }
    let written = services.ledger.intent(write).await;
    if !matches!(written, Err(_) | Ok(IntentWritten::Spent { .. } | IntentWritten::Beyond(_))) {
        budget::written(&turn);
    }
    match written {
        Ok(IntentWritten::Fresh) => {
            // One that an operator lets out again was charged by an earlier run of the turn.
            if let Some(draws) = ticket.draws.filter(|_| turn.live.resend.is_none()) {
                draws.charged(&turn, wants);
            }
        }
        Ok(IntentWritten::Spent { budget, short }) => {
            let (unit, level) = (short.line.unit, budget.level.as_str());
            metrics::over_budget(ticket.operation.capability, unit, level);
            ticket.done(Err(budget.refusal(&short, services.clock.now().0)), None);
            return;
        }
        Ok(IntentWritten::Beyond(level)) => return ticket.held(level),
        // A Once call that was sent before is in doubt: only an operator may settle it (rule C4).
        Ok(IntentWritten::Again)
            if ticket.class() == EffectClass::Once && !broken(Mutation::OnceResent) =>
        {
            let class = ticket.class();
            let _ = ticket.reply.send(Reply::Deferred { class });
            return;
        }
        Ok(IntentWritten::Again) => metrics::resent(ticket.operation.capability),
        Ok(IntentWritten::Known { outcome, stamp_ms }) => {
            // Its bytes were counted with it.
            ticket.draws = None;
            ticket.done(outcome, Some(stamp_ms));
            return;
        }
        Err(error) => {
            tracing::warn!(
                code = error.code(),
                capability = ticket.operation.capability,
                agent = %turn.turn.key.agent,
                "intent not written: {error}"
            );
            if ticket.class() == EffectClass::Once && error.is_no_answer() {
                unsure::intent(&services, turn.live.key()).await;
            }
            // Nothing left the turn: the driver sends the call again or ends the turn (rule C4).
            ticket.not_written(&error);
            return;
        }
    }
    ticket.at(Point::AfterIntent);
    let performed = provider.borrow_mut().perform(prepared);
    carry_out(services, turn, ticket, performed).await;
}

/// What a journaled call comes to, and its result.
async fn carry_out(
    services: ProviderServices,
    turn: TurnCall,
    ticket: Ticket,
    mut performed: Performed,
) {
    loop {
        match performed {
            Performed::Later(later) => performed = later.await,
            Performed::Deferred => {
                let class = ticket.class();
                let _ = ticket.reply.send(Reply::Deferred { class });
                return;
            }
            Performed::Unanswered(failure) => return ticket.unanswered(failure),
            Performed::Done(outcome) => {
                ticket.at(Point::AfterCall);
                return record(services, turn, ticket, outcome, Used::NOTHING).await;
            }
            Performed::Paid { outcome, used } => {
                ticket.at(Point::AfterCall);
                return record(services, turn, ticket, outcome, used).await;
            }
            Performed::Staged { result, .. } => {
                tracing::error!(
                    capability = ticket.operation.capability,
                    "a Keyed operation staged"
                );
                return record(services, turn, ticket, Ok(result), Used::NOTHING).await;
            }
        }
    }
}

/// Whether a newer incarnation of the caller has taken over. For mutations: the fence is the ledger's writer.
async fn is_stale(services: &ProviderServices, turn: &TurnCall) -> bool {
    let key = &turn.turn.key;
    let next = services.ledger.next(key.agent.clone(), key.incarnation).await;
    matches!(next, Err(LedgerError::Fenced { .. }))
}

fn intent_write(turn: &TurnCall, ticket: &Ticket, args: &[u8], now_ms: u64) -> IntentWrite {
    let context = &turn.turn;
    let journal = context.journal.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    IntentWrite {
        turn: context.key.clone(),
        begin: journal.unwritten_begin().cloned(),
        records: match broken(Mutation::ObserveUnflushed) {
            true => Vec::new(),
            false => journal.unwritten().to_vec(),
        },
        intent: Journal::intent(&turn.live, ticket.class(), ticket.operation.capability, args),
        charge: None,
        counted: budget::counted(turn),
        holder: None,
        now_ms,
    }
}

/// Writes the result; the first durable one is the answer, whoever wrote it (rule C4).
async fn record(
    services: ProviderServices,
    turn: TurnCall,
    ticket: Ticket,
    outcome: Outcome,
    used: Used,
) {
    if broken(Mutation::LateRefused) && is_stale(&services, &turn).await {
        return;
    }
    let stamp_ms = services.clock.now().0;
    let write = ResultWrite { intent: turn.live.key(), outcome, used: Some(used), stamp_ms };
    let written = match ticket.class() {
        EffectClass::Once => unsure::result(&services, write).await,
        _ => services.ledger.result(write).await,
    };
    match written {
        Ok((kept, stamp_ms)) => ticket.done(kept, Some(stamp_ms)),
        Err(LedgerError::NotFound(_)) => {
            // The turn was skipped or its agent removed meanwhile: nobody waits any more.
            drop(ticket);
        }
        Err(error) => {
            tracing::warn!(
                code = error.code(),
                capability = ticket.operation.capability,
                "result not written, it will be asked for again: {error}"
            );
            ticket.not_written(&error);
        }
    }
}
