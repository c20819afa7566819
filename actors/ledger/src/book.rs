//! What the writer's thread knows by heart of every living agent: places in its inbox,
//! reservations, its fence. Rebuilt from the durable rows at a start (rules A3, C8). Every change
//! is noted, so that a refused request, or a group that failed, is undone.

use crate::agent::{Agent, Held};
use crate::codec::{self, db, un};
use loket_turn::{AgentName, Effect, Epoch, Hash, LedgerError, TurnKey, TurnNo};
use rusqlite::{Connection, params};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Places for notes that an idle book keeps: those of a group of requests.
const NOTES_KEPT: usize = 1_024;

enum Undo {
    Agent(u64, Option<Box<Agent>>),
    Name(AgentName, Option<u64>),
}

/// All living agents, and the lives that have rows to sweep.
#[derive(Default)]
pub(crate) struct Book {
    /// Each in a place of its own: a table keeps twice the room that it needs when it has just grown.
    agents: HashMap<u64, Box<Agent>>,
    names: HashMap<AgentName, u64>,
    undo: Vec<Undo>,
    /// Supervisors that have budgets, each with the next one above that has one, as the node has told.
    pub(crate) allowances: HashMap<Arc<str>, Option<Arc<str>>>,
    pub(crate) sweep: VecDeque<u64>,
}

impl Book {
    pub(crate) fn get(&self, name: &str) -> Option<&Agent> {
        self.life(*self.names.get(name)?)
    }

    pub(crate) fn life(&self, life: u64) -> Option<&Agent> {
        self.agents.get(&life).map(Box::as_ref)
    }

    /// To change an agent; the old state is noted first.
    pub(crate) fn change(&mut self, life: u64) -> Option<&mut Agent> {
        let agent = self.agents.get_mut(&life)?;
        self.undo.push(Undo::Agent(life, Some(agent.clone())));
        Some(agent)
    }

    pub(crate) fn insert(&mut self, agent: Agent) {
        let (life, name) = (agent.life, agent.name.clone());
        let old = self.agents.insert(life, Box::new(agent));
        self.undo.push(Undo::Agent(life, old));
        let old = self.names.insert(name.clone(), life);
        self.undo.push(Undo::Name(name, old));
    }

    pub(crate) fn remove(&mut self, life: u64) -> Option<Agent> {
        let agent = self.agents.remove(&life)?;
        let old = self.names.remove(&agent.name);
        self.undo.push(Undo::Name(agent.name.clone(), old));
        self.undo.push(Undo::Agent(life, Some(agent.clone())));
        Some(*agent)
    }

    /// How many changes are noted: a place to go back to.
    pub(crate) fn mark(&self) -> usize {
        self.undo.len()
    }

    /// Takes back all changes after `mark`.
    pub(crate) fn back_to(&mut self, mark: usize) {
        while self.undo.len() > mark {
            match self.undo.pop() {
                Some(Undo::Agent(life, Some(agent))) => drop(self.agents.insert(life, agent)),
                Some(Undo::Agent(life, None)) => drop(self.agents.remove(&life)),
                Some(Undo::Name(name, Some(life))) => drop(self.names.insert(name, life)),
                Some(Undo::Name(name, None)) => drop(self.names.remove(&name)),
                None => return,
            }
        }
    }

    /// Whoever has changed since the last commit, some more than once.
    pub(crate) fn changed(&self) -> impl Iterator<Item = &AgentName> {
        self.undo.iter().filter_map(|undo| match undo {
            Undo::Agent(_, Some(agent)) => Some(&agent.name),
            // One that is new is noted by its name.
            Undo::Agent(_, None) => None,
            Undo::Name(name, _) => Some(name),
        })
    }

    /// The changes so far are durable: nothing is undone any more.
    pub(crate) fn settle(&mut self) {
        self.undo.clear();
    }

    /// A burst is over: the room for its notes is given back.
    pub(crate) fn rest(&mut self) {
        self.undo.shrink_to(NOTES_KEPT);
    }

    /// The fence (rules C4, J4): the current incarnation of this life, or a refusal. Only the
    /// writer asks, in the same step as it writes.
    pub(crate) fn fence(&self, turn: &TurnKey) -> Result<&Agent, LedgerError> {
        let agent = self
            .get(&turn.agent)
            .filter(|agent| agent.life == turn.life.0)
            .ok_or_else(|| LedgerError::NoSuchAgent(turn.agent.clone()))?;
        self.current(agent, turn.incarnation)?;
        if agent.done + 1 != turn.n.0 || agent.last < turn.n.0 {
            let what = format!("open turn {} of {}", turn.n, turn.agent);
            return Err(LedgerError::NotFound(what));
        }
        Ok(agent)
    }

    /// That `incarnation` is the one that opened the agent last, and that the brain is still the one it found (rule E7).
    pub(crate) fn current(&self, agent: &Agent, incarnation: u64) -> Result<(), LedgerError> {
        if agent.incarnation != incarnation {
            return Err(LedgerError::Fenced { agent: agent.name.clone() });
        }
        if agent.taken != agent.epoch {
            return Err(LedgerError::Switched { agent: agent.name.clone() });
        }
        Ok(())
    }

    /// Notes that the last incarnation of this life runs, or no longer runs.
    pub(crate) fn runs(&mut self, life: u64, running: bool) {
        if self.agents.get(&life).is_some_and(|agent| agent.running != running)
            && let Some(agent) = self.change(life)
        {
            agent.running = running;
        }
    }

