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

use crate::BenchError;
use serde_json::json;

/// So many connections to a fleet.
pub(crate) fn connections(fleet: &Running, count: usize) -> Result<Vec<Connection>, BenchError> {
    (0..count).map(|_| Ok(fleet.connect()?)).collect()
}

/// Has a child stopped, and waits until it is.
pub(crate) fn terminate(connection: &mut Connection, child: &str) -> Result<(), BenchError> {
    let ended = connection.ask("agent.child.terminate", json!({"child": child}))?;
    ended.map(drop).map_err(|failure| BenchError::fleet(format!("{child}: {failure}")))
}
