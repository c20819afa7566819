//! One turn: a fresh instance, one call of `handle`, every call of the guest handed to the driver.
//!
//! Nothing of an instance may outlive its turn, and the guest may see nothing that a later run of the same turn would not
//! see again: no clock, no slice, no limit of the machine. Start at [`Module::run`].

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use wasmtime::component::{Linker, WasmList, WasmStr};
use wasmtime::{Store, StoreContextMut, UpdateDeadline};

use super::at_once::{Answered, AtOnce, OnDuty};
use super::classify::{Phase, classify};
use super::error::{Abort, Cause, TurnError};
use super::limiter::{Ceilings, Limiter};
use super::load::Module;
use super::slot::{Asked, Event, Request, Slot};
use super::types::{Answer, Failure, Message};

/// Largest args of one call, bytes. What is larger does not belong in the ledger's records; the guest gets a failure that
/// says so, and may ask for less or in parts.
pub const MAX_ARGS_BYTES: usize = 1 << 20;

/// Longest name of a capability that is looked at, bytes: eight segments of 64, and the dots between them.
pub const MAX_CAPABILITY_BYTES: usize = 8 * 64 + 7;

/// What one turn may use.
#[derive(Clone, Copy, Debug)]
pub struct RunLimits {
    /// Memory, bytes, summed over the component's memories; the engine's own ceiling for one memory holds as well.
    pub memory_bytes: usize,
    /// Table elements, summed over the component's tables.
    pub table_elements: usize,
    /// Largest answer, bytes; of a failure, its code and message together.
    pub output_bytes: usize,
    /// Ticks in a slice. 1 in production. 0 ends a slice at every loop and call, ticker or not: for tests.
    pub slice_ticks: u64,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            memory_bytes: super::MAX_INSTANCE_MEMORY_BYTES,
            table_elements: 20_000,
            output_bytes: MAX_ARGS_BYTES,
            slice_ticks: 1,
        }
    }
}

/// What becomes of a guest whose slice is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SliceVerdict {
    /// It may go on when its next slice comes.
    Continue,
    /// Its time is over. It gets one last slice, so that the error shows where it was.
    Deadline,
    /// It ends here and now, with no backtrace.
    Kill,
}

/// The driver's side of a turn. Not `Send`, and borrowed: it may hold what the lane holds.
pub trait Host {
    /// The guest calls `capability`. Both are bounded by [`MAX_CAPABILITY_BYTES`] and [`MAX_ARGS_BYTES`], but nothing else is
    /// checked. One call at a time; nothing else of the guest runs until it is answered. Dropped if the turn is dropped.
    fn call(
        &mut self,
        capability: String,
        args: Vec<u8>,
    ) -> impl Future<Output = Result<Answer, Abort>>;

    /// What answers calls without waiting, if this host has such a thing. The guest's calls go there, and [`Host::call`] is not used.
    fn at_once(&self) -> Option<Rc<dyn AtOnce>> {
        None
    }

    /// The answer to a call that [`AtOnce::call`] has begun. Dropped if the turn is dropped.
    fn rest(&mut self) -> impl Future<Output = Result<Answer, Abort>> {
        std::future::ready(Err(Abort::Host("no call has begun".to_owned())))
    }

    /// A slice of the guest is over, and it is not finished. Called before the lane goes to others; must not block.
    fn slice(&mut self) -> SliceVerdict {
        SliceVerdict::Continue
    }
}

/// What a store knows of its turn.
pub(super) struct State {
    limiter: Limiter,
    slot: Arc<Slot>,
    ticks: u64,
}

/// The guest was told to stop at the end of its last slice.
#[derive(Debug, thiserror::Error)]
#[error("stopped by its deadline")]
pub(super) struct Stopped;

