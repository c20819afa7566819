//! `fs.read`: a range of a file, whole characters only, nothing cut in silence.

use crate::beneath;
use crate::provider::ReadJob;
use loket_turn::Failure;
use rustix::io::Errno;
use serde::Serialize;
use std::os::unix::fs::FileExt;

/// Bytes of one answer when neither caller nor grant says: large enough that most notes are one read.
pub(crate) const READ_BYTES_DEFAULT: u64 = 64 * 1024;

/// Bytes of one answer at most, whatever the grant says: an answer is copied into the guest and kept in the ledger.
pub(crate) const READ_BYTES_MAX: u64 = 256 * 1024;

/// Bytes of the longest UTF-8 character: a smaller range could never move on.
pub(crate) const READ_BYTES_MIN: u64 = 4;

#[derive(Debug, Serialize)]
pub(crate) struct ReadResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    offset: u64,
    bytes: u64,
    size: u64,
    eof: bool,
    lossy: bool,
}

/// Reads one range.
pub(crate) fn read(job: &ReadJob) -> Result<ReadResult, Failure> {
    let root = beneath::open_root(&job.root)?;
    let file = beneath::open(&root, &job.path)?;
    let meta = file.metadata().map_err(|error| io(&error, &job.path))?;
    if !meta.is_file() {
        let text = format!("{:?} is not a file; `fs.list` lists folders", job.path);
        return Err(Failure::new("not_a_file", text));
    }
    let size = meta.len();
    let wanted = job.length.min(size.saturating_sub(job.offset));
    let mut bytes = vec![0; usize::try_from(wanted).unwrap_or(0)];
    let mut filled = 0;
    while filled < bytes.len() {
        let at = job.offset.saturating_add(filled as u64);
        match file.read_at(&mut bytes[filled..], at) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io(&error, &job.path)),
        }
    }
    bytes.truncate(filled);
    let mut lossy = false;
    let (text, base64) = if job.base64 {
        (None, Some(base64(&bytes)))
    } else {
        let at_end = job.offset.saturating_add(bytes.len() as u64) >= size;
        bytes.truncate(whole_characters(&bytes, at_end));
        let text = String::from_utf8_lossy(&bytes);
        lossy = matches!(text, std::borrow::Cow::Owned(_));
        (Some(text.into_owned()), None)
    };
    let read = bytes.len() as u64;
    let eof = job.offset.saturating_add(read) >= size;
    Ok(ReadResult { text, base64, offset: job.offset, bytes: read, size, eof, lossy })
}

/// How many bytes end on a character's border. Bytes that are no UTF-8 at all stay: they become replacement characters.
fn whole_characters(bytes: &[u8], at_end: bool) -> usize {
    if at_end {
        return bytes.len();
    }
    let from = bytes.len().saturating_sub(3);
    for at in (from..bytes.len()).rev() {
        let need = match bytes[at] {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            0x80..=0xBF => continue,
            _ => return bytes.len(),
        };
        return if at + need > bytes.len() { at } else { bytes.len() };
    }
    bytes.len()
}

fn io(error: &std::io::Error, path: &str) -> Failure {
    beneath::failure(Errno::from_io_error(error).unwrap_or(Errno::IO), path)
}

/// RFC 4648, standard alphabet, padded.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let index = (word >> (18 - 6 * place)) & 63;
            text.push(if place <= chunk.len() { ALPHABET[index as usize] as char } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_never_splits_a_character() {
        let text = "aé€😀z".as_bytes();
        for end in 0..text.len() {
            let kept = whole_characters(&text[..end], false);
            assert!(std::str::from_utf8(&text[..kept]).is_ok(), "cut at {end}");
            assert!(end - kept < 4);
        }
        assert_eq!(whole_characters(&[0xFF, 0xFE], false), 2, "what is no UTF-8 is not held back");
    }

    #[test]
    fn base64_of_the_rfc() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
