//! What a caller hands in: who it says it is, what it wants, through whom. Nothing here is trusted
//! before [`admit`](crate::admit()) has seen it.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Most bytes of arguments: what one message may cost a lane's memory.
pub const MAX_ARGS: usize = 1 << 20;
/// Most principals in a chain of callers, the caller included: deeper is a loop or a mistake.
pub const MAX_CHAIN: usize = 16;

/// A point in time, in milliseconds since the Unix epoch. What ends at a moment is over at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Moment(pub u64);

/// Whoever calls: an agent, a guest that provides, `@operator`, `@http`, `@timer`. A dense index.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Principal(pub u32);

/// A principal in one of its lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Address {
    /// Who.
    pub principal: Principal,
    /// The generation number of its life; only the present one may call.
    pub incarnation: u64,
}

/// Which provider serves a capability; the number is the forwarder's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Route(pub u32);

/// The principals a call came through, oldest first. Inline, so that extending it never allocates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    length: u32,
    callers: [Principal; MAX_CHAIN],
}

impl Chain {
    /// The callers, oldest first.
    pub fn as_slice(&self) -> &[Principal] {
        &self.callers[..self.length as usize]
    }

    /// This chain and one more caller, or nothing if it is full.
    pub fn push(&self, caller: Principal) -> Option<Self> {
        let mut longer = *self;
        *longer.callers.get_mut(self.length as usize)? = caller;
        longer.length += 1;
        Some(longer)
    }
}

/// A call before it is judged.
#[derive(Clone, Debug)]
pub struct Envelope<C> {
    /// Who calls. The lane fills this in, never the guest.
    pub from: Address,
    /// What is wanted; any text a guest made up.
    pub capability: Arc<str>,
    /// Opaque to the kernel, at most [`MAX_ARGS`] bytes.
    pub args: Vec<u8>,
    /// Who called before, without `from`.
    pub chain: Chain,
    /// After when nobody waits for the answer any more.
    pub deadline: Option<Moment>,
    /// What travels along unseen: reply port, turn's records.
    pub cargo: C,
}
