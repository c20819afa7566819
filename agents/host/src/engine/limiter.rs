//! What one turn may take: memory and table elements, each as the sum over all of a component's own.
//!
//! It must never answer differently for the same guest and limits: a denied growth is a plain -1 to the guest. Only a
//! growth that the limits allow and the system refuses ends the turn, because its -1 could not be repeated.

use wasmtime::ResourceLimiter;

use super::config::TABLE_ELEMENTS;
use super::error::Cause;

/// The system refused memory that the limits allow.
#[derive(Debug, thiserror::Error)]
#[error("the system refused memory that the guest's limit allows: {0}")]
pub(super) struct SystemRefused(pub(super) String);

/// What one turn may take.
#[derive(Clone, Copy)]
pub(super) struct Ceilings {
    /// Bytes over all memories.
    pub(super) memory_bytes: usize,
    /// Bytes of one memory: what an instance slot has.
    pub(super) each_bytes: usize,
    /// Elements over all tables.
    pub(super) table_elements: usize,
}

/// Counts one store's memories and tables.
pub(super) struct Limiter {
    ceilings: Ceilings,
    memory_left: usize,
    table_left: usize,
    denied: bool,
}

impl Limiter {
    pub(super) fn new(ceilings: Ceilings) -> Self {
        let (memory_left, table_left) = (ceilings.memory_bytes, ceilings.table_elements);
        Self { ceilings, memory_left, table_left, denied: false }
    }

    /// Whether the guest was refused memory or table elements in this turn.
    pub(super) fn denied(&self) -> bool {
        self.denied
    }

    /// The cause of a turn's end after a refusal.
    pub(super) fn verdict(&self) -> Cause {
        let Ceilings { memory_bytes, each_bytes, table_elements } = self.ceilings;
        Cause::OutOfMemory { memory_bytes, each_bytes, table_elements }
    }

    /// Notes a refusal for our limits; a growth beyond the guest's own declared maximum fails too, but is its own business.
    fn allow(&mut self, within: bool, desired: usize, maximum: Option<usize>) -> bool {
        self.denied |= !within;
        within && maximum.is_none_or(|max| desired <= max)
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let rest = self.memory_left.checked_sub(desired.saturating_sub(current));
        let within = rest.is_some() && desired <= self.ceilings.each_bytes;
        let allowed = self.allow(within, desired, maximum);
        if let (true, Some(rest)) = (allowed, rest) {
            self.memory_left = rest;
        }
        Ok(allowed)
    }

    /// Every limit has been asked about before: what fails now is the system.
    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(SystemRefused(error.to_string()).into())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let rest = self.table_left.checked_sub(desired.saturating_sub(current));
        let within = rest.is_some() && desired <= TABLE_ELEMENTS;
        let allowed = self.allow(within, desired, maximum);
        if let (true, Some(rest)) = (allowed, rest) {
            self.table_left = rest;
        }
        Ok(allowed)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(SystemRefused(error.to_string()).into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn limiter() -> Limiter {
        Limiter::new(Ceilings { memory_bytes: 10, each_bytes: 8, table_elements: 10 })
    }

    #[test]
    fn the_limit_is_the_sum_over_memories() {
        let mut l = limiter();
        assert!(l.memory_growing(0, 6, None).unwrap());
        assert!(!l.memory_growing(0, 6, None).unwrap(), "a second memory shares the limit");
        assert!(l.denied());
        assert!(l.memory_growing(0, 4, None).unwrap(), "a denied growth takes nothing");
        assert!(!l.memory_growing(4, 5, None).unwrap(), "nothing is left");
    }

    #[test]
    fn one_memory_is_no_larger_than_a_slot() {
        let mut l = limiter();
        assert!(l.memory_growing(0, 8, None).unwrap());
        assert!(!l.denied());
        assert!(!l.memory_growing(8, 9, None).unwrap());
        assert!(l.denied());
    }

    #[test]
    fn the_limit_is_the_sum_over_tables() {
        let mut l = limiter();
        assert!(l.table_growing(0, 6, None).unwrap());
        assert!(!l.table_growing(0, 6, None).unwrap());
        assert!(l.denied());
        assert!(l.table_growing(0, 4, None).unwrap());
    }

    #[test]
    fn a_guests_own_maximum_is_not_our_denial() {
        let mut l = limiter();
        assert!(!l.memory_growing(0, 6, Some(5)).unwrap());
        assert!(!l.table_growing(0, 6, Some(5)).unwrap());
        assert!(!l.denied());
        assert!(!l.memory_growing(0, 11, Some(5)).unwrap());
        assert!(l.denied(), "beyond both is beyond ours");
    }

    #[test]
    fn what_the_system_refuses_ends_the_turn() {
        let mut l = limiter();
        let refused =
            || wasmtime::Error::from(std::io::Error::from(std::io::ErrorKind::OutOfMemory));
        assert!(l.memory_grow_failed(refused()).unwrap_err().is::<SystemRefused>());
        assert!(l.table_grow_failed(refused()).unwrap_err().is::<SystemRefused>());
        assert!(!l.denied());
    }
}
