//! The interface that every backend serves.

use loket_turn::{Failure, IntentId};
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::pin::Pin;

/// Who said a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions and context.
    System,
    /// The one who asks.
    User,
    /// The model's own earlier answers.
    Assistant,
}

/// One message of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatMessage {
    /// Who said it.
    pub role: Role,
    /// The text.
    pub content: String,
}

/// A question to a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatRequest {
    /// The name that the fleet file gives the model.
    pub model: String,
    /// The chat, oldest first.
    pub messages: Vec<ChatMessage>,
    /// Tokens of the answer at most.
    pub max_output_tokens: u32,
    /// The idempotency key to hand to a backend that honours one (rule C3); `None` for callers without a turn.
    pub key: Option<IntentId>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// The model was done.
    Stop,
    /// The token limit was reached: there would have been more.
    Length,
}

/// What an answer cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
}

/// A model's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatAnswer {
    /// The model that answered.
    pub model: String,
    /// The text.
    pub content: String,
    /// Why it ended.
    pub finish: Finish,
    /// What it cost.
    pub usage: Usage,
}

/// An answer on its way.
pub type Answering = Pin<Box<dyn Future<Output = Result<ChatAnswer, Failure>>>>;

/// A backend for one model.
pub trait Model {
    /// Answers a chat. Must not block the lane; must end in bounded time.
    fn chat(&self, request: ChatRequest) -> Answering;
}
