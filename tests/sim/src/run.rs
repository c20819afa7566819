//! One run: a seed, a random schedule with faults, then peace, then the checks.
//!
//! Start reading at [`run`].

use crate::disk::{Death, Disk};
use crate::guest::{self, AGENTS, Body};
use crate::machine::{LANES, Plan, Process};
use crate::operator;
use crate::oracle::Oracle;
use crate::rng::Rng;
use crate::trace::{Trace, shown};
use crate::world::{Shared, World, lock};
use loket_ledger::Durability;
use loket_turn::simulation::{Mutation, Simulated};
use loket_turn::{Accept, Ledger};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// When every run begins, Unix milliseconds: the clock tells nothing of the machine.
pub(crate) const START_MS: u64 = 1_700_000_000_000;

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// All chance comes from it.
    pub seed: u64,
    /// The rule that is broken.
    pub mutation: Option<Mutation>,
    /// Print what happens.
    pub traced: bool,
    /// So many of a hundred operations are about what waits for a person; 0: the seed's own schedule.
    pub held: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// The first rule that was broken.
    pub violation: Option<String>,
    /// Hash of everything that happened, in order.
    pub hash: String,
    /// Steps taken.
    pub steps: usize,
    /// Processes that lived.
    pub boots: u64,
    /// Turns that ended.
    pub turns: usize,
    /// Syncs of the disk.
    pub syncs: u64,
}

/// A sender from outside: it sends until it is told that its message was accepted.
#[derive(Debug)]
pub(crate) struct Client {
    to: &'static str,
    body: Vec<u8>,
    sent: bool,
    pub(crate) accepted: Option<String>,
}

pub(crate) struct Simulation {
    pub(crate) rng: Rng,
    pub(crate) plan: Plan,
    pub(crate) disk: Disk,
    pub(crate) process: Option<Process>,
    pub(crate) clients: Vec<Rc<RefCell<Client>>>,
    pub(crate) oracle: Oracle,
    pub(crate) trace: Trace,
    pub(crate) world: Shared,
    wall_ms: u64,
    pub(crate) power_lost: bool,
    /// What the operator knows.
    pub(crate) desk: Rc<RefCell<operator::Desk>>,
    pub(crate) steps: usize,
    pub(crate) stopping: bool,
    /// An agent that is going to be killed, and after how many steps.
    pub(crate) doomed: Option<(usize, &'static str)>,
    /// The next agent that calls the outside is going to be overtaken by its next life.
    pub(crate) overtake_due: bool,
    /// The next agent that calls the outside is going to be killed while the call is out.
    pub(crate) late_due: bool,
    /// The operator is going to exchange a brain.
    pub(crate) rewind_due: bool,
    /// The power goes soon after the next kill, and the next message's sync is that kill.
    pub(crate) relapse_due: bool,
    /// Who waited for the present process to let it in has asked.
    greeted: bool,
}

/// Runs one seed.
///
/// # Errors
/// In words, when the simulation itself cannot run.
pub fn run(config: Config) -> Result<Report, String> {
    let _simulated = Simulated::begin(config.seed ^ 0x5eed, config.mutation);
    let mut simulation = Simulation::new(config)?;
    guest::tell(Some(Arc::clone(&simulation.world)));
    let done = simulation.explore();
    guest::tell(None);
    let boots = simulation.disk.syncs();
    let report = simulation.report(boots);
    done.map(|()| report)
}

impl Client {
    /// One that has sent nothing yet.
    fn new(rng: &mut Rng) -> Rc<RefCell<Self>> {
        let body = Body { script: guest::random(rng, 0), acc: rng.number() >> 12 };
        Rc::new(RefCell::new(Self {
            to: rng.pick::<&str>(&[AGENTS[0], AGENTS[0], AGENTS[1]]),
            body: serde_json::to_vec(&body).unwrap_or_default(),
            sent: false,
            accepted: None,
        }))
    }
}

impl Simulation {
    fn new(config: Config) -> Result<Self, String> {
        let mut rng = Rng::leaning(config.seed, config.held);
        let world = Arc::new(Mutex::new(World::new(rng.number(), config.held)));
        let clients = (0..1 + rng.below(3)).map(|_| Client::new(&mut rng)).collect();
        let plan = Plan {
            durability: if rng.percent(50) { Durability::Power } else { Durability::Process },
            slots: 1 + u32::from(rng.percent(70)),
            in_place: rng.percent(50),
            out_lane: rng.below(LANES),
            version: Arc::new(AtomicU64::new(0)),
            world: Arc::clone(&world),
        };
        let mut trace = Trace::new(config.traced);
        trace.note(format!("{:?}, {} slots", plan.durability, plan.slots));
        Ok(Self {
            rng,
            plan,
            disk: Disk::new().map_err(|why| why.to_string())?,
            process: None,
            clients,
            oracle: Oracle::new(Arc::clone(&world)),
            trace,
            world,
            wall_ms: START_MS,
            power_lost: false,
            desk: Rc::new(RefCell::new(operator::Desk::new(config.held))),
            steps: 0,
            stopping: false,
            doomed: None,
            overtake_due: false,
            late_due: false,
            rewind_due: false,
            relapse_due: false,
            greeted: false,
        })
    }

