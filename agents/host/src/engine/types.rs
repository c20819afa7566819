//! The world's types as the host sees them. The names and order are the contract's (`loket:agent@1.0.0`), not ours.

use wasmtime::component::{ComponentType, Lift, Lower};

/// What a call or a turn is answered with: bytes, or a failure that its receiver may act on.
pub type Answer = Result<Vec<u8>, Failure>;

/// Why a call was not answered with a result: the contract's `failure`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Failure {
    /// Stable, for programs.
    pub code: String,
    /// For people and models.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// When to try again, in milliseconds from now.
    #[component(name = "retry-after-ms")]
    pub retry_after_ms: Option<u64>,
}

/// What a turn is about: the contract's `message`, borrowed until it is copied into the guest.
#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(record)]
pub struct Message<'a> {
    /// Unique in the fleet; the same for every attempt.
    pub id: &'a str,
    /// Who sent it.
    pub sender: &'a str,
    /// What it is, by convention of sender and receiver.
    pub kind: &'a str,
    /// The payload.
    pub body: &'a [u8],
}
