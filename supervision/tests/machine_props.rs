//! Properties over random supervisors whose children behave as badly as the contract allows:
//! outcomes arrive in any order between children, stops are ignored, starts hang, timers come late
//! and twice, exits of earlier lives are repeated. 120,000 seeded cases; a failure names its seed.
//! What must hold is in `machine_world/properties.rs`, what happens is here.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[path = "machine_world/properties.rs"]
mod properties;
#[path = "machine_world/random.rs"]
mod random;
use loket_supervision::machine::*;
use random::{Rng, random_spec};

const CASES: u64 = 30_000;
const PERIOD_MS: u64 = 1_000;

/// A life as the outside knows it: from its start order until its end has been delivered.
struct Life {
    incarnation: u64,
    up: bool,
    stopping: bool,
    /// What it has yet to say.
    says: VecDeque<Event>,
}

struct Case {
    rng: Rng,
    sup: Supervisor,
    flags: Flags,
    now: u64,
    lives: BTreeMap<ChildId, Life>,
    last: BTreeMap<ChildId, u64>,
    timers: Vec<(u64, Timer)>,
    /// Of the newest timer.
    epoch: u64,
    /// The newest retry timer of each child.
    retry: BTreeMap<ChildId, u64>,
    /// Restart attempts seen, and when.
    restarts: BTreeMap<ChildId, u64>,
    stamps: Vec<u64>,
    asked: BTreeMap<u64, Call>,
    tags: u64,
    /// Children that a call or an ignored start has left without a life.
    undefined: BTreeSet<ChildId>,
    exit: Option<Exit>,
}

const IDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

impl Case {
    fn new(strategy: Strategy, seed: u64) -> Self {
        let mut rng = Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let all = [AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant];
        let simple = strategy == Strategy::SimpleOneForOne;
        let flags = Flags {
            strategy,
            intensity: rng.below(6) as u32,
            period_ms: PERIOD_MS,
            auto_shutdown: if simple { AutoShutdown::Never } else { rng.pick(&all) },
            stop: rng.pick(&[Stop::Sequential, Stop::Parallel]),
            ..Flags::default()
        };
        let number = if simple { 1 } else { rng.below(5) as usize };
        let specs: Vec<_> =
            IDS[..number].iter().map(|id| random_spec(&mut rng, &flags, id)).collect();
        Self {
            sup: Supervisor::new(flags.clone(), specs, seed).unwrap(),
            rng,
            flags,
            now: 0,
            lives: BTreeMap::new(),
            last: BTreeMap::new(),
            timers: Vec::new(),
            epoch: 0,
            retry: BTreeMap::new(),
            restarts: BTreeMap::new(),
            stamps: Vec::new(),
            asked: BTreeMap::new(),
            tags: 0,
            undefined: BTreeSet::new(),
            exit: None,
        }
    }

    fn position(&self, id: &str) -> usize {
        self.sup.children().position(|view| &*view.id == id).unwrap_or(usize::MAX)
    }

    /// Living children that start later than this one and have not been asked to stop.
    fn later_alive(&self, id: &str) -> usize {
        let mine = self.position(id);
        let later = |other: &&ChildId| self.position(other) > mine && !self.lives[*other].stopping;
        self.lives.keys().filter(later).count()
    }

    /// Whether a call that waits for its answer may be the cause of an order for this child.
    fn asked_for(&self, id: &str) -> bool {
        self.asked.values().any(|call| match call {
            Call::StartChild(spec) => &*spec.id == id,
            Call::RestartChild(it) | Call::TerminateChild(it) => &**it == id,
            _ => false,
        })
    }

    /// Lets a random child say what it has to say. False if none has anything.
    fn deliver(&mut self) -> bool {
        let ready: Vec<_> = self
            .lives
            .iter()
            .filter(|(_, life)| !life.says.is_empty())
            .map(|(id, _)| id.clone())
            .collect();
        if ready.is_empty() {
            return false;
        }
        let id = self.rng.pick(&ready);
        let life = self.lives.get_mut(&id).unwrap();
        let event = life.says.pop_front().unwrap();
        match event {
            Event::Started { .. } => life.up = true,
            _ => {
                self.lives.remove(&id);
                if matches!(event, Event::Ignored { .. }) {
                    self.undefined.insert(id);
                }
            }
        }
        self.step(event.clone());
        if self.rng.below(8) == 0 {
            // The same again is of no effect.
            assert_eq!(self.sup.step(event, Now(self.now)), []);
        }
        true
    }

