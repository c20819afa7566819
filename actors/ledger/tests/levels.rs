//! Budgets of supervisors and messages across crashes and windows: after every step the files are taken as a kill leaves them, and
//! it is those that the schedule goes on with. What is spent and reserved at every level is what a model of half a page says.
#![allow(clippy::unwrap_used)]

mod stage;

use loket_ledger::kit::{self, PAID, PRICE, Subject, drawing, wait};
use loket_ledger::{LEDGER_FILE, SqliteLedger};
use loket_turn::{
    Asked, Counted, IntentWritten, Ledger, Level, ResultWrite, TIMER_SENDER, TurnKey, TurnNo, Unit,
    Used, chain_after,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Random schedules, and the steps of each.
const SCHEDULES: u64 = 8;
const STEPS: u32 = 50;

/// `a` has all levels, `b` those of the supervisors only, so that no row bears its name.
const NAMES: [&str; 2] = ["a", "b"];

/// How often is looked until what is due is decided, and the pause between: more is a hang.
const LOOKS: u32 = 60_000;
const PAUSE: Duration = Duration::from_millis(1);

/// One budget of the model.
struct Pot {
    whose: (Option<usize>, Level),
    limits: Vec<(Unit, u64)>,
    per_ms: Option<u64>,
    /// When its window began; the turn for a message's.
    since: u64,
    /// By unit, in the order of its words.
    spent: [u64; 4],
    reserved: [u64; 4],
}

/// Calls, tokens, bytes, money.
fn at(unit: Unit) -> usize {
    Unit::ALL.iter().position(|it| *it == unit).unwrap()
}

fn wants(tokens: u64) -> [u64; 4] {
    [1, tokens, 4, PRICE * tokens]
}

impl Pot {
    fn draws(&self, agent: usize, grant: bool) -> bool {
        match &self.whose {
            (None, _) => true,
            (Some(own), Level::Grant { .. }) => *own == agent && grant,
            (Some(own), _) => *own == agent,
        }
    }

    /// `fresh`: what is spent of it is an earlier message's.
    fn fits(&self, wants: [u64; 4], fresh: bool) -> bool {
        self.limits.iter().all(|(unit, limit)| {
            let unit = at(*unit);
            let used = if fresh { 0 } else { self.spent[unit] + self.reserved[unit] };
            used + wants[unit] <= *limit
        })
    }

    /// Only what has a row is counted.
    fn add(&mut self, unit: Unit, spent: u64) {
        if self.limits.iter().any(|(limited, _)| *limited == unit) {
            self.spent[at(unit)] += spent;
        }
    }

    fn reserve(&mut self, unit: Unit, amount: u64) {
        if self.limits.iter().any(|(limited, _)| *limited == unit) {
            self.reserved[at(unit)] += amount;
        }
    }

    fn settle(&mut self, unit: Unit, amount: u64, used: u64) {
        if self.limits.iter().any(|(limited, _)| *limited == unit) {
            self.reserved[at(unit)] -= amount;
            self.spent[at(unit)] += used;
        }
    }
}

struct Agent {
    turn: TurnKey,
    call: u32,
    chain: loket_turn::Hash,
    /// The call that is out: what it may use, and whether its grant has a budget.
    out: Option<(u32, u64, bool)>,
    /// The present process has heard from it.
    there: bool,
}

struct Run {
    dir: TempDir,
    clock: Arc<AtomicU64>,
    engine: Arc<SqliteLedger>,
    it: Subject,
    now_ms: u64,
    pots: Vec<Pot>,
    agents: Vec<Agent>,
    seed: u64,
    refused: u32,
}

type Standing = Vec<(Option<String>, Level, Vec<(Unit, u64, u64)>)>;

impl Run {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicU64::new(kit::NOW_MS));
        let (engine, it) = stage::open(dir.path(), &clock);
        let agent = |name: &&str| Agent {
            turn: it.opened(name),
            call: 0,
            chain: loket_turn::Hash::default(),
            out: None,
            there: false,
        };
        let agents = NAMES.iter().map(agent).collect();
        let pots = kit::allowances()
            .into_iter()
            .map(|one| (None, one.terms))
            .chain(kit::own().into_iter().map(|terms| (Some(0), terms)))
            .map(|(whose, terms)| Pot {
                since: if terms.level == Level::Message { 1 } else { kit::NOW_MS },
                whose: (whose, terms.level),
                limits: terms.limits,
                per_ms: terms.per_ms,
                spent: [0; 4],
                reserved: [0; 4],
            });
        let (pots, now_ms, refused) = (pots.collect(), kit::NOW_MS, 0);
        let run = Self { dir, clock, engine, it, now_ms, pots, agents, seed, refused };
        NAMES.iter().for_each(|name| drop(run.it.accept(name, "x")));
        run
    }

    fn random(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.seed >> 33) % below
    }

    /// What a node does before its agents call: the fleet file's budgets, then each agent's.
    fn take_over(&mut self, agent: usize) {
        if self.agents[agent].there {
            return;
        }
        wait(self.engine.set_allowances(kit::allowances())).unwrap();
        let own = if agent == 0 { kit::own() } else { Vec::new() };
        wait(self.engine.set_budgets(NAMES[agent].into(), 1, own, kit::above())).unwrap();
        self.agents[agent].there = true;
    }

    fn tick(&mut self) {
        // Back by as much as forward: the ledger stands still meanwhile.
        let to = self.clock.load(Ordering::SeqCst) + self.random(1_200);
        self.clock.store(to.saturating_sub(500), Ordering::SeqCst);
        self.now_ms = self.now_ms.max(to.saturating_sub(500));
        for pot in &mut self.pots {
            let Some(per_ms) = pot.per_ms else { continue };
            let windows = (self.now_ms - pot.since) / per_ms;
            pot.since += windows * per_ms;
            if windows > 0 {
                pot.spent = [0; 4];
            }
        }
    }

    /// The message's budget is the open turn's from its first spending on.
    fn of_this_turn(&mut self, agent: usize) {
        let n = self.agents[agent].turn.n.0;
        let message = |pot: &&mut Pot| pot.whose == (Some(agent), Level::Message);
        for pot in self.pots.iter_mut().filter(message) {
            if pot.since != n {
                (pot.since, pot.spent, pot.reserved) = (n, [0; 4], [0; 4]);
            }
        }
    }

    fn end(&mut self, agent: usize) {
        let spent = loket_turn::Amounts {
            calls: self.random(2),
            bytes: self.random(9),
            ..Default::default()
        };
        let mut counted = Vec::new();
        for pot in self.pots.iter_mut().filter(|pot| pot.whose.0.is_none()) {
            pot.add(Unit::Calls, spent.calls);
            pot.add(Unit::Bytes, spent.bytes);
            counted.push(Counted { level: pot.whose.1.clone(), since_ms: pot.since, spent });
        }
        let it = &mut self.agents[agent];
        let mut end = self.it.ending(&it.turn);
        it.chain = chain_after(it.chain, it.turn.n, kit::turn_hash(it.turn.n));
        (end.chain, end.counted) = (it.chain, counted);
        wait(self.engine.end(end)).unwrap();
        it.turn.n = TurnNo(it.turn.n.0 + 1);
        it.call = 0;
        self.it.accept(NAMES[agent], "x");
    }

    fn call(&mut self, agent: usize) {
        let (tokens, own) = (1 + self.random(60), self.random(2) == 0);
        let own = own && agent == 0;
        let n = self.agents[agent].turn.n.0;
        let fits = |pot: &Pot| {
            let fresh = pot.whose.1 == Level::Message && pot.since != n;
            !pot.draws(agent, own) || pot.fits(wants(tokens), fresh)
        };
        let fits = self.pots.iter().all(fits);
        let it = &self.agents[agent];
        let write = drawing(&self.it, &it.turn, it.call + 1, tokens, own.then_some(PAID));
        let written = wait(self.engine.intent(write)).unwrap();
        assert_eq!(written == IntentWritten::Fresh, fits, "{written:?}");
        if !fits {
            self.refused += 1;
            return;
        }
        self.of_this_turn(agent);
        self.agents[agent].call += 1;
        self.agents[agent].out = Some((self.agents[agent].call, tokens, own));
        for pot in self.pots.iter_mut().filter(|pot| pot.draws(agent, own)) {
            pot.add(Unit::Calls, 1);
            pot.add(Unit::Bytes, 4);
            pot.reserve(Unit::Tokens, tokens);
            pot.reserve(Unit::Money, PRICE * tokens);
        }
    }

    fn again(&mut self, agent: usize, (call, tokens, own): (u32, u64, bool)) {
        let turn = &self.agents[agent].turn;
        let write = drawing(&self.it, turn, call, tokens, own.then_some(PAID));
        assert_eq!(wait(self.engine.intent(write)), Ok(IntentWritten::Again));
    }

    fn result(&mut self, agent: usize, (call, tokens, own): (u32, u64, bool)) {
        let known = self.random(2) == 0;
        let used = known.then(|| self.random(tokens + 1));
        let write = ResultWrite {
            intent: self.it.key(&self.agents[agent].turn, call),
            outcome: Ok(b"four".to_vec()),
            used: used.map(|tokens| Used { tokens, money: PRICE * tokens }),
            stamp_ms: self.now_ms,
        };
        drop(wait(self.engine.result(write.clone())).unwrap());
        // A late one is no second cost.
        let late = ResultWrite { outcome: Ok(b"other".to_vec()), ..write };
        drop(wait(self.engine.result(late)).unwrap());
        let used = used.unwrap_or(tokens);
        for pot in self.pots.iter_mut().filter(|pot| pot.draws(agent, own)) {
            pot.settle(Unit::Tokens, tokens, used);
            pot.settle(Unit::Money, PRICE * tokens, PRICE * used);
            pot.add(Unit::Bytes, 4);
        }
        self.agents[agent].out = None;
    }

    fn step(&mut self) {
        self.tick();
        let agent = usize::from(self.random(2) == 0);
        match (self.agents[agent].out, self.random(4)) {
            // A result may come before anybody has taken over.
            (Some(out), 1..) => self.result(agent, out),
            (Some(out), _) => {
                self.take_over(agent);
                self.again(agent, out);
            }
            (None, 0) => {
                self.take_over(agent);
                self.end(agent);
            }
            (None, _) => {
                self.take_over(agent);
                self.call(agent);
            }
        }
    }

    /// The files as a kill at this moment leaves them are what goes on.
    fn crash(&mut self) {
        let image = tempfile::tempdir().unwrap();
        for name in [LEDGER_FILE.to_owned(), format!("{LEDGER_FILE}-wal")] {
            std::fs::copy(self.dir.path().join(&name), image.path().join(&name)).unwrap();
        }
        self.engine.stop();
        // A crash is not seen by the clock of the next process: it goes on from the moment that was told.
        self.clock.store(self.now_ms, Ordering::SeqCst);
        (self.engine, self.it) = stage::open(image.path(), &self.clock);
        self.dir = image;
        self.agents.iter_mut().for_each(|agent| agent.there = false);
    }

    fn says(&self) -> Standing {
        let mut all: Standing = Vec::new();
        for pot in &self.pots {
            let mut units: Vec<Unit> = pot.limits.iter().map(|(unit, _)| *unit).collect();
            units.sort_by_key(|unit| unit.as_str());
            let line = |unit: &Unit| (*unit, pot.spent[at(*unit)], pot.reserved[at(*unit)]);
            let whose = pot.whose.0.map(|agent| NAMES[agent].to_owned());
            all.push((whose, pot.whose.1.clone(), units.iter().map(line).collect()));
        }
        all.sort();
        all
    }

    fn stands(&self) -> Standing {
        let all = wait(self.engine.budgets(None)).unwrap().into_iter();
        let all = all.map(|it| {
            let lines = it.lines.iter().map(|line| (line.unit, line.spent, line.reserved));
            (it.agent.map(|agent| agent.to_string()), it.level, lines.collect())
        });
        let mut all: Standing = all.collect();
        all.sort();
        all
    }
}

