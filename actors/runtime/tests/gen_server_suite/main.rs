//! What of OTP's own `gen_server_SUITE` (27.3) has a meaning for the node's native children, case by case, on the real runtime.
//!
//! Each case that the specification names is a test of that name here, or a row of the table in `README.md` beside this file that
//! says why it has no meaning here; `table` holds that.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, unreachable_pub, dead_code)]

#[path = "../common/mod.rs"]
mod common;

mod calls;
mod requests;
mod server;
mod starts;
mod stops;
mod table;
