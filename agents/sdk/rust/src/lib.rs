//! The Rust SDK for Loket agents.
//!
//! An agent is one function from a message to an answer, and can do nothing but ask the counter
//! (the *loket*) for capabilities. This crate speaks the world `loket:agent/agent@1.0.0` by hand as
//! a plain core module, so that `cargo build --target wasm32-unknown-unknown` is all the tooling an
//! agent needs; the host wraps the module at load.
//!
//! ```
//! use loket_guest::{Answer, Message, json};
//!
//! fn handle(message: Message) -> Answer {
//!     let name = message.text()?;
//!     let seen = loket_guest::store::get("seen")?.as_u64().unwrap_or(0) + 1;
//!     loket_guest::store::put("seen", &json!(seen))?;
//!     Ok(json!({ "hello": name, "you_are_number": seen }))
//! }
//! loket_guest::agent!(handle);
//! ```
//!
//! It must never hold state between messages (every turn is a fresh instance; what is to be known
//! later belongs in the brain, see [`store`]), nor reach for a clock, a file or randomness but
//! through [`call`]. All `unsafe` is in `abi` and in `room`, the module's allocator. On any target but
//! wasm the counter is [`fake`], so an agent's logic is tested with plain `cargo test`.
//!
//! An agent that brings an allocator of its own leaves out this crate's feature `room`.
//!
//! Start reading at [`Message`] and [`call`]; the bytes on the wire are in `abi`.

#[doc(hidden)]
pub mod abi;
pub mod agents;
mod counter;
#[cfg(not(target_arch = "wasm32"))]
pub mod fake;
pub mod fs;
pub mod groups;
pub mod llm;
pub mod log;
mod message;
#[cfg(all(target_arch = "wasm32", feature = "room"))]
mod room;
pub mod store;
mod value;
pub mod watch;

pub use counter::{Failure, call, call_bytes};
pub use message::{Answer, Message, Reply};
pub use serde_json::{Map, Value, json};
#[doc(hidden)]
pub use value::{Field, object_of};
