//! The law of Loket: names, scopes, grants, the table of principals, and [`admit`].
//!
//! It must never know a clock, I/O, a thread, an actor, a database or a guest engine, never look
//! into the arguments of a call. It is frozen: `tests/frozen.rs` holds it to what `FROZEN` says.
//! Start reading at [`admit`]. Rows of one-line getters are kept from rustfmt.
#![forbid(unsafe_code)]

/// An error enum: behind each variant stand its stable code and its message, which is its doc too.
macro_rules! errors {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($variant:ident $(($($field:ident: $type:ty),+))? = $code:literal, $text:literal;)+
    }) => {
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
                write!(f, "{}: ", self.code())?;
                match self { $(Self::$variant $(($($field),+))? => write!(f, $text),)+ }
            }
        }
        impl std::error::Error for $name {}
    };
}

/// A text of a checked form: cheap to clone, shown and serialised as it was written.
macro_rules! text {
    ($(#[$meta:meta])* pub struct $name:ident($check:path) -> $error:ident;) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);
        impl $name {
            /// Takes a text that has the form, or says what is wrong with it.
            pub fn parse(text: &str) -> Result<Self, $error> {
                $check(text).map(|()| Self(text.into()))
            }
            /// The text as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = $error;
            fn try_from(text: String) -> Result<Self, $error> {
                Self::parse(&text)
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

pub use admit::{Admission, Admitted, Badge, Forward, Held, admit, admit_pinned};
pub use envelope::{Address, Chain, Envelope, MAX_ARGS, MAX_CHAIN, Moment, Principal, Route};
pub use grant::{
    BudgetRef, Grant, GrantError, GrantId, GrantSet, MAX_DEPTH, MAX_GRANTS, MAX_RULES,
};
pub use name::{Capability, MAX_NAME, MAX_SEGMENT, MAX_SEGMENTS, NameError};
pub use refusal::{Refusal, RefusalCode};
pub use scope::{Bound, MAX_PATTERN, Pattern, PatternError, Scope};
pub use table::Table;
