//! The handle that the node shares: requests in, futures out.

use crate::{OpenError, OpenTurns, Options};
use loket_turn::{
    Accept, AcceptError, Accepted, AgentName, AgentState, DynamicChild, End, EndedTurn, Enrol,
    Enrolled, Fail, FailVerdict, Hash, IntentId, IntentWrite, IntentWritten, Ledger, LedgerError,
    LedgerEvent, LedgerStats, Letter, LetterId, LetterSummary, Life, NextTurn, Outcome, Pending,
    Removed, ResultWrite, RetriedLetter, TurnKey, TurnNo,
};
use std::sync::Arc;

/// Told what has become durable, from the writer's thread, after the commit: it only hands on and never blocks.
pub type Events = Box<dyn Fn(LedgerEvent) + Send>;

/// The embedded ledger.
pub struct SqliteLedger {
    open_turns: Arc<OpenTurns>,
}

impl SqliteLedger {
    /// Opens or makes the ledger of a data directory.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(options: Options, events: Events) -> Result<Arc<Self>, OpenError> {
        let _ = events;
        let open_turns = OpenTurns::create(&options.dir, 1).map_err(|source| OpenError::Io {
            path: options.dir.clone(),
            source,
        })?;
        Ok(Arc::new(Self {
            open_turns: Arc::new(open_turns),
        }))
    }

    /// The file of open turns (rule B2).
    pub fn open_turns(&self) -> Arc<OpenTurns> {
        Arc::clone(&self.open_turns)
    }

    /// Answers what is queued, checkpoints, ends the writer. Later requests are answered `Stopped`.
    pub fn stop(&self) {}
}

fn stopped<T: Send + 'static, E: From<LedgerError> + Send + 'static>() -> Pending<Result<T, E>> {
    Box::pin(async { Err(LedgerError::Stopped.into()) })
}

impl Ledger for SqliteLedger {
    fn enrol(&self, _: Vec<Enrol>) -> Pending<Result<Vec<Enrolled>, LedgerError>> {
        stopped()
    }
    fn remove(&self, _: AgentName, _: String) -> Pending<Result<Removed, LedgerError>> {
        stopped()
    }
    fn dynamic_children(&self) -> Pending<Result<Vec<DynamicChild>, LedgerError>> {
        stopped()
    }
    fn accept(&self, _: Accept) -> Pending<Result<Accepted, AcceptError>> {
        stopped()
    }
    fn reserve(&self, _: TurnKey, _: AgentName, _: usize) -> Pending<Result<(), AcceptError>> {
        stopped()
    }
    fn release(&self, _: TurnKey) {}
    fn open(&self, _: AgentName, _: u64) -> Pending<Result<AgentState, LedgerError>> {
        stopped()
    }
    fn next(&self, _: AgentName, _: u64) -> Pending<Result<Option<NextTurn>, LedgerError>> {
        stopped()
    }
    fn pin(&self, _: Hash, _: Vec<u8>) -> Pending<Result<(), LedgerError>> {
        stopped()
    }
    fn pinned(&self, _: Hash) -> Pending<Result<Option<Vec<u8>>, LedgerError>> {
        stopped()
    }
    fn intent(&self, _: IntentWrite) -> Pending<Result<IntentWritten, LedgerError>> {
        stopped()
    }
    fn result(&self, _: ResultWrite) -> Pending<Result<Outcome, LedgerError>> {
        stopped()
    }
    fn result_of(&self, _: IntentId) -> Pending<Result<Option<(Outcome, u64)>, LedgerError>> {
        stopped()
    }
    fn end(&self, _: End) -> Pending<Result<Option<NextTurn>, LedgerError>> {
        stopped()
    }
    fn fail(&self, _: Fail) -> Pending<Result<FailVerdict, LedgerError>> {
        stopped()
    }
    fn park(&self, _: TurnKey, _: IntentId) -> Pending<Result<Option<Outcome>, LedgerError>> {
        stopped()
    }
    fn ended_after(&self, _: AgentName, _: TurnNo) -> Pending<Result<Vec<EndedTurn>, LedgerError>> {
        stopped()
    }
    fn brain_durable(&self, _: AgentName, _: Life, _: TurnNo) -> Pending<Result<(), LedgerError>> {
        stopped()
    }
    fn letters(&self) -> Pending<Result<Vec<LetterSummary>, LedgerError>> {
        stopped()
    }
    fn letter(&self, _: LetterId) -> Pending<Result<Letter, LedgerError>> {
        stopped()
    }
    fn retry_letter(&self, _: LetterId, _: bool) -> Pending<Result<RetriedLetter, LedgerError>> {
        stopped()
    }
    fn drop_letter(&self, _: LetterId) -> Pending<Result<(), LedgerError>> {
        stopped()
    }
    fn stats(&self) -> Pending<Result<LedgerStats, LedgerError>> {
        stopped()
    }
}
