//! The writer's thread: takes what is queued, runs it in one transaction, delivers all answers,
//! then the events (rule J1).

use crate::clock::Stopwatch;
use crate::engine::{Engine, Op};
use crate::ledger::Events;
use crate::rest::Rest;
use crate::upkeep;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use loket_crossing::Expected;
use loket_turn::simulation::{Mutation, broken};
use loket_turn::{LedgerError, Pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// Requests that wait for the writer at most. Agents have one request at a time each, so this is
/// reached only when senders from outside outrun the disk; then they are told so.
pub const QUEUE: usize = 16 * 1024;

/// The part of [`QUEUE`] that new messages may fill: what is in flight always finds room to end.
const QUEUE_FOR_MESSAGES: usize = QUEUE / 2;

/// Bytes of message bodies that wait for the writer at most: bounds memory where bodies are large.
const QUEUE_BYTES: u64 = 256 * 1024 * 1024;

/// Requests of one group commit at most: past some hundreds the fsync is amortised and only latency
/// grows.
pub const GROUP: usize = 512;

/// How long a stop waits for room in a full queue before it looks whether the writer still runs.
const STOP_STEP: Duration = Duration::from_millis(50);

/// A queued request.
pub(crate) trait Job: Send {
    /// Does the work inside the group's transaction.
    fn run(&mut self, engine: &mut Engine);
    /// Delivers the answer once the group's fate is known.
    fn answer(self: Box<Self>, group: &Result<(), LedgerError>);
}

struct Ask<T, E, F> {
    work: Option<F>,
    done: Option<Result<T, E>>,
    to: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Job for Ask<T, E, F>
where
    T: Send,
    E: From<LedgerError> + Send,
    F: FnOnce(&mut Engine) -> Op<T, E> + Send,
{
    fn run(&mut self, engine: &mut Engine) {
        if let Some(work) = self.work.take() {
            self.done = Some(engine.request(work));
        }
    }

    fn answer(self: Box<Self>, group: &Result<(), LedgerError>) {
        let answer = match (group, self.done) {
            (Ok(()), Some(done)) => done,
            (Ok(()), None) => Err(LedgerError::Stopped.into()),
            (Err(why), _) => Err(why.clone().into()),
        };
        // Nobody waits any more: the write stands all the same.
        let _ = self.to.send(answer);
    }
}

pub(crate) enum Order {
    Run(Box<dyn Job>),
    /// Only looks at what there is: it shares no group's fate, so a full disk cannot refuse it (rule J3).
    Look(Box<dyn Job>),
    Stop,
}

/// The sending end, shared by all lanes.
pub(crate) struct Queue {
    to: Sender<Order>,
    bytes: Arc<AtomicU64>,
    end: End,
}

/// The writer's end of the queue. However the writer ends, by a stop, a file that is gone or a
/// panic, every request still queued is answered `Stopped`, and so is every later one: a channel
/// alone would keep what was queued, and who asked would wait for ever.
#[derive(Clone)]
pub(crate) struct End {
    pub(crate) from: Receiver<Order>,
    closed: Arc<AtomicBool>,
}

impl End {
    fn discard(&self) {
        // A request that is dropped is answered.
        self.from.try_iter().take(QUEUE).for_each(drop);
    }

    /// Closes the queue. A sender that came just before sees it and discards as well.
    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.discard();
    }
}

/// Closes the queue when the writer's thread leaves, by whatever way.
pub(crate) struct Closing(pub(crate) End);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Queue {
    pub(crate) fn new() -> (Self, Closing) {
        let (to, from) = bounded(QUEUE);
        let bytes = Arc::new(AtomicU64::new(0));
        let closed = Arc::new(AtomicBool::new(false));
        let end = End { from, closed };
        let closing = Closing(end.clone());
        (Self { to, bytes, end }, closing)
    }

    /// Whether the writer has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.end.closed.load(Ordering::SeqCst)
    }

    /// Queues a request. Never blocks: a full queue is an answer.
    pub(crate) fn ask<T, E, F>(&self, work: F) -> Pending<Result<T, E>>
    where
        T: Send + 'static,
        E: From<LedgerError> + Send + 'static,
        F: FnOnce(&mut Engine) -> Op<T, E> + Send + 'static,
    {
        self.queue(Order::Run, work)
    }

    /// Queues a look at what is durable: it changes nothing, and comes after the group that it came with.
    pub(crate) fn look<T, F>(&self, work: F) -> Pending<Result<T, LedgerError>>
    where
        T: Send + 'static,
        F: FnOnce(&Engine) -> Op<T> + Send + 'static,
    {
        self.queue(Order::Look, move |engine| work(engine))
    }

    fn queue<T, E, F>(&self, order: fn(Box<dyn Job>) -> Order, work: F) -> Pending<Result<T, E>>
    where
        T: Send + 'static,
        E: From<LedgerError> + Send + 'static,
        F: FnOnce(&mut Engine) -> Op<T, E> + Send + 'static,
    {
        let (to, answer) = oneshot::channel();
        let ask = Ask { work: Some(work), done: None, to };
        if self.is_closed() {
            return refuse(LedgerError::Stopped);
        }
        match self.to.try_send(order(Box::new(ask))) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return refuse(LedgerError::Busy),
            Err(TrySendError::Disconnected(_)) => return refuse(LedgerError::Stopped),
        }
        if self.is_closed() {
            self.end.discard();
        }
        Box::pin(async move {
            let _expected = Expected::begin();
            answer.await.unwrap_or(Err(LedgerError::Stopped.into()))
        })
    }

    /// Queues a new message of `bytes`, which leaves room for what is in flight.
    pub(crate) fn ask_message<T, E, F>(&self, bytes: usize, work: F) -> Pending<Result<T, E>>
    where
        T: Send + 'static,
        E: From<LedgerError> + Send + 'static,
        F: FnOnce(&mut Engine) -> Op<T, E> + Send + 'static,
    {
        let bytes = bytes as u64;
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let weight = Weight(Arc::clone(&self.bytes), bytes);
        if self.to.len() >= QUEUE_FOR_MESSAGES || before.saturating_add(bytes) > QUEUE_BYTES {
            return refuse(LedgerError::Busy);
        }
        self.ask(move |engine| {
            let _weight = weight;
            work(engine)
        })
    }

    pub(crate) fn stop(&self) {
        // A full queue is emptied by the writer, or by its end.
        let mut order = Order::Stop;
        while !self.is_closed() {
            match self.to.send_timeout(order, STOP_STEP) {
                Ok(()) => return,
                Err(refused) => order = refused.into_inner(),
            }
        }
    }
}

