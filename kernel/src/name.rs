//! Capability names: their form, what covers what, and how foreign names are brought into the form.
//! Never compares by string prefix: `store.brain` does not cover `store.brainx`.

use serde::{Deserialize, Serialize};
use std::{borrow::Borrow, fmt, sync::Arc};

/// Most segments a name may have.
pub const MAX_SEGMENTS: usize = 8;
/// Most bytes a segment may have.
pub const MAX_SEGMENT: usize = 64;
/// Most bytes a whole name may have: full segments and the dots between them.
pub const MAX_NAME: usize = MAX_SEGMENTS * MAX_SEGMENT + MAX_SEGMENTS - 1;

/// What is wrong with a capability name. Offsets are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// Longer than [`MAX_NAME`] bytes.
    TooLong,
    /// More than [`MAX_SEGMENTS`] segments.
    TooManySegments,
    /// Nothing between two dots, or nothing at all; the offset is where a segment should be.
    EmptySegment(usize),
    /// A segment of more than [`MAX_SEGMENT`] bytes, ending at the offset.
    SegmentTooLong(usize),
    /// The byte at the offset is not one of `a-z 0-9 _ - .`.
    BadByte(usize, u8),
}

impl NameError {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "K101",
            Self::TooManySegments => "K102",
            Self::EmptySegment(_) => "K103",
            Self::SegmentTooLong(_) => "K104",
            Self::BadByte(..) => "K105",
        }
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "longer than {MAX_NAME} bytes"),
            Self::TooManySegments => write!(f, "more than {MAX_SEGMENTS} segments"),
            Self::EmptySegment(at) => write!(f, "empty segment at byte {at}"),
            Self::SegmentTooLong(at) => {
                write!(
                    f,
                    "segment of more than {MAX_SEGMENT} bytes before byte {at}"
                )
            }
            Self::BadByte(at, byte) => {
                write!(f, "byte 0x{byte:02x} at {at} is not one of a-z 0-9 _ - .")
            }
        }
    }
}

impl std::error::Error for NameError {}

/// Checks the form of a whole name in one pass that never reads past [`MAX_NAME`] bytes.
pub(crate) fn check(name: &str) -> Result<(), NameError> {
    if name.len() > MAX_NAME {
        return Err(NameError::TooLong);
    }
    let (mut start, mut segments) = (0, 1);
    for (at, byte) in name.bytes().enumerate() {
        match byte {
            b'.' if at == start => return Err(NameError::EmptySegment(at)),
            b'.' if segments == MAX_SEGMENTS => return Err(NameError::TooManySegments),
            b'.' => (start, segments) = (at + 1, segments + 1),
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' if at - start == MAX_SEGMENT => {
                return Err(NameError::SegmentTooLong(at));
            }
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => {}
            _ => return Err(NameError::BadByte(at, byte)),
        }
    }
    if start == name.len() {
        Err(NameError::EmptySegment(start))
    } else {
        Ok(())
    }
}

/// A well-formed capability name: 1 to 8 segments `[a-z0-9_-]{1,64}` joined by dots. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Capability(Arc<str>);

impl Capability {
    /// Takes a name that has the form, or says what is wrong with it.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        check(name).map(|()| Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as shared text, as an envelope wants it.
    pub fn shared(&self) -> &Arc<str> {
        &self.0
    }

    /// Whether `name` is this capability or lies below it, segment by segment.
    pub fn covers(&self, name: &str) -> bool {
        let rest = name.strip_prefix(self.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Capability {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Capability {
    type Err = NameError;
    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::parse(name)
    }
}

impl TryFrom<String> for Capability {
    type Error = NameError;
    fn try_from(name: String) -> Result<Self, NameError> {
        Self::parse(&name)
    }
}

impl From<Capability> for String {
    fn from(name: Capability) -> Self {
        name.as_str().into()
    }
}

/// Maps a foreign (MCP) name into one segment, injectively.
///
/// A name that already is a segment stays as it is, unless it begins with `x--` or `h--`. Any other is
/// `x--` and its bytes: `a-z 0-9 _` as they are, the rest as `-` and two hex digits. Where that is
/// longer than [`MAX_SEGMENT`] it is `h--` and the name's 128-bit FNV-1a: no finite segment can hold
/// every long name, so whoever loads foreign names treats two that map to one as an error.
pub fn map_foreign(name: &str) -> String {
    let reserved = name.starts_with("x--") || name.starts_with("h--");
    if !reserved && !name.contains('.') && check(name).is_ok() {
        return name.into();
    }
    let mut mapped = String::from("x--");
    for byte in name.bytes().take(MAX_SEGMENT) {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' => mapped.push(char::from(byte)),
            _ => mapped.push_str(&format!("-{byte:02x}")),
        }
    }
    if mapped.len() <= MAX_SEGMENT {
        return mapped;
    }
    let (offset, prime) = (
        0x6c62272e07bb014262b821756295c58d_u128,
        (1_u128 << 88) | 0x13b,
    );
    let fold = |hash: u128, byte: u8| (hash ^ u128::from(byte)).wrapping_mul(prime);
    format!("h--{:032x}", name.bytes().fold(offset, fold))
}
