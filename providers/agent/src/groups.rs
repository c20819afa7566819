//! Groups: joined and left by agents in their turns, kept by the ledger (rule I3).

use crate::args::{Group, GroupSend, Nothing};
use crate::mail::too_large;
use crate::operator::ledger_failed;
use crate::provider::{AgentServices, Prepared};
use crate::scope::{allow, in_turn};
use loket_contract::{CallView, Performed, body_bytes, parse_args};
use loket_kernel::Pattern;
use loket_turn::limits::{
    BODY_BYTES_MAX, GROUP_MEMBERS_MAX, GROUP_NAME_BYTES_MAX, GROUPS_PER_AGENT_MAX, KEY_BYTES_MAX,
};
use loket_turn::{
    Accept, AcceptError, AgentName, Effect, Failure, Hash, IntentId, MessageId, TurnKey,
};
use serde_json::{Value, json};

/// Bytes of all messages of one sending to a group: what one step of the ledger may write.
const SEND_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A call about groups, with its form and scope checked.
#[derive(Debug)]
pub enum Grouping {
    /// `agent.group.join`.
    Join(AgentName, String),
    /// `agent.group.leave`.
    Leave(AgentName, String),
    /// `agent.group.members`.
    Members(String),
    /// `agent.group.list`: those that the grant's scope allows.
    List(Vec<Pattern>),
    /// `agent.group.send`.
    Send(News),
}

/// A message to a group.
#[derive(Debug)]
pub struct News {
    group: String,
    sender: AgentName,
    kind: String,
    body: Vec<u8>,
    /// The turn that sends, and the call's key, of which the messages' ids are derived.
    turn: Option<(TurnKey, IntentId)>,
}

/// Checks what is called `agent.group.*`.
pub(crate) fn prepare(call: &CallView<'_>) -> Result<Prepared, Failure> {
    let grouping = match call.operation.capability {
        "agent.group.join" => {
            let group = group(call)?;
            Grouping::Join(in_turn(call)?.key().agent.clone(), group)
        }
        "agent.group.leave" => {
            let group = group(call)?;
            Grouping::Leave(in_turn(call)?.key().agent.clone(), group)
        }
        "agent.group.members" => Grouping::Members(group(call)?),
        "agent.group.list" => {
            parse_args::<Nothing>(call)?;
            Grouping::List(call.scope().names("groups").unwrap_or_default().to_vec())
        }
        _ => Grouping::Send(news(call)?),
    };
    Ok(Prepared::Grouping(grouping))
}

fn group(call: &CallView<'_>) -> Result<String, Failure> {
    let Group { group } = parse_args(call)?;
    named(call, group)
}

/// A group's name is for people and scopes: short, and without what a pattern means something by.
fn named(call: &CallView<'_>, group: String) -> Result<String, Failure> {
    allow(call, "groups", &group)?;
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-./".contains(&b);
    if group.is_empty() || group.len() > GROUP_NAME_BYTES_MAX || !group.bytes().all(fits) {
        let text = format!(
            "{group:?} is no name of a group: 1 to {GROUP_NAME_BYTES_MAX} of a-z, 0-9, `_`, `-`, `.`, `/`"
        );
        return Err(Failure::new("bad_args", text));
    }
    Ok(group)
}

fn news(call: &CallView<'_>) -> Result<News, Failure> {
    let GroupSend { group, kind, body } = parse_args(call)?;
    let group = named(call, group)?;
    let body = body_bytes(&body);
    too_large("body", body.len(), BODY_BYTES_MAX)?;
    too_large("kind", kind.len(), KEY_BYTES_MAX)?;
    let turn = call.turn.map(|turn| (turn.key().clone(), turn.call_key()));
    Ok(News { group, sender: call.caller().clone(), kind, body, turn })
}

