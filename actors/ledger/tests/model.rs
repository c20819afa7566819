//! Random schedules of requests against a model that a page holds: inboxes as queues, keys as a
//! map, one fence an agent.
#![allow(clippy::unwrap_used)]

use loket_ledger::kit::{Subject, message, send, wait};
use loket_ledger::{Durability, Options, SqliteLedger};
use loket_turn::{
    Accept, AcceptError, Blame, FailVerdict, Failure, Hash, Ledger, LedgerError, Life, MessageId,
    Outcome, TurnKey, TurnNo,
};
use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

const AGENTS: [&str; 3] = ["a", "b", "c"];
const ROWS: u64 = 5;
const MAX_ATTEMPTS: u32 = 3;

#[derive(Default)]
struct Agent {
    life: Life,
    inbox: VecDeque<(MessageId, Vec<u8>)>,
    done: u64,
    chain: Hash,
    attempts: u32,
    incarnation: u64,
    durable: u64,
}

struct Model {
    agents: Vec<Agent>,
    keys: HashMap<(usize, u64), (MessageId, Vec<u8>)>,
    outcomes: HashMap<MessageId, Outcome>,
    accepted: u64,
    letters: u64,
    seed: u64,
    next_id: u32,
}

impl Model {
    fn random(&mut self, below: u64) -> u64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % below
    }

    fn turn(&self, at: usize, incarnation: u64) -> TurnKey {
        TurnKey {
            agent: AGENTS[at].into(),
            life: self.agents[at].life,
            incarnation,
            n: TurnNo(self.agents[at].done + 1),
        }
    }

    fn accept(&mut self, ledger: &dyn Ledger, at: usize) {
        let (key, body) = (self.random(40), vec![b'x'; 1 + self.random(2) as usize]);
        let keyed = self.random(2) == 0;
        let accept = Accept {
            body: body.clone(),
            key: keyed.then(|| format!("k{key}")),
            ..message(AGENTS[at], "")
        };
        let answer = wait(ledger.accept(accept));
        if let Some((id, before)) = self.keys.get(&(at, key)).filter(|_| keyed) {
            if *before != body {
                assert!(matches!(answer, Err(AcceptError::KeyReused { .. })), "{answer:?}");
                return;
            }
            let answer = answer.unwrap();
            assert_eq!((answer.message, answer.duplicate), (*id, true));
            assert_eq!(answer.outcome.as_ref(), self.outcomes.get(id));
            return;
        }
        let agent = &mut self.agents[at];
        if agent.inbox.len() as u64 >= ROWS {
            assert!(matches!(answer, Err(AcceptError::Overloaded { .. })), "{answer:?}");
            return;
        }
        let answer = answer.unwrap();
        assert!(!answer.duplicate);
        agent.inbox.push_back((answer.message, body.clone()));
        self.accepted += 1;
        if keyed {
            self.keys.insert((at, key), (answer.message, body));
        }
    }

    fn end(&mut self, it: &Subject, at: usize, stale: bool) {
        let to = self.random(3) as usize;
        let incarnation = self.agents[at].incarnation;
        let turn = self.turn(at, incarnation - u64::from(stale && incarnation > 0));
        let fits = (self.agents[to].inbox.len() as u64) < ROWS;
        let waiting = !self.agents[at].inbox.is_empty();
        let mut end = it.ending(&turn);
        let sends = fits && self.random(2) == 0;
        if sends {
            self.next_id += 1;
            end.effects = vec![send(self.next_id, AGENTS[to], "sent")];
        }
        let chain = end.chain;
        let answer = wait(it.ledger.end(end));
        if turn.incarnation != incarnation {
            assert!(matches!(answer, Err(LedgerError::Fenced { .. })), "{answer:?}");
            return;
        }
        if !waiting {
            assert!(matches!(answer, Err(LedgerError::NotFound(_))), "{answer:?}");
            return;
        }
        let next = answer.unwrap();
        self.over(at, chain, Ok(b"done".to_vec()));
        if sends {
            let mut id = [7; 16];
            id[..4].copy_from_slice(&self.next_id.to_le_bytes());
            self.agents[to].inbox.push_back((MessageId(id), b"sent".to_vec()));
            self.accepted += 1;
        }
        let front = self.agents[at].inbox.front().cloned();
        let next = next.map(|next| (next.message.id, next.message.body));
        assert_eq!(next, front);
    }

    fn over(&mut self, at: usize, chain: Hash, outcome: Outcome) {
        let agent = &mut self.agents[at];
        let (id, _) = agent.inbox.pop_front().unwrap();
        (agent.done, agent.chain, agent.attempts) = (agent.done + 1, chain, 0);
        self.outcomes.insert(id, outcome);
    }

    fn fail(&mut self, it: &Subject, at: usize) {
        let turn = self.turn(at, self.agents[at].incarnation);
        let mut fail = it.failure(&turn, MAX_ATTEMPTS);
        if self.random(3) == 0 {
            fail.blame = Blame::Host;
        }
        let answer = wait(it.ledger.fail(fail.clone()));
        if self.agents[at].inbox.is_empty() {
            assert!(matches!(answer, Err(LedgerError::NotFound(_))), "{answer:?}");
            return;
        }
        self.agents[at].attempts += u32::from(fail.blame == Blame::Guest);
        let attempts = self.agents[at].attempts;
        match answer.unwrap() {
            FailVerdict::Retry { attempts: told } => {
                assert!(told == attempts && attempts < MAX_ATTEMPTS);
            }
            FailVerdict::Letter { letter } => {
                assert_eq!(attempts, MAX_ATTEMPTS);
                let letter = wait(it.ledger.letter(letter)).unwrap();
                let (id, body) = self.agents[at].inbox.front().cloned().unwrap();
                assert_eq!((letter.summary.message, letter.letter.body), (id, body));
                self.letters += 1;
                let name = AGENTS[at];
                let words = format!(
                    "the message failed {attempts} times (trap: {}) and is dead letter {} of \
                     {name}",
                    fail.message, letter.summary.id
                );
                let failure = Failure::new("dead_letter", words);
                self.over(at, fail.chain_if_skipped, Err(failure));
            }
        }
    }

    fn check(&mut self, it: &Subject, at: usize) {
        let (name, incarnation) = (AGENTS[at], self.agents[at].incarnation);
        let next = wait(it.ledger.next(name.into(), incarnation)).unwrap();
        let agent = &self.agents[at];
        let told = next.as_ref().map(|next| (next.n, next.attempts, next.message.id));
        let front = agent.inbox.front();
        let expected = front.map(|(id, _)| (TurnNo(agent.done + 1), agent.attempts, *id));
        assert_eq!(told, expected);
        let ended = wait(it.ledger.ended_after(name.into(), TurnNo(agent.durable))).unwrap();
        let page = (agent.done - agent.durable).min(64);
        assert_eq!(ended.len() as u64, page);
        let waiting: usize = self.agents.iter().map(|agent| agent.inbox.len()).sum();
        it.nothing_lost(waiting as u64);
        let stats = wait(it.ledger.stats()).unwrap();
        assert_eq!((stats.accepted, stats.letters_made), (self.accepted, self.letters));
    }

    fn reopen(&mut self, it: &Subject, at: usize) {
        let state =
            wait(it.ledger.open(AGENTS[at].into(), self.agents[at].incarnation + 1)).unwrap();
        let agent = &mut self.agents[at];
        agent.incarnation += 1;
        assert_eq!((state.done, state.chain), (TurnNo(agent.done), agent.chain));
        assert_eq!(state.life, agent.life);
    }

    fn step(&mut self, it: &Subject) {
        let at = self.random(3) as usize;
        match self.random(20) {
            0..=7 => self.accept(&*it.ledger, at),
            8..=12 => self.end(it, at, false),
            13 => self.end(it, at, true),
            14 | 15 => self.fail(it, at),
            16 => self.reopen(it, at),
            17 => {
                let agent = &mut self.agents[at];
                agent.durable = agent.done.saturating_sub(2).max(agent.durable);
                let n = TurnNo(agent.durable);
                wait(it.ledger.brain_durable(AGENTS[at].into(), agent.life, n)).unwrap();
            }
            _ => self.check(it, at),
        }
    }
}

