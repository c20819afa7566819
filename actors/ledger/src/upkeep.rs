//! What the writer does between groups: checkpoints, sweeping of what brains have durably (rule
//! E6), forgetting of old keys (rule A2), giving pages back. Every step is bounded; a failure is
//! logged and tried again later.

use crate::clock::Stopwatch;
use crate::codec::{db, un};
use crate::engine::Engine;
use loket_turn::limits::KEY_TTL_MS;
use rusqlite::{OptionalExtension, params};
use std::sync::atomic::Ordering;

/// Pages of log after which an idle writer checkpoints: 4 MiB, some milliseconds of work.
const CHECKPOINT_IDLE_PAGES: u32 = 1024;

/// Pages of log after which a busy writer checkpoints: 64 MiB, so that a burst pays once for pages
/// that it writes often.
const CHECKPOINT_PAGES: u32 = 16 * 1024;

/// Turns that one step sweeps.
const SWEEP_TURNS: u64 = 64;

/// The part of its size limit from which on a ledger is swept though it is asked all the time: below it a burst waits for none of
/// that work, and far below the limit, so that nobody is refused for what brains have.
const SWEPT_BUSY_PART: u64 = 8;

/// Keys that one step looks at.
const PRUNE_KEYS: i64 = 256;

/// Milliseconds between two looks for old keys: a minute is nothing beside seven days.
const PRUNE_EVERY_MS: u64 = 60_000;

/// How often an idle ledger writes down the latest moment that it has seen, milliseconds: a clock that is set back while the
/// process is down is seen back by at most so much.
pub(crate) const CLOCK_EVERY_MS: u64 = 10_000;

/// How much longer a key is kept whose sender's turn is still open, milliseconds: a day.
const KEY_EXTENSION_MS: u64 = KEY_TTL_MS / 7;

/// Free pages that are kept for the next burst: 4 MiB.
const FREE_PAGES_KEPT: u64 = 1024;

/// Pages given back to the file system in one step.
const VACUUM_PAGES: u32 = 256;

/// After each group of so many requests: only what must not wait for an idle moment.
pub(crate) fn busy_step(engine: &mut Engine, requests: usize) {
    if engine.wal_pages.load(Ordering::Relaxed) >= CHECKPOINT_PAGES {
        checkpoint(engine, "PASSIVE");
    }
    // Each time more turns than the group can have ended: it comes to an end.
    let large = engine.options.size_limit_bytes / SWEPT_BUSY_PART;
    for _ in 0..=requests as u64 / SWEEP_TURNS {
        if engine.live_bytes <= large || !sweep_step(engine) {
            return;
        }
    }
}

/// One bounded step of upkeep; `false` when there is nothing to do.
pub(crate) fn idle_step(engine: &mut Engine) -> bool {
    if engine.wal_pages.load(Ordering::Relaxed) >= CHECKPOINT_IDLE_PAGES {
        return checkpoint(engine, "PASSIVE");
    }
    if !engine.book.sweep.is_empty() {
        return sweep_step(engine);
    }
    if engine.free_pages > FREE_PAGES_KEPT {
        return in_transaction(engine, |engine| {
            let sql = format!("PRAGMA incremental_vacuum({VACUUM_PAGES})");
            engine.conn.execute_batch(&sql).map(|()| true)
        });
    }
    let now = engine.now();
    if engine.clock_is_old(CLOCK_EVERY_MS) {
        return in_transaction(engine, |engine| engine.write_clock().map(|()| false));
    }
    if now.saturating_sub(engine.pruned_ms) >= PRUNE_EVERY_MS {
        return in_transaction(engine, |engine| prune(engine, now));
    }
    false
}

/// Sweeps one life's next turns; `false`: there was none, or it failed and is tried again later.
fn sweep_step(engine: &mut Engine) -> bool {
    let Some(life) = engine.book.sweep.pop_front() else { return false };
    let swept = in_transaction(engine, |engine| sweep(engine, life));
    if !swept {
        engine.book.sweep.push_back(life);
    }
    swept
}

/// Nobody has asked for anything for a while: the page cache and room for notes, megabytes after a burst, are given back. The system
/// keeps the file's pages for as long as it likes, so that what is asked next costs some copies and no disk.
pub(crate) fn rest(engine: &mut Engine) -> bool {
    engine.book.rest();
    if let Err(why) = engine.conn.execute_batch("PRAGMA shrink_memory") {
        tracing::warn!(%why, "the ledger keeps its cache");
    }
    true
}

/// Runs a step in its own transaction, which need not wait for the disk: what it deletes is deleted
/// again after a crash. The step says whether there may be more to do.
fn in_transaction(
    engine: &mut Engine,
    step: impl FnOnce(&mut Engine) -> rusqlite::Result<bool>,
) -> bool {
    let done = engine
        .synchronous(false)
        .and_then(|()| engine.run("BEGIN IMMEDIATE"))
        .and_then(|()| step(engine))
        .and_then(|more| engine.run("COMMIT").map(|()| more));
    match done {
        Ok(more) => {
            engine.book.settle();
            engine.measure();
            more
        }
        Err(why) => {
            tracing::warn!(%why, "upkeep of the ledger is put off");
            engine.upkeep_failed(&why);
            engine.book.back_to(0);
            if !engine.conn.is_autocommit() {
                // A failure shows again at the next group, which deals with it.
                let _ = engine.run("ROLLBACK");
            }
            false
        }
    }
}