pub(crate) fn perform(services: &AgentServices, grouping: Grouping) -> Performed {
    let services = services.clone();
    Performed::Later(Box::pin(async move {
        match grouping {
            Grouping::Join(agent, group) => join(&services, agent, group).await,
            Grouping::Leave(_, group) => {
                Performed::Staged { result: b"{}".to_vec(), effect: Effect::Leave { group } }
            }
            Grouping::Members(group) => match services.ledger.members(group).await {
                Ok(members) => Performed::json(&json!({"members": members})),
                Err(error) => ledger_failed(&error),
            },
            Grouping::List(allowed) => match services.ledger.groups().await {
                Ok(mut groups) => {
                    groups.retain(|size| allowed.iter().any(|name| name.matches(&size.group)));
                    Performed::json(&json!({"groups": groups}))
                }
                Err(error) => ledger_failed(&error),
            },
            Grouping::Send(news) => send(&services, news).await,
        }
    }))
}

async fn join(services: &AgentServices, agent: AgentName, group: String) -> Performed {
    let own = services.ledger.groups_of(agent.clone()).await;
    let members = services.ledger.members(group.clone()).await;
    let (own, members) = match (own, members) {
        (Ok(own), Ok(members)) => (own, members),
        (Err(error), _) | (_, Err(error)) => return ledger_failed(&error),
    };
    if !own.contains(&group) {
        if own.len() >= GROUPS_PER_AGENT_MAX {
            let text = format!("{agent} is in {GROUPS_PER_AGENT_MAX} groups already");
            return Performed::failed(Failure::new("too_many_groups", text));
        }
        if members.len() >= GROUP_MEMBERS_MAX {
            let text = format!("{group} has {GROUP_MEMBERS_MAX} members already");
            return Performed::failed(Failure::new("too_many_members", text));
        }
    }
    Performed::Staged { result: b"{}".to_vec(), effect: Effect::Join { group } }
}

/// One message to each other member: staged by a turn, or accepted at once. Who has no room is named, and gets none.
async fn send(services: &AgentServices, news: News) -> Performed {
    let mut members = match services.ledger.members(news.group.clone()).await {
        Ok(members) => members,
        Err(error) => return ledger_failed(&error),
    };
    members.retain(|member| *member != news.sender);
    if members.len().saturating_mul(news.body.len()) > SEND_BYTES_MAX {
        let text = format!(
            "{} bytes to {} members are over the limit of {SEND_BYTES_MAX}; nothing was sent",
            news.body.len(),
            members.len()
        );
        return Performed::failed(Failure::new("too_large", text));
    }
    let (mut to, mut refused) = (Vec::new(), Vec::new());
    for member in members {
        match offer(services, &news, &member).await {
            Ok(id) => to.push((id, member)),
            Err(error) if error.is_no_answer() => return Performed::not_accepted(&error),
            Err(error) => refused.push(json!({"to": member, "code": error.code()})),
        }
    }
    let sent: Vec<Value> =
        to.iter().map(|(id, member)| json!({"to": member, "message": id})).collect();
    let answer = json!({"sent": sent, "refused": refused});
    if news.turn.is_none() {
        return Performed::json(&answer);
    }
    let (kind, body) = (news.kind, news.body);
    let result = answer.to_string().into_bytes();
    Performed::Staged { result, effect: Effect::SendAll { to, kind, body } }
}

/// A place in the member's inbox for the end of the turn; without a turn, the message itself.
async fn offer(
    services: &AgentServices,
    news: &News,
    member: &AgentName,
) -> Result<MessageId, AcceptError> {
    if let Some((turn, call)) = &news.turn {
        let reserved = services.ledger.reserve(turn.clone(), member.clone(), news.body.len());
        return reserved.await.map(|()| derived(*call, member));
    }
    let accept = Accept {
        to: member.clone(),
        sender: news.sender.clone(),
        kind: news.kind.clone(),
        body: news.body.clone(),
        key: None,
        id: None,
        reply_to: None,
        chain: Vec::new(),
        unless_waiting: false,
        now_ms: services.clock.now().0,
    };
    services.ledger.accept(accept).await.map(|accepted| accepted.message)
}

/// The id of one member's message: the same whenever the turn is run again.
fn derived(call: IntentId, member: &str) -> MessageId {
    let mut fields = call.0.to_vec();
    fields.extend_from_slice(member.as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&Hash::of(&fields).0[..16]);
    MessageId(id)
}
