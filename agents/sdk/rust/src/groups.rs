//! Groups: names that several agents stand under.

use serde_json::Value;

use crate::{Failure, call as ask, object};

/// Becomes a member, when this turn ends; for good, until it leaves or is gone.
///
/// # Errors
/// What the provider answered, `too_many_groups` and `too_many_members` among it.
pub fn join(group: &str) -> Result<(), Failure> {
    ask("agent.group.join", &object! { "group": group }).map(drop)
}

/// Is a member no more, when this turn ends.
///
/// # Errors
/// What the provider answered.
pub fn leave(group: &str) -> Result<(), Failure> {
    ask("agent.group.leave", &object! { "group": group }).map(drop)
}

/// Who is in a group, by name.
///
/// # Errors
/// What the provider answered.
pub fn members(group: &str) -> Result<Vec<String>, Failure> {
    let answer = ask("agent.group.members", &object! { "group": group })?;
    Ok(names(&answer["members"], |name| name))
}

/// A message to each member but oneself, when this turn ends; gives those who had no room and get
/// none.
///
/// # Errors
/// What the provider answered.
pub fn send(group: &str, kind: &str, body: &Value) -> Result<Vec<String>, Failure> {
    let args = object! { "group": group, "kind": kind, "body": body };
    Ok(names(&ask("agent.group.send", &args)?["refused"], |refused| &refused["to"]))
}

fn names(list: &Value, name: fn(&Value) -> &Value) -> Vec<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|one| name(one).as_str().map(Into::into)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{fake, json};

    #[test]
    fn members_and_those_without_room_come_as_names() {
        let server = |capability: &str, _: Value| {
            Ok(match capability {
                "agent.group.members" => json!({ "members": ["a", "b"] }),
                "agent.group.send" => {
                    json!({ "sent": [], "refused": [{ "to": "b", "code": "x" }] })
                }
                _ => json!({}),
            })
        };
        fake::with(server, || {
            join("g").unwrap();
            leave("g").unwrap();
            assert_eq!(members("g").unwrap(), ["a", "b"]);
            assert_eq!(send("g", "news", &json!("x")).unwrap(), ["b"]);
        });
    }
}
