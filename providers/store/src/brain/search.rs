//! `store.brain.memory.search`: full text, best first, the same on every re-run.
//!
//! Bounded in rows (rule C7): a word that stands in more than [`TERM_ROWS_MAX`] rows ranks nothing,
//! and the rarest words come first until [`CANDIDATE_ROWS_MAX`] rows are reached. Every number that
//! decides is a function of the brain, the query and the turn's clock; scores are rounded to whole
//! millionths before they are compared, ties go to the smaller id (rule E2).

use super::{CallError, kv, query};
use crate::limits::{CANDIDATE_ROWS_MAX, TERM_ROWS_MAX};
use rusqlite::{Connection, params};
use serde_json::value::RawValue;
use std::cmp::Reverse;

/// Age at which a row counts as half as fresh as a new one, milliseconds: a week.
const HALF_FRESH_MS: f64 = 7.0 * 24.0 * 3600.0 * 1000.0;

/// Scores are whole numbers of one part in this many.
const SCORE_STEPS: f64 = 1_000_000.0;

/// What to look for.
#[derive(Debug)]
pub(crate) struct Search {
    /// Different words, from [`query::terms`].
    pub(crate) terms: Vec<String>,
    /// Hits wanted.
    pub(crate) limit: usize,
    /// How much freshness weighs against relevance, 0 to 1.
    pub(crate) recency: f64,
    /// The turn's clock, Unix milliseconds.
    pub(crate) now_ms: u64,
}

/// One hit.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Hit {
    id: i64,
    text: String,
    source: Option<String>,
    meta: Option<Box<RawValue>>,
    message: String,
    at_ms: i64,
    /// Between 0 and 1, a whole number of millionths.
    score: f64,
}

/// A row that could be a hit: its id, relevance (not negative) and freshness's time.
struct Candidate {
    id: i64,
    relevance: f64,
    at_ms: i64,
}

/// Runs a search.
pub(crate) fn search(conn: &Connection, search: &Search) -> Result<Vec<Hit>, CallError> {
    let mut counted = Vec::with_capacity(search.terms.len());
    for term in &search.terms {
        let rows = rows_with(conn, term)?;
        if rows > 0 {
            counted.push((rows, term.as_str()));
        }
    }
    counted.sort_unstable();
    let telling = telling(&counted);
    let candidates = if telling.is_empty() {
        newest(conn, &counted, search.limit)?
    } else {
        ranked(conn, &telling)?
    };
    let best = best(&candidates, search);
    best.into_iter().map(|(id, score)| hit(conn, id, score)).collect()
}

/// In how many rows a word stands; more than [`TERM_ROWS_MAX`] are not counted further.
fn rows_with(conn: &Connection, term: &str) -> Result<usize, CallError> {
    let sql = "SELECT count(*) FROM
               (SELECT 1 FROM memory_words WHERE memory_words MATCH ?1 LIMIT ?2)";
    let most = i64::try_from(TERM_ROWS_MAX + 1).unwrap_or(i64::MAX);
    let rows: i64 = conn
        .prepare_cached(sql)?
        .query_row(params![query::quoted(term), most], |row| row.get(0))?;
    Ok(usize::try_from(rows).unwrap_or(0))
}

/// The words that rank, the rarest first.
fn telling<'a>(counted: &[(usize, &'a str)]) -> Vec<&'a str> {
    let mut sum = 0;
    let fits = counted.iter().take_while(|(rows, _)| {
        sum += rows;
        *rows <= TERM_ROWS_MAX && sum <= CANDIDATE_ROWS_MAX
    });
    fits.map(|(_, term)| *term).collect()
}

/// All rows with any of the words.
fn ranked(conn: &Connection, telling: &[&str]) -> Result<Vec<Candidate>, CallError> {
    // BM25 as SQLite gives it is negative, the better the smaller.
    let sql = "SELECT m.id, -bm25(memory_words), m.at_ms
               FROM memory_words JOIN memory AS m ON m.id = memory_words.rowid
               WHERE memory_words MATCH ?1";
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map([query::any_of(telling.iter().copied())], |row| {
        let relevance: f64 = row.get(1)?;
        let (id, at_ms) = (row.get(0)?, row.get(2)?);
        Ok(Candidate { id, relevance: relevance.max(0.0), at_ms })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// When every word is common, relevance tells nothing: the newest rows that have one of them.
fn newest(
    conn: &Connection,
    counted: &[(usize, &str)],
    limit: usize,
) -> Result<Vec<Candidate>, CallError> {
    if counted.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "SELECT m.id, m.at_ms
               FROM memory_words JOIN memory AS m ON m.id = memory_words.rowid
               WHERE memory_words MATCH ?1 ORDER BY memory_words.rowid DESC LIMIT ?2";
    let words = query::any_of(counted.iter().map(|(_, term)| *term));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map(params![words, limit], |row| {
        Ok(Candidate { id: row.get(0)?, relevance: 0.0, at_ms: row.get(1)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Ids and scores in millionths, best first.
fn best(candidates: &[Candidate], search: &Search) -> Vec<(i64, i64)> {
    let top = candidates.iter().map(|row| row.relevance).fold(0.0, f64::max);
    let mut scored: Vec<(Reverse<i64>, i64)> =
        candidates.iter().map(|row| (Reverse(score(row, top, search)), row.id)).collect();
    scored.sort_unstable();
    scored.truncate(search.limit);
    scored.into_iter().map(|(Reverse(score), id)| (id, score)).collect()
}

/// Only the four basic operations: their results are the same on every machine.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn score(row: &Candidate, top: f64, search: &Search) -> i64 {
    let relevance = if top > 0.0 { row.relevance / top } else { 0.0 };
    let now_ms = i64::try_from(search.now_ms).unwrap_or(i64::MAX);
    let age = now_ms.saturating_sub(row.at_ms).max(0) as f64;
    let fresh = HALF_FRESH_MS / (HALF_FRESH_MS + age);
    let whole = relevance * (1.0 - search.recency) + fresh * search.recency;
    (whole * SCORE_STEPS).round() as i64
}

#[allow(clippy::cast_precision_loss)]
fn hit(conn: &Connection, id: i64, score: i64) -> Result<Hit, CallError> {
    let sql = "SELECT text, source, meta, message, at_ms FROM memory WHERE id = ?1";
    let hit = conn.prepare_cached(sql)?.query_row([id], |row| {
        let meta: Option<String> = row.get(2)?;
        Ok(Hit {
            id,
            text: row.get(0)?,
            source: row.get(1)?,
            meta: meta.map(kv::raw).transpose()?,
            message: row.get(3)?,
            at_ms: row.get(4)?,
            score: score as f64 / SCORE_STEPS,
        })
    })?;
    Ok(hit)
}
