//! Asking the lane's store shard about an agent's brain. The host's own control, no capability.

use super::end::Failed;
use loket_runtime::{
    BrainAction, BrainError, BrainRequest, BrainState, Clock, Mailbox, Presence, ProviderWork,
};
use loket_turn::{AgentName, Epoch, Hash, Life, TurnNo};
use std::sync::Arc;
use tokio::sync::oneshot;

/// How often a request whose shard died under it is asked again; the shard's supervisor has restarted it by then, or gives up.
const TRIES: u32 = 20;

/// Between two tries, milliseconds. With [`TRIES`]: one second, longer than a restart without backoff takes.
const RETRY_AFTER_MS: u64 = 50;

/// The cause of a brain that is damaged or another's: its agent is quarantined (rules E5, G4).
pub(super) const CORRUPT: &str = "corrupt";

/// The cause when the store that keeps the brain does not answer.
pub(super) const DOWN: &str = "provider_down";

/// The cause when another thread, which is stuck, has the brain in a turn.
pub(super) const HELD: &str = "held";

/// One agent's brain, seen from its driver.
#[derive(Debug, Clone)]
pub(super) struct Brain {
    pub(super) agent: AgentName,
    pub(super) incarnation: u64,
    pub(super) store: Mailbox<ProviderWork>,
    pub(super) clock: Clock,
}

impl Brain {
    /// The store, while it is between two incarnations.
    pub(super) fn away(&self) -> Option<Arc<Presence>> {
        let presence = self.store.presence();
        presence.is_away().then(|| Arc::clone(presence))
    }

    /// Opens the brain and begins a turn's transaction; tells how far it is.
    pub(super) async fn begin(&self, life: Life, epoch: Epoch) -> Result<BrainState, Failed> {
        self.ask(BrainAction::Begin { life, epoch }).await
    }

    /// Commits the transaction as turn `n`, or lets it wait for the next turn's commit if there are `more` turns (rule D2).
    pub(super) async fn commit(
        &self,
        n: TurnNo,
        chain: Hash,
        more: bool,
    ) -> Result<BrainState, Failed> {
        self.ask_once(BrainAction::Commit { n, chain, more }).await.unwrap_or_else(|| {
            Err(Failed::environment("brain", "the store ended before the brain was committed"))
        })
    }

    /// Rolls back should the turn be dropped in the middle: a brain left in a turn could never be closed.
    pub(super) fn guard(&self) -> OpenBrain<'_> {
        OpenBrain { brain: self, closed: false }
    }

    /// Drops what the transaction did (rule G1). A shard that has died has dropped it already.
    pub(super) async fn roll_back(&self) {
        let _ = self.ask_once(BrainAction::RollBack).await;
    }

    /// The same for a turn that waits, or when no turn follows: the brain need not stay open (rule H1).
    pub(super) async fn release(&self) {
        let _ = self.ask_once(BrainAction::Release).await;
    }

    async fn ask(&self, what: BrainAction) -> Result<BrainState, Failed> {
        for _ in 0..TRIES {
            if let Some(answer) = self.ask_once(what.clone()).await {
                return answer;
            }
            self.clock.sleep(RETRY_AFTER_MS).await;
        }
        Err(Failed::environment(DOWN, "the store does not answer"))
    }

    /// `None` when the shard is overloaded or died with the request.
    async fn ask_once(&self, what: BrainAction) -> Option<Result<BrainState, Failed>> {
        let (reply, answer) = oneshot::channel();
        let agent = self.agent.clone();
        let request = BrainRequest { agent, incarnation: self.incarnation, what, reply };
        self.store.send(ProviderWork::Brain(request)).ok()?;
        Some(answer.await.ok()?.map_err(|error| failed(&error)))
    }
}

/// A brain in a turn. See [`Brain::guard`].
pub(super) struct OpenBrain<'a> {
    brain: &'a Brain,
    closed: bool,
}

impl OpenBrain<'_> {
    /// The turn came to an end that closed the brain, or will close it.
    pub(super) fn close(mut self) {
        self.closed = true;
    }
}

impl Drop for OpenBrain<'_> {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        let (reply, _) = oneshot::channel();
        let (agent, incarnation) = (self.brain.agent.clone(), self.brain.incarnation);
        let what = BrainAction::RollBack;
        let request = BrainRequest { agent, incarnation, what, reply };
        if self.brain.store.send(ProviderWork::Brain(request)).is_err() {
            tracing::warn!(agent = %self.brain.agent, "a brain is left in a turn: the store is overloaded");
        }
    }
}

fn failed(error: &BrainError) -> Failed {
    match error {
        BrainError::Environment { .. } => Failed::environment("brain", error.to_string()),
        BrainError::Held(_) => Failed::environment(HELD, error.to_string()),
        // Neither a fence nor a damaged file can be waited out.
        BrainError::Fenced(_) => {
            Failed { fatal: true, ..Failed::environment("brain", error.to_string()) }
        }
        BrainError::Corrupt { .. } => {
            Failed { fatal: true, ..Failed::environment(CORRUPT, error.to_string()) }
        }
        _ => Failed::host("brain", error.to_string()),
    }
}
