//! The operator exchanges brains (rule E7): rewinds, restores, snapshots, through the same functions as `loket brain`.
//!
//! What a rewound brain holds comes from the oracle, or from a snapshot that the node took; the oracle is told beforehand what the next
//! epoch begins with. Start reading at [`rewind`].

use crate::brains::{Files, made};
use crate::guest::AGENTS;
use crate::oracle::Brain;
use crate::rng::Rng;
use crate::run::Simulation;
use crate::world::{Shared, lock};
use loket_agent::{Exchange, Keeping, brains};
use loket_store::keep::Keeper;
use loket_turn::{AgentName, BrainStanding, Failure, Hash, Ledger, Snapshot, TurnNo};
use serde_json::Value;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// An operator who exchanges brains: with what, where, and what the oracle knows.
pub(crate) struct Bench {
    keeping: Keeping,
    data: PathBuf,
    world: Shared,
}

impl Bench {
    /// One for the present process.
    pub(crate) fn of(simulation: &Simulation) -> Option<Self> {
        let process = simulation.process.as_ref()?;
        let data = simulation.disk.root();
        let ledger: Arc<dyn Ledger> = Arc::clone(&process.ledger) as _;
        let brains = Arc::new(Files(Keeper::new(&data)));
        let keeping = Keeping {
            ledger,
            brains,
            clock: process.clock.clone(),
            keep_turns: 0,
            copying: Arc::default(),
        };
        Some(Self { keeping, data, world: Arc::clone(&simulation.world) })
    }

    fn note(&self, line: String) {
        lock(&self.world).notes.push(line);
    }

    /// Puts a file in a brain's place. The oracle is told what it holds.
    async fn exchange(
        &self,
        at: &BrainStanding,
        file: PathBuf,
        brain: &Brain,
        abandon: Option<TurnNo>,
        only_exact: bool,
    ) -> Result<Value, Failure> {
        let agent = at.agent.to_string();
        lock(&self.world).planned.insert((agent.clone(), at.epoch.0 + 1), brain.clone());
        if let Some(n) = abandon {
            lock(&self.world).given_up.insert((agent.clone(), n.0));
        }
        let exchange = Exchange {
            agent: agent.clone(),
            file,
            reason: "simulated".to_owned(),
            abandon: abandon.map(|n| n.0),
            only_exact,
        };
        let done = brains::switch(&self.keeping, exchange, None).await.map_err(Failure::from);
        let told = done.as_ref().map_or_else(|why| why.code.clone(), |it| it["epoch"].to_string());
        self.note(format!("exchange {agent} epoch {} given up {abandon:?}: {told}", at.epoch.0));
        done
    }

    async fn standing(&self, agent: &str) -> Option<BrainStanding> {
        self.keeping.ledger.brain_standing(AgentName::from(agent)).await.ok()
    }

    /// Brings back an agent whose brain is ahead of its ledger: to exactly where the ledger is, which costs no open turn.
    pub(crate) async fn restore(&self, agent: &str, known: &Known) {
        let Some(at) = self.standing(agent).await else { return };
        if at.done != known.done {
            return;
        }
        let Some(file) = made(&self.data, &at, (at.done, at.chain), &known.brain) else { return };
        let done = self.exchange(&at, file, &known.brain, None, true).await;
        if let Err(why) = done
            && why.code == "open_turn"
        {
            let text =
                format!("a restore to exactly turn {} of {agent} is refused: {why}", at.done);
            lock(&self.world).violation(text);
        }
    }
}

/// What the oracle knows of an agent's brain.
pub(crate) struct Known {
    /// The last turn that has ended.
    pub(crate) done: TurnNo,
    /// What it holds after that.
    pub(crate) brain: Brain,
    /// An earlier turn, the chain hash after it, and what the brain held then.
    pub(crate) earlier: Option<(TurnNo, Hash, Brain)>,
    /// What it held at each point that a snapshot could be of: epoch, turn, chain hash.
    pub(crate) points: Vec<(u64, TurnNo, Hash, Brain)>,
}

impl Known {
    fn at(&self, snapshot: &Snapshot) -> Option<&Brain> {
        let same = |(epoch, n, chain, _): &&(u64, TurnNo, Hash, Brain)| {
            (*epoch, *n, *chain) == (snapshot.epoch.0, snapshot.n, snapshot.chain)
        };
        self.points.iter().find(same).map(|(_, _, _, brain)| brain)
    }
}

/// The operator rewinds some agent's brain to an earlier turn, or takes a snapshot, or goes back to one. `false`: not at this moment.
pub(crate) fn rewind(simulation: &mut Simulation) -> bool {
    if !simulation.is_up() {
        return false;
    }
    let desk = Rc::clone(&simulation.desk);
    let agent = *simulation.rng.pick(&AGENTS);
    if desk.borrow().busy || simulation.oracle.brain(agent).0 == 0 {
        return false;
    }
    let known = simulation.oracle.known_of(agent, &mut simulation.rng);
    let Some(bench) = Bench::of(simulation) else { return false };
    let rng = Rng::new(simulation.rng.number());
    let Some(process) = &simulation.process else { return false };
    desk.borrow_mut().busy = true;
    process.exec.spawn(async move {
        exchange_one(&bench, agent, &known, rng).await;
        desk.borrow_mut().busy = false;
    });
    true
}

async fn exchange_one(bench: &Bench, agent: &str, known: &Known, mut rng: Rng) {
    if rng.percent(20) {
        let taken = brains::snapshot(&bench.keeping, AgentName::from(agent)).await;
        return bench.note(format!("snapshot of {agent}: {}", taken.is_ok()));
    }
    let Some(at) = bench.standing(agent).await else { return };
    let snapshots = bench.keeping.ledger.snapshots(AgentName::from(agent)).await;
    let snapshots = snapshots.unwrap_or_default();
    let mut chosen = None;
    if !snapshots.is_empty() && rng.percent(40) {
        let snapshot = rng.pick(&snapshots);
        let file = Keeper::new(&bench.data).snapshot_file(&snapshot.file);
        // Of one from a past that was lost nobody knows what it holds.
        chosen = known.at(snapshot).map(|brain| (file, brain.clone()));
    }
    if chosen.is_none() {
        let Some((n, chain, brain)) = &known.earlier else { return };
        let file = made(&bench.data, &at, (*n, *chain), brain);
        chosen = file.map(|file| (file, brain.clone()));
    }
    let Some((file, brain)) = chosen else { return };
    let done = bench.exchange(&at, file.clone(), &brain, None, false).await;
    if done.is_err_and(|why| why.code == "open_turn") && rng.percent(40) {
        let Some(at) = bench.standing(agent).await else { return };
        if at.open.is_some() {
            let _ = bench.exchange(&at, file, &brain, at.open, false).await;
        }
    }
}
