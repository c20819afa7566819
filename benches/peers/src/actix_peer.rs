//! actix on one arbiter: three ways to forward a call through a third actor.

use crate::Measured;
use crate::load::{Load, callers, echo};
use actix::prelude::*;
use tokio::sync::oneshot;

/// Messages that may wait: as many as at Loket's provider.
const MAILBOX: usize = 4_096;

struct Work {
    args: Vec<u8>,
    reply: oneshot::Sender<Vec<u8>>,
}

impl Message for Work {
    type Result = ();
}

struct Echo;

impl Actor for Echo {
    type Context = Context<Self>;
    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Work> for Echo {
    type Result = ();
    fn handle(&mut self, work: Work, _: &mut Self::Context) {
        let _ = work.reply.send(echo(&work.args));
    }
}

/// Forwards to a recipient.
struct ByRecipient(Recipient<Work>);

impl Actor for ByRecipient {
    type Context = Context<Self>;
    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Work> for ByRecipient {
    type Result = ();
    fn handle(&mut self, work: Work, _: &mut Self::Context) {
        self.0.try_send(work).unwrap();
    }
}

/// Forwards to an address.
struct ByAddress(Addr<Echo>);

impl Actor for ByAddress {
    type Context = Context<Self>;
    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Work> for ByAddress {
    type Result = ();
    fn handle(&mut self, work: Work, _: &mut Self::Context) {
        self.0.try_send(work).unwrap();
    }
}

struct Ask(Vec<u8>);

impl Message for Ask {
    type Result = Vec<u8>;
}

impl Handler<Ask> for Echo {
    type Result = MessageResult<Ask>;
    fn handle(&mut self, ask: Ask, _: &mut Self::Context) -> Self::Result {
        MessageResult(echo(&ask.0))
    }
}

impl Handler<Ask> for ByAddress {
    type Result = ResponseFuture<Vec<u8>>;
    fn handle(&mut self, ask: Ask, _: &mut Self::Context) -> Self::Result {
        let answer = self.0.send(ask);
        Box::pin(async move { answer.await.unwrap() })
    }
}

pub(crate) fn recipient(load: Load) -> Measured {
    System::new().block_on(async move {
        let forward = ByRecipient(Echo.start().recipient()).start().recipient::<Work>();
        callers(load, move |args| {
            let (reply, answer) = oneshot::channel();
            forward.try_send(Work { args, reply }).unwrap();
            async move { answer.await.unwrap() }
        })
        .await
    })
}

pub(crate) fn address(load: Load) -> Measured {
    System::new().block_on(async move {
        let forward = ByAddress(Echo.start()).start();
        callers(load, move |args| {
            let (reply, answer) = oneshot::channel();
            forward.try_send(Work { args, reply }).unwrap();
            async move { answer.await.unwrap() }
        })
        .await
    })
}

pub(crate) fn send_in_handler(load: Load) -> Measured {
    System::new().block_on(async move {
        let forward = ByAddress(Echo.start()).start();
        callers(load, move |args| {
            let answer = forward.send(Ask(args));
            async move { answer.await.unwrap() }
        })
        .await
    })
}