/// Takes its bytes off the queue's account when the request has run or was refused.
struct Weight(Arc<AtomicU64>, u64);

impl Drop for Weight {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

fn refuse<T: Send + 'static, E: From<LedgerError> + Send + 'static>(
    why: LedgerError,
) -> Pending<Result<T, E>> {
    Box::pin(async move { Err(why.into()) })
}

/// The thread's loop. Ends at a stop, or when all senders are gone.
pub(crate) fn run(mut engine: Engine, closing: &Closing, events: &Events) {
    let from = &closing.0.from;
    let mut jobs: Vec<Box<dyn Job>> = Vec::with_capacity(GROUP);
    let mut looks: Vec<Box<dyn Job>> = Vec::new();
    let mut stop = false;
    let mut rest = Rest::new();
    while !stop {
        // Upkeep only while nobody waits; a request that arrives meanwhile waits for one bounded
        // step of it.
        let mut next = match from.try_recv() {
            Ok(order) => Some(order),
            Err(_) if engine.is_timer_due() => None,
            Err(_) if !engine.is_broken() && upkeep::idle_step(&mut engine) => continue,
            Err(_) => match rest.wait(&mut engine, from) {
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            },
        };
        rest.over();
        while let Some(order) = next {
            match order {
                Order::Run(job) => jobs.push(job),
                Order::Look(job) => looks.push(job),
                Order::Stop => stop = true,
            }
            next = (jobs.len() + looks.len() < GROUP).then(|| from.try_recv().ok()).flatten();
        }
        jobs.extend(fire(&mut engine));
        if !jobs.is_empty() {
            group(&mut engine, &mut jobs, events);
        }
        if !looks.is_empty() {
            look(&mut engine, &mut looks);
        }
    }
    upkeep::close(engine);
}

/// The timers' own request, when one may be due.
pub(crate) fn fire(engine: &mut Engine) -> Option<Box<dyn Job>> {
    engine.is_timer_due().then(|| Box::new(Fire) as Box<dyn Job>)
}

/// Fires due timers, in the same commit as whatever else there is.
struct Fire;

impl Job for Fire {
    fn run(&mut self, engine: &mut Engine) {
        if let Err(why) = engine.request::<_, LedgerError>(Engine::fire_due) {
            tracing::warn!(code = why.code(), "due timers are put off: {why}");
            engine.timers.again();
        }
    }

