//! The reader's context: the text, where we stand in the tree, what was found so far.
//!
//! Every finding passes through [`Cx::report`]. It never stops at the first one; it does stop
//! collecting at [`MAX_FINDINGS`], so that a hostile file cannot fill the memory.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Finding, Severity};
use super::secrets;
use super::spec::Place;

/// Most errors, and most warnings, of one file: nobody reads more, and each keeps a copy of its
/// line. They are counted apart, so that warnings never crowd out the error that stops the fleet.
const MAX_FINDINGS: usize = 250;
/// Most secrets that are blotted out; a file with more is no fleet file.
const MAX_SECRETS: usize = 1_000;
/// Most characters of a line kept with a finding, and most of them before the caret.
const MAX_SOURCE_CHARS: usize = 240;
const MAX_BEFORE_CARET: usize = 160;

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
    /// The last count of characters: its line's start, its offset, its result.
    counted: Cell<(usize, usize, usize)>,
    /// Ranges of the text that no finding quotes.
    secrets: Vec<(usize, usize)>,
    findings: Vec<Finding>,
    path: Vec<String>,
    marks: BTreeMap<(usize, &'a str), &'a str>,
    /// Groups of which a child could not be read; what is missing there is not missing.
    pub(crate) broken: BTreeSet<usize>,
    /// The parameters, after `--set`.
    pub(crate) params: BTreeMap<String, Param<'a>>,
}

impl<'a> Cx<'a> {
    pub(crate) fn new(text: &'a str, file: &'a str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        let offset = |literal: &str| literal.as_ptr() as usize - text.as_ptr() as usize;
        let range = |literal: &&str| (offset(literal), offset(literal) + literal.len());
        Self {
            text,
            file,
            counted: Cell::new((0, 0, 0)),
            secrets: secrets::find(text).iter().take(MAX_SECRETS).map(range).collect(),
            line_starts: std::iter::once(0).chain(breaks).collect(),
            findings: Vec::new(),
            path: Vec::new(),
            marks: BTreeMap::new(),
            broken: BTreeSet::new(),
            params: BTreeMap::new(),
        }
    }

    /// Steps down into the child `id`.
    pub(crate) fn enter(&mut self, id: &str) {
        self.path.push(if id.is_empty() { "?".to_owned() } else { id.to_owned() });
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
        self.marks.get(&(place.offset, name)).map_or(place, |value| self.place(value))
    }

    /// Where a slice of the text stands.
    pub(crate) fn place(&self, part: &str) -> Place {
        let from = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        // A decoded string is no slice of the text; it stands at the beginning.
        let inside = from.checked_add(part.len()).is_some_and(|end| end <= self.text.len());
        if inside { self.place_at(from, part.len()) } else { self.place_at(0, 0) }
    }

    /// The place of `length` bytes from `offset`.
    pub(crate) fn place_at(&self, offset: usize, length: usize) -> Place {
        let offset = offset.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.chars_before(start, offset);
        Place { offset, length, line: clamp(line), column: clamp(before + 1) }
    }

    /// Characters between the start of a line and `offset`, counted from where the last count ended:
    /// a file of one long line must not be counted through again for each of its children.
    fn chars_before(&self, start: usize, offset: usize) -> usize {
        let count =
            |from: usize, to: usize| self.text.get(from..to).map_or(0, |s| s.chars().count());
        let (line, last, chars) = self.counted.get();
        let before = match line == start {
            true if offset >= last => chars + count(last, offset),
            true => chars.saturating_sub(count(offset, last)),
            false => count(start, offset),
        };
        self.counted.set((start, offset, before));
        before
    }

    /// The place of RON's own position: line and column in characters, both from 1.
    pub(crate) fn place_of(&self, position: ron::error::Position) -> Place {
        let start = self.line_starts.get(position.line.saturating_sub(1)).copied();
        let start = start.unwrap_or(self.text.len());
        let line = self.text.get(start..).unwrap_or("");
        let skip: usize =
            line.chars().take(position.col.saturating_sub(1)).map(char::len_utf8).sum();
        self.place_at(start + skip, 1)
    }

    /// Reports about a slice of the text, at the present path.
    pub(crate) fn help(
        &mut self,
        code: &'static str,
        part: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let place = self.place(part);
        self.report(code, place, None, message.into(), help.into());
    }

    /// Reports at a place; `path` of none is the present one.
    pub(crate) fn report(
        &mut self,
        code: &'static str,
        place: Place,
        path: Option<String>,
        message: String,
        help: String,
    ) {
        let severity = if code.starts_with('W') { Severity::Warning } else { Severity::Error };
        if self.findings.iter().filter(|f| f.severity == severity).count() >= MAX_FINDINGS {
            return;
        }
        let (line, column) = (place.line.max(1), place.column.max(1));
        let start = self.line_starts.get(line as usize - 1).copied().unwrap_or(0);
        let whole = self.text.get(start..).unwrap_or("").lines().next().unwrap_or("");
        let before = column as usize - 1;
        let skip = before.saturating_sub(MAX_BEFORE_CARET);
        let shown = whole.char_indices().skip(skip).take(MAX_SOURCE_CHARS);
        let source: String =
            shown.map(|(at, c)| if self.is_secret(start + at) { '*' } else { c }).collect();
        let marked = self.text.get(place.offset..place.offset + place.length).unwrap_or("");
        let length = marked.lines().next().unwrap_or("").trim_end().chars().count();
        let room = source.chars().count().saturating_sub(before - skip);
        self.findings.push(Finding {
            code,
            severity,
            file: self.file.to_owned(),
            line,
            column,
            length: clamp(length.min(room).max(1)),
            path: path.unwrap_or_else(|| self.path.join("/")),
            message,
            help,
            source,
            caret: clamp(before - skip + 1),
        });
    }

    fn is_secret(&self, offset: usize) -> bool {
        self.secrets.iter().any(|(from, to)| (*from..*to).contains(&offset))
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
}

fn clamp(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
