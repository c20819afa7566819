//! The thread on which the embedded model counts: a lane must not wait for a long context.

use crate::extractive::Extractive;
use crate::model::{Answering, ChatAnswer, ChatRequest, Model};
use crossbeam_channel::{Sender, TrySendError, bounded};
use loket_turn::Failure;
use tokio::sync::oneshot;

/// Questions that wait for the thread at most; above it the caller is told `overloaded`.
const QUEUE_MAX: usize = 256;

/// What a caller of an overloaded model should wait, milliseconds: about the time of one long question.
const RETRY_MS: u64 = 100;

type Job = (ChatRequest, oneshot::Sender<Result<ChatAnswer, Failure>>);

/// [`Extractive`] on a thread of its own. The thread ends when this is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Embedded {
    jobs: Sender<Job>,
}

impl Embedded {
    pub(crate) fn start() -> std::io::Result<Self> {
        let (jobs, queue) = bounded::<Job>(QUEUE_MAX);
        std::thread::Builder::new().name("loket-llm".to_owned()).spawn(move || {
            for (request, answer) in queue {
                if !answer.is_closed() {
                    let _ = answer.send(Extractive.answer(&request));
                }
            }
        })?;
        Ok(Self { jobs })
    }
}

impl Model for Embedded {
    fn chat(&self, request: ChatRequest) -> Answering {
        let (answer, answered) = oneshot::channel();
        let sent = self.jobs.try_send((request, answer));
        Box::pin(async move {
            match sent {
                Ok(()) => answered.await.unwrap_or_else(|_| Err(gone())),
                Err(TrySendError::Full(_)) => Err(Failure::retryable(
                    "overloaded",
                    format!("{QUEUE_MAX} questions wait for the model"),
                    Some(RETRY_MS),
                )),
                Err(TrySendError::Disconnected(_)) => Err(gone()),
            }
        })
    }
}

fn gone() -> Failure {
    Failure::retryable("restarting", "the model's thread has ended", Some(RETRY_MS))
}
