//! What a provider is, and the one wrapper that journals its calls.
//!
//! A provider serves operations in two steps: `prepare` (scope and form, no effect) and `perform`. Between them the wrapper writes
//! the intent of a Keyed or Once call, once for all providers (rules C1, C2). Providers never see each other, nor wasmtime, nor
//! the ledger's writer. Start reading at [`Provider`], then `serve.rs`.
#![forbid(unsafe_code)]

mod budget;
mod describe;
pub mod failpoints;
mod foreign;
pub mod kit;
pub mod metrics;
mod provider;
pub mod rerun;
mod serve;
mod unsure;
mod wrapper;

pub use describe::{facts, failure_for_accept};
pub use foreign::map_foreign;
pub use provider::{
    CODE_ENVIRONMENT, CallView, Flow, IN_FLIGHT_MAX, Operation, Performed, Provider, ScopeForm,
    ScopeKey, TurnView, body_bytes, parse_args,
};
pub use serve::{ProviderServices, provider_body};
