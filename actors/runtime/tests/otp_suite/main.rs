//! OTP's own `supervisor_SUITE` (27.3), case by case, on the real runtime with a virtual clock.
//!
//! Each of its 91 cases is a test of that name here, or a row of the table in `README.md` beside this file that says why it has
//! no meaning here; `table` holds that. The cases are listed in `table.rs`.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, unreachable_pub, dead_code)]

mod api;
mod cast;
mod linear;
mod misc;
mod restart_types;
mod significant;
mod specs;
mod stage;
mod strategies;
mod sup_start;
mod sup_stop;
mod table;
mod watch_log;
