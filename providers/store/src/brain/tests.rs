//! Rules of the brain, by name.
#![allow(clippy::unwrap_used)]

mod crash;
mod damage;
mod determinism;
mod lifetime;
mod model;
mod searching;

use super::*;
use crate::brain::memory::Item;
use crate::brain::search::Search;
use loket_turn::Life;
use serde_json::value::RawValue;
use std::path::Path;

pub(super) fn owner(life: u64) -> Owner {
    Owner { agent: "ada".into(), life: Life(life), epoch: Epoch(0) }
}

pub(super) fn open(data: &Path, life: u64) -> Brain {
    Brain::open(&BrainFiles::new(data), owner(life)).unwrap()
}

/// A brain with a turn open.
pub(super) fn begun(data: &Path) -> Brain {
    let mut brain = open(data, 1);
    brain.begin(true).unwrap();
    brain
}

pub(super) fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

pub(super) fn put(brain: &mut Brain, key: &str, value: &str) {
    brain.call(|conn| kv::put(conn, key, &json(value))).unwrap();
}

pub(super) fn get(brain: &mut Brain, key: &str) -> Option<String> {
    let value = brain.call(|conn| kv::get(conn, key)).unwrap();
    value.map(|value| value.get().to_owned())
}

pub(super) fn item(text: &str) -> Item {
    Item { text: text.to_owned(), source: None, meta: None }
}

pub(super) fn add_at(brain: &mut Brain, texts: &[&str], at_ms: u64) -> Vec<i64> {
    let items: Vec<Item> = texts.iter().map(|text| item(text)).collect();
    brain.call(|conn| memory::add(conn, &items, "m1", at_ms)).unwrap()
}

pub(super) fn find(brain: &mut Brain, words: &str, recency: f64, now_ms: u64) -> Vec<i64> {
    let terms = query::terms(words).unwrap();
    let what = Search { terms, limit: 10, recency, now_ms };
    let hits = brain.call(|conn| search::search(conn, &what)).unwrap();
    let hits = serde_json::to_value(hits).unwrap();
    hits.as_array().unwrap().iter().map(|hit| hit["id"].as_i64().unwrap()).collect()
}

/// All that a guest could ever see of a brain, and the index's answers.
pub(super) fn dump(brain: &mut Brain) -> String {
    let all = [
        "SELECT json_array(life, epoch, applied_n, hex(chain), pure_version) FROM loket",
        "SELECT json_array(key, value) FROM kv ORDER BY key",
        "SELECT json_array(id, at_ms, message, source, meta, text) FROM memory ORDER BY id",
        "SELECT json_array(name, seq) FROM sqlite_sequence ORDER BY name",
    ];
    let mut lines = Vec::new();
    for sql in all {
        let mut select = brain.conn.prepare(sql).unwrap();
        let rows = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
        lines.extend(rows.map(Result::unwrap));
    }
    let check = "INSERT INTO memory_words (memory_words, rank) VALUES ('integrity-check', 1)";
    brain.conn.execute(check, []).unwrap();
    lines.join("\n")
}
