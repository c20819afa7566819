//! What only an operator's word ends: Once calls in doubt, and agents in quarantine (rules C4, G4).

use crate::once::for_call;
use crate::operator::ledger_failed;
use crate::provider::AgentServices;
use loket_contract::{CallView, Performed, parse_args};
use loket_turn::{
    AgentName, Doubt, DoubtId, Failure, IntentId, Ledger, LedgerError, Quarantined, Release,
    Released, Resolution,
};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use serde_json::value::RawValue;
use std::future::Future;
use std::sync::Arc;

/// A call after its check.
#[derive(Debug)]
pub enum Settle {
    /// `agent.doubt.list`.
    Doubts,
    /// `agent.doubt.show`.
    Doubt(DoubtId),
    /// `agent.doubt.resolve`.
    Resolve(DoubtId, Resolution),
    /// `agent.quarantine.list`.
    Quarantines,
    /// `agent.quarantine.show`.
    Quarantine(AgentName),
    /// `agent.quarantine.resolve`, and whether the effects it may repeat are confirmed.
    Release(AgentName, Release, bool),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DoubtArgs {
    doubt: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResolveArgs {
    doubt: u64,
    #[serde(default, deserialize_with = "result")]
    done: Option<Box<RawValue>>,
    #[serde(default)]
    retry: bool,
    #[serde(default)]
    fail: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentArgs {
    agent: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseArgs {
    agent: String,
    how: How,
    #[serde(default)]
    confirmed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum How {
    AcceptRerun,
    Skip,
}

/// `null` is a result like any other.
fn result<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

/// Checks a call of `agent.doubt.*` or `agent.quarantine.*`.
pub(crate) fn prepare(call: &CallView<'_>) -> Result<Settle, Failure> {
    Ok(match call.operation.capability {
        "agent.doubt.list" => parse_args::<Nothing>(call).map(|_| Settle::Doubts)?,
        "agent.doubt.show" => Settle::Doubt(DoubtId(parse_args::<DoubtArgs>(call)?.doubt)),
        "agent.doubt.resolve" => {
            let args: ResolveArgs = parse_args(call)?;
            let id = DoubtId(args.doubt);
            Settle::Resolve(id, resolution(args)?)
        }
        "agent.quarantine.list" => parse_args::<Nothing>(call).map(|_| Settle::Quarantines)?,
        "agent.quarantine.show" => Settle::Quarantine(parse_args::<AgentArgs>(call)?.agent.into()),
        _ => {
            let args: ReleaseArgs = parse_args(call)?;
            let how = match args.how {
                How::AcceptRerun => Release::AcceptRerun,
                How::Skip => Release::Skip,
            };
            Settle::Release(args.agent.into(), how, args.confirmed)
        }
    })
}

fn resolution(args: ResolveArgs) -> Result<Resolution, Failure> {
    match (args.done, args.retry, args.fail) {
        (Some(result), false, None) => Ok(Resolution::Is(Ok(result.get().as_bytes().to_vec()))),
        (None, true, None) => Ok(Resolution::Retry),
        (None, false, Some(reason)) => {
            Ok(Resolution::Is(Err(Failure::new("resolved_failed", reason))))
        }
        _ => {
            let text = "one of `done` (the result), `retry`: true, `fail` (why), and not several";
            Err(Failure::new("bad_args", text))
        }
    }
}

/// Does it.
pub(crate) fn perform(services: &AgentServices, what: Settle, of: Option<IntentId>) -> Performed {
    let (ledger, clock) = (Arc::clone(&services.ledger), services.clock.clone());
    later(async move {
        Ok(match what {
            Settle::Doubts => json!({"doubts": ledger.doubts().await?}),
            Settle::Doubt(id) => json!(doubt(&*ledger, id).await?),
            Settle::Resolve(id, how) => {
                let found = doubt(&*ledger, id).await?;
                let word = word(&how);
                let said = json!({"resolved": id, "agent": found.agent, "as": word});
                let say = said.clone();
                let of = for_call(of, &clock, move |()| Some(say));
                ledger.resolve_doubt(id, how, of).await?;
                tracing::info!(agent = %found.agent, doubt = id.0, word, "a doubt was resolved");
                said
            }
            Settle::Quarantines => json!({"quarantined": ledger.quarantines().await?}),
            Settle::Quarantine(agent) => json!(quarantine(&*ledger, &agent).await?),
            Settle::Release(agent, how, confirmed) => {
                let name = agent.clone();
                let of = for_call(of, &clock, move |done| Some(released(&name, done)));
                let done = ledger.release_quarantine(agent.clone(), how, confirmed, of).await?;
                tracing::info!(%agent, ?how, released = ?done, "a quarantine was resolved");
                released(&agent, &done)
            }
        })
    })
}

fn later(
    work: impl Future<Output = Result<serde_json::Value, LedgerError>> + 'static,
) -> Performed {
    Performed::Later(Box::pin(async move {
        match work.await {
            Ok(answer) => Performed::json(&answer),
            Err(error) => ledger_failed(&error),
        }
    }))
}

fn released(agent: &str, done: &Released) -> serde_json::Value {
    match done {
        Released::Done { letter } => json!({"released": agent, "letter": letter}),
        Released::NeedsConfirmation { effects } => json!({"needs_confirmation": effects}),
        Released::Impossible { reason } => json!({"impossible": reason}),
    }
}

fn word(how: &Resolution) -> &'static str {
    match how {
        Resolution::Is(Ok(_)) => "done",
        Resolution::Is(Err(_)) => "failed",
        _ => "retry",
    }
}

async fn doubt(ledger: &dyn Ledger, id: DoubtId) -> Result<Doubt, LedgerError> {
    let found = ledger.doubts().await?.into_iter().find(|doubt| doubt.id == id);
    found.ok_or_else(|| LedgerError::NotFound(format!("doubt {}", id.0)))
}

async fn quarantine(ledger: &dyn Ledger, agent: &str) -> Result<Quarantined, LedgerError> {
    let found = ledger.quarantines().await?.into_iter().find(|row| *row.agent == *agent);
    found.ok_or_else(|| LedgerError::NotFound(format!("a quarantine of {agent}")))
}