/// Copies the log into the file. Its pages count as written only once SQLite says so.
fn checkpoint(engine: &mut Engine, mode: &str) -> bool {
    let watch = Stopwatch::start();
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let done =
        engine.conn.query_row(&sql, [], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)));
    engine.meters.checkpoint.record(watch.seconds());
    match done {
        Ok((pages, copied)) => {
            let left = u32::try_from(pages.saturating_sub(copied).max(0)).unwrap_or(u32::MAX);
            engine.meters.wal.set(f64::from(left));
            engine.wal_pages.store(left, Ordering::Relaxed);
            engine.measure();
            left < CHECKPOINT_IDLE_PAGES
        }
        Err(why) => {
            tracing::warn!(%why, "a checkpoint of the ledger failed");
            engine.upkeep_failed(&why);
            // Looked at again after as many new pages.
            engine.wal_pages.store(0, Ordering::Relaxed);
            false
        }
    }
}

/// Deletes what is no longer needed of one life: of a living agent the turns that its brain has
/// durably, of a removed one all.
fn sweep(engine: &mut Engine, life: u64) -> rusqlite::Result<bool> {
    let conn = &engine.conn;
    let found: Option<(i64, i64, bool)> = conn
        .prepare_cached(
            "SELECT swept_n, CASE gone WHEN 1 THEN
                 (SELECT coalesce(max(n), 0) FROM messages m WHERE m.life = agents.life)
               ELSE durable_n END, gone FROM agents WHERE life = ?1",
        )?
        .query_row([db(life)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((swept, durable, gone)) = found else {
        return Ok(true);
    };
    let (swept, durable) = (un(swept), un(durable));
    // A life that is gone is nobody's to look at.
    let durable = if gone { durable } else { engine.kept_from(life, swept, durable)? };
    let durable = durable.max(swept);
    let to = durable.min(swept + SWEEP_TURNS);
    let range = params![db(life), db(swept), db(to)];
    for sql in [
        "DELETE FROM messages WHERE life = ?1 AND n > ?2 AND n <= ?3",
        "DELETE FROM turns WHERE life = ?1 AND n > ?2 AND n <= ?3",
        "DELETE FROM records WHERE life = ?1 AND n > ?2 AND n <= ?3",
        "DELETE FROM approvals WHERE life = ?1 AND n > ?2 AND n <= ?3",
    ] {
        conn.prepare_cached(sql)?.execute(range)?;
    }
    if gone && to == durable {
        conn.execute("DELETE FROM agents WHERE life = ?1", [db(life)])?;
        return Ok(true);
    }
    conn.prepare_cached("UPDATE agents SET swept_n = ?2 WHERE life = ?1")?
        .execute(params![db(life), db(to)])?;
    if let Some(agent) = engine.book.change(life) {
        agent.swept = to;
    }
    if to < durable {
        engine.book.sweep.push_back(life);
    }
    Ok(true)
}

/// Forgets keys that are old enough and whose sender's turn is over (rules A2, I1).
fn prune(engine: &mut Engine, now: u64) -> rusqlite::Result<bool> {
    let mut old = engine.conn.prepare_cached(
        "SELECT key, holder_life, holder_n FROM dedupe WHERE expires_ms <= ?1
          ORDER BY expires_ms LIMIT ?2",
    )?;
    let old: Vec<(Vec<u8>, Option<i64>, Option<i64>)> = old
        .query_map(params![db(now), PRUNE_KEYS], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let more = old.len() as i64 == PRUNE_KEYS;
    for (key, life, n) in old {
        let open = life.zip(n).is_some_and(|(life, n)| {
            let holder = engine.book.life(un(life));
            holder.is_some_and(|agent| agent.done < un(n))
        });
        if open {
            engine
                .conn
                .prepare_cached("UPDATE dedupe SET expires_ms = ?2 WHERE key = ?1")?
                .execute(params![key, db(now + KEY_EXTENSION_MS)])?;
        } else {
            engine.conn.prepare_cached("DELETE FROM dedupe WHERE key = ?1")?.execute([key])?;
        }
    }
    if !more {
        engine.pruned_ms = now;
    }
    Ok(more)
}

/// A clean stop: everything in the file, the log empty.
pub(crate) fn close(mut engine: Engine) {
    if engine.is_broken() {
        return;
    }
    in_transaction(&mut engine, |engine| engine.write_clock().map(|()| false));
    checkpoint(&mut engine, "TRUNCATE");
    if let Err((_, why)) = engine.conn.close() {
        tracing::warn!(%why, "the ledger's file was not closed cleanly");
    }
}
