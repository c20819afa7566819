//! How a child is restarted, stopped, bounded and charged: the small words of the fleet file.
//!
//! Plain data. OTP's words are those of the machine that follows them.

use serde::Serialize;

pub use crate::machine::{
    Action, AutoShutdown, Backoff, Blame, Budget, Cause, Charge, Escalation, First, Restart, Rule,
    Shutdown, Stop, Strategy, Window,
};

/// How long a child may be busy with one piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Watchdog {
    /// After so many milliseconds it is reported.
    pub soft_ms: u64,
    /// After so many it is interrupted, and a moment later killed with the reason `hung`.
    pub hard_ms: u64,
}

/// What becomes of dynamic children when their supervisor ends or the process does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Dynamic {
    /// They are rows of the ledger and come back (rule A6).
    #[default]
    Ledger,
    /// They are lost, as in OTP; what waited for them becomes dead letters (rule A4).
    Otp,
}

/// What happens to a sender when a mailbox is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Overload {
    /// The sender gets `Overloaded` at once.
    #[default]
    Reject,
    /// The sender waits for so many milliseconds, then gets `Overloaded`.
    Wait(u64),
}

/// A mailbox: messages of an agent's inbox, or of a provider's ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mailbox {
    /// Most messages waiting.
    pub capacity: u32,
    /// What happens beyond.
    pub overload: Overload,
}

/// What one turn of an agent may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Linear memory, summed over a component's memories, in bytes.
    pub memory_bytes: u64,
    /// Time a turn may run, in milliseconds.
    pub deadline_ms: u64,
    /// Size of an answer, in bytes.
    pub output_bytes: u64,
    /// Calls through the counter in one turn.
    pub calls_per_turn: u32,
    /// Table elements.
    pub table_elements: u32,
    /// Size of the module, in bytes.
    pub module_bytes: u64,
    /// Time that compiling the module may take, in milliseconds.
    pub compile_ms: u64,
}
