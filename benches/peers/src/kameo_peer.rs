//! kameo on one thread, forwarding by tell, with the reply's channel passed on.

use crate::Measured;
use crate::load::{Load, callers, echo, on_one_thread};
use kameo::Actor;
use kameo::actor::{ActorRef, Spawn};
use kameo::message::{Context, Message};
use tokio::sync::oneshot;

struct Work(Vec<u8>, oneshot::Sender<Vec<u8>>);

#[derive(Actor)]
struct Echo;

impl Message<Work> for Echo {
    type Reply = ();

    async fn handle(&mut self, Work(args, reply): Work, _: &mut Context<Self, ()>) {
        let _ = reply.send(echo(&args));
    }
}

#[derive(Actor)]
struct Forward(ActorRef<Echo>);

impl Message<Work> for Forward {
    type Reply = ();

    async fn handle(&mut self, work: Work, _: &mut Context<Self, ()>) {
        let _ = self.0.tell(work).try_send();
    }
}

pub(crate) fn forward(load: Load) -> Measured {
    on_one_thread(async move {
        let door = Forward::spawn(Forward(Echo::spawn(Echo)));
        callers(load, move |args| {
            let (reply, answer) = oneshot::channel();
            door.tell(Work(args, reply)).try_send().map_err(|error| error.to_string()).unwrap();
            async move { answer.await.unwrap() }
        })
        .await
    })
}
