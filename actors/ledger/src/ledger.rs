//! The handle that the node shares: requests in, futures out.

use crate::board::Board;
use crate::ready::{Ready, ready};
use crate::writer::{self, Queue};
use crate::{OpenError, OpenTurns, Options};
use loket_turn::{
    Accept, AcceptError, Accepted, AgentName, AgentState, Allowance, Approval, ApprovalId, Ask,
    Asked, BrainStanding, Budget, CallState, Decide, Doubt, DoubtId, DynamicChild, End, Ended,
    EndedTurn, Enrol, Enrolled, Fail, FailVerdict, Files, ForCall, GroupSize, Hash, Holder,
    InboxDepth, IntentId, IntentWrite, IntentWritten, Ledger, LedgerError, LedgerEvent,
    LedgerStats, Letter, LetterId, LetterSummary, Life, Monitor, NextTurn, Outcome, Pending,
    Quarantine, Quarantined, Release, Released, Removed, Resolution, ResultWrite, RetriedLetter,
    Sleep, Snapshot, Switch, Switched, Terms, Timer, TurnKey, TurnNo, TurnSeen, TurnShown,
};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Told what has become durable, from the writer's thread, after the commit: it only hands on and
/// never blocks.
pub type Events = Box<dyn Fn(LedgerEvent) + Send>;

/// What a request comes to.
type Told<T> = Pending<Result<T, LedgerError>>;

/// The embedded ledger. Dropping it stops it.
pub struct SqliteLedger {
    queue: Queue,
    board: Board,
    open_turns: Arc<OpenTurns>,
    writer: Mutex<Option<JoinHandle<()>>>,
    high_water_ms: u64,
}

impl SqliteLedger {
    /// Opens or makes the ledger of a data directory, fsyncs what an earlier process left (rule
    /// J2a), counts the turns that were open when it died (rule B2), and starts the writer.
    ///
    /// # Errors
    /// [`OpenError`]: the directory is in use, the format is newer, the machine refused.
    pub fn open(options: Options, events: Events) -> Result<Arc<Self>, OpenError> {
        let dir = options.dir.clone();
        let Ready { engine, lock, open_turns } = ready(options)?;
        let (high_water_ms, board) = (engine.high_water_ms, engine.board.clone());
        let (queue, closing) = Queue::new();
        let writer = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || {
                writer::run(engine, &closing, &events);
                // The directory is free for the next process only once the file is closed.
                drop(lock);
            })
            .map_err(|source| OpenError::Io { path: dir, source })?;
        let (open_turns, writer) = (Arc::new(open_turns), Mutex::new(Some(writer)));
        Ok(Arc::new(Self { queue, board, open_turns, high_water_ms, writer }))
    }

    /// The same without a thread: whoever holds the steps is the writer. For simulations.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[cfg(feature = "simulation")]
    pub fn open_stepped(
        options: Options,
        events: Events,
    ) -> Result<(Arc<Self>, crate::Steps), OpenError> {
        let Ready { engine, lock, open_turns } = ready(options)?;
        let (high_water_ms, board) = (engine.high_water_ms, engine.board.clone());
        let (queue, closing) = Queue::new();
        let (open_turns, writer) = (Arc::new(open_turns), Mutex::default());
        let ledger = Arc::new(Self { queue, board, open_turns, high_water_ms, writer });
        Ok((ledger, crate::Steps::new(engine, closing, events, lock)))
    }

    /// The latest moment that the ledger had been told when it was opened, Unix milliseconds: a node's clock goes on from there.
    pub fn high_water_ms(&self) -> u64 {
        self.high_water_ms
    }

    /// The file of open turns (rule B2).
    pub fn open_turns(&self) -> Arc<OpenTurns> {
        Arc::clone(&self.open_turns)
    }

    /// Answers what is queued, checkpoints, closes the file, ends the writer. Later requests are
    /// answered `Stopped`. Waits for the writer; a second call returns at once.
    pub fn stop(&self) {
        let writer = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(writer) = writer {
            self.queue.stop();
            if writer.join().is_err() {
                tracing::error!("the ledger's writer panicked");
            }
        }
    }
}

impl Drop for SqliteLedger {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Ledger for SqliteLedger {
    fn enrol(&self, agents: Vec<Enrol>) -> Told<Vec<Enrolled>> {
        self.queue.ask(move |engine| engine.enrol(&agents))
    }

    fn rebound(&self, agent: AgentName, rows: u64, bytes: u64) -> Told<Enrolled> {
        self.queue.ask(move |engine| engine.rebound(&agent, rows, bytes))
    }

    fn remove(&self, agent: AgentName, reason: String) -> Told<Removed> {
        self.queue.ask(move |engine| engine.remove(&agent, &reason))
    }

    fn dynamic_children(&self) -> Told<Vec<DynamicChild>> {
        self.queue.ask(move |engine| engine.dynamic_children())
    }

