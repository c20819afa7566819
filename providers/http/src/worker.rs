//! The threads that speak to servers: a lane never waits for one.

use crate::request::Request;
use crate::send::{Client, Sent};
use crossbeam_channel::{Sender, TrySendError, bounded};
use tokio::sync::oneshot;

/// Requests that wait for a thread at most; above it the caller is told `overloaded`.
pub(crate) const QUEUE_MAX: usize = 256;

type Job = (Request, oneshot::Sender<Sent>);

/// The threads; they end when this is dropped. A clone hands to the same ones.
#[derive(Debug, Clone)]
pub(crate) struct Threads {
    jobs: Sender<Job>,
}

/// Why a request did not go to a thread.
#[derive(Debug)]
pub(crate) struct Busy;

impl Threads {
    pub(crate) fn start(client: &Client, threads: usize) -> std::io::Result<Self> {
        let (jobs, queue) = bounded::<Job>(QUEUE_MAX);
        for _ in 0..threads {
            let (queue, client) = (queue.clone(), client.clone());
            std::thread::Builder::new().name("loket-http".to_owned()).spawn(move || {
                for (request, answer) in queue {
                    // Nobody waits: the call was not sent, and must not be any more.
                    if !answer.is_closed() {
                        let _ = answer.send(client.send(&request));
                    }
                }
            })?;
        }
        Ok(Self { jobs })
    }

    /// Hands a request to a thread. The answer's channel closes without one when the thread died over it.
    pub(crate) fn send(&self, request: Request) -> Result<oneshot::Receiver<Sent>, Busy> {
        let (answer, answered) = oneshot::channel();
        match self.jobs.try_send((request, answer)) {
            Ok(()) => Ok(answered),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(Busy),
        }
    }
}
