//! Refusals: a value that says what is missing and which line of the fleet file would give it. Made
//! without allocation; the text is built only when somebody reads it.

use crate::name::check;
use crate::table::Row;
use crate::{Address, MAX_ARGS, MAX_CHAIN};
use std::{fmt, sync::Arc};

errors! {
    /// Why a call was refused.
    #[derive(Copy)]
    pub enum RefusalCode {
        UnknownCapability = "K001", "nobody serves a capability of this name";
        MalformedName = "K002", "this is no name of a capability";
        NoGrant = "K003", "the caller has no grant that covers the name";
        Expired = "K004", "the grant that decides is over";
        StaleIncarnation = "K005", "the caller is not in the life that it called from";
        UnknownPrincipal = "K006", "the table has no such caller";
        ArgsTooLarge = "K007", "arguments of more than {MAX_ARGS} bytes";
        ChainTooLong = "K008", "a chain of more than {MAX_CHAIN} callers";
        Revoked = "K009", "the grant that decides, or one above it, was revoked";
        DeadlinePassed = "K010", "the deadline has passed, nobody waits for the answer";
    }
}

/// A call that is not admitted. [`fmt::Display`] explains it to operators and authors of guests.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Which refusal it is.
    pub code: RefusalCode,
    /// What was asked for, as it was written: it may be of any form and size.
    pub capability: Arc<str>,
    /// The number that goes with the code; see its text.
    pub(crate) detail: u64,
    pub(crate) from: Address,
    pub(crate) caller: Option<Arc<Row>>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The name may be anything: 80 characters of it at most, only ASCII, nothing to obey.
        let name = &*self.capability;
        let head = name.char_indices().nth(80).map_or(name, |(end, _)| &name[..end]);
        match &self.caller {
            Some(row) => write!(f, "{}: {} called ", self.code, row.name.escape_default())?,
            None => write!(f, "{}: principal {} called ", self.code, self.from.principal.0)?,
        }
        write!(f, "\"{}\"", head.escape_default())?;
        if head.len() < name.len() {
            write!(f, "... ({} bytes)", name.len())?;
        }
        let (n, life) = (self.detail, self.from.incarnation);
        // Shown only of what is served, and so has a well-formed name.
        let line = format_args!("; this among its grants allows it: (cap: \"{name}\"),");
        match self.code {
            RefusalCode::MalformedName => check(name).or_else(|error| write!(f, ": {error}")),
            RefusalCode::StaleIncarnation => write!(f, ": life {life}, now it is {n}"),
            RefusalCode::NoGrant => write!(f, "{line}"),
            RefusalCode::Expired | RefusalCode::Revoked => write!(f, ": grant {n}{line}"),
            RefusalCode::ArgsTooLarge => write!(f, ": {n} bytes"),
            RefusalCode::DeadlinePassed => write!(f, ": {n} ms since 1970"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}