    fn accept(&self, message: Accept) -> Pending<Result<Accepted, AcceptError>> {
        self.queue.ask_message(message.body.len(), move |engine| engine.accept(&message))
    }

    fn reserve(
        &self,
        turn: TurnKey,
        to: AgentName,
        bytes: usize,
    ) -> Pending<Result<(), AcceptError>> {
        self.queue.ask(move |engine| engine.reserve(&turn, &to, bytes))
    }

    fn release(&self, turn: TurnKey) {
        // Nobody waits for it; lost with a full queue, it is made up for by the agent's next
        // request for a turn.
        drop(self.queue.ask::<(), LedgerError, _>(move |engine| engine.release(&turn)));
    }

    fn open(&self, agent: AgentName, incarnation: u64) -> Told<AgentState> {
        self.queue.ask(move |engine| engine.open_agent(&agent, incarnation))
    }

    fn open_from(&self, from: BrainStanding, incarnation: u64) -> Told<AgentState> {
        self.queue.ask(move |engine| engine.open_from(&from, incarnation))
    }

    fn next(&self, agent: AgentName, incarnation: u64) -> Told<Option<NextTurn>> {
        self.queue.ask(move |engine| engine.next_of(&agent, incarnation))
    }

    fn pin(&self, hash: Hash, bytes: Arc<[u8]>) -> Told<()> {
        self.queue.ask(move |engine| engine.pin(hash, &bytes))
    }

    fn pinned(&self, hash: Hash) -> Told<Option<Vec<u8>>> {
        self.queue.ask(move |engine| engine.pinned(hash))
    }

    fn set_budgets(
        &self,
        agent: AgentName,
        incarnation: u64,
        terms: Vec<Terms>,
        above: Arc<[Arc<str>]>,
    ) -> Told<Vec<Budget>> {
        self.queue.ask(move |engine| engine.set_budgets(&agent, incarnation, &terms, &above))
    }

    fn set_allowances(&self, all: Vec<Allowance>) -> Told<()> {
        self.queue.ask(move |engine| engine.set_allowances(&all))
    }

    fn budgets(&self, agent: Option<AgentName>) -> Told<Vec<Budget>> {
        self.queue.look(move |engine| engine.budgets(agent.as_ref()))
    }

    fn intent(&self, write: IntentWrite) -> Told<IntentWritten> {
        self.queue.ask(move |engine| engine.intent(&write))
    }

    fn result(&self, write: ResultWrite) -> Told<(Outcome, u64)> {
        self.queue.ask(move |engine| engine.result(&write))
    }

    fn result_of(&self, intent: IntentId) -> Told<Option<(Outcome, u64)>> {
        self.queue.ask(move |engine| engine.result_of(intent))
    }

    fn state_of(&self, intent: IntentId) -> Told<CallState> {
        self.queue.ask(move |engine| engine.state_of(intent))
    }

    fn holder_ended(&self, ended: Holder) -> Told<u64> {
        self.queue.ask(move |engine| engine.holder_ended(&ended))
    }

    fn doubt(&self, intent: IntentId) -> Told<()> {
        self.queue.ask(move |engine| engine.doubt_one(intent))
    }

    fn doubts(&self) -> Told<Vec<Doubt>> {
        self.queue.look(move |engine| engine.doubts())
    }

    fn resolve_doubt(&self, id: DoubtId, how: Resolution, of: Option<ForCall<()>>) -> Told<()> {
        self.queue.ask(move |engine| engine.once(of, |engine| engine.resolve_doubt(id, &how)))
    }

    fn quarantine(&self, turn: TurnKey, why: Quarantine) -> Told<()> {
        self.queue.ask(move |engine| engine.quarantine(&turn, &why))
    }

    fn quarantines(&self) -> Told<Vec<Quarantined>> {
        self.queue.look(move |engine| engine.quarantines())
    }

    fn release_quarantine(
        &self,
        agent: AgentName,
        how: Release,
        confirmed: bool,
        of: Option<ForCall<Released>>,
    ) -> Told<Released> {
        self.queue.ask(move |engine| {
            engine.once(of, |engine| engine.release_quarantine(&agent, how, confirmed))
        })
    }

    fn end(&self, end: End) -> Told<Option<NextTurn>> {
        self.queue.ask(move |engine| engine.end(&end))
    }

    fn fail(&self, fail: Fail) -> Told<FailVerdict> {
        self.queue.ask(move |engine| engine.fail(&fail))
    }

    fn park(&self, turn: TurnKey, on: IntentId) -> Told<Option<Outcome>> {
        self.queue.ask(move |engine| engine.park(&turn, on))
    }

    fn ask(&self, ask: Ask) -> Told<Asked> {
        self.queue.ask(move |engine| engine.ask(&ask))
    }

