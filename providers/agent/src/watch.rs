//! Monitors: staged by a turn, told by the ledger (rule I2). Nothing is watched here: the provider keeps no state.

use crate::args::{Demonitor, Monitor, Named};
use crate::operator::ledger_failed;
use crate::provider::{AgentServices, Prepared};
use crate::scope::{allow, in_turn};
use loket_contract::{CallView, Performed, parse_args};
use loket_turn::limits::MONITORS_PER_AGENT_MAX;
use loket_turn::{AgentName, Effect, Failure, MessageId, Until};
use serde_json::json;

/// A call about monitors, with its form and scope checked.
#[derive(Debug)]
pub enum Watch {
    /// `agent.monitor`.
    Monitor {
        /// Who watches.
        by: AgentName,
        /// The derived id.
        id: MessageId,
        /// Who is watched.
        agent: AgentName,
        /// Which end.
        until: Until,
        /// Monitors that this turn has staged already.
        staged: usize,
    },
    /// `agent.demonitor`.
    Demonitor {
        /// Whose monitor it must be.
        by: AgentName,
        /// The monitor.
        id: MessageId,
        /// This very turn has staged it.
        staged: bool,
    },
    /// `agent.monitors`.
    List(AgentName),
}

/// Checks `agent.monitor`, `agent.demonitor` and `agent.monitors`.
pub(crate) fn prepare(call: &CallView<'_>) -> Result<Prepared, Failure> {
    let watch = match call.operation.capability {
        "agent.monitor" => {
            let Monitor { agent, until } = parse_args(call)?;
            allow(call, "to", &agent)?;
            let turn = in_turn(call)?;
            let staged = turn.staged();
            let staged = staged.iter().filter(|effect| matches!(effect, Effect::Monitor { .. }));
            Watch::Monitor {
                by: turn.key().agent.clone(),
                id: MessageId(turn.call_key().0),
                agent: agent.into(),
                until: until.into(),
                staged: staged.count(),
            }
        }
        "agent.demonitor" => {
            let Demonitor { monitor } = parse_args(call)?;
            let turn = in_turn(call)?;
            let id = monitor.parse().map_err(|_| {
                let text = format!("{monitor:?} is no monitor: `agent.monitor` gives its id");
                Failure::new("bad_args", text)
            })?;
            let staged = turn.staged();
            let same =
                |effect: &Effect| matches!(effect, Effect::Monitor { id: own, .. } if *own == id);
            let staged = staged.iter().any(same);
            Watch::Demonitor { by: turn.key().agent.clone(), id, staged }
        }
        _ => {
            let Named { agent } = parse_args(call)?;
            allow(call, "to", &agent)?;
            Watch::List(agent.into())
        }
    };
    Ok(Prepared::Watch(watch))
}

pub(crate) fn perform(services: &AgentServices, watch: Watch) -> Performed {
    let ledger = services.ledger.clone();
    Performed::Later(Box::pin(async move {
        match watch {
            Watch::Monitor { by, id, agent, until, staged } => {
                let there = match ledger.monitors_by(by.clone()).await {
                    Ok(monitors) => monitors.len() + staged,
                    Err(error) => return ledger_failed(&error),
                };
                if there >= MONITORS_PER_AGENT_MAX {
                    let text = format!("{by} watches {there} agents already");
                    return Performed::failed(Failure::new("too_many_monitors", text));
                }
                let result = json!({"monitor": id}).to_string().into_bytes();
                Performed::Staged { result, effect: Effect::Monitor { id, agent, until } }
            }
            Watch::Demonitor { by, id, staged } => {
                let found = match ledger.monitors_by(by).await {
                    Ok(monitors) => staged || monitors.iter().any(|monitor| monitor.id == id),
                    Err(error) => return ledger_failed(&error),
                };
                let result = json!({"found": found}).to_string().into_bytes();
                Performed::Staged { result, effect: Effect::Demonitor { id } }
            }
            Watch::List(agent) => {
                let by = ledger.monitors_by(agent.clone()).await;
                let of = ledger.monitors_of(agent).await;
                match (by, of) {
                    (Ok(by), Ok(of)) => Performed::json(&json!({"by": by, "of": of})),
                    (Err(error), _) | (_, Err(error)) => ledger_failed(&error),
                }
            }
        }
    }))
}
