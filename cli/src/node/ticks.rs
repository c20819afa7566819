//! `every: "3s"`: a tick message from `@timer`, skipped while one is waiting.

use super::operator::Outsider;
use super::walk;
use loket_runtime::Lane;
use loket_supervision::fleet::SupervisorSpec;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// An agent to wake.
#[derive(Debug, Clone)]
struct Tick {
    agent: String,
    every: Duration,
}

/// The ticks of the agents that the fleet file names now.
pub(super) struct Beats {
    timer: Outsider,
    system: Lane,
    /// How often, and what ends the beat when it is dropped.
    beating: Mutex<HashMap<String, (Duration, oneshot::Sender<()>)>>,
}

impl Beats {
    /// None yet; they will beat on the system arbiter.
    pub(super) fn new(timer: Outsider, system: Lane) -> Self {
        Self { timer, system, beating: Mutex::default() }
    }

    /// Begins, ends and changes beats until they are those of this tree; one that is as it was goes on.
    pub(super) fn follow(&self, root: &SupervisorSpec) {
        let wanted = ticks(root);
        let mut beating = self.beating.lock().unwrap_or_else(PoisonError::into_inner);
        beating.retain(|agent, (every, _)| {
            wanted.iter().any(|tick| tick.agent == *agent && tick.every == *every)
        });
        for tick in wanted {
            if beating.contains_key(&tick.agent) {
                continue;
            }
            let (end, ended) = oneshot::channel();
            beating.insert(tick.agent.clone(), (tick.every, end));
            let timer = self.timer.clone();
            self.system.spawn(move || beat(tick, timer, ended));
        }
    }
}

/// The static agents with `every`.
fn ticks(root: &SupervisorSpec) -> Vec<Tick> {
    walk::static_agents(root)
        .filter_map(|agent| {
            let every = Duration::from_millis(agent.every_ms?);
            Some(Tick { agent: agent.id.clone(), every })
        })
        .collect()
}

/// Wakes one agent until it is told to end. A late tick does not make the next ones hurry.
async fn beat(tick: Tick, timer: Outsider, mut ended: oneshot::Receiver<()>) {
    let args = serde_json::json!({
        "to": tick.agent, "kind": "tick", "body": "", "unless_waiting": true,
    });
    let args = args.to_string().into_bytes();
    let mut interval = tokio::time::interval(tick.every);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval.tick().await;
    loop {
        tokio::select! {
            _ = &mut ended => return,
            _ = interval.tick() => {}
        }
        if let Err(failure) = timer.call("agent.send", args.clone()).await {
            tracing::debug!(agent = tick.agent, "a tick was not accepted: {failure}");
        }
    }
}
