//! Supervision as policy: the fleet file, the supervisor machine and what a fleet of machines would do, all pure.
//!
//! No clock, no thread, no I/O. Start reading at [`fleet`] and [`machine`]; [`simulate`] composes the two.

pub mod fleet;
pub mod machine;
pub mod simulate;
pub mod story;
mod visible;

pub use visible::visible;
