//! Timers of agents: set and taken back with the end of the turn, kept and fired by the ledger.
//!
//! It keeps no timer itself: what is told as set is in the ledger, or comes there with the turn's end.

use loket_contract::{CallView, Performed, TurnView, body_bytes, parse_args};
use loket_runtime::Clock;
use loket_turn::limits::{
    KEY_BYTES_MAX, TIMER_AHEAD_MS_MAX, TIMER_BODY_BYTES_MAX, TIMERS_PER_AGENT_MAX,
};
use loket_turn::{
    AgentName, Effect, Failure, IntentId, Ledger, LedgerError, Missed, Schedule, SetTimer, Sleep,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// What it works with.
#[derive(Clone)]
pub(crate) struct Timers {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) clock: Clock,
}

/// A call after its check.
#[derive(Debug)]
#[non_exhaustive]
pub enum Timing {
    /// `time.after`, `time.cron`: the timer, its agent, and how many more this turn has set.
    Set(Box<SetTimer>, AgentName, usize),
    /// `time.cancel`: the timer, its agent, and whether this turn has set it.
    Cancel(IntentId, AgentName, bool),
    /// `time.list`.
    List(AgentName),
    /// `time.sleep`.
    Sleep(Sleep),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    ms: Option<u64>,
    at: Option<u64>,
    #[serde(default = "timer")]
    kind: String,
    #[serde(default)]
    body: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CronArgs {
    expr: String,
    #[serde(default = "utc")]
    tz: String,
    #[serde(default)]
    missed: Missed,
    #[serde(default = "timer")]
    kind: String,
    #[serde(default)]
    body: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SleepArgs {
    ms: Option<u64>,
    at: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelArgs {
    timer: IntentId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListArgs {}

fn timer() -> String {
    "timer".to_owned()
}

fn utc() -> String {
    "UTC".to_owned()
}

impl Timers {
    /// Checks one of them.
    pub(crate) fn prepare(&self, call: &CallView<'_>) -> Result<Timing, Failure> {
        let Some(turn) = call.turn else {
            let text = "timers belong to agents, in a turn; operators use agent.timers.list";
            return Err(Failure::new("no_turn", text));
        };
        let agent = call.caller().clone();
        match call.operation.capability {
            "time.after" => {
                let After { ms, at, kind, body } = parse_args(call)?;
                let due_ms = self.due(ms, at)?;
                self.set(
                    turn,
                    agent,
                    SetTimer {
                        id: turn.call_key(),
                        due_ms,
                        kind,
                        body: bytes(&body),
                        schedule: None,
                    },
                )
            }
            "time.cron" => {
                let CronArgs { expr, tz, missed, kind, body } = parse_args(call)?;
                let schedule = Schedule { expr, tz, missed };
                let next = schedule.next_after(self.clock.now().0);
                let due_ms = next.map_err(|why| Failure::new("bad_args", why.to_string()))?;
                let body = bytes(&body);
                let schedule = Some(schedule);
                self.set(
                    turn,
                    agent,
                    SetTimer { id: turn.call_key(), due_ms, kind, body, schedule },
                )
            }
            "time.cancel" => {
                let CancelArgs { timer } = parse_args(call)?;
                let own =
                    |effect: &Effect| matches!(effect, Effect::SetTimer(set) if set.id == timer);
                Ok(Timing::Cancel(timer, agent, turn.staged().iter().any(own)))
            }
            "time.list" => parse_args::<ListArgs>(call).map(|_| Timing::List(agent)),
            _ => {
                let SleepArgs { ms, at } = parse_args(call)?;
                let due_ms = self.due(ms, at)?;
                Ok(Timing::Sleep(Sleep {
                    turn: turn.key().clone(),
                    intent: turn.call_key(),
                    due_ms,
                }))
            }
        }
    }

    /// The moment that is meant, Unix milliseconds. From the node's clock and not the turn's, which stands still: a wait that is
    /// asked for late in a turn is as long as was asked.
    fn due(&self, ms: Option<u64>, at: Option<u64>) -> Result<u64, Failure> {
        let now_ms = self.clock.now().0;
        let due_ms = match (ms, at) {
            (Some(ms), None) => now_ms.saturating_add(ms),
            (None, Some(at)) => at,
            _ => {
                return Err(Failure::new(
                    "bad_args",
                    "give `ms` from now, or `at` in Unix milliseconds",
                ));
            }
        };
        if due_ms.saturating_sub(now_ms) > TIMER_AHEAD_MS_MAX {
            return Err(Failure::new(
                "bad_args",
                "more than 100 years ahead; times are milliseconds",
            ));
        }
        Ok(due_ms)
    }

    fn set(
        &self,
        turn: TurnView<'_>,
        agent: AgentName,
        timer: SetTimer,
    ) -> Result<Timing, Failure> {
        for (what, bytes, limit) in [
            ("kind", timer.kind.len(), KEY_BYTES_MAX),
            ("body", timer.body.len(), TIMER_BODY_BYTES_MAX),
        ] {
            if bytes > limit {
                let text =
                    format!("a {what} of {bytes} bytes is over the limit of {limit} for timers");
                return Err(Failure::new("too_large", text));
            }
        }
        let sets = |effect: &&Effect| matches!(effect, Effect::SetTimer(_));
        let staged = turn.staged().iter().filter(sets).count();
        Ok(Timing::Set(Box::new(timer), agent, staged))
    }

    /// Does it.
    pub(crate) fn perform(&self, timing: Timing) -> Performed {
        let ledger = Arc::clone(&self.ledger);
        Performed::Later(Box::pin(async move {
            match timing {
                Timing::Set(timer, agent, staged) => set(&*ledger, timer, agent, staged).await,
                Timing::Cancel(id, agent, staged) => match ledger.timers(Some(agent)).await {
                    Ok(timers) => {
                        let there =
                            staged || timers.iter().any(|timer| timer.id == id && !timer.sleeps);
                        let result = json!({"cancelled": there}).to_string().into_bytes();
                        Performed::Staged { result, effect: Effect::CancelTimer { id } }
                    }
                    Err(error) => failed(&error),
                },
                Timing::List(agent) => match ledger.timers(Some(agent)).await {
                    Ok(timers) => {
                        let timers: Vec<_> =
                            timers.into_iter().filter(|timer| !timer.sleeps).collect();
                        Performed::json(&json!({"timers": timers}))
                    }
                    Err(error) => failed(&error),
                },
                Timing::Sleep(sleep) => match ledger.sleep(sleep).await {
                    Ok(()) => Performed::Deferred,
                    Err(error) => failed(&error),
                },
            }
        }))
    }
}

/// A place is counted at the call; the end of the turn never fails for want of one (rule C8).
async fn set(
    ledger: &dyn Ledger,
    timer: Box<SetTimer>,
    agent: AgentName,
    staged: usize,
) -> Performed {
    let there = match ledger.timers(Some(agent)).await {
        Ok(timers) => timers.len() + staged,
        Err(error) => return failed(&error),
    };
    if there >= TIMERS_PER_AGENT_MAX {
        let text = format!(
            "{there} timers are set, {TIMERS_PER_AGENT_MAX} may be: cancel some, or use one cron"
        );
        return Performed::failed(Failure::retryable("too_many_timers", text, None));
    }
    let result = json!({"timer": timer.id, "due_ms": timer.due_ms}).to_string().into_bytes();
    Performed::Staged { result, effect: Effect::SetTimer(timer) }
}

fn bytes(body: &Value) -> Vec<u8> {
    if body.is_null() { Vec::new() } else { body_bytes(body) }
}

/// The ledger did not do it: the machine's fault, or a newer incarnation has taken over.
fn failed(error: &LedgerError) -> Performed {
    let failure = Failure::retryable(error.code(), error.to_string(), None);
    Performed::ledger_failed(error, failure)
}
