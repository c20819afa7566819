//! A provider's incarnation: its mailbox, the calls in flight, its stop.

use crate::{Provider, metrics, wrapper};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use loket_runtime::{Body, ChildContext, Clock, Door, ProviderWork};
use loket_supervision::machine::Exit;
use loket_turn::Ledger;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Calls of one provider that wait for something at the same time. Above it the mailbox fills, and the kernel answers
/// `overloaded`: a slow backend never makes memory grow.
const IN_FLIGHT_MAX: usize = 1024;

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
        return Exit::host_bug("a provider was given a door that is not a provider's");
    };
    let provider = match make(&context) {
        Ok(provider) => Rc::new(RefCell::new(provider)),
        Err(exit) => return exit,
    };
    context.control.started();
    let mut in_flight = FuturesUnordered::new();
    loop {
        let room = in_flight.len() < IN_FLIGHT_MAX;
        tokio::select! {
            biased;
            () = context.control.stop() => break,
            Some(()) = in_flight.next(), if !in_flight.is_empty() => {}
            work = mailbox.recv(), if room => {
                let mut work = Some(work);
                for _ in 0..BATCH_MAX {
                    let Some(item) = work.take() else { break };
                    if let Some(rest) = handle(&provider, &services, item) {
                        in_flight.push(rest);
                    }
                    work = mailbox.try_recv();
                }
                if let Some(item) = work {
                    if let Some(rest) = handle(&provider, &services, item) {
                        in_flight.push(rest);
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

fn handle<P: Provider>(
    provider: &Rc<RefCell<P>>,
    services: &ProviderServices,
    work: ProviderWork,
) -> Option<wrapper::InFlight> {
    match work {
        ProviderWork::Call(call) => wrapper::serve(provider, services, call),
        ProviderWork::Brain(request) => {
            provider.borrow_mut().brain(request);
            None
        }
    }
}
