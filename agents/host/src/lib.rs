//! The guests' host: the only crate that knows wasmtime.
//!
//! It must never see a provider crate: a guest's calls leave through a handler that the driver gives. Start at [`driver`].

pub mod driver;
pub mod engine;
pub mod rerun;
