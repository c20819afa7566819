//! A provider's incarnation: its mailbox, the calls in flight, its stop.

use crate::{Operation, Provider, metrics, wrapper};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use loket_runtime::{Body, ChildContext, Clock, Door, ProviderWork};
use loket_supervision::machine::{Blame, Cause, Exit};
use loket_turn::{EffectClass, Holder, Ledger};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

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
    context.control.started();
    let mut in_flight = FuturesUnordered::new();
    let mut ages = Ages::default();
    loop {
        let room = in_flight.len() < in_flight_max;
        tokio::select! {
            biased;
            () = context.control.stop() => break,
            // Their callers send them again, under the same keys.
            () = context.control.interrupted() => return Exit::Hung,
            Some(number) = in_flight.next(), if !in_flight.is_empty() => {
                context.control.busy(ages.over(number));
            }
            work = mailbox.recv(), if room => {
                let mut work = Some(work);
                for _ in 0..BATCH_MAX {
                    let Some(item) = work.take() else { break };
                    if let Some(rest) = handle(&provider, &desk, item) {
                        let (number, oldest) = ages.begin(desk.services.clock.monotonic_ms());
                        in_flight.push(numbered(rest, number));
                        context.control.busy(Some(oldest));
                    }
                    if in_flight.len() < in_flight_max {
                        work = mailbox.try_recv();
                    }
                }
                if let Some(item) = work {
                    if let Some(rest) = handle(&provider, &desk, item) {
                        let (number, oldest) = ages.begin(desk.services.clock.monotonic_ms());
                        in_flight.push(numbered(rest, number));
                        context.control.busy(Some(oldest));
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    // An orderly stop lets what is out come back: the supervisor's `shutdown` time bounds it.
    while in_flight.next().await.is_some() {}
    metrics::stopped();
    Exit::Shutdown
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

fn handle<P: Provider>(
    provider: &Rc<RefCell<P>>,
    desk: &Desk,
    work: ProviderWork,
) -> Option<wrapper::InFlight> {
    match work {
        ProviderWork::Call(call) => wrapper::serve(provider, desk, call),
        ProviderWork::Brain(request) => {
            provider.borrow_mut().brain(request);
            None
        }
    }
}
