//! Supervision as policy: the fleet file and the supervisor machine, both pure.
//!
//! No clock, no thread, no I/O. Start reading at [`fleet`] and [`machine`].

pub mod fleet;
pub mod machine;
