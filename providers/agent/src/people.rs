//! What waits for a person, and for its time: questions of agents, verdicts of operators, the lists of timers and budgets.
//!
//! It decides nothing: a held call goes on only because the ledger keeps the verdict and the kernel takes the lease.

use crate::args::{ApprovalArgs, Nothing, OfAgent, Question, TimerArgs};
use crate::once::for_call;
use crate::operator::ledger_failed;
use crate::provider::AgentServices;
use loket_contract::{CallView, Performed, parse_args};
use loket_turn::limits::{ANSWER_BYTES_MAX, LISTED_MAX};
use loket_turn::{
    AgentName, Approval, ApprovalId, Ask, Asked, Budget, CallNo, Decide, Failure, IntentId, Level,
    QUESTION, Verdict,
};
use serde_json::{Value, json};

/// A call after its check.
#[derive(Debug)]
#[non_exhaustive]
pub enum People {
    /// `human.ask`.
    Ask(Box<Ask>),
    /// `agent.approvals.list`.
    List,
    /// `agent.approvals.show`.
    Show(ApprovalId),
    /// `agent.approvals.approve`, `.deny`, `.answer`.
    Decide(ApprovalId, Verdict, AgentName),
    /// `agent.timers.list`.
    Timers(Option<AgentName>),
    /// `agent.budgets.list`.
    Budgets(Option<AgentName>),
    /// `agent.timers.cancel`.
    Cancel(IntentId),
}

/// Whether a capability is served here.
pub(crate) fn is_ours(capability: &str) -> bool {
    capability == QUESTION
        || capability.starts_with("agent.approvals.")
        || capability.starts_with("agent.timers.")
        || capability.starts_with("agent.budgets.")
}

/// Checks one of them.
pub(crate) fn prepare(call: &CallView<'_>) -> Result<People, Failure> {
    match call.operation.capability {
        QUESTION => question(call),
        "agent.approvals.list" => parse_args::<Nothing>(call).map(|_| People::List),
        "agent.timers.list" => {
            let OfAgent { agent } = parse_args(call)?;
            Ok(People::Timers(agent.map(Into::into)))
        }
        "agent.budgets.list" => {
            let OfAgent { agent } = parse_args(call)?;
            Ok(People::Budgets(agent.map(Into::into)))
        }
        "agent.timers.cancel" => {
            parse_args::<TimerArgs>(call).map(|args| People::Cancel(args.timer))
        }
        capability => {
            let ApprovalArgs { approval, reason, text } = parse_args(call)?;
            let verdict = match (capability, reason, text) {
                ("agent.approvals.show", None, None) => {
                    return Ok(People::Show(ApprovalId(approval)));
                }
                ("agent.approvals.approve", None, None) => Verdict::Approve,
                ("agent.approvals.deny", reason, None) => Verdict::Deny(reason.unwrap_or_default()),
                ("agent.approvals.answer", None, Some(text)) => Verdict::Answer(text),
                _ => {
                    let text =
                        "`deny` takes a `reason`, `answer` takes and needs a `text`, no other does";
                    return Err(Failure::new("bad_args", text));
                }
            };
            let (Verdict::Deny(said) | Verdict::Answer(said)) = &verdict else {
                return Ok(People::Decide(ApprovalId(approval), verdict, call.caller().clone()));
            };
            fits("answer", said)?;
            Ok(People::Decide(ApprovalId(approval), verdict, call.caller().clone()))
        }
    }
}

fn fits(what: &str, text: &str) -> Result<(), Failure> {
    if text.len() <= ANSWER_BYTES_MAX {
        return Ok(());
    }
    let bytes = text.len();
    let text = format!("a {what} of {bytes} bytes is over the limit of {ANSWER_BYTES_MAX}");
    Err(Failure::new("too_large", text))
}

