//! Standard output for data. A reader that goes away ends the program quietly, as `head` expects.

use crate::exit::{self, Code};
use serde_json::Value;
use std::io::{IsTerminal, Write};

/// Whether standard output is a terminal that lines can be drawn anew on.
pub(crate) fn is_live() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stdout().is_terminal() && !dumb
}

/// Prints a line.
pub(crate) fn line(text: &str) -> Code {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => exit::OK,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => exit::OK,
        Err(_) => exit::FAILED,
    }
}

/// Version of the shapes that reading commands print with `--json`: a field may be added, none goes or changes its meaning.
const SHAPE: u32 = 1;

/// Prints what a reading command has found, with the version of its shape.
pub(crate) fn versioned(mut value: Value) -> Code {
    if let Some(fields) = value.as_object_mut() {
        fields.insert("version".to_owned(), SHAPE.into());
    }
    json(&value)
}

/// Talk, on standard error. Nobody need listen: a closed pipe is no reason to fail.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints a value as indented JSON.
pub(crate) fn json(value: &Value) -> Code {
    line(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// A text from outside as a cell of a table: one line, whatever is in it, so that nobody writes a row of their own.
pub(crate) fn cell(text: &str) -> String {
    loket_supervision::visible(text, &[])
}

/// Control characters, and those that turn the order of reading around, in names and texts from outside are shown, never sent to the
/// terminal.
pub(crate) fn safe(text: &str) -> String {
    loket_supervision::visible(text, &['\n', '\t'])
}