/// The one host function there is.
pub(super) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    let mut counter = linker.instance(loket_abi::COUNTER)?;
    counter.func_wrap_async(
        loket_abi::CALL,
        |mut store: StoreContextMut<'_, State>, (capability, args): (WasmStr, WasmList<u8>)| {
            // Before there is a future: one that answers needs nothing else.
            let event = match call(&store, &capability, &args) {
                Ok(Called::Answered(answer)) => return Box::new(Answered::with(answer)),
                Ok(Called::Waits(event)) => event,
                Err(breach) => return Box::new(std::future::ready(Err(breach))),
            };
            Box::new(async move {
                let asked = store.data().slot.ask(event).await;
                // While it waited, others ran: it begins a new slice, and is not sent to the end of a queue for
                // ticks that passed without it. An answer without a wait is part of the old slice.
                if asked.waited {
                    let ticks = first_slice(store.data().ticks);
                    store.set_epoch_deadline(ticks);
                }
                Ok((asked.answer,))
            })
        },
    )?;
    Ok(linker)
}

/// Ticks of a slice that begins anywhere between two of them: the tick that is under way is not counted, or one guest in
/// twenty that runs for ten microseconds would be sent to the end of the background queue.
fn first_slice(ticks: u64) -> u64 {
    match ticks {
        // At every loop and call, ticker or not.
        0 => 0,
        ticks => ticks.saturating_add(1),
    }
}

/// What a call has come to on the fibre.
enum Called {
    Answered(Answer),
    /// The lane has to be told this, and the fibre to wait.
    Waits(Event),
}

/// Copies a call out of the guest, after looking at its size, and has it answered if that is possible at once. The error is the
/// guest's breach of the ABI.
fn call(
    store: &StoreContextMut<'_, State>,
    capability: &WasmStr,
    args: &WasmList<u8>,
) -> wasmtime::Result<Called> {
    let refuse = |code: &str, message: String| {
        let code = code.to_owned();
        let failure = Failure { code, message, retryable: false, retry_after_ms: None };
        Ok(Called::Answered(Err(failure)))
    };
    let bytes = args.len();
    if bytes > MAX_ARGS_BYTES {
        return refuse(
            "args_too_large",
            format!(
                "args of {bytes} bytes; the limit of one call is {MAX_ARGS_BYTES}: send less, or in parts"
            ),
        );
    }
    let name = capability.to_str(store)?;
    if name.len() > MAX_CAPABILITY_BYTES {
        let (got, max) = (name.len(), MAX_CAPABILITY_BYTES);
        return refuse(
            "bad_name",
            format!("a capability's name has at most {max} bytes, not {got}"),
        );
    }
    let args = args.as_le_slice(store);
    let Some(answers) = OnDuty::now() else {
        let (capability, args) = (name.into_owned(), args.to_vec());
        return Ok(Called::Waits(Event::Call(Request { capability, args })));
    };
    Ok(match answers.call(&name, args) {
        Some(Ok(answer)) => Called::Answered(answer),
        Some(Err(abort)) => Called::Waits(Event::Aborted(abort)),
        None => Called::Waits(Event::Begun),
    })
}

enum Step {
    Done(Result<Answer, TurnError>),
    Call(Request),
    Begun,
    Abort(Abort),
    Kill,
}

