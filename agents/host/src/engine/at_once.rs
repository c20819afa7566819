//! Calls that are answered where they are made: on the guest's fibre, inside the host function, without a switch of stacks.
//!
//! wasmtime demands that a host function is `Send`; what answers lives on one lane and holds `Rc`s. So it stands in a place of the
//! thread for as long as its guest is polled, and only then. Whatever is not answered at once goes through [`super::slot`], as
//! it did before. Start at [`AtOnce`].

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::error::Abort;
use super::types::Answer;

thread_local! {
    /// What answers the guest that is polled on this thread.
    static ON_DUTY: RefCell<Option<Rc<dyn AtOnce>>> = const { RefCell::new(None) };
    /// An answer from the host function that has it to the future that wasmtime polls next, on the same stack.
    static ANSWER: Cell<Option<Answer>> = const { Cell::new(None) };
}

/// The part of a [`Host`](super::Host) that answers without waiting. It runs on the guest's fibre: its frames have the room that
/// is kept above the guest's stack, and it must not poll anything.
pub trait AtOnce {
    /// The guest calls, within the same bounds as in [`Host::call`](super::Host::call); both lie in its memory. `None`: the call has
    /// begun, and [`Host::rest`](super::Host::rest) waits for its answer.
    fn call(&self, capability: &str, args: &[u8]) -> Option<Result<Answer, Abort>>;
}

/// What answers stands in its place as long as this lives.
pub(super) struct OnDuty(Option<Rc<dyn AtOnce>>);

impl OnDuty {
    pub(super) fn begins(answers: Option<&Rc<dyn AtOnce>>) -> Self {
        Self(ON_DUTY.replace(answers.cloned()))
    }

    /// Who is on duty on this thread.
    pub(super) fn now() -> Option<Rc<dyn AtOnce>> {
        ON_DUTY.with_borrow(Clone::clone)
    }
}

impl Drop for OnDuty {
    fn drop(&mut self) {
        // Outside the borrow: what is let go may be the last that holds a turn.
        drop(ON_DUTY.replace(self.0.take()));
    }
}

/// A future that is ready with an answer. wasmtime wants it in a box: this one is nothing but a sign where the answer lies, and a box
/// of nothing costs nothing, where one of an answer would be allocated and filled at each call.
pub(super) struct Answered(());

impl Answered {
    pub(super) fn with(answer: Answer) -> Self {
        ANSWER.set(Some(answer));
        Self(())
    }
}

impl Future for Answered {
    type Output = wasmtime::Result<(Answer,)>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let answer =
            ANSWER.take().ok_or_else(|| wasmtime::format_err!("an answer was taken twice"));
        Poll::Ready(answer.map(|answer| (answer,)))
    }
}
