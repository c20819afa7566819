//! ractor on one thread, forwarding by cast, with the reply port passed on.

use crate::Measured;
use crate::load::{Load, callers, echo, on_one_thread};
use ractor::concurrency::oneshot;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

struct Work(Vec<u8>, RpcReplyPort<Vec<u8>>);

struct Echo;

impl Actor for Echo {
    type Msg = Work;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Work>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Work>,
        Work(args, reply): Work,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let _ = reply.send(echo(&args));
        Ok(())
    }
}

struct Forward;

impl Actor for Forward {
    type Msg = Work;
    type State = ActorRef<Work>;
    type Arguments = ActorRef<Work>;

    async fn pre_start(
        &self,
        _: ActorRef<Work>,
        to: ActorRef<Work>,
    ) -> Result<ActorRef<Work>, ActorProcessingErr> {
        Ok(to)
    }

    async fn handle(
        &self,
        _: ActorRef<Work>,
        work: Work,
        to: &mut ActorRef<Work>,
    ) -> Result<(), ActorProcessingErr> {
        to.cast(work)?;
        Ok(())
    }
}

pub(crate) fn forward(load: Load) -> Measured {
    on_one_thread(async move {
        let (echo, _) = Actor::spawn(None, Echo, ()).await.map_err(|error| error.to_string())?;
        let forward = Actor::spawn(None, Forward, echo.clone()).await;
        let (forward, _) = forward.map_err(|error| error.to_string())?;
        let door = forward.clone();
        let measured = callers(load, move |args| {
            let (reply, answer) = oneshot();
            door.cast(Work(args, reply.into())).unwrap();
            async move { answer.await.unwrap() }
        });
        let measured = measured.await;
        forward.stop(None);
        echo.stop(None);
        measured
    })
}
