//! The llm provider: chat with models behind one interface.
//!
//! The embedded backend, `Extractive`, is no neural model: it picks sentences. It needs no key, no server and no network, and the
//! same question gets the same answer. A provider never sees another agent's messages than those of the call.
#![forbid(unsafe_code)]

mod config;
mod extractive;
mod model;
mod provider;
mod sentences;
mod worker;

pub use config::{LlmConfig, ModelConfig, Price, parse_config};
pub use extractive::Extractive;
pub use model::{Answering, ChatAnswer, ChatMessage, ChatRequest, Finish, Model, Role, Usage};
pub use provider::{LlmProvider, OPERATIONS};
