//! Who is under a name (OTP's `whereis`), as the tree says it now.

use crate::args::Named;
use crate::provider::{AgentServices, Prepared};
use crate::scope::allow;
use loket_contract::{CallView, Performed, parse_args};
use loket_turn::Failure;
use serde_json::json;

/// Checks `agent.whereis`.
pub(crate) fn prepare(call: &CallView<'_>) -> Result<Prepared, Failure> {
    let Named { agent } = parse_args(call)?;
    allow(call, "to", &agent)?;
    Ok(Prepared::Whereis(agent))
}

pub(crate) fn perform(services: &AgentServices, name: &str) -> Performed {
    Performed::json(&match services.tree.view(name) {
        Some(child) => json!({
            "found": true, "agent": child.id, "kind": child.kind, "state": child.state,
            "incarnation": child.incarnation, "restarts": child.restarts,
            "last_exit": child.last_exit,
        }),
        None => json!({"found": false, "agent": name}),
    })
}
