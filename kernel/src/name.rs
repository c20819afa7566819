//! Capability names: their form, what covers what, and how foreign names are brought into the form.
//! Never compares by string prefix: `store.brain` does not cover `store.brainx`.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Most segments a name may have.
pub const MAX_SEGMENTS: usize = 8;
/// Most bytes a segment may have.
pub const MAX_SEGMENT: usize = 64;
/// Most bytes a whole name may have: full segments and the dots between them.
pub const MAX_NAME: usize = MAX_SEGMENTS * MAX_SEGMENT + MAX_SEGMENTS - 1;

errors! {
    /// What is wrong with a capability name. Offsets are in bytes.
    pub enum NameError {
        /// the name is longer than {MAX_NAME} bytes
        TooLong = "K101",
        /// the name has more than {MAX_SEGMENTS} segments
        TooManySegments = "K102",
        /// the segment that should begin at byte {at} is empty
        EmptySegment(at: usize) = "K103",
        /// the segment around byte {at} has more than {MAX_SEGMENT} bytes
        SegmentTooLong(at: usize) = "K104",
        /// byte 0x{byte:02x} at {at} is not one of a-z 0-9 _ - .
        BadByte(at: usize, byte: u8) = "K105",
    }
}

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
    if start == name.len() { Err(NameError::EmptySegment(start)) } else { Ok(()) }
}

/// A well-formed capability name: 1 to 8 segments `[a-z0-9_-]{1,64}` joined by dots. Cheap to
/// clone.
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

text_form!(Capability, NameError);

/// Maps a foreign (MCP) name into one segment, injectively.
///
/// A name that already is a segment stays as it is, unless it begins with `x--` or `h--`. Any other
/// is `x--` and its bytes: `a-z 0-9 _` as they are, the rest as `-` and two hex digits. Where that
/// is longer than [`MAX_SEGMENT`] it is `h--` and the name's 128-bit FNV-1a: no finite segment can
/// hold every long name, so whoever loads foreign names treats two that map to one as an error.
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
    let (offset, prime) = (0x6c62272e07bb014262b821756295c58d_u128, (1_u128 << 88) | 0x13b);
    let fold = |hash: u128, byte: u8| (hash ^ u128::from(byte)).wrapping_mul(prime);
    format!("h--{:032x}", name.bytes().fold(offset, fold))
}
