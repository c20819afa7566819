//! Language models.

use serde_json::Value;

use crate::{Failure, call, object};

/// One message of a conversation.
#[must_use]
pub fn says(role: &str, content: &str) -> Value {
    object! { "role": role, "content": content }
}

/// Asks `model` to go on with the conversation; returns its words.
///
/// # Errors
/// What the provider answered; `bad_answer` when there are no words in it.
pub fn chat(model: &str, messages: &[Value]) -> Result<String, Failure> {
    let mut answer = call("llm.chat", &object! { "model": model, "messages": messages })?;
    match answer["content"].take() {
        Value::String(content) => Ok(content),
        _ => Err(Failure::new("bad_answer", "llm.chat: no content")),
    }
}
