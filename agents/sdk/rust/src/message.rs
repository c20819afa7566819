//! What an agent is handed and what it hands back.

use serde_json::Value;

use crate::Failure;

/// What a handler returns: the reply, or why there is none. Either ends the turn in the ordinary
/// way; only a trap makes it be tried again.
pub type Answer<R = Value> = Result<R, Failure>;

/// One message, the whole input of a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Unique in the fleet, and the same for every attempt at this message.
    pub id: String,
    /// An agent's name, or `@operator`, `@timer`, `@http`.
    pub sender: String,
    /// By convention of sender and receiver: `message`, `call`, `tick`, ...
    pub kind: String,
    /// A text, or a JSON value as text.
    pub body: Vec<u8>,
}

impl Message {
    /// The body as text.
    ///
    /// # Errors
    /// `bad_message` when it is not UTF-8.
    pub fn text(&self) -> Result<&str, Failure> {
        str::from_utf8(&self.body).map_err(|_| Failure::bad_message("the body is not UTF-8"))
    }

    /// The body as a JSON object, if it is one. A plain text is none, even one that is also valid
    /// JSON, such as `12`.
    #[must_use]
    pub fn object(&self) -> Option<serde_json::Map<String, Value>> {
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(fields)) => Some(fields),
            _ => None,
        }
    }
}

/// What can be sent back as a reply.
pub trait Reply {
    /// The bytes of the reply.
    fn into_bytes(self) -> Vec<u8>;
}

impl Reply for Value {
    fn into_bytes(self) -> Vec<u8> {
        self.to_string().into_bytes()
    }
}

impl Reply for Vec<u8> {
    fn into_bytes(self) -> Vec<u8> {
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn message(body: &[u8]) -> Message {
        Message {
            id: "m".into(),
            sender: "@operator".into(),
            kind: "message".into(),
            body: body.into(),
        }
    }

    #[test]
    fn a_body_is_an_object_only_when_it_is_one() {
        assert_eq!(message(b"{\"a\": 1}").object().unwrap()["a"], 1);
        for text in [&b"12"[..], b"[1]", b"\"{}\"", b"hello", b"", b"\xff"] {
            assert_eq!(message(text).object(), None);
        }
    }

    #[test]
    fn a_body_that_is_no_text_is_a_failure() {
        assert_eq!(message("h\u{e9}".as_bytes()).text().unwrap(), "h\u{e9}");
        assert_eq!(message(b"\xff").text().unwrap_err().code, "bad_message");
    }
}
