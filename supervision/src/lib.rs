//! Supervision as policy: the fleet file and the supervisor machine, both pure.
//!
//! No clock, no thread, no I/O. Start reading at [`fleet`].

pub mod fleet;
