//! What is broken: ledger and brains of a fleet that does not run, opened with plain SQLite.

use crate::Result;
use crate::work::{Effects, Message};
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// An agent as the ledger has it.
#[derive(Debug)]
struct Agent {
    name: String,
    life: u64,
    done: u64,
}

/// What was found in an image before any process has touched it.
#[derive(Debug, Default)]
pub(crate) struct Raw {
    /// Acknowledged, and not in the ledger.
    pub(crate) lost: usize,
    /// In the ledger though an earlier one is not.
    pub(crate) holes: usize,
    /// Brains that say more than the ledger.
    pub(crate) ahead: usize,
    /// Files that fail SQLite's own check.
    pub(crate) damaged: usize,
}

impl Raw {
    pub(crate) fn add(&mut self, other: &Self) {
        self.lost += other.lost;
        self.holes += other.holes;
        self.ahead += other.ahead;
        self.damaged += other.damaged;
    }
}

/// Looks at a copy of the image: `data` may be changed by it as any start would change it (the log is recovered).
pub(crate) fn raw(data: &Path, sent: &[Message], cut: u64) -> Result<Raw> {
    let acked = |message: &Message| matches!(&message.acked, Some((_, at)) if *at <= cut);
    let mut raw = Raw::default();
    let file = data.join("ledger.db");
    let Some(ledger) = open_made(&file)? else {
        raw.lost = sent.iter().filter(|message| acked(message)).count();
        return Ok(raw);
    };
    raw.damaged += usize::from(!sound(&ledger)?);
    let known = ids(&ledger)?;
    let mut gap = false;
    for message in sent {
        let Some((id, _)) = &message.acked else { continue };
        let there = known.contains(id);
        raw.lost += usize::from(!there && acked(message));
        raw.holes += usize::from(there && gap);
        gap |= !there;
    }
    for agent in agents(&ledger)? {
        let Some(brain) = open_made(&brain_of(data, agent.life))? else { continue };
        raw.damaged += usize::from(!sound(&brain)?);
        let applied: Option<u64> = brain
            .query_row("SELECT applied_n FROM loket", [], |row| row.get::<_, i64>(0))
            .optional()?
            .map(i64::cast_unsigned);
        raw.ahead += usize::from(applied.is_some_and(|applied| applied > agent.done));
    }
    Ok(raw)
}

/// What all brains say together.
pub(crate) fn effects(data: &Path) -> Result<Effects> {
    let ledger = open_made(&data.join("ledger.db"))?.ok_or("no ledger")?;
    let mut effects = Effects::default();
    for agent in agents(&ledger)? {
        let Some(brain) = open_made(&brain_of(data, agent.life))? else { continue };
        if !sound(&brain)? {
            return Err(format!("the brain of {} is damaged", agent.name).into());
        }
        let mut select = brain.prepare("SELECT key, value FROM kv")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let value: String = row.get(1)?;
            effects.keys.insert((agent.name.clone(), row.get(0)?), value);
        }
        let mut select = brain.prepare("SELECT text, count(*) FROM memory GROUP BY text")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let count: i64 = row.get(1)?;
            effects.notes.insert((agent.name.clone(), row.get(0)?), count.cast_unsigned());
        }
    }
    Ok(effects)
}

/// What differs, in words.
pub(crate) fn differences(wanted: &Effects, found: &Effects) -> Vec<String> {
    fn of<V: PartialEq + std::fmt::Debug>(
        wanted: &BTreeMap<(String, String), V>,
        found: &BTreeMap<(String, String), V>,
    ) -> Vec<String> {
        let names: HashSet<_> = wanted.keys().chain(found.keys()).collect();
        let mut told: Vec<_> = names
            .into_iter()
            .filter(|name| wanted.get(name) != found.get(name))
            .map(|name| format!("{name:?}: {:?}, not {:?}", found.get(name), wanted.get(name)))
            .collect();
        told.sort();
        told
    }
    let mut told = of(&wanted.keys, &found.keys);
    told.extend(of(&wanted.notes, &found.notes));
    told
}

fn ids(ledger: &Connection) -> Result<HashSet<String>> {
    let sql = "SELECT lower(hex(id)) FROM messages UNION SELECT lower(hex(id)) FROM dedupe";
    let mut select = ledger.prepare(sql)?;
    let rows = select.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn agents(ledger: &Connection) -> Result<Vec<Agent>> {
    let mut select = ledger.prepare("SELECT name, life, done_n FROM agents WHERE gone = 0")?;
    let rows = select.query_map([], |row| {
        let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
        Ok(Agent { name: row.get(0)?, life: number(1)?, done: number(2)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn brain_of(data: &Path, life: u64) -> PathBuf {
    data.join(format!("brains/{:02x}/{life}.db", life & 0xff))
}

/// Opens a file if it is there and somebody has made its tables: before that nothing was promised.
fn open_made(file: &Path) -> Result<Option<Connection>> {
    if !file.exists() {
        return Ok(None);
    }
    let conn = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok((tables > 0).then_some(conn))
}

fn sound(conn: &Connection) -> Result<bool> {
    let said: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    Ok(said == "ok")
}
