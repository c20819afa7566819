//! The store: keeps the brains.
#![forbid(unsafe_code)]

mod brain;
pub mod limits;

/// Raised whenever a Pure result of the store could change (rule E4).
pub const PURE_VERSION: u32 = 1;
