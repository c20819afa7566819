//! The files that are sent: text as people write it, each file its own, no two alike.

use crate::Result;
use crate::dice::Dice;
use std::path::{Path, PathBuf};

/// Words of the texts, some of more than one byte a character.
const WORDS: [&str; 24] = [
    "loket",
    "fleet",
    "agent",
    "ledger",
    "brain",
    "turn",
    "message",
    "kernel",
    "grant",
    "provider",
    "supervisor",
    "mailbox",
    "caf\u{e9}",
    "na\u{ef}ve",
    "\u{20ac}5",
    "stra\u{df}e",
    "\u{1f980}",
    "the",
    "of",
    "and",
    "is",
    "with",
    "never",
    "twice",
];

/// Smallest file, bytes. Large enough that its turn lasts long enough to be met by a kill at random.
const BYTES_MIN: usize = 200_000;

/// Largest file, bytes.
const BYTES_MAX: usize = 800_000;

/// The folder of the files.
#[derive(Debug)]
pub(crate) struct Docs {
    folder: PathBuf,
    made: usize,
    /// Bytes of all files.
    pub(crate) bytes: u64,
}

impl Docs {
    pub(crate) fn new(work: &Path) -> Result<Self> {
        let folder = work.join("docs");
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder, made: 0, bytes: 0 })
    }

    /// The folder, as the fleet is told.
    pub(crate) fn root(&self) -> String {
        self.folder.display().to_string()
    }

    /// Writes a fresh file and gives its name.
    pub(crate) fn fresh(&mut self, dice: &mut Dice) -> Result<String> {
        let bytes = BYTES_MIN + dice.roll(BYTES_MAX - BYTES_MIN);
        self.fresh_of(dice, bytes)
    }

    /// The same of a given size, or a little more.
    pub(crate) fn fresh_of(&mut self, dice: &mut Dice, bytes: usize) -> Result<String> {
        let name = format!("file-{:05}.txt", self.made);
        self.made += 1;
        let mut text = format!("# {name}\n\n");
        let mut line = 0;
        while text.len() < bytes {
            // Numbered lines: a passage that is missing, double or out of its place cannot look right.
            text.push_str(&format!("{line}:"));
            for _ in 0..4 + dice.roll(12) {
                text.push(' ');
                text.push_str(WORDS[dice.roll(WORDS.len())]);
            }
            text.push_str([".\n", ".\n", ".\n", ".\n\n", ".\r\n"][dice.roll(5)]);
            line += 1;
        }
        self.bytes += text.len() as u64;
        std::fs::write(self.folder.join(&name), text)?;
        Ok(name)
    }

    /// What the file says on the disk.
    pub(crate) fn text(&self, name: &str) -> Result<String> {
        Ok(std::fs::read_to_string(self.folder.join(name))?)
    }

    /// The file's words of the message that has it read.
    pub(crate) fn body(&self, name: &str) -> serde_json::Value {
        serde_json::json!({"read": {"root": self.root(), "path": name}})
    }
}
