//! The law of Loket: names, scopes, grants, the table of principals, and [`admit`].
//!
//! It must never know a clock, I/O, a thread, an actor, a database or a guest engine, and never look
//! into the arguments of a call. It is frozen: `FROZEN` records each version, `tests/frozen.rs` holds
//! it to that. Start reading at [`admit`].
#![forbid(unsafe_code)]

mod admit;
mod envelope;
mod grant;
mod lookup;
mod name;
mod refusal;
mod scope;
mod table;

pub use admit::{
    Admission, Admitted, Badge, Forward, Held, Undelivered, UndeliveredReason, admit, admit_pinned,
};
pub use envelope::{Address, Chain, Envelope, MAX_ARGS, MAX_CHAIN, Moment, Principal, Route};
pub use grant::{
    Attenuation, BudgetRef, Grant, GrantError, GrantId, GrantSet, MAX_DEPTH, MAX_GRANTS, MAX_RULES,
};
pub use name::{Capability, MAX_NAME, MAX_SEGMENT, MAX_SEGMENTS, NameError, map_foreign};
pub use refusal::{Refusal, RefusalCode};
pub use scope::{Bound, MAX_PATTERN, Pattern, PatternError, Scope};
pub use table::Table;
