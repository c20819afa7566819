//! The threads that touch the disk: a lane never waits for one.

use crate::list;
use crate::provider::Job;
use crate::read;
use crossbeam_channel::{Sender, TrySendError, bounded};
use loket_contract::Performed;
use loket_turn::Failure;
use serde::Serialize;
use tokio::sync::oneshot;

/// Threads of one provider: two, so that one slow disk read does not hold all others.
const THREADS: usize = 2;

/// Requests that wait for a thread at most; above it the caller is told `overloaded`.
const QUEUE_MAX: usize = 512;

/// What a caller of an overloaded disk should wait, milliseconds.
const RETRY_MS: u64 = 100;

type Outcome = Result<Vec<u8>, Failure>;

/// The threads; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct Threads {
    jobs: Sender<(Job, oneshot::Sender<Outcome>)>,
}

impl Threads {
    pub(crate) fn start() -> std::io::Result<Self> {
        let (jobs, queue) = bounded::<(Job, oneshot::Sender<Outcome>)>(QUEUE_MAX);
        for _ in 0..THREADS {
            let queue = queue.clone();
            std::thread::Builder::new().name("loket-fs".to_owned()).spawn(move || {
                for (job, answer) in queue {
                    if !answer.is_closed() {
                        let _ = answer.send(run(&job));
                    }
                }
            })?;
        }
        Ok(Self { jobs })
    }

    pub(crate) fn run(&self, job: Job) -> Performed {
        let (answer, answered) = oneshot::channel();
        if let Err(error) = self.jobs.try_send((job, answer)) {
            let text = match error {
                TrySendError::Full(_) => format!("{QUEUE_MAX} requests wait for the disk"),
                TrySendError::Disconnected(_) => "the disk's threads have ended".to_owned(),
            };
            return Performed::failed(Failure::retryable("overloaded", text, Some(RETRY_MS)));
        }
        Performed::Later(Box::pin(async move {
            let gone =
                || Failure::retryable("restarting", "the disk's thread died", Some(RETRY_MS));
            Performed::Done(answered.await.unwrap_or_else(|_| Err(gone())))
        }))
    }
}

fn run(job: &Job) -> Outcome {
    match job {
        Job::Read(job) => read::read(job).and_then(|result| encode(&result)),
        Job::List(job) => list::list(job).and_then(|result| encode(&result)),
    }
}

fn encode(result: &impl Serialize) -> Outcome {
    serde_json::to_vec(result).map_err(|error| Failure::new("internal", error.to_string()))
}
