//! Tasks and channels, without any actor system.

use crate::Measured;
use crate::load::{Load, callers, echo, on_one_thread};
use tokio::sync::{mpsc, oneshot};

/// Messages that may wait: as many as at Loket's provider.
const MAILBOX: usize = 4_096;

type Work = (Vec<u8>, oneshot::Sender<Vec<u8>>);

async fn serve(mut inbox: mpsc::Receiver<Work>) {
    while let Some((args, reply)) = inbox.recv().await {
        let _ = reply.send(echo(&args));
    }
}

async fn forward(mut inbox: mpsc::Receiver<Work>, to: mpsc::Sender<Work>) {
    while let Some(work) = inbox.recv().await {
        to.try_send(work).unwrap();
    }
}

async fn call(door: mpsc::Sender<Work>, args: Vec<u8>) -> Vec<u8> {
    let (reply, answer) = oneshot::channel();
    door.try_send((args, reply)).unwrap();
    answer.await.unwrap()
}

/// Forwarder and echo beside the callers.
pub(crate) fn one_thread(load: Load) -> Measured {
    on_one_thread(async move {
        let (to, inbox) = mpsc::channel(MAILBOX);
        let (door, calls) = mpsc::channel(MAILBOX);
        tokio::task::spawn_local(serve(inbox));
        tokio::task::spawn_local(forward(calls, to));
        callers(load, move |args| call(door.clone(), args)).await
    })
}

/// The echo on a thread of its own.
pub(crate) fn two_threads(load: Load) -> Measured {
    let (to, inbox) = mpsc::channel(MAILBOX);
    let server = std::thread::spawn(move || on_one_thread(serve(inbox)));
    let measured = on_one_thread(async move {
        let (door, calls) = mpsc::channel(MAILBOX);
        tokio::task::spawn_local(forward(calls, to));
        callers(load, move |args| call(door.clone(), args)).await
    });
    server.join().unwrap();
    measured
}
