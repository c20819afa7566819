//! Timers under a hostile clock.
#![allow(clippy::unwrap_used)]
#![expect(
    clippy::disallowed_methods,
    reason = "what an idle writer does by itself tells nobody: it is looked for, with a bound"
)]

use loket_ledger::kit::{Subject, begin, wait};
use loket_ledger::{Durability, LEDGER_FILE, Options, SqliteLedger};
use loket_turn::{Effect, IntentId, LedgerEvent, SetTimer, TurnKey, TurnNo};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const AGENTS: usize = 100;
const TIMERS_EACH: usize = 1_000;
const TIMERS: u64 = (AGENTS * TIMERS_EACH) as u64;
const START_MS: u64 = 1_767_225_600_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// The timers are due within three days, some of them at the same moment.
const SPAN_MS: u64 = 3 * DAY_MS;
/// Longer than the bound plus whatever a loaded machine adds; a hang fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Numbers that look random, from a seed that the failure names.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// A ledger whose clock is in our hands, and what has arrived.
struct World {
    clock: Arc<AtomicU64>,
    arrived: Arc<AtomicU64>,
    engine: Arc<SqliteLedger>,
    it: Subject,
}

fn open(dir: &Path, clock: &Arc<AtomicU64>, arrived: &Arc<AtomicU64>) -> World {
    let mut options = Options::new(dir);
    options.durability = Durability::Process;
    let (now, count) = (Arc::clone(clock), Arc::clone(arrived));
    options.clock = Arc::new(move || now.load(Ordering::SeqCst));
    let tell = move |event: LedgerEvent| {
        if matches!(event, LedgerEvent::Arrived { .. }) {
            count.fetch_add(1, Ordering::SeqCst);
        }
    };
    let engine = SqliteLedger::open(options, Box::new(tell)).unwrap();
    let (_, events) = crossbeam_channel::bounded(1);
    let it = Subject { ledger: engine.clone(), events };
    World { clock: Arc::clone(clock), arrived: Arc::clone(arrived), engine, it }
}

impl World {
    /// Waits until so many have arrived; a request now and then makes the writer look at once.
    fn until(&self, count: u64, poke: bool, what: &str) {
        let (mut left, step) = (PATIENCE, Duration::from_millis(2));
        while self.arrived.load(Ordering::SeqCst) < count {
            assert!(!left.is_zero(), "not in time: {what}");
            if poke {
                wait(self.it.ledger.result_of(IntentId([0; 16]))).unwrap();
            } else {
                std::thread::sleep(step);
            }
            left = left.saturating_sub(step);
        }
    }
}

