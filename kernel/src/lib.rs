//! The law of Loket: names, scopes, grants, the table of principals, and [`admit`].
//!
//! It must never know a clock, I/O, a thread, an actor, a database or a guest engine, and never
//! look into the arguments of a call. It is frozen: `FROZEN` records each version,
//! `tests/frozen.rs` holds it to that. Start reading at [`admit`]. Rows of one-line getters are
//! kept from rustfmt.
#![forbid(unsafe_code)]

/// An error enum: the doc comment of a variant is its message, and its stable code stands behind
/// it.
macro_rules! errors {
    ($(#[$meta:meta])* pub enum $name:ident { $(
        #[doc = $text:literal] $variant:ident $(($($field:ident: $type:ty),+))? = $code:literal,
    )+ }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $(#[doc = $text] $variant $(($($type),+))?,)+ }
        impl $name {
            /// The stable code, as failures, records and `explain` carry it.
            pub fn code(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $code,)+ }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}:", self.code())?;
                match self { $(Self::$variant $(($($field),+))? => write!(f, $text),)+ }
            }
        }
        impl std::error::Error for $name {}
    };
}

/// A type that is written, serialised and shown as the text that its `parse` takes.
macro_rules! text_form {
    ($name:ident, $error:ident) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl TryFrom<String> for $name {
            type Error = $error;
            fn try_from(text: String) -> Result<Self, $error> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.as_str().into()
            }
        }
    };
}

mod admit;
mod envelope;
mod grant;
mod lookup;
mod name;
mod refusal;
mod scope;
mod table;

pub use admit::{Admission, Admitted, Badge, Held, admit, admit_pinned};
pub use admit::{Forward, Undelivered, UndeliveredReason};
pub use envelope::{Address, Chain, Envelope, MAX_ARGS, MAX_CHAIN, Moment, Principal, Route};
pub use grant::{Attenuation, BudgetRef, Grant, GrantError, GrantId, GrantSet};
pub use grant::{MAX_DEPTH, MAX_GRANTS, MAX_RULES};
pub use name::{Capability, MAX_NAME, MAX_SEGMENT, MAX_SEGMENTS, NameError, map_foreign};
pub use refusal::{Refusal, RefusalCode};
pub use scope::{Bound, MAX_PATTERN, Pattern, PatternError, Scope};
pub use table::Table;
