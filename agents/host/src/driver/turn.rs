//! One turn: permit, begin, catch-up, run, end, commit. The order is the promise (rules B3, F1, D1, D2).

use super::begin::Pinned;
use super::brain::Brain;
use super::calls::Counter;
use super::catch_up::Brought;
use super::end::{Failed, Stopped, diverged, sort};
use super::pause::Pauses;
use super::services::Own;
use super::{HostServices, metrics};
use crate::engine::{self, Background, RunLimits};
use loket_contract::failpoints::{self, Point};
use loket_kernel::{Address, Moment};
use loket_runtime::{CallEnvelope, Control, Mailbox, TurnContext, TurnPurse};
use loket_turn::limits::PARKS_PER_TURN_MAX;
use loket_turn::simulation::{Mutation, broken};
use loket_turn::{
    Begin, Blame, Counted, Diverged, End, Epoch, Failure, Hash, Journal, Life, Message, Mode,
    NextTurn, Outcome, Record, TurnKey, TurnNo, chain_after,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

/// One agent's incarnation, as its turns see it.
pub(super) struct Agent {
    pub(super) services: Arc<HostServices>,
    pub(super) own: Own,
    pub(super) kernel: Mailbox<CallEnvelope>,
    pub(super) background: Background,
    pub(super) present: Arc<Pinned>,
    pub(super) brain: Brain,
    pub(super) life: Life,
    pub(super) epoch: Epoch,
    /// The brain is known to have every turn that the ledger has ended.
    pub(super) level: bool,
    /// What became of the last write is not known: the ledger knows more than is said here.
    pub(super) unsure: bool,
    pub(super) done: TurnNo,
    /// Turns up to this one were on the disk when the incarnation began.
    pub(super) durable: TurnNo,
    pub(super) chain: Hash,
    pub(super) pauses: Pauses,
    /// Whether the guest waits for an answer at this moment.
    pub(super) in_call: Rc<Cell<bool>>,
    /// The budgets of the turn that runs, if the agent has any.
    pub(super) purse: Option<Arc<TurnPurse>>,
}

/// What a run of a module came to, with its journal.
pub(super) struct Ran {
    pub(super) context: Arc<TurnContext>,
    pub(super) answer: Result<Outcome, Stopped>,
}

/// What is run: a fresh turn, a retry, or a turn that a brain lacks.
pub(super) struct Play {
    pub(super) n: TurnNo,
    pub(super) mode: Mode,
    pub(super) message: Message,
    pub(super) begin: Begin,
    pub(super) begun: bool,
    pub(super) records: Vec<Record>,
    pub(super) pinned: Arc<Pinned>,
}

impl Agent {
    pub(super) fn key(&self, n: TurnNo) -> TurnKey {
        let agent = self.own.name.clone();
        TurnKey { agent, life: self.life, incarnation: self.brain.incarnation, n }
    }

    /// Runs the next turn to its end. Gives the turn after it, if its message is there already.
    pub(super) async fn turn(
        &mut self,
        next: NextTurn,
        control: &Control,
    ) -> Result<Option<NextTurn>, Stopped> {
        let alone = next.survival.deaths >= loket_turn::limits::DEATHS_BEFORE_ALONE;
        if next.survival.deaths_alone >= loket_turn::limits::DEATHS_ALONE_BEFORE_HELD {
            let text = format!(
                "the process died {} times while this message was handled alone",
                next.survival.deaths_alone
            );
            return Err(Stopped::Quarantined(self.because("deaths", text, next.n, None)));
        }
        if next.parks > PARKS_PER_TURN_MAX {
            let message = format!("the turn waited more than {PARKS_PER_TURN_MAX} times");
            let (cause, blame, backtrace) = ("parks", Blame::Guest, String::new());
            return Err(Stopped::Failed(Failed { cause, blame, message, backtrace, fatal: true }));
        }
        if alone {
            // Growing backoff between starts that this turn may be the end of (rule B2).
            let power = next.survival.deaths_alone.min(6);
            self.services.clock.sleep(100 << power).await;
        }
        // Without its brain there is nothing to run: it waits for the store before it takes a slot.
        if let Some(store) = self.brain.away() {
            return Err(Stopped::Paused(store));
        }
        let _permit = if alone {
            self.services.slots.exclusive().await
        } else {
            self.services.slots.acquire().await
        };
        let n = next.n;
        let _open = self.services.open_turns.enter(&self.key(n), alone);
        let brain = self.brain.clone();
        let in_turn = brain.guard();
        self.level = self.bring_up(n).await? == Brought::Level;
        let (begin, begun) = match &next.begin {
            Some(begin) if broken(Mutation::TimeUnpinned) => {
                let fresh = self.present.begin(&self.services, &self.own.spec);
                let Begin { time_ms, seed, .. } = fresh.map_err(Stopped::Failed)?;
                (Begin { time_ms, seed, ..begin.clone() }, true)
            }
            Some(begin) => (begin.clone(), true),
            None => {
                let begin = self.present.begin(&self.services, &self.own.spec);
                (begin.map_err(Stopped::Failed)?, false)
            }
        };
        let pinned = self.present.of(&self.services, &begin).await.map_err(Stopped::Failed)?;
        self.purse = None;
        self.purse = TurnPurse::new(next.budgets, &self.services.together);
        let message = next.message;
        let marked = failpoints::marked(&message.body);
        failpoints::stall(&message.body);
        let play =
            Play { n, mode: Mode::Live, message, begin, begun, records: next.records, pinned };
        let ran = self.watched(play, control).await;
        match ran.and_then(|ran| Ok((ran.context, ran.answer?))) {
            Ok((context, reply)) => {
                let ended = self.finish(n, &context, reply, marked).await;
                in_turn.close();
                ended
            }
            Err(stopped) => {
                match &stopped {
                    Stopped::Parked(_) => self.leave_brain().await,
                    _ => self.brain.roll_back().await,
                }
                in_turn.close();
                self.services.ledger.release(self.key(n));
                Err(stopped)
            }
        }
    }

    /// The same as [`run`](Self::run), under the watchdog's eyes: what makes no progress is given up.
    async fn watched(&self, play: Play, control: &Control) -> Result<Ran, Stopped> {
        control.busy(Some(self.services.clock.monotonic_ms()));
        let ran = tokio::select! {
            biased;
            ran = self.run(play) => Ok(ran),
            () = control.interrupted() => Err(Stopped::Failed(Failed::hung(self.in_call.get()))),
        };
        control.busy(None);
        ran
    }

    /// Runs a module against a journal. Brain and ledger are the caller's.
    pub(super) async fn run(&self, play: Play) -> Ran {
        let Play { n, mode, message, begin, begun, records, pinned } = play;
        let spec = &self.own.spec;
        let limits = RunLimits {
            memory_bytes: usize::try_from(begin.memory_bytes).unwrap_or(usize::MAX),
            table_elements: spec.limits.table_elements as usize,
            output_bytes: usize::try_from(begin.output_bytes).unwrap_or(usize::MAX),
            ..RunLimits::default()
        };
        let mut on_the_way = message.chain.clone();
        on_the_way.push(self.own.name.clone());
        let seed = begin.seed;
        let journal = Journal::new(self.life, message.id, mode, begin, begun, records);
        let context = Arc::new(TurnContext {
            key: self.key(n),
            message: message.id,
            on_the_way,
            seed,
            settings: pinned.settings.clone(),
            pinned: pinned.grants.clone(),
            journal: Mutex::new(journal),
            // A catch-up spends nothing (rule F1).
            purse: self.purse.as_ref().filter(|_| mode == Mode::Live).map(Arc::clone),
        });
        // A catch-up has no deadline (rule F2): what ended once ends again.
        let ends_at_ms = (mode == Mode::Live)
            .then(|| self.services.clock.monotonic_ms().saturating_add(spec.limits.deadline_ms));
        let mut counter = Rc::new(self.counter(&context, ends_at_ms));
        let id = message.id.to_string();
        let mail = engine::Message {
            id: &id,
            sender: &message.sender,
            kind: &message.kind,
            body: &message.body,
        };
        let running = (self.services.running_guests.enter(), metrics::Live::new());
        let started_ms = self.services.clock.monotonic_ms();
        let ran = self.guest(&pinned, &limits, mail, &mut counter).await;
        drop(running);
        metrics::ran(self.services.clock.monotonic_ms().saturating_sub(started_ms));
        let answer = match ran {
            Ok(answer) => Ok(answer.map_err(from_guest)),
            Err(error) => {
                let at = (n, self.services.clock.now().0);
                Err(sort(error, counter.halt.take(), at))
            }
        };
        Ran { context, answer }
    }

    /// The guest itself, in slices that leave the lane to others.
    async fn guest(
        &self,
        pinned: &Pinned,
        limits: &RunLimits,
        mail: engine::Message<'_>,
        counter: &mut Rc<Counter>,
    ) -> Result<engine::Answer, engine::TurnError> {
        #[cfg(feature = "simulation")]
        if let Some(script) = &pinned.module.script {
            return super::script::run(script, mail, counter).await;
        }
        let run = pinned.module.module.run(limits, mail, counter);
        self.background.turn(&self.own.name, run).await
    }

    fn counter(&self, context: &Arc<TurnContext>, ends_at_ms: Option<u64>) -> Counter {
        let services = &self.services;
        let from = Address { principal: self.own.principal, incarnation: self.brain.incarnation };
        let deadline =
            Moment(services.clock.now().0.saturating_add(self.own.spec.limits.deadline_ms));
        Counter {
            from,
            kernel: self.kernel.clone(),
            turn: Arc::clone(context),
            ledger: services.ledger.clone(),
            waiters: services.waiters.clone(),
            authority: services.authority.clone(),
            slots: services.slots.clone(),
            clock: services.clock.clone(),
            spec: Arc::clone(&self.own.spec),
            park_after_ms: self.own.spec.park_after_ms,
            deadline: Some(deadline),
            ends_at_ms,
            pauses: self.pauses.clone(),
            paused_ms: Cell::default(),
            in_call: Rc::clone(&self.in_call),
            names: RefCell::default(),
            on_the_way: Cell::default(),
            halt: Cell::default(),
        }
    }

    /// What the ledger is told at the end, and the chain hash after it.
    fn ending(
        &self,
        n: TurnNo,
        context: &TurnContext,
        reply: Outcome,
    ) -> Result<(End, Hash), Diverged> {
        let mut journal = context.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = journal.end(&reply)?;
        let chain = chain_after(self.chain, n, hash);
        let end = End {
            turn: self.key(n),
            begin: journal.unwritten_begin().cloned(),
            records: journal.unwritten().to_vec(),
            reply,
            hash,
            chain,
            effects: journal.effects(),
            counted: counted(context.purse.as_deref()),
            now_ms: self.services.clock.now().0,
        };
        Ok((end, chain))
    }

    /// The end of the turn: the ledger first, then the brain (rules D1, D2).
    async fn finish(
        &mut self,
        n: TurnNo,
        context: &TurnContext,
        reply: Result<Vec<u8>, Failure>,
        marked: bool,
    ) -> Result<Option<NextTurn>, Stopped> {
        let (end, chain) = match self.ending(n, context, reply) {
            Ok(ending) => ending,
            Err(found) => {
                self.brain.roll_back().await;
                return Err(diverged(n, self.services.clock.now().0, &found));
            }
        };
        if broken(Mutation::BrainFirst) {
            let _ = self.brain.commit(n, chain, false).await;
        }
        let ending = self.services.ledger.end(end);
        if broken(Mutation::WrittenD2) {
            let _ = self.brain.commit(n, chain, false).await;
        }
        let next = match ending.await {
            Ok(next) => next,
            Err(error) => {
                self.brain.roll_back().await;
                return Err(Stopped::Failed(Failed::ledger(&error)));
            }
        };
        written(context.purse.as_deref());
        failpoints::hit(Point::AfterCompletion, None, marked);
        (self.done, self.chain, self.level) = (n, chain, false);
        metrics::completed();
        match self.brain.commit(n, chain, next.is_some()).await {
            // One that waits for the next turn's commit is there once that has looked.
            Ok(_) => self.level = next.is_none(),
            // Nothing is lost: the next turn finds the brain behind and re-runs this one (rule F1).
            Err(failed) => {
                let agent = &self.own.name;
                tracing::warn!(%agent, n = n.0, "brain not committed: {}", failed.message);
            }
        }
        Ok(next)
    }
}

/// What a turn has counted of its budgets and the ledger does not have yet.
pub(super) fn counted(purse: Option<&TurnPurse>) -> Vec<Counted> {
    purse.map_or_else(Vec::new, |purse| purse.with(|purse, _| purse.counted()))
}

/// The ledger has it.
pub(super) fn written(purse: Option<&TurnPurse>) {
    if let Some(purse) = purse {
        purse.with(|purse, _| purse.written());
    }
}

fn from_guest(failure: engine::Failure) -> Failure {
    let engine::Failure { code, message, retryable, retry_after_ms } = failure;
    Failure { code, message, retryable, retry_after_ms }
}