    fn answer(self: Box<Self>, _group: &Result<(), LedgerError>) {}
}

/// One group commit. While the file cannot be used every request is answered so, and each group tries again.
fn group(engine: &mut Engine, jobs: &mut Vec<Box<dyn Job>>, events: &Events) {
    let watch = Stopwatch::start();
    if !take(engine, jobs) {
        return;
    }
    let verdict = engine.commit();
    engine.meters.commit.record(watch.seconds());
    settle(engine, jobs, events, &verdict);
}

/// Begins a group and does its work; `false` when the file cannot be used, and all are answered.
pub(crate) fn take(engine: &mut Engine, jobs: &mut Vec<Box<dyn Job>>) -> bool {
    if !usable(engine, jobs) {
        engine.timers.again();
        return false;
    }
    engine.begin();
    for job in jobs.iter_mut() {
        job.run(engine);
    }
    engine.meters.batch.record(jobs.len() as f64);
    if broken(Mutation::AckEarly) {
        jobs.drain(..).for_each(|job| job.answer(&Ok(())));
    }
    true
}

/// What follows from a group's commit: answers, then events.
pub(crate) fn settle(
    engine: &mut Engine,
    jobs: &mut Vec<Box<dyn Job>>,
    events: &Events,
    verdict: &Result<(), LedgerError>,
) {
    let mut durable = std::mem::take(&mut engine.events);
    // Before the answers: a request that follows an error finds the file as it is. A failure shows again at the next group.
    if let Err(why) = engine.mend() {
        tracing::error!(code = why.code(), "the ledger cannot be used: {why}");
    }
    durable.append(&mut engine.events);
    let requests = jobs.len();
    for job in jobs.drain(..) {
        job.answer(verdict);
    }
    durable.into_iter().for_each(events);
    if !engine.is_broken() {
        upkeep::busy_step(engine, requests);
    }
}

/// Answers all that only looks, in one transaction that writes nothing.
pub(crate) fn look(engine: &mut Engine, looks: &mut Vec<Box<dyn Job>>) {
    if !usable(engine, looks) {
        return;
    }
    engine.begin_look();
    for job in looks.iter_mut() {
        job.run(engine);
    }
    let verdict = engine.end_look();
    for job in looks.drain(..) {
        job.answer(&verdict);
    }
}

/// Whether the file can be used. Upkeep may have broken it, and what is broken is not written to: who waits is told.
fn usable(engine: &mut Engine, jobs: &mut Vec<Box<dyn Job>>) -> bool {
    let Err(why) = engine.mend() else {
        return true;
    };
    tracing::error!(code = why.code(), "the ledger cannot be used: {why}");
    let refusal = Err(LedgerError::Storage(why.to_string()));
    jobs.drain(..).for_each(|job| job.answer(&refusal));
    false
}
