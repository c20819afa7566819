//! Watching other agents: exactly one message of kind `down` tells of each watched end.

use serde_json::Value;

use crate::{Failure, Message, call as ask, object};

/// Which end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// That of the present incarnation, whatever its supervisor does then.
    Exit,
    /// That of the agent: it will not come back.
    Gone,
}

/// What a `down` message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Down {
    /// The monitor, as [`monitor`] gave it.
    pub monitor: String,
    /// Who has ended.
    pub agent: String,
    /// Why, for programs: `killed`, `crash`, `noproc`, `removed`, `process_died`, ...
    pub code: String,
    /// Why, for people.
    pub reason: String,
    /// It will not come back.
    pub gone: bool,
}

impl Down {
    /// The Down that a message is; none of an agent's own making is taken for one.
    #[must_use]
    pub fn of(message: &Message) -> Option<Self> {
        if message.sender != "@monitor" || message.kind != "down" {
            return None;
        }
        let body: Value = serde_json::from_slice(&message.body).ok()?;
        let text = |key: &str| Some(body[key].as_str()?.to_owned());
        Some(Self {
            monitor: text("monitor")?,
            agent: text("agent")?,
            code: text("code")?,
            reason: text("reason")?,
            gone: body["gone"].as_bool()?,
        })
    }
}

/// Watches an agent from the end of this turn on; gives the monitor's id. Of who is not there then
/// the Down comes at once.
///
/// # Errors
/// What the provider answered, `too_many_monitors` among it.
pub fn monitor(agent: &str, until: Until) -> Result<String, Failure> {
    let until = if until == Until::Gone { "gone" } else { "exit" };
    let answer = ask("agent.monitor", &object! { "agent": agent, "until": until })?;
    Ok(answer["monitor"].as_str().unwrap_or_default().to_owned())
}

/// Watches no more; whether there was such a monitor. A Down that is in the inbox already stays.
///
/// # Errors
/// What the provider answered.
pub fn demonitor(monitor: &str) -> Result<bool, Failure> {
    let answer = ask("agent.demonitor", &object! { "monitor": monitor })?;
    Ok(answer["found"].as_bool().unwrap_or_default())
}

/// Who is under a name: kind, state, incarnation, restarts; `None` when there is nobody.
///
/// # Errors
/// What the provider answered.
pub fn whereis(agent: &str) -> Result<Option<Value>, Failure> {
    let answer = ask("agent.whereis", &object! { "agent": agent })?;
    Ok(answer["found"].as_bool().unwrap_or_default().then_some(answer))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{fake, json};

    fn message(sender: &str, body: &Value) -> Message {
        let (sender, kind) = (sender.to_owned(), "down".to_owned());
        Message { id: "m".into(), sender, kind, body: body.to_string().into_bytes() }
    }

    #[test]
    fn only_a_down_of_the_ledger_is_one() {
        let body = json!({ "monitor": "1f", "agent": "b", "incarnation": 2, "code": "killed",
            "reason": "killed", "gone": false });
        let down = Down::of(&message("@monitor", &body)).unwrap();
        assert_eq!((&*down.agent, &*down.code, down.gone), ("b", "killed", false));
        assert_eq!(Down::of(&message("b", &body)), None);
        assert_eq!(Down::of(&message("@monitor", &json!({ "agent": "b" }))), None);
    }

    #[test]
    fn calls_are_made_as_the_provider_wants_them() {
        let server = |capability: &str, args: Value| {
            Ok(match capability {
                "agent.monitor" => json!({ "monitor": args["until"] }),
                "agent.demonitor" => json!({ "found": args["monitor"] == "gone" }),
                _ => json!({ "found": args["agent"] == "b", "state": "running" }),
            })
        };
        fake::with(server, || {
            assert_eq!(monitor("b", Until::Exit).unwrap(), "exit");
            assert_eq!(monitor("b", Until::Gone).unwrap(), "gone");
            assert!(demonitor("gone").unwrap() && !demonitor("x").unwrap());
            assert_eq!(whereis("b").unwrap().unwrap()["state"], "running");
            assert_eq!(whereis("c").unwrap(), None);
        });
    }
}