/// C2, C4, D1: whatever level a call draws on, a crash after any step loses no reservation and mints none.
#[test]
fn c2_a_crash_at_any_step_neither_loses_nor_mints_at_any_level() {
    for seed in 1..=SCHEDULES {
        let mut run = Run::new(seed);
        (0..NAMES.len()).for_each(|agent| run.take_over(agent));
        for step in 0..STEPS {
            run.step();
            assert_eq!(run.stands(), run.says(), "step {step} of {seed}");
            run.crash();
            assert_eq!(run.stands(), run.says(), "after a crash behind step {step} of {seed}");
        }
        assert!(run.refused > 0, "no budget ever stopped anything in schedule {seed}");
        run.engine.stop();
    }
}

/// H1: who waits at a soft limit when the window ends goes on, that very call and no other: the new window asks for itself.
#[test]
fn h1_who_waits_at_a_soft_limit_goes_on_with_the_next_window() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(AtomicU64::new(kit::NOW_MS));
    let (engine, it) = stage::open(dir.path(), &clock);
    let (a, b) = (it.opened("a"), it.opened("b"));
    wait(engine.set_allowances(kit::soft_allowances())).unwrap();
    for name in NAMES {
        wait(engine.set_budgets(name.into(), 1, Vec::new(), kit::above())).unwrap();
        it.accept(name, "x");
    }
    let beyond = Ok(IntentWritten::Beyond(Level::supervisor("desk")));
    let fresh = Ok(IntentWritten::Fresh);
    let intent = |turn, call, tokens| drawing(&it, turn, call, tokens, None);
    assert_eq!(wait(engine.intent(intent(&a, 1, 50))), fresh);
    assert_eq!(wait(engine.intent(intent(&b, 1, 10))), beyond);
    let asked = wait(engine.ask(kit::ask(&it, &b, 1, "args"))).unwrap();
    let Asked::Waits { id } = asked else { panic!("{asked:?}") };
    clock.fetch_add(1_000, Ordering::SeqCst);
    let mut looks = 0;
    let shown = loop {
        let shown = wait(engine.approval(id)).unwrap();
        if shown.state != "waits" {
            break shown;
        }
        looks += 1;
        assert!(looks < LOOKS, "it never goes on: {shown:?}");
        std::thread::park_timeout(PAUSE);
    };
    assert_eq!((&*shown.state, shown.by.as_deref()), ("approved", Some(TIMER_SENDER)));
    // What is out is carried along: the new window is at its soft limit from the start.
    let mut other = intent(&b, 1, 10);
    other.intent.args = b"other".to_vec();
    assert_eq!(wait(engine.intent(other)), beyond, "it was about other arguments");
    assert_eq!(wait(engine.intent(intent(&b, 1, 10))), fresh);
    assert_eq!(wait(engine.intent(intent(&b, 2, 1))), beyond);
    engine.stop();
}
