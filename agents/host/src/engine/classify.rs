//! From an engine error to a [`Cause`], and a guest's backtrace to text of bounded size.
//!
//! The order of the questions matters: our own typed errors first, then traps, then the limiter's verdict, and only what is
//! left is the guest's breach of the ABI (while it runs) or the host's fault (before it runs).

use std::fmt::Write as _;

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

use super::error::{Cause, TrapKind, TurnError};
use super::limiter::{Limiter, SystemRefused};
use super::run::Stopped;
use super::stubs::DeniedImport;

/// Most bytes of a message that came from a guest's module or the engine.
const MESSAGE_BYTES: usize = 1_000;

/// Most bytes of one function's name in a backtrace: mangled names can be of any length.
const NAME_BYTES: usize = 120;

/// Where a turn was when it failed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The instance was being made.
    Start,
    /// The export was running, or its values crossed the border.
    Handle,
}

/// Names the cause. The limiter knows whether the guest was refused memory or table elements earlier in this turn.
pub(super) fn classify(error: &wasmtime::Error, phase: Phase, limiter: &Limiter) -> TurnError {
    TurnError { cause: cause(error, phase, limiter), backtrace: backtrace(error) }
}

fn cause(error: &wasmtime::Error, phase: Phase, limiter: &Limiter) -> Cause {
    if error.is::<Stopped>() {
        return Cause::Deadline;
    }
    if let Some(d) = error.downcast_ref::<DeniedImport>() {
        return Cause::Denied { import: bounded(&d.import, MESSAGE_BYTES) };
    }
    let message = bounded(&error.root_cause().to_string(), MESSAGE_BYTES);
    if error.is::<SystemRefused>() {
        return Cause::Environment { message };
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Cause::PoolExhausted { message };
    }
    let trap = error.downcast_ref::<Trap>().copied();
    match trap {
        Some(Trap::StackOverflow) => return Cause::Stack,
        _ if limiter.denied() => return limiter.verdict(),
        Some(trap) => return Cause::Trap { kind: kind(trap), message },
        None => {}
    }
    match phase {
        Phase::Handle => Cause::Abi { message },
        Phase::Start if error.is::<std::io::Error>() => Cause::Environment { message },
        Phase::Start => Cause::HostBug { message },
    }
}

fn kind(trap: Trap) -> TrapKind {
    match trap {
        Trap::UnreachableCodeReached => TrapKind::Unreachable,
        Trap::MemoryOutOfBounds => TrapKind::MemoryOutOfBounds,
        Trap::TableOutOfBounds | Trap::IndirectCallToNull | Trap::BadSignature => {
            TrapKind::BadIndirectCall
        }
        Trap::IntegerOverflow | Trap::IntegerDivisionByZero | Trap::BadConversionToInteger => {
            TrapKind::Arithmetic
        }
        _ => TrapKind::Other,
    }
}

/// One line for each frame; the engine already bounds their number.
fn backtrace(error: &wasmtime::Error) -> String {
    let mut text = String::new();
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else { return text };
    for (n, frame) in trace.frames().iter().enumerate() {
        let offset = frame.module_offset().map_or_else(String::new, |o| format!(" at {o:#x}"));
        let name = match frame.func_name() {
            Some(name) => bounded(name, NAME_BYTES),
            None => format!("function {}", frame.func_index()),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {n}: {name}{offset}");
    }
    text
}

/// The start of a diagnostic, with a mark if there was more. (Never used on what a guest or a caller receives.)
pub(super) fn bounded(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}... ({} bytes in all)", &text[..end], text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagnostics_are_bounded_at_a_character() {
        let long = "é".repeat(MESSAGE_BYTES);
        let short = bounded(&long, NAME_BYTES + 1);
        assert!(short.len() < 2 * NAME_BYTES, "{}", short.len());
        assert!(short.ends_with("(2000 bytes in all)"), "{short}");
        assert_eq!(bounded("as it is", NAME_BYTES), "as it is");
    }
}
