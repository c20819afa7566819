//! Exit codes, documented in `docs/errors/README.md`, and the error that carries one to `main`.

use crate::output;
use std::process::ExitCode;

/// An exit code with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) u8);

/// All is well.
pub(crate) const OK: Code = Code(0);
/// The answer is a failure, or `check` found errors.
pub(crate) const FAILED: Code = Code(1);
/// The command line is wrong, or a file it names cannot be read.
pub(crate) const USAGE: Code = Code(2);
/// The kernel refused the call.
pub(crate) const REFUSED: Code = Code(3);
/// The fleet gave up: its root supervisor ended.
pub(crate) const GAVE_UP: Code = Code(4);
/// No fleet runs on that data directory.
pub(crate) const NOT_RUNNING: Code = Code(69);
/// A bug in Loket.
pub(crate) const BUG: Code = Code(70);
/// Too many threads are stuck: start it again.
pub(crate) const STUCK: Code = Code(71);
/// The data directory cannot be used: locked by another process, made by a newer version, not writable.
pub(crate) const DATA: Code = Code(73);
/// Try again later: overloaded, disk full.
pub(crate) const TRY_AGAIN: Code = Code(75);

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code.0)
    }
}

/// An error on its way to the user.
#[derive(Debug)]
pub(crate) struct CliError {
    /// The stable code, a page of `loket explain`.
    pub(crate) code: String,
    /// What was wrong and what to do.
    pub(crate) message: String,
    /// The process's exit code.
    pub(crate) exit: Code,
}

impl CliError {
    pub(crate) fn new(code: &str, exit: Code, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), exit }
    }

    /// A command line that cannot be read, in the parser's words.
    pub(crate) fn usage(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        Self::new("usage", USAGE, text.strip_prefix("error: ").unwrap_or(&text).trim_end())
    }

    /// Prints it to standard error: a JSON object when asked, otherwise a line for people.
    pub(crate) fn print(&self, json: bool) {
        if json {
            let object = serde_json::json!({"error": {"code": self.code, "message": self.message}});
            output::note(&object.to_string());
        } else {
            output::note(&output::safe(&format!("error[{}]: {}", self.code, self.message)));
        }
    }
}
