//! Monitors against a model: random ends, takeovers, removals, demonitors, and openings of the file anew as after `kill -9`.
#![allow(clippy::unwrap_used)]

use loket_ledger::kit::{Subject, message, wait};
use loket_ledger::{Durability, Options, SqliteLedger};
use loket_turn::{Effect, Ended, Ledger, MONITOR_SENDER, MessageId, TurnKey, TurnNo, Until};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const WATCHED: [&str; 3] = ["a", "b", "c"];
const WATCHER: &str = "w";

#[derive(Debug, Clone)]
enum Op {
    Open(usize),
    Ended(usize),
    Remove(usize),
    Monitor(usize, bool),
    Demonitor(usize),
    /// The process dies: who ran runs no more, and nobody noted it.
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    let who = 0..WATCHED.len();
    prop_oneof![
        4 => who.clone().prop_map(Op::Open),
        4 => who.clone().prop_map(Op::Ended),
        1 => who.clone().prop_map(Op::Remove),
        6 => (who, any::<bool>()).prop_map(|(who, gone)| Op::Monitor(who, gone)),
        2 => (0..16_usize).prop_map(Op::Demonitor),
        1 => Just(Op::Reopen),
    ]
}

/// One watched agent in the model.
#[derive(Debug, Clone, Default)]
struct Agent {
    enrolled: bool,
    incarnation: u64,
    running: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum State {
    Waits { who: usize, from: Option<u64> },
    Told(&'static str),
    GivenUp,
}

struct World {
    dir: tempfile::TempDir,
    engine: Arc<SqliteLedger>,
    it: Subject,
    agents: [Agent; 3],
    monitors: Vec<(MessageId, State)>,
    /// Downs found in the watcher's inbox.
    found: BTreeMap<MessageId, Vec<String>>,
}

fn open(dir: &Path) -> (Arc<SqliteLedger>, Subject) {
    let mut options = Options::new(dir);
    options.durability = Durability::Process;
    options.clock = Arc::new(|| 2_000);
    let (to, events) = crossbeam_channel::bounded(1);
    let tell = Box::new(move |event| drop(to.try_send(event)));
    let engine = SqliteLedger::open(options, tell).unwrap();
    (engine.clone(), Subject { ledger: engine, events })
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (engine, it) = open(dir.path());
        it.opened(WATCHER);
        it.enrol(&[WATCHER], 1_000);
        let mut world = Self {
            dir,
            engine,
            it,
            agents: Default::default(),
            monitors: Vec::new(),
            found: BTreeMap::new(),
        };
        (0..WATCHED.len()).for_each(|who| world.take(&Op::Open(who)));
        world
    }

    fn tell(&mut self, code: &'static str, fits: impl Fn(usize, Option<u64>) -> bool) {
        for (_, state) in &mut self.monitors {
            if let State::Waits { who, from } = *state
                && fits(who, from)
            {
                *state = State::Told(code);
            }
        }
    }

    fn take(&mut self, op: &Op) {
        match *op {
            Op::Open(who) => {
                self.it.enrol(&[WATCHED[who]], 10);
                let agent = &mut self.agents[who];
                if !agent.enrolled {
                    *agent = Agent { enrolled: true, incarnation: 0, running: false };
                }
                agent.incarnation += 1;
                agent.running = true;
                let now = agent.incarnation;
                wait(self.engine.open(WATCHED[who].into(), now)).unwrap();
                self.tell("process_died", |of, from| of == who && from.is_some_and(|n| n < now));
            }
            Op::Ended(who) => {
                let agent = &mut self.agents[who];
                let ended = Ended {
                    agent: WATCHED[who].into(),
                    incarnation: agent.incarnation,
                    code: "killed".to_owned(),
                    reason: "killed".to_owned(),
                    now_ms: 3_000,
                };
                agent.running = false;
                let now = agent.incarnation;
                wait(self.engine.ended(ended)).unwrap();
                self.tell("killed", |of, from| of == who && from.is_some_and(|n| n <= now));
            }
            Op::Remove(who) => {
                let removed = wait(self.engine.remove(WATCHED[who].into(), "over".to_owned()));
                assert_eq!(removed.is_ok(), self.agents[who].enrolled);
                self.agents[who] = Agent::default();
                self.tell("removed", |of, _| of == who);
            }
            Op::Monitor(who, gone) => self.monitor(who, gone),
            Op::Demonitor(at) => {
                let Some((id, state)) = self.monitors.get_mut(at) else { return };
                let id = *id;
                if matches!(state, State::Waits { .. }) {
                    *state = State::GivenUp;
                }
                self.turn(vec![Effect::Demonitor { id }]);
            }
            Op::Reopen => {
                self.engine.stop();
                (self.engine, self.it) = open(self.dir.path());
                self.it.enrol(&[WATCHER], 1_000);
                self.agents.iter_mut().for_each(|agent| agent.running = false);
                wait(self.engine.open(WATCHER.into(), 1)).unwrap();
            }
        }
    }

    fn monitor(&mut self, who: usize, gone: bool) {
        let mut id = [9; 16];
        id[..8].copy_from_slice(&(self.monitors.len() as u64).to_le_bytes());
        let agent = &self.agents[who];
        let state = match (agent.enrolled, gone) {
            (false, _) => State::Told("noproc"),
            (true, true) => State::Waits { who, from: None },
            (true, false) => {
                let from = agent.incarnation + u64::from(!agent.running);
                State::Waits { who, from: Some(from) }
            }
        };
        let until = if gone { Until::Gone } else { Until::Exit };
        self.monitors.push((MessageId(id), state));
        self.turn(vec![Effect::Monitor { id: MessageId(id), agent: WATCHED[who].into(), until }]);
    }

    /// Ends all turns of the watcher; the last one, of a message of our own, with these effects.
    fn turn(&mut self, effects: Vec<Effect>) {
        wait(self.engine.accept(message(WATCHER, "go"))).unwrap();
        let life = wait(self.engine.open(WATCHER.into(), 1)).unwrap().life;
        while let Some(next) = wait(self.engine.next(WATCHER.into(), 1)).unwrap() {
            let turn = TurnKey { agent: WATCHER.into(), life, incarnation: 1, n: TurnNo(next.n.0) };
            let mut end = self.it.ending(&turn);
            if &*next.message.sender == MONITOR_SENDER {
                let body: serde_json::Value = serde_json::from_slice(&next.message.body).unwrap();
                let code = body["code"].as_str().unwrap().to_owned();
                self.found.entry(next.message.id).or_default().push(code);
            } else {
                end.effects.clone_from(&effects);
            }
            wait(self.engine.end(end)).unwrap();
        }
    }

    fn agrees(&mut self) {
        self.turn(Vec::new());
        for (id, state) in &self.monitors {
            let found = self.found.get(id).map(Vec::as_slice).unwrap_or_default();
            match state {
                State::Told(code) => assert_eq!(found, [*code], "{id}"),
                _ => assert!(found.is_empty(), "{id} {state:?}: {found:?}"),
            }
        }
        let waiting = self.monitors.iter().filter(|(_, it)| matches!(it, State::Waits { .. }));
        let there = wait(self.engine.monitors_by(WATCHER.into())).unwrap();
        assert_eq!(there.len(), waiting.count());
    }
}

/// Each case opens files: few of them say much. `PROPERTY_CASES` says how many others are wanted; the long run is 2,000.
fn config() -> ProptestConfig {
    let wanted = std::env::var("PROPERTY_CASES").ok().and_then(|number| number.parse().ok());
    let cases = wanted.unwrap_or(40);
    ProptestConfig { cases, failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn i2_random_ends_restarts_and_reopenings_give_one_down_each(
        ops in prop::collection::vec(op(), 1..40),
    ) {
        let mut world = World::new();
        for op in &ops {
            world.take(op);
        }
        world.agrees();
        world.take(&Op::Reopen);
        for who in 0..WATCHED.len() {
            world.take(&Op::Open(who));
            world.take(&Op::Remove(who));
        }
        world.agrees();
        let told = |(_, state): &(MessageId, State)| !matches!(state, State::Waits { .. });
        prop_assert!(world.monitors.iter().all(told));
    }
}
