//! A finding of `check`: stable code, place with a caret, path in the tree, what to do.
//!
//! Knows nothing of what is checked. Start reading at [`Finding`].

use std::fmt;

use serde::Serialize;

/// Whether a finding stops the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The fleet does not start.
    Error,
    /// The fleet starts; somebody should look.
    Warning,
}

/// One thing that is wrong, or doubtful, in a fleet file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable code, `E101` or `W401`; [`super::explain`] has its page.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// Name of the file as the caller gave it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Length of the underlined part in characters, at least 1, within the line.
    pub length: u32,
    /// Path in the tree, `root/desk/editor`; empty above the root.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
    /// The source line; of a very long one the part around the caret.
    pub source: String,
    /// Where the underlined part begins in `source`, in characters from 1.
    pub caret: u32,
}

impl Finding {
    /// Whether the finding stops the fleet.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A file's own text may hold what turns a terminal around.
        let show = |text: &str| crate::visible(text, &['\t']);
        let word = if self.is_error() { "error" } else { "warning" };
        writeln!(f, "{word}[{}]: {}", self.code, show(&self.message))?;
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        writeln!(f, "{gutter}--> {}:{}:{}", show(&self.file), self.line, self.column)?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {}", show(&self.source))?;
        let part = |from: usize, length: usize| -> String {
            show(&self.source.chars().skip(from).take(length).collect::<String>())
        };
        let (before, length) = (self.caret.saturating_sub(1) as usize, self.length as usize);
        // Tabs stay tabs, so that the caret stands under its text whatever a tab's width is.
        let blank = |c: char| if c == '\t' { '\t' } else { ' ' };
        let pad: String = part(0, before).chars().map(blank).collect();
        let carets = part(before, length).chars().count().max(1);
        writeln!(f, "{gutter} | {pad}{}", "^".repeat(carets))?;
        if !self.path.is_empty() {
            writeln!(f, "{gutter} = in {}", show(&self.path))?;
        }
        writeln!(f, "{gutter} = help: {}", show(&self.help))
    }
}
