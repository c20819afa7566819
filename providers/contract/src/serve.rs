//! A provider's incarnation: its mailbox, the calls in flight, its stop.

use crate::{Operation, Provider, metrics, wrapper};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use loket_runtime::{Body, ChildContext, Clock, Control, Door, Mailbox, ProviderWork};
use loket_supervision::machine::{Blame, Cause, Exit};
use loket_turn::{EffectClass, Holder, Ledger};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Work items taken from the mailbox before the lane's other tasks get their turn.
const BATCH_MAX: usize = 32;

/// What every provider's wrapper needs.
#[derive(Clone)]
pub struct ProviderServices {
    /// The ledger: intents and results.
    pub ledger: Arc<dyn Ledger>,
    /// The node's clock.
    pub clock: Clock,
}

/// The services, and whose incarnation uses them.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) services: ProviderServices,
    pub(crate) me: Holder,
}

impl Desk {
    /// For a provider with Once operations: what earlier incarnations held is in doubt from now on, and what this one holds when
    /// what is returned is dropped (rule C4).
    async fn holds_once(&self, operations: &[Operation]) -> Option<Held> {
        if operations.iter().all(|operation| operation.class != EffectClass::Once) {
            return None;
        }
        let held = Held { ledger: Arc::clone(&self.services.ledger), me: self.me.clone() };
        if let Some(before) = self.me.incarnation.checked_sub(1) {
            let ended = Holder { incarnation: before, ..self.me.clone() };
            if let Err(error) = self.services.ledger.holder_ended(ended).await {
                tracing::warn!(code = error.code(), "calls in doubt were not noted: {error}");
            }
        }
        Some(held)
    }
}

/// See [`Desk::holds_once`]. However the incarnation ends, by an order, a panic or a kill, this is dropped after its calls.
struct Held {
    ledger: Arc<dyn Ledger>,
    me: Holder,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Handed to the writer at once, behind the results that are on their way. Should its queue be full, the next incarnation's
        // start, or the next process's, says the same again.
        drop(self.ledger.holder_ended(self.me.clone()));
    }
}

/// The body of a provider's incarnation: `make` builds the provider on its lane.
///
/// A failure of `make` is a failed start; its reason goes to the supervisor.
pub fn provider_body<P, F>(services: ProviderServices, make: F) -> Body
where
    P: Provider,
    F: FnOnce(&ChildContext) -> Result<P, Exit> + Send + 'static,
{
    Box::new(move |context| Box::pin(run(services, make, context)))
}

