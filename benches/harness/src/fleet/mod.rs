//! Fleets that are measured from outside: their files, and where they lie.
//!
//! Start reading at `plans.rs`; the process itself is `loket-outside`'s.

mod plans;
mod site;

pub(crate) use loket_outside::{Connection, Running, Since, look_again};
pub(crate) use plans::{
    CALLER, CALLS, SPAWNED_MAX, caller, pairs, recoverable, spawning, standing,
};
pub(crate) use site::Site;
