//! The http provider: requests to the hosts that a grant names, and to nobody else.
//!
//! `http.get` observes, `http.put` and `http.post` carry the call's derived key so that a server can tell a second sending from a
//! second wish, `http.send` is sent once and never again by itself.
//!
//! It must never follow a redirect, cut an answer, put a secret where a guest, a record or a log sees it, or reach a private
//! address that no grant names. Start reading at [`HttpProvider`]; what goes out is decided in `request.rs`.
#![forbid(unsafe_code)]

mod address;
mod answer;
mod config;
pub mod metrics;
mod provider;
mod request;
mod secrets;
mod send;
mod url;
mod worker;

pub use config::{HttpConfig, parse_config};
pub use provider::{HttpProvider, OPERATIONS, Prepared, StartError};
pub use secrets::MissingSecret;
