//! What is broken: the brains and the ledger of a stopped fleet, opened with plain SQLite, against the files and the
//! driver's own record of acknowledgements.

use crate::Result;
use crate::campaign::ledger;
use crate::sends::Sends;
use crate::work::Docs;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Findings that are printed; the rest is counted.
const SHOWN_MAX: usize = 20;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) acknowledged: usize,
    pub(crate) brains: usize,
    pub(crate) passages: usize,
    pub(crate) lost: usize,
    pub(crate) double: usize,
    pub(crate) not_whole: usize,
    pub(crate) letters: i64,
    /// Databases that fail their integrity check.
    pub(crate) damaged: usize,
    pub(crate) findings: Vec<String>,
}

/// The rows that one message left in one brain.
#[derive(Debug, Default)]
struct Rows {
    sources: HashSet<String>,
    parts: Vec<Value>,
    text: String,
}

/// Compares everything.
pub(crate) fn of(data: &Path, docs: &Docs, sends: &Sends) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let mut found: HashMap<String, Vec<Rows>> = HashMap::new();
    for file in brains(data)? {
        verdict.brains += 1;
        let conn = open(&file)?;
        verdict.integrity(&file, &conn)?;
        for (message, rows) in messages(&conn)? {
            verdict.passages += rows.parts.len();
            found.entry(message).or_default().push(rows);
        }
    }
    verdict.files(docs, sends, found)?;
    verdict.ledger(data)?;
    Ok(verdict)
}

/// Prints findings, not without end.
pub(crate) fn tell(findings: &[String]) {
    for finding in findings.iter().take(SHOWN_MAX) {
        println!("WRONG: {finding}");
    }
    if findings.len() > SHOWN_MAX {
        println!("... and {} more", findings.len() - SHOWN_MAX);
    }
}

impl Verdict {
    fn wrong(&mut self, text: String) {
        self.findings.push(text);
    }

    /// SQLite's own check; it covers the index of words too.
    fn integrity(&mut self, file: &Path, conn: &Connection) -> Result<()> {
        let said: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        if said != "ok" {
            self.damaged += 1;
            self.wrong(format!("{}: {said}", file.display()));
        }
        Ok(())
    }

    /// Every acknowledged file once and whole, and nothing else.
    fn files(
        &mut self,
        docs: &Docs,
        sends: &Sends,
        mut found: HashMap<String, Vec<Rows>>,
    ) -> Result<()> {
        let acknowledged = sends.acknowledged();
        self.acknowledged = acknowledged.len();
        let unacknowledged = sends.unacknowledged().len();
        if unacknowledged > 0 || acknowledged.len() != sends.all.len() {
            let same = sends.all.len() - unacknowledged - acknowledged.len();
            self.wrong(format!(
                "{unacknowledged} sends without an acknowledgement, {same} ids given twice"
            ));
        }
        let mut paths = HashSet::new();
        for (message, path) in &acknowledged {
            let all = found.remove(message).unwrap_or_default();
            let [rows] = all.as_slice() else {
                let (count, word) =
                    (all.len(), if all.is_empty() { &mut self.lost } else { &mut self.double });
                *word += 1;
                self.wrong(format!("{path} (message {message}) is in {count} brains"));
                continue;
            };
            if !paths.insert(path) || rows.sources.len() != 1 || !rows.sources.contains(path) {
                self.double += 1;
                self.wrong(format!("{path}: the rows of {message} name {:?}", rows.sources));
            }
            self.whole(path, rows, &docs.text(path)?);
        }
        for (message, rows) in found {
            self.double += 1;
            self.wrong(format!(
                "{:?} was read by message {message}, which nobody was told of",
                rows[0].sources
            ));
        }
        Ok(())
    }

    /// The passages in order are the file, each once, the last one marked.
    fn whole(&mut self, path: &str, rows: &Rows, text: &str) {
        let parts: Vec<_> = rows.parts.iter().map(|meta| meta["part"].as_u64()).collect();
        let distinct: HashSet<_> = parts.iter().collect();
        if distinct.len() != parts.len() {
            self.double += 1;
            self.wrong(format!(
                "{path}: {} passages, {} of them different",
                parts.len(),
                distinct.len()
            ));
        }
        let in_order = parts.iter().zip(0..).all(|(part, at)| *part == Some(at));
        let marked = rows.parts.iter().filter(|meta| meta["last"] == true).count();
        let last = rows.parts.last().is_some_and(|meta| meta["last"] == true);
        if !in_order || marked != 1 || !last || rows.text != text {
            self.not_whole += 1;
            self.wrong(format!(
                "{path}: {} of {} bytes, order {in_order}, last {last}",
                rows.text.len(),
                text.len()
            ));
        }
    }

    fn ledger(&mut self, data: &Path) -> Result<()> {
        let file = ledger(data);
        let conn = open(&file)?;
        self.integrity(&file, &conn)?;
        self.letters = conn.query_row("SELECT count(*) FROM letters", [], |row| row.get(0))?;
        let sql = "SELECT accepted, completed, letters_made FROM counters";
        let counts: (i64, i64, i64) =
            conn.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let acknowledged = i64::try_from(self.acknowledged)?;
        if counts != (acknowledged, acknowledged, 0) || self.letters != 0 {
            self.wrong(format!(
                "{acknowledged} acknowledged, but accepted, completed, letters are {counts:?}"
            ));
        }
        Ok(())
    }
}

fn messages(conn: &Connection) -> Result<HashMap<String, Rows>> {
    let mut found: HashMap<String, Rows> = HashMap::new();
    let mut select = conn.prepare("SELECT message, source, meta, text FROM memory ORDER BY id")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let of = found.entry(row.get(0)?).or_default();
        of.sources.insert(row.get::<_, Option<String>>(1)?.unwrap_or_default());
        of.parts.push(serde_json::from_str(&row.get::<_, Option<String>>(2)?.unwrap_or_default())?);
        of.text.push_str(&row.get::<_, String>(3)?);
    }
    Ok(found)
}

pub(crate) fn open(file: &Path) -> Result<Connection> {
    let conn = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE);
    conn.map_err(|error| format!("{}: {error}", file.display()).into())
}

/// Every brain: `brains/XX/LIFE.db`.
pub(crate) fn brains(data: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in std::fs::read_dir(data.join("brains"))? {
        let folder = folder?.path();
        if !folder.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(folder)? {
            let file = file?.path();
            if file.extension().is_some_and(|end| end == "db") {
                found.push(file);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// How many messages wait in a dead process's ledger. Reads a copy: opening the original would recover and change it.
pub(crate) fn waiting(data: &Path, copy: &Path) -> Result<i64> {
    std::fs::create_dir_all(copy)?;
    for end in ["", "-wal"] {
        let name = format!("ledger.db{end}");
        let (from, to) = (data.join(&name), copy.join(&name));
        if from.exists() {
            std::fs::copy(from, to)?;
        } else if to.exists() {
            std::fs::remove_file(to)?;
        }
    }
    let conn = open(&ledger(copy))?;
    let sql = "SELECT coalesce(sum(inbox_rows), 0) FROM agents WHERE gone = 0";
    Ok(conn.query_row(sql, [], |row| row.get(0))?)
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
