//! The reader's context: the text, where we stand in the tree, what was found so far.
//!
//! Every finding passes through [`Cx::report`]. It never stops at the first one; it does stop
//! collecting at [`MAX_FINDINGS`], so that a hostile file cannot fill the memory.

use std::collections::BTreeMap;

use super::finding::{Finding, Severity};
use super::nearest::nearest;
use super::spec::Place;
use super::{slice, units};

/// Most findings of one file: nobody reads more, and each keeps a copy of its line.
const MAX_FINDINGS: usize = 500;
/// Longest line kept with a finding, in characters: a terminal shows no more.
const MAX_SOURCE_CHARS: usize = 400;

/// One parameter of the file.
pub(crate) struct Param<'a> {
    /// Its value, after `--set`.
    pub(crate) value: String,
    /// Where its name stands.
    pub(crate) at: &'a str,
    /// Whether the file uses it.
    pub(crate) used: bool,
}

/// The state of one reading.
pub(crate) struct Cx<'a> {
    text: &'a str,
    file: &'a str,
    line_starts: Vec<usize>,
    findings: Vec<Finding>,
    path: Vec<String>,
    marks: BTreeMap<(usize, &'a str), &'a str>,
    /// The parameters, after `--set`.
    pub(crate) params: BTreeMap<String, Param<'a>>,
}

impl<'a> Cx<'a> {
    pub(crate) fn new(text: &'a str, file: &'a str) -> Self {
        let breaks = text
            .bytes()
            .enumerate()
            .filter(|(_, b)| *b == b'\n')
            .map(|(at, _)| at + 1);
        Self {
            text,
            file,
            line_starts: std::iter::once(0).chain(breaks).collect(),
            findings: Vec::new(),
            path: Vec::new(),
            marks: BTreeMap::new(),
            params: BTreeMap::new(),
        }
    }

    /// Steps down into the child `id`.
    pub(crate) fn enter(&mut self, id: &str) {
        self.path.push(if id.is_empty() {
            "?".to_owned()
        } else {
            id.to_owned()
        });
    }

    /// Steps back up.
    pub(crate) fn leave(&mut self) {
        self.path.pop();
    }

    /// Remembers where the field `name` of the group at `anchor` stands, for later checks.
    pub(crate) fn mark(&mut self, anchor: usize, name: &'a str, value: &'a str) {
        self.marks.entry((anchor, name)).or_insert(value);
    }

    /// Where the field `name` of the group at `place` stands; the group itself when it has none.
    pub(crate) fn field(&self, place: Place, name: &str) -> Place {
        self.marks
            .get(&(place.offset, name))
            .map_or(place, |value| self.place(value))
    }

    /// Where a slice of the text stands.
    pub(crate) fn place(&self, part: &str) -> Place {
        let from = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        // A decoded string is no slice of the text; it stands at the beginning.
        let inside = from
            .checked_add(part.len())
            .is_some_and(|end| end <= self.text.len());
        if inside {
            self.place_at(from, part.len())
        } else {
            self.place_at(0, 0)
        }
    }

    /// The place of `length` bytes from `offset`.
    pub(crate) fn place_at(&self, offset: usize, length: usize) -> Place {
        let offset = offset.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self
            .line_starts
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or(0);
        let before = self
            .text
            .get(start..offset)
            .map_or(0, |s| s.chars().count());
        Place {
            offset,
            length,
            line: clamp(line),
            column: clamp(before + 1),
        }
    }

    /// The place of RON's own position: line and column in characters, both from 1.
    pub(crate) fn place_of(&self, position: ron::error::Position) -> Place {
        let start = self
            .line_starts
            .get(position.line.saturating_sub(1))
            .copied();
        let start = start.unwrap_or(self.text.len());
        let line = self.text.get(start..).unwrap_or("");
        let skip: usize = line
            .chars()
            .take(position.col - 1)
            .map(char::len_utf8)
            .sum();
        self.place_at(start + skip, 1)
    }

    /// Reports about a slice of the text, at the present path.
    pub(crate) fn say(&mut self, code: &'static str, part: &str, message: impl Into<String>) {
        let place = self.place(part);
        self.report(code, place, None, message.into(), None);
    }

    /// The same with a line of help.
    pub(crate) fn help(
        &mut self,
        code: &'static str,
        part: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let place = self.place(part);
        self.report(code, place, None, message.into(), Some(help.into()));
    }