impl Module {
    /// Runs one turn in a fresh instance. Yields after every slice, having asked [`Host::slice`]; wrap it in
    /// [`super::Background::slice`] so that the lane's other work goes first. Dropping the future ends the turn at once.
    ///
    /// # Errors
    /// [`TurnError`]: the guest trapped, broke the ABI or a limit, or the driver ended the turn.
    pub async fn run<H: Host>(
        &self,
        limits: &RunLimits,
        message: Message<'_>,
        host: &mut H,
    ) -> Result<Answer, TurnError> {
        let slot = Arc::new(Slot::default());
        let answers = host.at_once();
        let mut guest = pin!(self.guest(limits, message, Arc::clone(&slot)));
        loop {
            let step = std::future::poll_fn(|cx| {
                let duty = OnDuty::begins(answers.as_ref());
                let polled = guest.as_mut().poll(cx);
                drop(duty);
                if let Poll::Ready(done) = polled {
                    return Poll::Ready(Step::Done(done));
                }
                match slot.event() {
                    Some(Event::Call(request)) => return Poll::Ready(Step::Call(request)),
                    Some(Event::Begun) => return Poll::Ready(Step::Begun),
                    Some(Event::Aborted(abort)) => return Poll::Ready(Step::Abort(abort)),
                    // The guest has woken its task already: it goes on when that is polled again.
                    Some(Event::SliceOver) => match host.slice() {
                        SliceVerdict::Continue => {}
                        SliceVerdict::Deadline => slot.stop(),
                        SliceVerdict::Kill => return Poll::Ready(Step::Kill),
                    },
                    None => {}
                }
                Poll::Pending
            })
            .await;
            let asked = match step {
                Step::Done(done) => return done,
                Step::Kill => return Err(TurnError::plain(Cause::Killed)),
                Step::Abort(abort) => Err(abort),
                Step::Call(request) => ask(host.call(request.capability, request.args)).await,
                Step::Begun => ask(host.rest()).await,
            };
            match asked {
                Ok(asked) => slot.answer(asked),
                Err(abort) => return Err(TurnError::plain(Cause::Aborted(abort))),
            }
        }
    }

    /// Everything that happens on the fibre.
    async fn guest(
        &self,
        limits: &RunLimits,
        message: Message<'_>,
        slot: Arc<Slot>,
    ) -> Result<Answer, TurnError> {
        let inner = &*self.0;
        let limiter = Limiter::new(Ceilings {
            memory_bytes: limits.memory_bytes,
            each_bytes: inner.memory_bytes,
            table_elements: limits.table_elements,
        });
        let ticks = limits.slice_ticks;
        let mut store = Store::new(inner.pre.engine(), State { limiter, slot, ticks });
        store.limiter(|state| &mut state.limiter);
        // Whatever the guest hands over lies in its memory, so no value of it can honestly be larger than that. What
        // is too large for us but not for its memory is refused with the limit's name, not with a trap.
        store.set_hostcall_fuel(limits.memory_bytes);
        store.set_epoch_deadline(first_slice(ticks));
        store.epoch_deadline_callback(move |cx| match cx.data().slot.slice_over() {
            true => Err(Stopped.into()),
            false => Ok(UpdateDeadline::Yield(ticks)),
        });
        let failed = |e: &wasmtime::Error, phase, store: &Store<State>| {
            classify(e, phase, &store.data().limiter)
        };
        let instance = match inner.pre.instantiate_async(&mut store).await {
            Ok(instance) => instance,
            Err(e) => return Err(failed(&e, Phase::Start, &store)),
        };
        let handle = instance
            .get_typed_func::<(Message<'_>,), (Answer,)>(&mut store, inner.handle)
            .map_err(|e| failed(&e, Phase::Start, &store))?;
        match handle.call_async(&mut store, (message,)).await {
            Ok((answer,)) => within(answer, limits.output_bytes),
            Err(e) => Err(failed(&e, Phase::Handle, &store)),
        }
    }
}

/// Waits for the driver's answer, and notes whether the lane went on meanwhile.
async fn ask(call: impl Future<Output = Result<Answer, Abort>>) -> Result<Asked, Abort> {
    let mut waited = false;
    let mut call = pin!(call);
    let answer = std::future::poll_fn(|cx| {
        let polled = call.as_mut().poll(cx);
        waited |= polled.is_pending();
        polled
    });
    answer.await.map(|answer| Asked { answer, waited })
}

/// Nothing is cut: an answer over the limit ends the turn.
fn within(answer: Answer, limit: usize) -> Result<Answer, TurnError> {
    let bytes = match &answer {
        Ok(body) => body.len(),
        Err(failure) => failure.code.len().saturating_add(failure.message.len()),
    };
    match bytes > limit {
        true => Err(TurnError::plain(Cause::OutputTooLarge { bytes, limit })),
        false => Ok(answer),
    }
}
