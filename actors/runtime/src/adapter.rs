//! Lets a plain actix actor do a provider's work, under our supervision instead of actix's.
//!
//! The actor runs inside the provider's cell. A panic in it ends the provider's incarnation with the panic's words; its hooks
//! are not run on the broken state, and its drop has a `catch_unwind` of its own, so the process cannot be aborted as actix's own
//! loop could. Calls that wait in the provider's mailbox stay there for the next incarnation, which makes a new actor. Start
//! reading at [`ActixEngine::start`].

use crate::Links;
use crate::panic::guard;
use actix::dev::{ContextFut, ToEnvelope};
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};
use loket_supervision::machine::{Blame, Cause, Exit};
use std::fmt;
use std::pin::Pin;
use std::task::{self, Poll, Waker};

/// The actor ended before it answered: the call may be sent again to the next incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the actor ended before it answered")]
pub struct EngineGone;

impl EngineGone {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        "provider_down"
    }
}

/// A plain actix actor that lives exactly as long as this incarnation.
pub struct ActixEngine<A: Actor<Context = Context<A>>> {
    address: Addr<A>,
}

impl<A: Actor<Context = Context<A>>> ActixEngine<A> {
    /// Starts the actor in the cell that `links` belongs to. When it panics or stops, the incarnation ends.
    pub fn start(links: &Links, make: impl FnOnce(&mut Context<A>) -> A) -> Self {
        let mut context = Context::new();
        let address = context.address();
        let actor = make(&mut context);
        links.link(Engine { running: Some(context.into_future(actor)) });
        Self { address }
    }

    /// Asks the actor.
    ///
    /// Have only one call under way at a time: what stands in actix's mailbox is lost with the actor, what stands in ours is not.
    ///
    /// # Errors
    /// [`EngineGone`].
    pub async fn call<M>(&self, message: M) -> Result<M::Result, EngineGone>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
        Context<A>: ToEnvelope<A, M>,
    {
        self.address.send(message).await.map_err(|_| EngineGone)
    }
}

impl<A: Actor<Context = Context<A>>> Clone for ActixEngine<A> {
    fn clone(&self) -> Self {
        Self { address: self.address.clone() }
    }
}

impl<A: Actor<Context = Context<A>>> fmt::Debug for ActixEngine<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ActixEngine")
    }
}

/// Polls actix's own run loop.
struct Engine<A: Actor<Context = Context<A>>> {
    running: Option<ContextFut<A, Context<A>>>,
}

impl<A: Actor<Context = Context<A>>> Future for Engine<A> {
    type Output = Exit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Exit> {
        let Some(running) = self.running.as_mut() else {
            return Poll::Pending;
        };
        match guard(Blame::Provider, || Pin::new(running).poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => {
                let stopped = "the actix actor stopped by itself";
                Poll::Ready(Exit::crash(Cause::Other, Blame::Provider, stopped))
            }
            Err(exit) => {
                if let Some(broken) = self.running.take() {
                    discard(broken);
                }
                Poll::Ready(exit)
            }
        }
    }
}

/// Drops an actor without running its hooks.
fn discard<A: Actor<Context = Context<A>>>(mut actor: ContextFut<A, Context<A>>) {
    actor.ctx().terminate();
    if guard(Blame::Provider, || drop(actor)).is_err() {
        crate::metrics::drop_panicked();
    }
}

impl<A: Actor<Context = Context<A>>> Drop for Engine<A> {
    /// The incarnation ends while the actor is whole: `stopping` and `stopped` run, as actix promises.
    fn drop(&mut self) {
        let Some(mut whole) = self.running.take() else {
            return;
        };
        let mut cx = task::Context::from_waker(Waker::noop());
        let stopped = guard(Blame::Provider, || {
            whole.ctx().stop();
            let _ = Pin::new(&mut whole).poll(&mut cx);
        });
        if stopped.is_err() {
            crate::metrics::drop_panicked();
        }
        discard(whole);
    }
}