/// Sets all timers, each agent's with the end of its first turn; gives their times, sorted.
fn set_all(world: &World, dice: &mut Dice) -> Vec<u64> {
    let names: Vec<String> = (0..AGENTS).map(|n| format!("a{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let lives = world.it.enrol(&names, 2_000);
    let mut times = Vec::new();
    for (at, (name, life)) in names.iter().zip(lives).enumerate() {
        wait(world.it.ledger.open((*name).into(), 1)).unwrap();
        world.it.accept(name, "go");
        let turn = TurnKey { agent: (*name).into(), life, incarnation: 1, n: TurnNo(1) };
        let mut end = world.it.ending(&turn);
        end.begin = Some(begin());
        for n in 0..TIMERS_EACH {
            let due_ms = START_MS + 1 + dice.below(SPAN_MS / 1_000) * 1_000;
            let mut id = [0; 16];
            id[..8].copy_from_slice(&((at * TIMERS_EACH + n) as u64).to_le_bytes());
            let body = due_ms.to_string().into_bytes();
            let kind = format!("t{n}");
            let timer = SetTimer { id: IntentId(id), due_ms, kind, body, schedule: None };
            end.effects.push(Effect::SetTimer(Box::new(timer)));
            times.push(due_ms);
        }
        wait(world.it.ledger.end(end)).unwrap();
    }
    times.sort_unstable();
    times
}

/// A hundred thousand timers, a clock that jumps to and fro by up to a day, and restarts in between: each fires once, none before
/// the clock has ever shown its time, and all whose time has been shown fire without anybody asking, within a second and a commit.
#[test]
fn h1_each_timer_fires_once_under_a_hostile_clock() {
    let dir = tempfile::tempdir().unwrap();
    let (clock, arrived) = (Arc::new(AtomicU64::new(START_MS)), Arc::new(AtomicU64::new(0)));
    let mut dice = Dice(42);
    let mut world = open(dir.path(), &clock, &arrived);
    let times = set_all(&world, &mut dice);
    let before = arrived.load(Ordering::SeqCst);
    assert_eq!(before, AGENTS as u64, "nothing fires before the clock moves");
    let (mut shown, mut steps, mut restarts) = (START_MS, 0, 0);
    while shown < START_MS + SPAN_MS {
        let now = clock.load(Ordering::SeqCst);
        let next = match dice.below(10) {
            0 => now.saturating_sub(DAY_MS),
            1 => now.saturating_sub(dice.below(3_600_000)),
            2 if steps > 20 => (now + DAY_MS).min(shown + DAY_MS / 4),
            3 => now,
            _ => shown + dice.below(3_600_000),
        };
        world.clock.store(next, Ordering::SeqCst);
        shown = shown.max(next);
        steps += 1;
        let due = times.partition_point(|time| *time <= shown) as u64;
        world.until(before + due, steps % 16 != 0, "what the clock allows");
        assert_eq!(arrived.load(Ordering::SeqCst), before + due, "early at {shown}, step {steps}");
        if dice.below(8) == 0 {
            world.engine.stop();
            drop(world);
            // The clock is set back while the process is down.
            clock.fetch_sub(dice.below(DAY_MS), Ordering::SeqCst);
            world = open(dir.path(), &clock, &arrived);
            restarts += 1;
        }
    }
    world.engine.stop();
    assert!(steps > 20 && restarts > 2, "{steps} steps, {restarts} restarts");
    each_once(dir.path());
}

/// What the file says: each timer has one message, not accepted before its time, and no timer is left.
fn each_once(dir: &Path) {
    let conn = Connection::open(dir.join(LEDGER_FILE)).unwrap();
    let one = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(one("SELECT count(*) FROM timers"), 0);
    let timers = "FROM messages WHERE sender = '@timer'";
    assert_eq!(one(&format!("SELECT count(*) {timers}")) as u64, TIMERS);
    assert_eq!(
        one(&format!("SELECT count(*) FROM (SELECT DISTINCT life, kind {timers})")) as u64,
        TIMERS
    );
    let early = "AND accepted_ms < CAST(CAST(body AS TEXT) AS INTEGER)";
    assert_eq!(one(&format!("SELECT count(*) {timers} {early}")), 0, "accepted before its time");
}

/// The moment that was seen is kept: after an idle time, a clock that is set back is not followed across a restart.
#[test]
fn h1_an_idle_ledger_keeps_the_moment_it_has_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (clock, arrived) = (Arc::new(AtomicU64::new(START_MS)), Arc::new(AtomicU64::new(0)));
    let world = open(dir.path(), &clock, &arrived);
    clock.store(START_MS + DAY_MS, Ordering::SeqCst);
    let file = dir.path().join(LEDGER_FILE);
    let reader = Connection::open(file).unwrap();
    let kept = || reader.query_row("SELECT clock_ms FROM counters", [], |row| row.get::<_, i64>(0));
    let mut left = PATIENCE;
    while kept().unwrap() < (START_MS + DAY_MS) as i64 {
        assert!(!left.is_zero(), "the moment was not written down");
        std::thread::sleep(Duration::from_millis(10));
        left = left.saturating_sub(Duration::from_millis(10));
    }
    clock.store(START_MS + DAY_MS + 7, Ordering::SeqCst);
    world.engine.stop();
    drop(world);
    clock.store(START_MS, Ordering::SeqCst);
    let world = open(dir.path(), &clock, &arrived);
    assert_eq!(
        world.engine.high_water_ms(),
        START_MS + DAY_MS + 7,
        "a clean stop keeps the last moment"
    );
}
