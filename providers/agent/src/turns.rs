//! `agent.turns`: what an agent has done, for operators.

use crate::operator::ledger_failed;
use crate::provider::AgentServices;
use loket_contract::Performed;
use loket_turn::{AgentName, Outcome, Record, TurnNo, TurnShown};
use serde_json::{Value, json};

/// Turns of a list when nobody says how many.
pub(crate) const LIMIT: u32 = 20;

pub(crate) fn list(
    services: &AgentServices,
    agent: AgentName,
    before: Option<u64>,
    limit: u32,
) -> Performed {
    let ledger = services.ledger.clone();
    Performed::Later(Box::pin(async move {
        match ledger.turns(agent, TurnNo(before.unwrap_or(u64::MAX)), limit).await {
            Ok(turns) => Performed::json(&json!({"turns": turns})),
            Err(error) => ledger_failed(&error),
        }
    }))
}

pub(crate) fn show(services: &AgentServices, agent: AgentName, n: TurnNo) -> Performed {
    let ledger = services.ledger.clone();
    Performed::Later(Box::pin(async move {
        match ledger.turn(agent, n).await {
            Ok(turn) => Performed::json(&shown(&turn)),
            Err(error) => ledger_failed(&error),
        }
    }))
}

/// The row of the list, with the message's text, the calls and the answer.
fn shown(turn: &TurnShown) -> Value {
    let mut out = json!(turn.seen);
    out["body"] = json!(text(&turn.message.body));
    out["chain"] = json!(turn.message.chain);
    out["begin"] = turn.begin.as_ref().map_or(Value::Null, |begin| {
        json!({
            "time_ms": begin.time_ms, "seed": begin.seed, "module": begin.module.to_string(),
            "settings": begin.settings.to_string(), "grants": begin.grants.to_string(),
            "memory_bytes": begin.memory_bytes, "output_bytes": begin.output_bytes, "calls_max": begin.calls_max,
            "pure_version": begin.pure_version,
        })
    });
    out["records"] = turn.records.iter().map(record).collect();
    out["reply"] = outcome(turn.reply.as_ref());
    out
}

fn record(record: &Record) -> Value {
    json!({
        "call": record.call.0, "class": record.class.as_str(), "capability": record.capability,
        "args": text(&record.args), "outcome": outcome(record.outcome.as_ref()), "stamp_ms": record.stamp_ms,
        "intent": record.intent.map(|intent| intent.to_string()), "effect": record.effect.is_some(),
        "took_ms": record.took_ms, "cost": record.used,
    })
}

fn outcome(outcome: Option<&Outcome>) -> Value {
    match outcome {
        None => Value::Null,
        Some(Ok(bytes)) => json!({"ok": text(bytes)}),
        Some(Err(failure)) => json!({"error": failure}),
    }
}

/// Bytes as people read them: what is not UTF-8 is shown with replacement characters.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
