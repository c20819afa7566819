//! Capability names: their form, what covers what. Never by string prefix: `a.b` covers no `a.bc`.

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
        TooLong = "K101", "the name is longer than {MAX_NAME} bytes";
        TooManySegments = "K102", "the name has more than {MAX_SEGMENTS} segments";
        EmptySegment(at: usize) = "K103", "the segment that should begin at byte {at} is empty";
        SegmentTooLong(at: usize) = "K104", "the segment at byte {at} is over {MAX_SEGMENT} bytes";
        BadByte(at: usize, byte: u8) = "K105", "0x{byte:02x} at byte {at} is none of a-z 0-9 _ - .";
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

text! {
    /// A well-formed capability name: 1 to 8 segments `[a-z0-9_-]{1,64}` joined by dots.
    pub struct Capability(check) -> NameError;
}

impl Capability {
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
