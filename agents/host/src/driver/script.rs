//! Guests that are scripts: native code in place of a module, for a simulation. Only in builds with the feature `simulation`.
//!
//! Only the sandbox is replaced: a script reaches nothing but the same counter as a module does, one call at a time. Start reading at
//! [`Script`].

use crate::engine::{Abort, Answer, Cause, Host, Message, TrapKind, TurnError};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A call of a script, on its way.
pub type Called<'a> = Pin<Box<dyn Future<Output = Result<Answer, Abort>> + 'a>>;

/// What a script can do: one call at a time.
pub trait Calls {
    /// Calls a capability. An [`Abort`] ends the turn: the script passes it on and makes no other call.
    fn call(&mut self, capability: String, args: Vec<u8>) -> Called<'_>;
}

impl<H: Host> Calls for H {
    fn call(&mut self, capability: String, args: Vec<u8>) -> Called<'_> {
        Box::pin(Host::call(self, capability, args))
    }
}

/// How a script ended without an answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ended {
    /// It trapped, with these words.
    Trap(String),
    /// The driver ended it.
    Abort(Abort),
}

impl From<Abort> for Ended {
    fn from(abort: Abort) -> Self {
        Self::Abort(abort)
    }
}

/// A script, on its way.
pub type Running<'a> = Pin<Box<dyn Future<Output = Result<Answer, Ended>> + 'a>>;

/// The code of a guest.
pub trait Script: Send + Sync + 'static {
    /// Handles one message.
    fn handle<'a>(&'a self, message: Message<'a>, calls: &'a mut dyn Calls) -> Running<'a>;
}

/// Runs a script as an engine runs a module.
pub(super) async fn run(
    script: &Arc<dyn Script>,
    message: Message<'_>,
    calls: &mut dyn Calls,
) -> Result<Answer, TurnError> {
    script.handle(message, calls).await.map_err(|ended| match ended {
        Ended::Abort(abort) => plain(Cause::Aborted(abort)),
        Ended::Trap(message) => plain(Cause::Trap { kind: TrapKind::Unreachable, message }),
    })
}

fn plain(cause: Cause) -> TurnError {
    TurnError { cause, backtrace: String::new() }
}