    /// A child that is up ends by itself.
    fn crash(&mut self) {
        let reason = self.rng.pick(&[
            Exit::Normal,
            Exit::Shutdown,
            Exit::ShutdownTerm("t".into()),
            Exit::Killed,
            Exit::crash(Cause::Panic, Blame::Guest, "boom"),
            Exit::Hung,
        ]);
        let up: Vec<_> =
            self.lives.iter_mut().filter(|(_, life)| life.up && life.says.is_empty()).collect();
        let number = up.len() as u64;
        if number > 0 {
            let chosen = self.rng.below(number) as usize;
            let (id, life) = up.into_iter().nth(chosen).unwrap();
            let (id, incarnation) = (id.clone(), life.incarnation);
            life.says.push_back(Event::Exited { id, incarnation, reason });
        }
    }

    /// Delivers a timer; one whose state is over must do nothing.
    fn timer(&mut self, place: usize) {
        let (at, timer) = self.timers.swap_remove(place);
        self.now = self.now.max(at);
        let living = self.lives.get(&timer.id).filter(|life| life.incarnation == timer.incarnation);
        let state = self.sup.child(&timer.id).map(|view| view.state);
        let valid = match (timer.kind, state) {
            (TimerKind::Retry, Some(ChildState::Restarting { .. })) => {
                self.retry.get(&timer.id) == Some(&timer.epoch)
            }
            (TimerKind::StartTimeout, Some(ChildState::Starting)) => living.is_some(),
            (TimerKind::Shutdown, Some(ChildState::Stopping)) => living.is_some(),
            _ => false,
        };
        let before = self.sup.children().collect::<Vec<_>>();
        self.step(Event::Timer(timer.clone()));
        if !valid {
            assert_eq!(before, self.sup.children().collect::<Vec<_>>(), "a void timer acted");
        }
        if self.rng.below(4) == 0 && timer.kind != TimerKind::Retry {
            assert_eq!(self.sup.step(Event::Timer(timer), Now(self.now)), [], "it came twice");
        }
    }

    fn due(&mut self, until: u64) {
        while let Some(place) = self.timers.iter().position(|(at, _)| *at <= until) {
            self.timer(place);
        }
        self.now = self.now.max(until);
    }

    fn call(&mut self) {
        let id = ChildId::from(self.rng.pick(&IDS));
        let call = match self.rng.below(6) {
            0 | 1 => Call::StartChild(random_spec(&mut self.rng, &self.flags, &id)),
            2 => Call::TerminateChild(id),
            3 => Call::RestartChild(id),
            4 => Call::DeleteChild(id),
            _ => Call::WhichChildren,
        };
        self.tags += 1;
        self.asked.insert(self.tags, call.clone());
        self.step(Event::Call { tag: self.tags, call });
    }

    fn act(&mut self) {
        match self.rng.below(16) {
            0..=6 => {
                self.deliver();
            }
            7..=9 => self.crash(),
            10..=12 => self.call(),
            13 | 14 => {
                let until = self.now + self.rng.below(120);
                self.due(until);
            }
            _ if self.rng.below(4) == 0 => self.step(Event::Stop { reason: Exit::Shutdown }),
            _ => {}
        }
    }

    /// Nothing is left to happen: what should live lives.
    fn rest(&mut self) {
        while self.deliver() {}
        self.due(self.now + 1_000);
        while self.deliver() {}
        let alone = matches!(self.flags.strategy, Strategy::OneForOne | Strategy::SimpleOneForOne);
        let busy = self.lives.values().any(|life| !life.up || life.stopping);
        if !alone || busy || self.sup.phase() != Phase::Up || !self.timers.is_empty() {
            return;
        }
        for view in self.sup.children().filter(|view| view.spec.restart == Restart::Permanent) {
            let running = view.state == ChildState::Running;
            assert!(running || self.undefined.contains(&view.id), "{} was forgotten", view.id);
        }
    }

    fn run(&mut self) {
        self.step(Event::Start);
        for _ in 0..24 {
            self.act();
        }
        self.rest();
        self.step(Event::Stop { reason: Exit::Shutdown });
        for _ in 0..100 {
            while self.deliver() {}
            self.due(self.now + 60);
        }
        assert!(self.exit.is_some() && self.sup.phase() == Phase::Ended, "does not end");
        assert!(self.asked.is_empty(), "calls without an answer");
    }
}

fn cases(strategy: Strategy) {
    // Mutation runs ask for fewer.
    let wanted = std::env::var("PROPERTY_CASES").ok().and_then(|number| number.parse().ok());
    for seed in 1..=wanted.unwrap_or(CASES) {
        let run = || Case::new(strategy, seed).run();
        if let Err(panic) = std::panic::catch_unwind(run) {
            println!("{strategy:?}, seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn properties_of_one_for_one() {
    cases(Strategy::OneForOne);
}

#[test]
fn properties_of_one_for_all() {
    cases(Strategy::OneForAll);
}

#[test]
fn properties_of_rest_for_one() {
    cases(Strategy::RestForOne);
}

#[test]
fn properties_of_simple_one_for_one() {
    cases(Strategy::SimpleOneForOne);
}
