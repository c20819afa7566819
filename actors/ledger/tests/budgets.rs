//! Budgets across crashes and windows: after every acknowledged step the files are taken as a kill would leave them and opened
//! again, and what is spent and reserved is what a model of half a page says.
#![allow(clippy::unwrap_used)]

mod stage;

use loket_ledger::kit::{self, MONEY, PAID, PRICE, paid, wait};
use loket_ledger::{LEDGER_FILE, SqliteLedger};
use loket_turn::{
    Amounts, Counted, IntentWritten, Ledger, Level, ResultWrite, TurnKey, TurnNo, Unit, Used,
    chain_after,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Random schedules, and the steps of each.
const SCHEDULES: u64 = 12;
const STEPS: u32 = 40;

const PER_MS: u64 = 1_000;

/// The files as a kill at this moment leaves them, opened again: spent and reserved of each unit.
fn after_a_crash(dir: &Path, now_ms: u64) -> Vec<(Unit, u64, u64)> {
    let image = tempfile::tempdir().unwrap();
    for name in [LEDGER_FILE.to_owned(), format!("{LEDGER_FILE}-wal")] {
        std::fs::copy(dir.join(&name), image.path().join(&name)).unwrap();
    }
    let (engine, _it) = stage::open(image.path(), &Arc::new(AtomicU64::new(now_ms)));
    let standing = standing(&engine);
    engine.stop();
    standing
}

fn standing(ledger: &SqliteLedger) -> Vec<(Unit, u64, u64)> {
    let all = wait(ledger.budgets(Some("a".into()))).unwrap();
    all[0].lines.iter().map(|line| (line.unit, line.spent, line.reserved)).collect()
}

/// What a budget should say.
struct Model {
    since_ms: u64,
    now_ms: u64,
    spent: Amounts,
    reserved: u64,
    /// The call that is out: its number, and what it reserved.
    out: Option<(u32, u64)>,
    seed: u64,
}

impl Model {
    fn random(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.seed >> 33) % below
    }

    /// The ledger's clock: never less than it was.
    fn at(&mut self, clock_ms: u64) {
        self.now_ms = self.now_ms.max(clock_ms);
        let windows = (self.now_ms - self.since_ms) / PER_MS;
        if windows > 0 {
            self.since_ms += windows * PER_MS;
            self.spent = Amounts::default();
        }
    }

    /// Whether a call suffices that may use so many tokens and has four bytes.
    fn fits(&self, tokens: u64) -> bool {
        let Amounts { calls, tokens: spent, bytes, money } = self.spent;
        let used = self.reserved + tokens;
        calls < 3 && spent + used <= 100 && money + PRICE * used <= MONEY && bytes + 4 <= 1_000
    }

    fn says(&self) -> Vec<(Unit, u64, u64)> {
        vec![
            (Unit::Bytes, self.spent.bytes, 0),
            (Unit::Calls, self.spent.calls, 0),
            (Unit::Money, self.spent.money, PRICE * self.reserved),
            (Unit::Tokens, self.spent.tokens, self.reserved),
        ]
    }
}

/// C2, C4, D1: a crash after any step loses no reservation and mints none, whatever the clock does.
#[test]
fn c2_a_crash_at_any_step_neither_loses_nor_mints() {
    for seed in 1..=SCHEDULES {
        schedule(seed);
    }
}