    fn decide(&self, decide: Decide, of: Option<ForCall<Approval>>) -> Told<Approval> {
        self.queue.ask(move |engine| engine.once(of, |engine| engine.decide(&decide)))
    }

    fn approvals(&self) -> Told<Vec<Approval>> {
        self.queue.look(move |engine| engine.approvals())
    }

    fn approval(&self, id: ApprovalId) -> Told<Approval> {
        self.queue.look(move |engine| engine.approval(id))
    }

    fn sleep(&self, sleep: Sleep) -> Told<()> {
        self.queue.ask(move |engine| engine.sleep(&sleep))
    }

    fn timers(&self, agent: Option<AgentName>) -> Told<Vec<Timer>> {
        self.queue.look(move |engine| engine.timers(agent.as_ref()))
    }

    fn cancel_timer(&self, id: IntentId, of: Option<ForCall<bool>>) -> Told<bool> {
        self.queue.ask(move |engine| engine.once(of, |engine| engine.cancel_timer(id)))
    }

    fn ended_after(&self, agent: AgentName, after: TurnNo) -> Told<Vec<EndedTurn>> {
        self.queue.ask(move |engine| engine.ended_after(&agent, after))
    }

    fn brain_durable(&self, agent: AgentName, life: Life, n: TurnNo) -> Told<()> {
        self.queue.ask(move |engine| engine.brain_durable(&agent, life, n))
    }

    fn brain_standing(&self, agent: AgentName) -> Told<BrainStanding> {
        self.queue.ask(move |engine| engine.brain_standing(&agent))
    }

    fn switch_brain(&self, switch: Switch, of: Option<ForCall<Switched>>) -> Told<Switched> {
        self.queue.ask(move |engine| engine.once(of, |engine| engine.switch_brain(&switch)))
    }

    fn note_snapshot(&self, agent: AgentName, it: Snapshot) -> Told<()> {
        self.queue.ask(move |engine| engine.note_snapshot(&agent, &it))
    }

    fn snapshots(&self, agent: AgentName) -> Told<Vec<Snapshot>> {
        self.queue.look(move |engine| engine.snapshots_of(&agent))
    }

    fn drop_snapshot(&self, it: Snapshot) -> Told<()> {
        self.queue.ask(move |engine| engine.drop_snapshot(&it))
    }

    fn files(&self) -> Told<Files> {
        self.queue.look(move |engine| engine.files())
    }

    fn letters(&self) -> Told<Vec<LetterSummary>> {
        self.queue.look(move |engine| engine.letters())
    }

    fn letter(&self, id: LetterId) -> Told<Letter> {
        self.queue.look(move |engine| engine.letter(id))
    }

    fn retry_letter(
        &self,
        id: LetterId,
        confirmed: bool,
        of: Option<ForCall<RetriedLetter>>,
    ) -> Told<RetriedLetter> {
        self.queue.ask(move |engine| engine.once(of, |engine| engine.retry_letter(id, confirmed)))
    }

    fn drop_letter(&self, id: LetterId, of: Option<ForCall<()>>) -> Told<()> {
        self.queue.ask(move |engine| engine.once(of, |engine| engine.drop_letter(id)))
    }

    fn ended(&self, ended: Ended) -> Told<()> {
        self.queue.ask(move |engine| engine.ended(&ended))
    }

    fn monitors_by(&self, agent: AgentName) -> Told<Vec<Monitor>> {
        self.queue.ask(move |engine| engine.monitors_by(&agent))
    }

    fn monitors_of(&self, agent: AgentName) -> Told<Vec<Monitor>> {
        self.queue.ask(move |engine| engine.monitors_of(&agent))
    }

    fn members(&self, group: String) -> Told<Vec<AgentName>> {
        self.queue.ask(move |engine| engine.members(&group))
    }

    fn groups_of(&self, agent: AgentName) -> Told<Vec<String>> {
        self.queue.ask(move |engine| engine.groups_of(&agent))
    }

    fn groups(&self) -> Told<Vec<GroupSize>> {
        self.queue.look(move |engine| engine.groups())
    }

    fn stats(&self) -> Told<LedgerStats> {
        self.queue.look(move |engine| engine.stats())
    }

    fn turns(&self, agent: AgentName, before: TurnNo, limit: u32) -> Told<Vec<TurnSeen>> {
        self.queue.look(move |engine| engine.turns(&agent, before, limit))
    }

    fn turn(&self, agent: AgentName, n: TurnNo) -> Told<TurnShown> {
        self.queue.look(move |engine| engine.turn(&agent, n))
    }

    fn inboxes(&self) -> Told<Vec<InboxDepth>> {
        let stopped = self.queue.is_closed();
        let answer = if stopped { Err(LedgerError::Stopped) } else { Ok(self.board.all()) };
        Box::pin(std::future::ready(answer))
    }
}