fn open(dir: &Path) -> (Arc<SqliteLedger>, Subject) {
    let mut options = Options::new(dir);
    options.durability = Durability::Process;
    // The messages of these tests are accepted in 1970.
    options.clock = Arc::new(|| 2_000);
    let (to, events) = crossbeam_channel::bounded(1);
    let tell = Box::new(move |event| drop(to.try_send(event)));
    let engine = SqliteLedger::open(options, tell).unwrap();
    let ledger = engine.clone();
    (engine, Subject { ledger, events })
}

/// A1 to A3, C4, D1, E6, G1 to G3, J4: 20 schedules of 500 requests each, the ledger closed and
/// opened anew five times in each.
#[test]
fn random_schedules_agree_with_the_model() {
    for seed in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let mut model = Model {
            agents: Vec::new(),
            keys: HashMap::new(),
            outcomes: HashMap::new(),
            accepted: 0,
            letters: 0,
            seed,
            next_id: 0,
        };
        for boot in 0..5 {
            let (engine, it) = open(dir.path());
            let lives = it.enrol(&AGENTS, ROWS);
            if boot == 0 {
                model
                    .agents
                    .extend(lives.into_iter().map(|life| Agent { life, ..Agent::default() }));
            }
            for _ in 0..100 {
                model.step(&it);
            }
            engine.stop();
        }
    }
}