    fn report(self, syncs: u64) -> Report {
        Report {
            violation: lock(&self.world).broken.clone(),
            hash: self.trace.hash(),
            steps: self.steps,
            boots: self.disk.boots() + 1,
            turns: self.oracle.turns(),
            syncs,
        }
    }

    pub(crate) fn broken(&self) -> bool {
        lock(&self.world).broken.is_some()
    }

    fn explore(&mut self) -> Result<(), String> {
        self.boot()?;
        let steps = 150 + self.rng.below(2_500);
        let mut faults = self.rng.below(6);
        for left in (1..=steps).rev() {
            if self.broken() {
                return Ok(());
            }
            if faults > 0 && self.rng.below(left * 2) < faults * 3 {
                faults -= usize::from(self.fault()?);
            } else {
                self.step()?;
            }
        }
        lock(&self.world).faulty = false;
        self.relapse_due = false;
        self.disk.arm(None);
        self.trace.note("peace".to_owned());
        if let Some(process) = &mut self.process {
            process.exec.wake_all();
            // A clock that was set back is late by a day with whatever waits for a moment: it is put right.
            process.clock.set_wall(process.clock.high_water());
        }
        self.settle()?;
        if !self.broken() {
            self.check();
            self.close()?;
        }
        Ok(())
    }

    fn boot(&mut self) -> Result<(), String> {
        let mut process = match Process::boot(&self.plan, &self.disk, self.wall_ms) {
            Ok(process) => process,
            Err(why) => {
                lock(&self.world).violation(format!("the process does not start: {why}"));
                return Ok(());
            }
        };
        self.trace.note(format!("boot {}", self.disk.boots()));
        let lossy = self.power_lost && self.plan.durability == Durability::Process;
        self.oracle.reborn(&process.steps, lossy);
        if self.rng.percent(30) {
            process.exec.is_on_a_busy_machine();
        }
        for client in &self.clients {
            client.borrow_mut().sent = false;
        }
        self.desk.borrow_mut().busy = false;
        self.greeted = false;
        self.process = Some(process);
        Ok(())
    }

    /// The process dies; another one starts.
    pub(crate) fn die(&mut self, death: Death) -> Result<(), String> {
        self.trace.note(format!("{death:?}"));
        self.power_lost |= death == Death::Power;
        self.doomed = None;
        let mut rng = Rng::new(self.rng.number());
        self.disk.die(death, &mut rng).map_err(|why| why.to_string())?;
        if let Some(process) = self.process.take() {
            self.wall_ms = process.clock.now().0;
        }
        self.disk.sweep();
        self.wall_ms += 1 + self.rng.below(2_000) as u64;
        self.boot()?;
        if death == Death::Kill {
            self.relapse();
        }
        Ok(())
    }