    /// Takes over from an older book of the same process who runs, on which brain, and below whose budgets: it is in no file.
    pub(crate) fn running_as_in(&mut self, older: &Self) {
        for agent in self.agents.values_mut() {
            let older = older.life(agent.life);
            agent.running = older.is_some_and(|older| older.running);
            agent.taken = older.map_or(agent.epoch, |older| older.taken);
            if let Some(older) = older {
                agent.has_budgets |= older.has_budgets;
                agent.above = Arc::clone(&older.above);
            }
        }
        self.allowances.clone_from(&older.allowances);
    }

    /// Gives back every place that the open turn of `life` holds, then takes those of `keep`.
    pub(crate) fn hold(&mut self, life: u64, keep: Vec<Held>) {
        let Some(agent) = self.agents.get(&life) else {
            return;
        };
        if agent.held() == keep {
            return;
        }
        let Some(agent) = self.change(life) else {
            return;
        };
        let old = agent.now_holds(keep.clone());
        for held in old {
            if let Some(to) = self.change(held.to) {
                to.give_back(held.bytes);
            }
        }
        for held in keep {
            if let Some(to) = self.change(held.to) {
                to.reserve(held.bytes);
            }
        }
    }

    /// Rebuilds everything from the durable rows.
    pub(crate) fn rebuild(conn: &Connection) -> rusqlite::Result<Self> {
        let mut book = Self::default();
        let mut rows = conn.prepare(
            "SELECT life, name, incarnation, epoch, done_n, chain, durable_n, swept_n, inbox_rows,
                    inbox_bytes, quarantine IS NOT NULL FROM agents WHERE gone = 0",
        )?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let chain: Vec<u8> = row.get(5)?;
            let agent = Agent {
                life: un(row.get(0)?),
                name: row.get::<_, String>(1)?.into(),
                incarnation: un(row.get(2)?),
                running: false,
                epoch: Epoch(un(row.get(3)?)),
                taken: Epoch(un(row.get(3)?)),
                done: un(row.get(4)?),
                last: 0,
                chain: Hash::from_slice(&chain).ok_or_else(|| codec::damaged("chain"))?,
                waiting_bytes: 0,
                rows_max: un(row.get(8)?),
                bytes_max: un(row.get(9)?),
                open_row: false,
                durable: un(row.get(6)?),
                swept: un(row.get(7)?),
                quarantined: row.get(10)?,
                has_budgets: false,
                above: Arc::default(),
                places: None,
                waits: None,
                once: None,
            };
            book.add(conn, agent)?;
        }
        book.open_turns(conn)?;
        book.waits(conn)?;
        book.once_calls(conn)?;
        for life in crate::ops::budgets::lives(conn)? {
            if let Some(agent) = book.agents.get_mut(&life) {
                agent.has_budgets = true;
            }
        }
        let mut gone = conn.prepare("SELECT life FROM agents WHERE gone = 1")?;
        let mut gone = gone.query([])?;
        while let Some(row) = gone.next()? {
            book.sweep.push_back(un(row.get(0)?));
        }
        book.undo = Vec::new();
        Ok(book)
    }

    fn add(&mut self, conn: &Connection, mut agent: Agent) -> rusqlite::Result<()> {
        let (last, bytes) = conn
            .prepare_cached(
                "SELECT coalesce(max(n), ?2), coalesce(sum(length(body)), 0)
                   FROM messages WHERE life = ?1 AND n > ?2",
            )?
            .query_row(params![db(agent.life), db(agent.done)], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        agent.last = un(last);
        agent.waiting_bytes = un(bytes);
        if agent.swept < agent.durable {
            self.sweep.push_back(agent.life);
        }
        self.insert(agent);
        Ok(())
    }

    /// Open turns, and the places that their durable records hold.
    fn open_turns(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let mut rows = conn.prepare("SELECT life, n FROM turns WHERE state = 0")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let (life, n) = (un(row.get(0)?), TurnNo(un(row.get(1)?)));
            let held = self.durable_places(conn, life, n)?;
            if let Some(agent) = self.agents.get_mut(&life)
                && agent.done + 1 == n.0
            {
                agent.open_row = true;
                self.hold(life, held);
            }
        }
        Ok(())
    }

    /// The places that the durable records of a turn hold (rule C8).
    pub(crate) fn durable_places(
        &self,
        conn: &Connection,
        life: u64,
        n: TurnNo,
    ) -> rusqlite::Result<Vec<Held>> {
        let mut rows = conn.prepare_cached(
            "SELECT effect FROM records
              WHERE life = ?1 AND n = ?2 AND effect IS NOT NULL AND ok = 1 ORDER BY call",
        )?;
        let mut rows = rows.query(params![db(life), db(n.0)])?;
        let mut held = Vec::new();
        while let Some(row) = rows.next()? {
            let (receivers, body) = match codec::effect(&row.get::<_, Vec<u8>>(0)?)? {
                Effect::Send { to, body, .. } => (vec![to], body),
                Effect::SendAll { to, body, .. } => {
                    (to.into_iter().map(|(_, name)| name).collect(), body)
                }
                _ => continue,
            };
            let known = receivers.iter().filter_map(|to| self.get(to));
            held.extend(known.map(|to| Held { to: to.life, bytes: body.len() as u64 }));
        }
        Ok(held)
    }

    /// Every living agent.
    pub(crate) fn all(&self) -> impl ExactSizeIterator<Item = &Agent> {
        self.agents.values().map(Box::as_ref)
    }
}
