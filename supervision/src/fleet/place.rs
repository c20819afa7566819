//! Where something stands in the fleet file.

use serde::Serialize;

/// Where something stands in the fleet file. Two places are always equal, so that comparing two
/// specs compares what they say, not where.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Place {
    /// Bytes from the start of the file.
    pub offset: usize,
    /// Length in bytes.
    pub length: usize,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}