fn schedule(seed: u64) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(AtomicU64::new(kit::NOW_MS));
    let (engine, it) = stage::open(dir.path(), &clock);
    let mut turn = it.opened("a");
    wait(engine.set_budgets("a".into(), 1, vec![kit::terms()], Arc::default())).unwrap();
    let (since_ms, now_ms) = (kit::NOW_MS, kit::NOW_MS);
    let (spent, reserved, out) = (Amounts::default(), 0, None);
    let mut model = Model { since_ms, now_ms, spent, reserved, out, seed };
    let (mut call, mut chain, mut refused) = (0, Default::default(), 0);
    it.accept("a", "x");
    for step in 0..STEPS {
        // Back by as much as forward: the ledger stands still meanwhile.
        let to = (clock.load(Ordering::SeqCst) + model.random(1_200)).saturating_sub(500);
        clock.store(to, Ordering::SeqCst);
        model.at(to);
        match (model.out, model.random(3)) {
            (None, 0) => {
                let counted = counted(&mut model);
                let mut end = it.ending(&turn);
                chain = chain_after(chain, turn.n, kit::turn_hash(turn.n));
                (end.chain, end.counted) = (chain, counted);
                wait(engine.end(end)).unwrap();
                turn = TurnKey { n: TurnNo(turn.n.0 + 1), ..turn };
                call = 0;
                it.accept("a", "x");
            }
            (None, _) => {
                let wants = 1 + model.random(70);
                call += 1;
                let fits = model.fits(wants);
                let written = wait(engine.intent(paid(&it, &turn, call, "args", wants))).unwrap();
                assert_eq!(written == IntentWritten::Fresh, fits, "step {step} of {seed}");
                if fits {
                    model.spent.calls += 1;
                    model.spent.bytes += 4;
                    model.reserved += wants;
                    model.out = Some((call, wants));
                } else {
                    refused += 1;
                    call -= 1;
                }
            }
            (Some((call, wants)), 0) => {
                let again = wait(engine.intent(paid(&it, &turn, call, "args", wants)));
                assert_eq!(again, Ok(IntentWritten::Again), "step {step} of {seed}");
            }
            (Some((call, wants)), told) => {
                let tokens = (told == 1).then(|| model.random(wants + 1));
                let intent = it.key(&turn, call);
                let (outcome, stamp_ms) = (Ok(b"four".to_vec()), to);
                let most = Used { tokens: wants, money: PRICE * wants };
                let money = |tokens: u64| (PRICE * tokens + 1).min(most.money);
                let used = tokens.map(|tokens| Used { tokens, money: money(tokens) });
                let write = ResultWrite { intent, outcome, used, stamp_ms };
                let kept = wait(engine.result(write));
                assert!(kept.is_ok(), "step {step} of {seed}: {kept:?}");
                model.reserved -= wants;
                let used = used.unwrap_or(most);
                model.spent.tokens += used.tokens;
                model.spent.money += used.money;
                model.spent.bytes += 4;
                model.out = None;
            }
        }
        assert_eq!(standing(&engine), model.says(), "step {step} of {seed}");
        // A crash is not seen by the clock of the next process: it goes on from the moment that was told.
        let crashed = after_a_crash(dir.path(), model.now_ms);
        assert_eq!(crashed, model.says(), "after a crash behind step {step} of {seed}");
    }
    assert!(refused > 0, "the budget never stopped anything in schedule {seed}");
    engine.stop();
}

/// What a turn has counted beside its calls with intents.
fn counted(model: &mut Model) -> Vec<Counted> {
    let spent = Amounts { calls: model.random(2), bytes: model.random(9), ..Amounts::default() };
    model.spent.calls += spent.calls;
    model.spent.bytes += spent.bytes;
    vec![Counted { level: Level::grant(PAID), since_ms: model.since_ms, spent }]
}

/// J4: a process that is opened with its clock set back opens no new window, and forgets nothing.
#[test]
fn j4_a_clock_that_is_set_back_opens_no_window() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(AtomicU64::new(kit::NOW_MS));
    let (engine, it) = stage::open(dir.path(), &clock);
    let turn = it.opened("a");
    wait(engine.set_budgets("a".into(), 1, vec![kit::terms()], Arc::default())).unwrap();
    it.accept("a", "x");
    clock.fetch_add(5 * PER_MS + 10, Ordering::SeqCst);
    wait(engine.intent(paid(&it, &turn, 1, "args", 60))).unwrap();
    let before = wait(engine.budgets(None)).unwrap();
    assert_eq!(before[0].since_ms, kit::NOW_MS + 5 * PER_MS, "windows follow without a gap");
    engine.stop();
    clock.store(kit::NOW_MS, Ordering::SeqCst);
    let (engine, _it) = stage::open(dir.path(), &clock);
    assert_eq!(wait(engine.budgets(None)).unwrap(), before);
    engine.stop();
}
