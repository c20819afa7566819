//! Refusals: a value that says what is missing and which line of the fleet file would give it. Made
//! without allocation; the text is built only when somebody reads it.

use crate::name::{Capability, check};
use crate::table::{Row, Table};
use crate::{Address, MAX_ARGS, MAX_CHAIN};
use std::{fmt, sync::Arc};

errors! {
    /// Why a call was refused.
    #[derive(Copy)]
    pub enum RefusalCode {
        /// nobody serves a capability of this name
        UnknownCapability = "K001",
        /// this is no name of a capability
        MalformedName = "K002",
        /// the caller has no grant that covers the name
        NoGrant = "K003",
        /// the grant that decides is over
        Expired = "K004",
        /// the caller is not in the life that it called from
        StaleIncarnation = "K005",
        /// the table has no such caller
        UnknownPrincipal = "K006",
        /// arguments of more than {MAX_ARGS} bytes
        ArgsTooLarge = "K007",
        /// a chain of more than {MAX_CHAIN} callers
        ChainTooLong = "K008",
        /// the grant that decides, or one above it, was revoked
        Revoked = "K009",
        /// the deadline has passed, nobody waits for the answer
        DeadlinePassed = "K010",
    }
}

impl RefusalCode {
    /// The same as [`RefusalCode::code`].
    pub fn as_str(self) -> &'static str {
        self.code()
    }
}

/// A call that is not admitted. [`fmt::Display`] explains it to the operator and the guest's
/// author.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub(crate) code: RefusalCode,
    /// The number that goes with the code; see its text.
    pub(crate) detail: u64,
    pub(crate) from: Address,
    pub(crate) caller: Option<Arc<Row>>,
    pub(crate) capability: Arc<str>,
}

impl Refusal {
    /// Which refusal it is.
    pub fn code(&self) -> RefusalCode {
        self.code
    }

    /// What was asked for, as it was written: it may be of any form and size.
    pub fn capability(&self) -> &Arc<str> {
        &self.capability
    }

    /// The line that, among the caller's grants in the fleet file, would allow the call.
    pub fn ron_line(&self) -> Option<String> {
        use RefusalCode::{Expired, NoGrant, Revoked};
        let granted = matches!(self.code, NoGrant | Expired | Revoked);
        granted.then(|| format!("(cap: \"{}\"),", self.capability))
    }

    /// The served capability that an unknown name is probably a slip of.
    pub fn hint<'t>(&self, table: &'t Table) -> Option<&'t Capability> {
        let unknown = self.code == RefusalCode::UnknownCapability;
        unknown.then(|| table.nearest(&self.capability))?
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The name may be anything: 80 characters of it at most, only ASCII, nothing to obey.
        let name = &*self.capability;
        let head = name.char_indices().nth(80).map_or(name, |(end, _)| &name[..end]);
        let Address { principal, incarnation } = self.from;
        match &self.caller {
            Some(row) => write!(f, "{}: {} called ", self.code, row.name.escape_default())?,
            None => write!(f, "{}: principal {} called ", self.code, principal.0)?,
        }
        write!(f, "\"{}\"", head.escape_default())?;
        if head.len() < name.len() {
            write!(f, "... ({} bytes)", name.len())?;
        }
        let n = self.detail;
        match self.code {
            RefusalCode::MalformedName => check(name).or_else(|error| write!(f, ": {error}")),
            RefusalCode::StaleIncarnation => write!(f, ": life {incarnation}, now it is {n}"),
            RefusalCode::Expired | RefusalCode::Revoked => write!(f, ": grant {n}"),
            RefusalCode::ArgsTooLarge => write!(f, ": {n} bytes"),
            RefusalCode::DeadlinePassed => write!(f, ": {n} ms since 1970"),
            _ => Ok(()),
        }?;
        let line = self.ron_line().map(|line| format!("; this among its grants allows it: {line}"));
        f.write_str(line.as_deref().unwrap_or_default())
    }
}

impl std::error::Error for Refusal {}
