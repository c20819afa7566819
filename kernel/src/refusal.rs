//! Refusals: a value that says what is missing and which line of the fleet file would give it. Made
//! without allocation; the text is built only when somebody reads it.

use crate::name::{Capability, check};
use crate::table::{Row, Table};
use crate::{Address, GrantId, MAX_ARGS, MAX_CHAIN, Moment};
use std::{fmt, sync::Arc};

/// Most characters of a made-up name that are shown.
const SHOWN: usize = 80;

/// Why a call was refused. The codes are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalCode {
    /// Nobody serves a capability of this name.
    UnknownCapability,
    /// The name has not the form of a capability.
    MalformedName,
    /// The caller holds no grant that covers the name.
    NoGrant,
    /// The deciding grant is over.
    Expired,
    /// The caller is not in the life it called from.
    StaleIncarnation,
    /// The table has no such caller.
    UnknownPrincipal,
    /// More than [`MAX_ARGS`] bytes.
    ArgsTooLarge,
    /// More than [`MAX_CHAIN`] callers.
    ChainTooLong,
    /// The deciding grant, or one that it came from, was revoked.
    Revoked,
    /// Nobody waits for the answer any more.
    DeadlinePassed,
}

impl RefusalCode {
    /// The code as it stands in failures, records and `explain`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCapability => "K001",
            Self::MalformedName => "K002",
            Self::NoGrant => "K003",
            Self::Expired => "K004",
            Self::StaleIncarnation => "K005",
            Self::UnknownPrincipal => "K006",
            Self::ArgsTooLarge => "K007",
            Self::ChainTooLong => "K008",
            Self::Revoked => "K009",
            Self::DeadlinePassed => "K010",
        }
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What each code has to say besides.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Why {
    UnknownCapability,
    MalformedName,
    NoGrant,
    Expired(GrantId, Moment),
    Stale(u64),
    UnknownPrincipal,
    ArgsTooLarge(usize),
    ChainTooLong,
    Revoked(GrantId),
    Late(Moment),
}

/// A call that is not admitted. [`fmt::Display`] explains it to the operator and the guest's author.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub(crate) why: Why,
    pub(crate) from: Address,
    pub(crate) caller: Option<Arc<Row>>,
    pub(crate) capability: Arc<str>,
}

impl Refusal {
    /// Which refusal it is.
    pub fn code(&self) -> RefusalCode {
        match self.why {
            Why::UnknownCapability => RefusalCode::UnknownCapability,
            Why::MalformedName => RefusalCode::MalformedName,
            Why::NoGrant => RefusalCode::NoGrant,
            Why::Expired(..) => RefusalCode::Expired,
            Why::Stale(_) => RefusalCode::StaleIncarnation,
            Why::UnknownPrincipal => RefusalCode::UnknownPrincipal,
            Why::ArgsTooLarge(_) => RefusalCode::ArgsTooLarge,
            Why::ChainTooLong => RefusalCode::ChainTooLong,
            Why::Revoked(_) => RefusalCode::Revoked,
            Why::Late(_) => RefusalCode::DeadlinePassed,
        }
    }

    /// What was asked for, as it was written: it may be of any form and size.
    pub fn capability(&self) -> &Arc<str> {
        &self.capability
    }

    /// The line that, among the caller's grants in the fleet file, would allow the call.
    pub fn ron_line(&self) -> Option<String> {
        let granted = matches!(self.why, Why::NoGrant | Why::Expired(..) | Why::Revoked(_));
        granted.then(|| format!("(cap: \"{}\"),", self.capability))
    }

    /// The served capability that an unknown name is probably a slip of.
    pub fn hint<'t>(&self, table: &'t Table) -> Option<&'t Capability> {
        matches!(self.why, Why::UnknownCapability).then(|| table.nearest(&self.capability))?
    }
}

/// Shows at most [`SHOWN`] characters of a text that may be anything, only ASCII and nothing to obey.
struct Shown<'t>(&'t str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = self
            .0
            .char_indices()
            .nth(SHOWN)
            .map_or(self.0, |(end, _)| &self.0[..end]);
        write!(f, "\"{}\"", head.escape_default())?;
        match self.0.len() - head.len() {
            0 => Ok(()),
            more => write!(f, " and {more} bytes more"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Shown(&self.capability);
        let caller = self.caller.as_ref().map_or("?", |row| &row.name);
        write!(f, "{}: ", self.code())?;
        match self.why {
            Why::UnknownCapability => write!(f, "nobody serves {name}")?,
            Why::MalformedName => match check(&self.capability) {
                Err(error) => write!(f, "{name} is no capability name: {error}")?,
                Ok(()) => write!(f, "{name} is no capability name")?,
            },
            Why::NoGrant => write!(f, "{caller} has no grant for {name}")?,
            Why::Expired(GrantId(id), Moment(at)) => {
                write!(f, "grant {id} of {caller} for {name} ended at {at} ms")?;
            }
            Why::Revoked(GrantId(id)) => {
                write!(f, "grant {id} of {caller} for {name} was revoked")?;
            }
            Why::Stale(present) => {
                let called = self.from.incarnation;
                write!(
                    f,
                    "{caller} called from life {called}, its present life is {present}"
                )?;
            }
            Why::UnknownPrincipal => write!(f, "no principal {}", self.from.principal.0)?,
            Why::ArgsTooLarge(size) => write!(f, "{size} bytes of args, at most {MAX_ARGS}")?,
            Why::ChainTooLong => write!(f, "more than {MAX_CHAIN} callers in a chain")?,
            Why::Late(Moment(at)) => write!(f, "the deadline, {at} ms, has passed")?,
        }
        match self.ron_line() {
            Some(line) => write!(f, "; a line in its grants would allow it: {line}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}
