//! Allocations of the whole process, counted where the build has the feature `allocations`: for `loket bench`.
//!
//! It counts and does nothing else. A build without the feature has the system's allocator, untouched.

#[cfg(feature = "allocations")]
mod counting {
    use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
    use std::alloc::System;

    #[global_allocator]
    static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

    /// Allocations and growths so far.
    pub(super) fn so_far() -> u64 {
        let stats = COUNTED.stats();
        stats.allocations.saturating_add(stats.reallocations) as u64
    }
}

/// Memory that a burst took goes back to the system, also what SQLite took: with the system's allocator, a fleet of parked agents kept
/// most of what their first turns had needed. How it is set: `.cargo/config.toml`.
#[cfg(all(
    feature = "jemalloc",
    not(feature = "allocations"),
    target_os = "linux",
    target_env = "gnu"
))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How to read the count; `None` where this build has none.
pub(crate) fn counter() -> Option<fn() -> u64> {
    #[cfg(feature = "allocations")]
    return Some(counting::so_far);
    #[cfg(not(feature = "allocations"))]
    None
}
