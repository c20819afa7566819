//! Why a turn ended without an answer, and whose fault that is. The supervisor acts on [`Blame`]; people read the rest.

use std::fmt;

use super::config::MAX_WASM_STACK_BYTES;

/// The driver ends the turn from inside a call: the guest sees no answer, its instance is dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Abort {
    /// Somebody ended this incarnation.
    #[error("interrupted")]
    Interrupt,
    /// The call is not the one that the records hold for this turn.
    #[error("the turn diverged from its records")]
    Divergence,
    /// The turn waits for something long: it is re-run to this point when that is there.
    #[error("parked")]
    Park,
    /// The driver cannot go on.
    #[error("{0}")]
    Host(String),
}

/// Who has to change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blame {
    /// The guest's code, or its limits.
    Guest,
    /// Loket itself, or how many slots it was given.
    Host,
    /// The machine.
    Environment,
    /// Nobody: the driver wanted the turn to end.
    Driver,
}

/// The traps of the sandbox, as far as they mean different things to a guest's author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrapKind {
    /// An `unreachable` was reached: how guests panic.
    Unreachable,
    /// A load or store beyond the memory.
    MemoryOutOfBounds,
    /// A table access beyond the table, to an empty element, or of another type.
    BadIndirectCall,
    /// Integer overflow, division by zero, or a float that fits no integer.
    Arithmetic,
    /// Any other; the message says which.
    Other,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The guest trapped.
    #[error("the guest trapped: {message}")]
    Trap {
        /// Which kind.
        kind: TrapKind,
        /// The engine's words.
        message: String,
    },
    /// The guest broke the canonical ABI: a pointer beyond its memory, text that is not UTF-8, a bad tag.
    #[error("the guest broke the canonical ABI: {message}; see the vectors of loket-abi")]
    Abi {
        /// The engine's words.
        message: String,
    },
    /// The guest called an import that is only there to be denied.
    #[error("the guest called {import}, which Loket denies: use the loket's capabilities instead")]
    Denied {
        /// `interface#function`.
        import: String,
    },
    /// The guest trapped after a growth beyond its limit was refused.
    #[error(
        "out of memory: the limit is {memory_bytes} bytes, {each_bytes} for one memory, and \
         {table_elements} table elements"
    )]
    OutOfMemory {
        /// The turn's limit over all memories.
        memory_bytes: usize,
        /// What an instance slot has for one memory.
        each_bytes: usize,
        /// The turn's limit over all tables.
        table_elements: usize,
    },
    /// The turn took longer than it may.
    #[error("the deadline passed while the guest was running")]
    Deadline,
    /// The turn was ended between two slices, at once.
    #[error("killed while the guest was running")]
    Killed,
    /// The guest's stack is full.
    #[error(
        "stack overflow: guest code has {MAX_WASM_STACK_BYTES} bytes of stack; look for endless recursion"
    )]
    Stack,
    /// The answer is larger than the limit. Nothing of it is kept.
    #[error(
        "the answer has {bytes} bytes, the limit is {limit}: answer with less, or raise the limit"
    )]
    OutputTooLarge {
        /// What the guest returned.
        bytes: usize,
        /// What it may.
        limit: usize,
    },
    /// The driver ended the turn.
    #[error("the turn was ended: {0}")]
    Aborted(#[source] Abort),
    /// No instance slot is free: the driver started more turns than there are slots.
    #[error("no free instance slot: {message}")]
    PoolExhausted {
        /// Which part of the pool.
        message: String,
    },
    /// The machine refused what the limits allow.
    #[error("{message}")]
    Environment {
        /// The system's words.
        message: String,
    },
    /// A fault of Loket.
    #[error("the host failed, this is a bug of Loket: {message}")]
    HostBug {
        /// The engine's words.
        message: String,
    },
}

/// The end of a turn without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnError {
    /// Why.
    pub cause: Cause,
    /// The guest's functions, innermost first, as text of bounded size; empty if there was nothing to see.
    pub backtrace: String,
}

impl TurnError {
    pub(super) fn plain(cause: Cause) -> Self {
        Self { cause, backtrace: String::new() }
    }

    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match &self.cause {
            Cause::Trap { .. } => "guest_trap",
            Cause::Abi { .. } => "guest_abi",
            Cause::Denied { .. } => "guest_denied_import",
            Cause::OutOfMemory { .. } => "guest_out_of_memory",
            Cause::Deadline => "guest_deadline",
            Cause::Killed => "turn_killed",
            Cause::Stack => "guest_stack_overflow",
            Cause::OutputTooLarge { .. } => "guest_output_too_large",
            Cause::Aborted(_) => "turn_aborted",
            Cause::PoolExhausted { .. } => "host_pool_exhausted",
            Cause::Environment { .. } => "environment",
            Cause::HostBug { .. } => "host_bug",
        }
    }

    /// Who has to change something.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match &self.cause {
            Cause::Trap { .. }
            | Cause::Abi { .. }
            | Cause::Denied { .. }
            | Cause::OutOfMemory { .. }
            | Cause::Deadline
            | Cause::Stack
            | Cause::OutputTooLarge { .. } => Blame::Guest,
            Cause::Aborted(Abort::Host(_))
            | Cause::PoolExhausted { .. }
            | Cause::HostBug { .. } => Blame::Host,
            Cause::Environment { .. } => Blame::Environment,
            Cause::Killed | Cause::Aborted(_) => Blame::Driver,
        }
    }
}

impl fmt::Display for TurnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        if self.backtrace.is_empty() {
            return Ok(());
        }
        write!(f, "\n{}", self.backtrace)
    }
}

impl std::error::Error for TurnError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}
