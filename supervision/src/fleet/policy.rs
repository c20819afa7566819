//! How a child is restarted, stopped, bounded and charged: the small words of the fleet file.
//!
//! Plain data. OTP's words mean exactly what they mean in OTP; what is beyond says so.

use serde::Serialize;

/// OTP's restart strategies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Strategy {
    /// Only the child that died is restarted.
    #[default]
    OneForOne,
    /// All children are restarted.
    OneForAll,
    /// The child that died and those started after it are restarted.
    RestForOne,
    /// Children are started at run time from the one template.
    SimpleOneForOne,
}

/// OTP's restart types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Restart {
    /// Always restarted.
    #[default]
    Permanent,
    /// Restarted after an abnormal exit only.
    Transient,
    /// Never restarted.
    Temporary,
}

/// OTP's shutdown values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Shutdown {
    /// Killed at once.
    BrutalKill,
    /// Asked to stop, killed after so many milliseconds.
    Timeout(u64),
    /// Asked to stop, waited for without a bound; right for supervisors.
    Infinity,
}

/// OTP's automatic shutdown of a supervisor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum AutoShutdown {
    /// Never.
    #[default]
    Never,
    /// When any significant child ends by itself.
    AnySignificant,
    /// When all significant children have ended by themselves.
    AllSignificant,
}

/// Delays between restarts; beyond OTP, off when absent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Backoff {
    /// Delay before the first restart, in milliseconds; 0 is `Immediate`.
    pub first_ms: u64,
    /// Delay before the second restart, in milliseconds.
    pub min_ms: u64,
    /// The longest delay, in milliseconds.
    pub max_ms: u64,
    /// What the delay is multiplied by at each further restart.
    pub factor: f64,
    /// Part of the delay that is random, 0 to 1.
    pub jitter: f64,
    /// After so long alive the count begins again, in milliseconds.
    pub reset_after_ms: u64,
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

/// How a crash counts against the supervisor's intensity (turns.md G5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Charge {
    /// Each exit counts, exactly as in OTP.
    #[default]
    Exit,
    /// Only a dead letter counts, once.
    Letter,
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
