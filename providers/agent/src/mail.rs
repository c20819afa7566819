//! Messages: staged by a turn, or accepted at once for a caller without one.

use crate::args;
use crate::provider::{AgentServices, Prepared};
use crate::scope::allow;
use loket_contract::{CallView, Performed, TurnView, body_bytes, parse_args};
use loket_turn::limits::{BODY_BYTES_MAX, CALL_CHAIN_MAX, KEY_BYTES_MAX};
use loket_turn::{Accept, AgentName, Effect, Failure, MessageId, ReplyTo, TurnKey};
use std::time::Duration;

/// How long a caller without a turn waits when it does not say.
const CALL_TIMEOUT_DEFAULT_MS: u64 = 120_000;

/// How long it may wait at most: an hour; the message stays accepted after that.
const CALL_TIMEOUT_MAX_MS: u64 = 60 * 60 * 1000;

/// A message with its form and scope checked.
#[derive(Debug)]
pub struct Mail {
    to: AgentName,
    sender: AgentName,
    kind: String,
    body: Vec<u8>,
    key: Option<String>,
    unless_waiting: bool,
    timeout: Duration,
    /// Minted here for a call without turn and key, so that the ledger can be asked about it again.
    minted: Option<MessageId>,
    turn: Option<InTurn>,
}

/// The turn that sends.
#[derive(Debug)]
struct InTurn {
    turn: TurnKey,
    id: MessageId,
    call: loket_turn::IntentId,
    chain: Vec<AgentName>,
    /// The receiver is spawned by this very turn: it has no inbox yet.
    to_newborn: bool,
}

/// Checks `agent.send` and `agent.call`.
pub(crate) fn prepare(call: &CallView<'_>) -> Result<Prepared, Failure> {
    let args: args::Send = parse_args(call)?;
    allow(call, "to", &args.to)?;
    let body = body_bytes(&args.body);
    too_large("body", body.len(), BODY_BYTES_MAX)?;
    too_large("key", args.key.as_ref().map_or(0, String::len), KEY_BYTES_MAX)?;
    too_large("kind", args.kind.len(), KEY_BYTES_MAX)?;
    if args.key.as_deref() == Some("") {
        let text = "the key is empty: all messages without one would be the same; leave it out";
        return Err(Failure::new("bad_args", text));
    }
    let is_call = call.operation.capability == "agent.call";
    let to: AgentName = args.to.into();
    let turn = match call.turn {
        Some(turn) => Some(in_turn(turn, &to, is_call)?),
        None => None,
    };
    let minted = match (&turn, &args.key) {
        (None, None) if is_call => Some(mint()?),
        _ => None,
    };
    let timeout = args.timeout_ms.unwrap_or(CALL_TIMEOUT_DEFAULT_MS).min(CALL_TIMEOUT_MAX_MS);
    let mail = Mail {
        to,
        sender: call.caller().clone(),
        kind: args.kind,
        body,
        key: args.key,
        unless_waiting: args.unless_waiting && call.turn.is_none(),
        timeout: Duration::from_millis(timeout),
        minted,
        turn,
    };
    Ok(if is_call { Prepared::Call(mail) } else { Prepared::Send(mail) })
}

pub(crate) fn too_large(what: &str, bytes: usize, limit: usize) -> Result<(), Failure> {
    if bytes <= limit {
        return Ok(());
    }
    let text = format!("a {what} of {bytes} bytes is over the limit of {limit}; nothing was sent");
    Err(Failure::new("too_large", text))
}

fn in_turn(turn: TurnView<'_>, to: &AgentName, is_call: bool) -> Result<InTurn, Failure> {
    let chain = turn.on_the_way().to_vec();
    let to_newborn = turn
        .staged()
        .iter()
        .any(|effect| matches!(effect, Effect::Spawn { agent, .. } if agent == to));
    if is_call {
        if chain.last() == Some(to) {
            return Err(Failure::new("calling_self", format!("{to} cannot call itself")));
        }
        if chain.contains(to) {
            let way: Vec<_> = chain.iter().map(|agent| &**agent).collect();
            let text = format!("{to} waits for this call already: {} -> {to}", way.join(" -> "));
            return Err(Failure::new("cycle", text));
        }
        if chain.len() >= CALL_CHAIN_MAX {
            let text = format!("{CALL_CHAIN_MAX} agents are on the way already");
            return Err(Failure::new("chain_too_long", text));
        }
        if to_newborn {
            let text =
                format!("{to} is spawned by this turn: it starts with its end; send instead");
            return Err(Failure::new("not_started", text));
        }
    }
    Ok(InTurn {
        turn: turn.key().clone(),
        id: MessageId(turn.call_key().0),
        call: turn.call_key(),
        chain,
        to_newborn,
    })
}

