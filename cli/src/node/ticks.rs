//! `every: "3s"`: a tick message from `@timer`, skipped while one is waiting.

use super::operator::Outsider;
use super::walk;
use loket_supervision::fleet::SupervisorSpec;
use std::time::Duration;

/// An agent to wake.
#[derive(Debug, Clone)]
pub(super) struct Tick {
    agent: String,
    every: Duration,
}

/// The static agents with `every`.
pub(super) fn ticks(root: &SupervisorSpec) -> Vec<Tick> {
    walk::static_agents(root)
        .filter_map(|agent| {
            let every = Duration::from_millis(agent.every_ms?);
            Some(Tick { agent: agent.id.clone(), every })
        })
        .collect()
}

/// Wakes one agent for ever. A late tick does not make the next ones hurry.
pub(super) async fn beat(tick: Tick, timer: Outsider) {
    let args = serde_json::json!({
        "to": tick.agent, "kind": "tick", "body": "", "unless_waiting": true,
    });
    let args = args.to_string().into_bytes();
    let mut interval = tokio::time::interval(tick.every);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval.tick().await;
    loop {
        interval.tick().await;
        if let Err(failure) = timer.call("agent.send", args.clone()).await {
            tracing::debug!(agent = tick.agent, "a tick was not accepted: {failure}");
        }
    }
}