async fn run<P, F>(services: ProviderServices, make: F, mut context: ChildContext) -> Exit
where
    P: Provider,
    F: FnOnce(&ChildContext) -> Result<P, Exit>,
{
    let Door::Provider(mailbox) = context.door.clone() else {
        let text = "a provider was given a door that is not a provider's";
        return Exit::crash(Cause::Start, Blame::Host, text);
    };
    let provider = match make(&context) {
        Ok(provider) => Rc::new(RefCell::new(provider)),
        Err(exit) => return exit,
    };
    // A panic in the provider's own drop must not meet another one: the cell drops it apart.
    context.links.keep(Rc::<RefCell<P>>::clone(&provider));
    let in_flight_max = provider.borrow().in_flight_max();
    let me = Holder { provider: Arc::clone(&context.name), incarnation: context.incarnation };
    let desk = Desk { services, me };
    let operations = provider.borrow().operations();
    let _held = desk.holds_once(operations).await;
    let serving = Rc::new(Serving {
        provider,
        desk,
        mailbox,
        in_flight: RefCell::default(),
        in_flight_max,
        ages: RefCell::default(),
    });
    let taking = Rc::clone(&serving);
    let control = context.control.clone();
    let in_place =
        context.take_in_place(&serving.mailbox, move |slot| taking.take_now(&control, slot));
    context.control.started();
    loop {
        tokio::select! {
            biased;
            () = context.control.stop() => break,
            // Their callers send them again, under the same keys.
            () = context.control.interrupted() => return Exit::Hung,
            number = poll_fn(|cx| serving.poll_in_flight(cx)) => {
                context.control.busy(serving.ages.borrow_mut().over(number));
            }
            work = poll_fn(|cx| serving.poll_work(cx)) => {
                if serving.batch(&context.control, work) {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    drop(in_place);
    // An orderly stop lets what is out come back: the supervisor's `shutdown` time bounds it.
    while !serving.in_flight.borrow().is_empty() {
        poll_fn(|cx| serving.poll_in_flight(cx)).await;
    }
    metrics::stopped();
    Exit::Shutdown
}

/// A call in flight, which ends with its number.
type Numbered = Pin<Box<dyn Future<Output = u64>>>;

/// An incarnation that serves, as its body and those who deliver in place share it.
struct Serving<P> {
    provider: Rc<RefCell<P>>,
    desk: Desk,
    mailbox: Mailbox<ProviderWork>,
    in_flight: RefCell<FuturesUnordered<Numbered>>,
    in_flight_max: usize,
    ages: RefCell<Ages>,
}

impl<P: Provider> Serving<P> {
    fn has_room(&self) -> bool {
        self.in_flight.borrow().len() < self.in_flight_max
    }

    /// Ready with its number when a call in flight has come to its end.
    fn poll_in_flight(&self, cx: &mut Context<'_>) -> Poll<u64> {
        match self.in_flight.borrow_mut().poll_next_unpin(cx) {
            Poll::Ready(Some(number)) => Poll::Ready(number),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// Ready with the oldest work, if there is room for what may come of it.
    fn poll_work(&self, cx: &mut Context<'_>) -> Poll<ProviderWork> {
        if self.has_room() { self.mailbox.poll_recv(cx) } else { Poll::Pending }
    }

    /// Handles this work and what waits behind it; true when there was more than the lane's other tasks should wait for.
    fn batch(&self, control: &Control, first: ProviderWork) -> bool {
        let mut work = Some(first);
        for _ in 0..BATCH_MAX {
            let Some(item) = work.take() else { return false };
            self.handle(control, item);
            if self.has_room() {
                work = self.mailbox.try_recv();
            }
        }
        let Some(item) = work else { return false };
        self.handle(control, item);
        true
    }

    /// Handles work in place; leaves it while there is no room, or while the provider is at work further up the stack.
    fn take_now(&self, control: &Control, slot: &mut Option<ProviderWork>) {
        let busy = self.provider.try_borrow_mut().is_err();
        let room = self.in_flight.try_borrow().is_ok_and(|all| all.len() < self.in_flight_max);
        if busy || !room {
            return;
        }
        let Some(work) = slot.take() else { return };
        if self.handle(control, work) {
            // The body does not know of it yet.
            self.mailbox.nudge();
        }
    }

    /// True when something of it is in flight now.
    fn handle(&self, control: &Control, work: ProviderWork) -> bool {
        let rest = match work {
            ProviderWork::Call(call) => wrapper::serve(&self.provider, &self.desk, call),
            ProviderWork::Brain(request) => {
                self.provider.borrow_mut().brain(request);
                None
            }
        };
        let Some(rest) = rest else { return false };
        let now_ms = self.desk.services.clock.monotonic_ms();
        let (number, oldest) = self.ages.borrow_mut().begin(now_ms);
        self.in_flight.borrow_mut().push(Box::pin(numbered(rest, number)));
        control.busy(Some(oldest));
        true
    }
}

/// Since when each call in flight is.
#[derive(Default)]
struct Ages {
    next: u64,
    since_ms: BTreeMap<u64, u64>,
}

impl Ages {
    /// Its number, and since when the oldest is.
    fn begin(&mut self, now_ms: u64) -> (u64, u64) {
        let number = self.next;
        self.next += 1;
        self.since_ms.insert(number, now_ms);
        (number, self.oldest().unwrap_or(now_ms))
    }

    /// Since when the oldest of the others is.
    fn over(&mut self, number: u64) -> Option<u64> {
        self.since_ms.remove(&number);
        self.oldest()
    }

    fn oldest(&self) -> Option<u64> {
        self.since_ms.first_key_value().map(|(_, since_ms)| *since_ms)
    }
}

async fn numbered(rest: wrapper::InFlight, number: u64) -> u64 {
    rest.await;
    number
}
