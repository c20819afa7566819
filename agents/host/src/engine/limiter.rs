//! What one turn may take: memory and table elements, each as the sum over all of a component's own.
//!
//! It must never answer differently for the same guest and limits: a denied growth is a plain -1 to the guest. Only a
//! growth that the limits allow and the system refuses ends the turn, because its -1 could not be repeated.

use wasmtime::ResourceLimiter;

/// The system refused memory that the limits allow.
#[derive(Debug, thiserror::Error)]
#[error("the system refused memory that the guest's limit allows: {0}")]
pub(super) struct SystemRefused(pub(super) String);

/// Counts one store's memories and tables.
pub(super) struct Limiter {
    memory_left: usize,
    table_left: usize,
    denied: bool,
}

impl Limiter {
    pub(super) fn new(memory_bytes: usize, table_elements: usize) -> Self {
        Self { memory_left: memory_bytes, table_left: table_elements, denied: false }
    }

    /// Whether the guest was refused memory or table elements in this turn.
    pub(super) fn denied(&self) -> bool {
        self.denied
    }

    /// Takes `desired - current` from what is left. A growth beyond the guest's own declared maximum is its own business:
    /// it fails, but not for our limit.
    fn take(
        left: &mut usize,
        denied: &mut bool,
        current: usize,
        desired: usize,
        max: Option<usize>,
    ) -> bool {
        if max.is_some_and(|max| desired > max) {
            return false;
        }
        let more = desired.saturating_sub(current);
        match left.checked_sub(more) {
            Some(rest) => {
                *left = rest;
                true
            }
            None => {
                *denied = true;
                false
            }
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(Self::take(&mut self.memory_left, &mut self.denied, current, desired, maximum))
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        if error.is::<std::io::Error>() {
            return Err(SystemRefused(error.to_string()).into());
        }
        // Beyond what a memory of its type can ever be: the same at every run, and refused without being asked about.
        self.denied = true;
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(Self::take(&mut self.table_left, &mut self.denied, current, desired, maximum))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_limit_is_the_sum_over_memories() {
        let mut l = Limiter::new(10, 0);
        assert!(l.memory_growing(0, 6, None).unwrap());
        assert!(!l.memory_growing(0, 6, None).unwrap(), "a second memory shares the limit");
        assert!(l.denied());
        assert!(l.memory_growing(0, 4, None).unwrap(), "a denied growth takes nothing");
    }

    #[test]
    fn a_guests_own_maximum_is_not_our_denial() {
        let mut l = Limiter::new(10, 10);
        assert!(!l.memory_growing(0, 6, Some(5)).unwrap());
        assert!(!l.table_growing(0, 6, Some(5)).unwrap());
        assert!(!l.denied());
    }

    #[test]
    fn what_the_system_refuses_ends_the_turn() {
        let mut l = Limiter::new(10, 10);
        let refused = std::io::Error::from(std::io::ErrorKind::OutOfMemory);
        assert!(l.memory_grow_failed(refused.into()).is_err());
        assert!(!l.denied());
    }
}