fn question(call: &CallView<'_>) -> Result<People, Failure> {
    let Question { question } = parse_args(call)?;
    fits("question", &question)?;
    let Some(turn) = call.turn else {
        let text = "a question is asked by an agent, in a turn";
        return Err(Failure::new("no_turn", text));
    };
    Ok(People::Ask(Box::new(Ask {
        turn: turn.key().clone(),
        begin: None,
        records: Vec::new(),
        counted: Vec::new(),
        intent: turn.call_key(),
        beyond: None,
        call: CallNo(turn.call()),
        capability: QUESTION.to_owned(),
        args: call.args.to_vec(),
        expires_ms: None,
        now_ms: turn.clock_ms(),
    })))
}

/// Does it.
pub(crate) fn perform(services: &AgentServices, what: People, of: Option<IntentId>) -> Performed {
    let services = services.clone();
    Performed::Later(Box::pin(async move {
        match what {
            People::Ask(ask) => put(&services, *ask).await,
            People::List => match services.ledger.approvals().await {
                Ok(all) => {
                    let more = all.len() >= LISTED_MAX;
                    let all: Vec<_> = all.iter().map(shown).collect();
                    Performed::json(&json!({"approvals": all, "more": more}))
                }
                Err(error) => ledger_failed(&error),
            },
            People::Show(id) => match services.ledger.approval(id).await {
                Ok(approval) => Performed::json(&shown(&approval)),
                Err(error) => ledger_failed(&error),
            },
            People::Decide(id, verdict, by) => {
                let now_ms = services.clock.now().0;
                let of = for_call(of, &services.clock, |done| Some(shown(done)));
                match services.ledger.decide(Decide { id, verdict, by, now_ms }, of).await {
                    Ok(approval) => Performed::json(&shown(&approval)),
                    Err(error) => ledger_failed(&error),
                }
            }
            People::Timers(agent) => match services.ledger.timers(agent).await {
                Ok(timers) => {
                    let more = timers.len() >= LISTED_MAX;
                    Performed::json(&json!({"timers": timers, "more": more}))
                }
                Err(error) => ledger_failed(&error),
            },
            People::Budgets(agent) => match services.ledger.budgets(agent).await {
                Ok(budgets) => {
                    let more = budgets.len() >= LISTED_MAX;
                    let budgets: Vec<_> = budgets.iter().map(budget).collect();
                    Performed::json(&json!({"budgets": budgets, "more": more}))
                }
                Err(error) => ledger_failed(&error),
            },
            People::Cancel(id) => {
                let said = json!({"cancelled": id});
                let say = said.clone();
                let of = for_call(of, &services.clock, move |there: &bool| there.then_some(say));
                match services.ledger.cancel_timer(id, of).await {
                    Ok(true) => Performed::json(&said),
                    Ok(false) => {
                        let text = format!("no timer {id}: it fired, was cancelled, or never was");
                        Performed::failed(Failure::new("not_found", text))
                    }
                    Err(error) => ledger_failed(&error),
                }
            }
        }
    }))
}

/// The question waits in the ledger; whoever answers it writes the result (rule H1).
async fn put(services: &AgentServices, mut ask: Ask) -> Performed {
    ask.now_ms = services.clock.now().0;
    let agent = ask.turn.agent.clone();
    match services.ledger.ask(ask).await {
        Ok(Asked::Waits { id }) => {
            tracing::info!(%agent, "asks a person: loket approvals show {}", id.0);
            Performed::Deferred
        }
        // Said already: the result is in the ledger, where the caller looks.
        Ok(Asked::Approved | Asked::Denied(_)) => Performed::Deferred,
        Err(error) => ledger_failed(&error),
    }
}

/// With the end of its window; that of a message is its turn.
fn budget(budget: &Budget) -> Value {
    let mut shown = json!(budget);
    shown["ends_ms"] = json!(budget.ends_ms());
    if budget.level == Level::Message {
        shown["n"] = shown["since_ms"].take();
    }
    shown
}

/// For people: the arguments as JSON where they are, otherwise as text.
fn shown(approval: &Approval) -> Value {
    let args = serde_json::from_slice(&approval.args)
        .unwrap_or_else(|_| json!(String::from_utf8_lossy(&approval.args)));
    let mut shown = json!(approval);
    shown["args"] = args;
    shown
}
