//! Files in the folders that the grant names.

use serde_json::Value;

use crate::{Failure, Field, call, object};

/// One range of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The text of the range; never half a character.
    pub text: String,
    /// Where the next range begins, in bytes of the file.
    pub next: u64,
    /// Bytes of the whole file.
    pub size: u64,
    /// Nothing is after this range.
    pub eof: bool,
    /// What was not UTF-8 is replaced.
    pub lossy: bool,
}

/// Reads at most about `length` bytes of `path` from byte `offset` on.
///
/// # Errors
/// What the provider answered; `bad_answer` when it can not go on: no bytes, and yet not the end.
pub fn read(root: &str, path: &str, offset: u64, length: u64) -> Result<Range, Failure> {
    let args = object! { "root": root, "path": path, "offset": offset, "length": length };
    let mut answer = call("fs.read", &args)?;
    let Value::String(text) = answer["text"].take() else {
        return Err(Failure::new("bad_answer", "fs.read: no text"));
    };
    let bytes = answer["bytes"].as_u64().unwrap_or(text.len() as u64);
    let eof = answer["eof"].as_bool().unwrap_or(false);
    if bytes == 0 && !eof {
        return Err(Failure::new("bad_answer", "fs.read: nothing read before the end"));
    }
    let lossy = answer["lossy"].as_bool().unwrap_or(false);
    let next = offset + bytes;
    let size = answer["size"].as_u64().unwrap_or(next);
    Ok(Range { text, next, size, eof, lossy })
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// `{"path", "kind", "bytes"}`, sorted by path.
    pub entries: Vec<Value>,
    /// `{"path", "code", "message"}` for what could not be listed.
    pub skipped: Vec<Value>,
    /// The page is not the last.
    pub more: bool,
}

/// Lists `root` and all below it, from after the path `after` on; `extensions` empty means all.
///
/// # Errors
/// What the provider answered.
pub fn list(root: &str, after: &str, limit: u64, extensions: &[String]) -> Result<Page, Failure> {
    let mut args = object! { "root": root, "recursive": true, "limit": limit };
    if !after.is_empty() {
        args["after"] = after.into();
    }
    if !extensions.is_empty() {
        args["extensions"] = extensions.into_value();
    }
    let mut answer = call("fs.list", &args)?;
    let mut rows = |key: &str| match answer[key].take() {
        Value::Array(rows) => rows,
        _ => Vec::new(),
    };
    let (entries, skipped) = (rows("entries"), rows("skipped"));
    Ok(Page { entries, skipped, more: answer["more"].as_bool().unwrap_or(false) })
}