    /// One step of whatever the dice choose.
    fn step(&mut self) -> Result<(), String> {
        self.steps += 1;
        self.execute();
        let dice = self.rng.below(100);
        let slow = self.rng.percent(1);
        let Some(process) = &mut self.process else { return Ok(()) };
        if slow {
            process.exec.slow_down(&mut self.rng, 30, 150);
        }
        match dice {
            0..60 => {
                let calls = lock(&self.world).calls;
                if let Some(id) = process.exec.step(&mut self.rng) {
                    self.trace.note(format!("poll {id}"));
                    if lock(&self.world).calls > calls
                        && let Some(lane) = process.exec.lane_of(id)
                    {
                        self.late(lane);
                        self.overtake(lane);
                    }
                }
            }
            60..78 => {
                let group = 1 + self.rng.below(6);
                if process.steps.step(group) {
                    self.trace.note(format!("ledger {group} {}", process.steps.is_amid()));
                }
            }
            78..85 => {
                if process.jobs.step() {
                    self.trace.note("store".to_owned());
                }
            }
            85..91 => lock(&self.world).step(&mut self.rng),
            91..94 => {
                let ms = *self.rng.pick(&[1, 10, 60, 60, 250, 1_100, 2_100]);
                process.clock.advance(ms);
                self.trace.note(format!("clock {ms}"));
            }
            94..97 => self.client(),
            97..98 => {
                if process.steps.upkeep() {
                    self.trace.note("upkeep".to_owned());
                }
            }
            _ => operator::act(self),
        }
        self.after()
    }

    /// What follows from a step.
    pub(crate) fn after(&mut self) -> Result<(), String> {
        self.greet();
        if let Some(process) = &self.process {
            let mut told = process.told.lock().unwrap_or_else(PoisonError::into_inner);
            for event in told.drain(..) {
                self.trace.note(shown(&event));
            }
            drop(told);
            // What no group has brought to the disk yet was told to nobody who did not ask.
            if !process.steps.is_amid() && process.steps.has_written() {
                self.oracle.look(&process.steps);
            }
        }
        for note in std::mem::take(&mut lock(&self.world).notes) {
            self.trace.note(note);
        }
        let gave_up = self
            .process
            .as_ref()
            .is_some_and(|process| !self.stopping && process.runtime.wait_at_most(0).is_some());
        match self.disk.struck() {
            Some(death) => self.die(death),
            // A part that is ended in its start ends the node, as in OTP; somebody starts it again.
            None if gave_up => self.die(Death::Kill),
            None => Ok(()),
        }
    }

    /// Whether the process lets the outside in.
    pub(crate) fn is_up(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.up.load(Ordering::Relaxed))
    }

    /// Whoever waited for the process to let it in asks at once.
    fn greet(&mut self) {
        if !self.is_up() || std::mem::replace(&mut self.greeted, true) {
            return;
        }
        self.trace.note("up".to_owned());
        for at in 0..self.clients.len() {
            if self.rng.percent(70) {
                self.ask(at);
            }
        }
        if self.rng.percent(30) {
            operator::act(self);
        }
    }

    /// A sender tries.
    pub(crate) fn client(&mut self) {
        let at = self.rng.below(self.clients.len());
        if self.is_up() {
            self.ask(at);
        }
    }

    /// Somebody more has something to say.
    pub(crate) fn new_client(&mut self) {
        let client = Client::new(&mut self.rng);
        self.clients.push(client);
        if self.is_up() {
            self.ask(self.clients.len() - 1);
        }
    }

    fn ask(&mut self, at: usize) {
        let (Some(client), Some(process)) = (self.clients.get(at), &self.process) else { return };
        if client.borrow().sent || client.borrow().accepted.is_some() {
            return;
        }
        client.borrow_mut().sent = true;
        let (client, ledger) = (Rc::clone(client), Arc::clone(&process.ledger));
        let accept = Accept {
            to: client.borrow().to.into(),
            sender: "@outside".into(),
            kind: "script".to_owned(),
            body: client.borrow().body.clone(),
            key: Some(format!("client-{at}")),
            id: None,
            reply_to: None,
            chain: Vec::new(),
            unless_waiting: false,
            now_ms: process.clock.now().0,
        };
        self.trace.note(format!("send {at}"));
        if self.relapse_due {
            self.disk.arm(Some((Death::Kill, Rng::new(self.rng.number()), 0)));
        }
        let world = Arc::clone(&self.world);
        process.exec.spawn(async move {
            let accepted = ledger.accept(accept).await;
            client.borrow_mut().sent = false;
            if let Ok(accepted) = accepted {
                let id = accepted.message.to_string();
                lock(&world).notes.push(format!("accepted {at} {id}"));
                client.borrow_mut().accepted = Some(id);
            }
        });
    }
}