    /// Reports at a place; `path` of none is the present one.
    pub(crate) fn report(
        &mut self,
        code: &'static str,
        place: Place,
        path: Option<String>,
        message: String,
        help: Option<String>,
    ) {
        if self.findings.len() >= MAX_FINDINGS {
            return;
        }
        let severity = if code.starts_with('W') {
            Severity::Warning
        } else {
            Severity::Error
        };
        let line = place.line.max(1) as usize;
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let whole = self
            .text
            .get(start..)
            .unwrap_or("")
            .lines()
            .next()
            .unwrap_or("");
        let marked = self
            .text
            .get(place.offset..place.offset + place.length)
            .unwrap_or("");
        let length = marked
            .lines()
            .next()
            .unwrap_or("")
            .trim_end()
            .chars()
            .count();
        self.findings.push(Finding {
            code,
            severity,
            file: self.file.to_owned(),
            line: place.line.max(1),
            column: place.column.max(1),
            length: clamp(length.clamp(1, MAX_SOURCE_CHARS)),
            path: path.unwrap_or_else(|| self.path.join("/")),
            message,
            help,
            source: whole.chars().take(MAX_SOURCE_CHARS).collect(),
        });
    }

    /// Whether an error was found.
    pub(crate) fn has_errors(&self) -> bool {
        self.findings.iter().any(Finding::is_error)
    }

    /// All findings, in the order of the file.
    pub(crate) fn into_findings(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|f| (f.line, f.column, f.code));
        self.findings
    }

    /// An unknown name: E002 with the nearest known one.
    pub(crate) fn unknown(&mut self, part: &str, what: &str, name: &str, known: &[&str]) {
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        self.help("E002", part, format!("unknown {what} `{name}`"), help);
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(
        &mut self,
        raw: &str,
        what: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        match slice::split(raw) {
            (Some(word), "") => {
                let found = words
                    .iter()
                    .find(|(known, _)| *known == word)
                    .map(|(_, v)| *v);
                if found.is_none() {
                    self.unknown(raw, what, word, &known);
                }
                found
            }
            _ => {
                let help = format!("write one of {}, without quotes", known.join(", "));
                self.help("E005", raw, format!("`{what}` is a word"), help);
                None
            }
        }
    }

    /// A string.
    pub(crate) fn string(&mut self, raw: &str, what: &str) -> Option<String> {
        let found = slice::scalar::<String>(raw).filter(|_| raw.starts_with(['"', 'r']));
        if found.is_none() {
            self.help(
                "E005",
                raw,
                format!("`{what}` is a string"),
                "put it in double quotes",
            );
        }
        found
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, raw: &str, what: &str) -> Option<bool> {
        let found = slice::scalar(raw);
        if found.is_none() {
            self.say("E005", raw, format!("`{what}` is `true` or `false`"));
        }
        found
    }

    /// A whole number within `range`; `code` is reported when it is outside.
    pub(crate) fn number(
        &mut self,
        raw: &str,
        what: &str,
        code: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let (low, high) = (*range.start(), *range.end());
        match slice::scalar::<u64>(raw) {
            Some(n) if range.contains(&n) => Some(n),
            Some(n) => {
                self.say(
                    code,
                    raw,
                    format!("`{what}` is {n}, not between {low} and {high}"),
                );
                None
            }
            None => {
                let message = format!("`{what}` is a whole number between {low} and {high}");
                self.say("E005", raw, message);
                None
            }
        }
    }

    /// The same, for what is kept in 32 bits.
    pub(crate) fn count(
        &mut self,
        raw: &str,
        what: &str,
        code: &'static str,
        range: std::ops::RangeInclusive<u32>,
    ) -> Option<u32> {
        let wide = u64::from(*range.start())..=u64::from(*range.end());
        self.number(raw, what, code, wide)
            .and_then(|n| u32::try_from(n).ok())
    }

    /// A fraction such as a jitter; ranges are the caller's to check.
    pub(crate) fn fraction(&mut self, raw: &str, what: &str) -> Option<f64> {
        let found = slice::scalar::<f64>(raw).filter(|f| f.is_finite());
        if found.is_none() {
            self.say("E005", raw, format!("`{what}` is a number"));
        }
        found
    }

    /// A duration in milliseconds.
    pub(crate) fn duration(&mut self, raw: &str, what: &str) -> Option<u64> {
        self.quantity(raw, what, units::duration, "5s")
    }

    /// A size in bytes.
    pub(crate) fn size(&mut self, raw: &str, what: &str) -> Option<u64> {
        self.quantity(raw, what, units::size, "32MiB")
    }

    /// A string with a grammar of its own: E008 when it breaks it.
    pub(crate) fn quantity(
        &mut self,
        raw: &str,
        what: &str,
        read: fn(&str) -> Result<u64, String>,
        example: &str,
    ) -> Option<u64> {
        let Some(text) = slice::scalar::<String>(raw).filter(|_| raw.starts_with(['"', 'r']))
        else {
            let help = format!("write it as a string with its unit, such as \"{example}\"");
            self.help(
                "E008",
                raw,
                format!("`{what}` is a string with a unit"),
                help,
            );
            return None;
        };
        match read(&text) {
            Ok(n) => Some(n),
            Err(why) => {
                let help = format!("for example \"{example}\"");
                self.help("E008", raw, format!("`{what}`: {why}"), help);
                None
            }
        }
    }
}

fn clamp(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