fn mint() -> Result<MessageId, Failure> {
    let mut id = [0; 16];
    getrandom::fill(&mut id)
        .map_err(|error| Failure::retryable("entropy", error.to_string(), None))?;
    Ok(MessageId(id))
}

impl Mail {
    fn accept(&self, services: &AgentServices) -> Accept {
        let turn = self.turn.as_ref();
        Accept {
            to: self.to.clone(),
            sender: self.sender.clone(),
            kind: self.kind.clone(),
            body: self.body.clone(),
            key: self.key.clone(),
            id: turn.map_or(self.minted, |turn| Some(turn.id)),
            reply_to: turn
                .map(|turn| ReplyTo::Intent { agent: turn.turn.agent.clone(), intent: turn.call }),
            chain: turn.map(|turn| turn.chain.clone()).unwrap_or_default(),
            unless_waiting: self.unless_waiting,
            now_ms: services.clock.now().0,
        }
    }
}

/// `agent.send`: a place is reserved and the message staged (rule C8); without a turn it is accepted at once (rule A1).
pub(crate) fn send(services: &AgentServices, mail: Mail) -> Performed {
    let services = services.clone();
    let Some(turn) = &mail.turn else {
        return Performed::Later(Box::pin(async move {
            match services.ledger.accept(mail.accept(&services)).await {
                Ok(accepted) => Performed::json(&serde_json::json!({
                    "message": accepted.message, "duplicate": accepted.duplicate,
                    "skipped": accepted.skipped,
                })),
                Err(error) => Performed::not_accepted(&error),
            }
        }));
    };
    let (key, id, newborn) = (turn.turn.clone(), turn.id, turn.to_newborn);
    Performed::Later(Box::pin(async move {
        if !newborn {
            let reserved = services.ledger.reserve(key, mail.to.clone(), mail.body.len()).await;
            if let Err(error) = reserved {
                return Performed::not_accepted(&error);
            }
        }
        match serde_json::to_vec(&serde_json::json!({"message": id})) {
            Ok(result) => {
                let Mail { to, kind, body, key, .. } = mail;
                Performed::Staged { result, effect: Effect::Send { id, to, kind, body, key } }
            }
            Err(error) => Performed::failed(Failure::new("internal", error.to_string())),
        }
    }))
}

/// `agent.call`: the callee's end writes the caller's record (rule I1); a caller without a turn waits here.
pub(crate) fn call(services: &AgentServices, mail: Mail) -> Performed {
    let services = services.clone();
    Performed::Later(Box::pin(async move {
        let accept = mail.accept(&services);
        let accepted = match services.ledger.accept(accept).await {
            Ok(accepted) => accepted,
            Err(error) => return Performed::not_accepted(&error),
        };
        if let Some(outcome) = accepted.outcome {
            return Performed::Done(outcome);
        }
        if mail.turn.is_some() {
            return Performed::Deferred;
        }
        outside(&services, &mail, accepted.message).await
    }))
}

/// Waits for the end of a message. Whatever is told meanwhile comes through the waiters; what the ledger has told nobody, since it
/// was opened anew (rule J2), it is asked for.
async fn outside(services: &AgentServices, mail: &Mail, message: MessageId) -> Performed {
    let ends = async {
        loop {
            let waiting = match services.waiters.message(message) {
                Ok(waiting) => waiting,
                Err(error) => {
                    let failure = Failure::retryable(error.code(), error.to_string(), None);
                    return Performed::failed(failure);
                }
            };
            // It may have come to its end before the line above: asked again under its id or key, the ledger tells the outcome.
            match services.ledger.accept(mail.accept(services)).await {
                Ok(accepted) => {
                    if let Some(outcome) = accepted.outcome {
                        return Performed::Done(outcome);
                    }
                }
                Err(error) => return Performed::not_accepted(&error),
            }
            if let Some(outcome) = waiting.await {
                return Performed::Done(outcome);
            }
        }
    };
    tokio::time::timeout(mail.timeout, ends).await.unwrap_or_else(|_| {
        Performed::failed(Failure::retryable(
            "timeout",
            format!("no answer of {} yet; message {message} stays accepted", mail.to),
            None,
        ))
    })
}
