//! The world of a simulation: every supervisor's machine, who lives, what happens next.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::fleet::{Dynamic, Node, SupervisorSpec};
use crate::machine::{ChildId, ChildState, Event, Exit, Now, Phase, Supervisor, Timer};
use crate::story::Row;

use super::target::{self, Target, UnknownChild};
use super::trace::{Outcome, Step, Trace, What};
use super::{Crash, MAX_EVENTS, MAX_STEPS};

/// A supervisor's place in the tree; it outlives the lives of its supervisor.
pub(super) struct Site<'f> {
    pub(super) spec: &'f SupervisorSpec,
    pub(super) path: String,
    /// The place above, and the id there; none for the root.
    pub(super) above: Option<(usize, ChildId)>,
    /// Its present life, if it has one.
    pub(super) machine: Option<Supervisor>,
    /// Whether all its children have been up in this life.
    pub(super) up: bool,
    /// The number of its lives: what was meant for an earlier one is void.
    pub(super) life: u64,
    /// Workers that run.
    pub(super) alive: BTreeSet<ChildId>,
    /// The last life of each child.
    pub(super) last: HashMap<ChildId, u64>,
    /// Dynamic children that are to be there, as the ledger would keep them.
    pub(super) rows: BTreeSet<ChildId>,
}

impl Site<'_> {
    /// The path of a child of this place.
    pub(super) fn path_of(&self, id: &str) -> String {
        let own = id.strip_prefix(&*self.spec.id).and_then(|rest| rest.strip_prefix('/'));
        format!("{}/{}", self.path, own.unwrap_or(id))
    }

    pub(super) fn node(&self, id: &str) -> Option<&Node> {
        let own = self.spec.children.iter().find(|child| child.id() == id);
        own.or_else(|| self.spec.children.first().filter(|_| target::is_pool(self)))
    }
}

/// What is to come.
pub(super) enum Later {
    Timer { place: usize, life: u64, timer: Timer },
    Crash(Target, Option<Exit>),
}

/// See the module's head.
pub(super) struct World<'f> {
    pub(super) sites: Vec<Site<'f>>,
    pub(super) now: Now,
    seed: u64,
    /// What has happened and is not handled yet: place, life, event.
    pub(super) queue: VecDeque<(usize, u64, Event)>,
    /// By time and order of planning.
    later: BTreeMap<(Now, u64), Later>,
    planned: u64,
    handled: usize,
    pub(super) booted: bool,
    /// Who ended by itself at this instant.
    pub(super) fallen: Vec<(usize, ChildId)>,
    steps: Vec<Step>,
    pub(super) reports: Vec<Row>,
    pub(super) ended: Option<(Now, Exit)>,
    cut_off: bool,
}

impl<'f> World<'f> {
    pub(super) fn new(root: &'f SupervisorSpec, seed: u64) -> Self {
        let mut world = Self {
            sites: Vec::new(),
            now: Now::default(),
            seed,
            queue: VecDeque::new(),
            later: BTreeMap::new(),
            planned: 0,
            handled: 0,
            booted: false,
            fallen: Vec::new(),
            steps: Vec::new(),
            reports: Vec::new(),
            ended: None,
            cut_off: false,
        };
        world.add(root, root.id.clone(), None);
        world
    }

    /// Makes the places of a supervisor and all supervisors below it.
    fn add(&mut self, spec: &'f SupervisorSpec, path: String, above: Option<(usize, ChildId)>) {
        let place = self.sites.len();
        self.sites.push(Site {
            spec,
            path: path.clone(),
            above,
            machine: None,
            up: false,
            life: 0,
            alive: BTreeSet::new(),
            last: HashMap::new(),
            rows: BTreeSet::new(),
        });
        for child in &spec.children {
            if let Node::Supervisor(below) = child {
                let path = format!("{path}/{}", below.id);
                self.add(below, path, Some((place, below.id.as_str().into())));
            }
        }
    }

    /// Plans a crash.
    pub(super) fn plan(&mut self, crash: &Crash) -> Result<(), UnknownChild> {
        let target = target::find(self, &crash.child)?;
        if let Target::Dynamic(place, id) = &target
            && let Some(site) = self.sites.get_mut(*place)
        {
            site.rows.insert(id.clone());
        }
        self.put(crash.at, Later::Crash(target, crash.exit.clone()));
        Ok(())
    }

    pub(super) fn put(&mut self, at: Now, later: Later) {
        self.later.insert((at, self.planned), later);
        self.planned += 1;
    }

    /// Runs to the end.
    pub(super) fn run(mut self, until: Option<Now>) -> Trace {
        self.launch(0);
        self.settle();
        self.booted = true;
        while let Some((&(at, _), _)) = self.later.first_key_value() {
            if self.ended.is_some() || self.cut_off || until.is_some_and(|until| at > until) {
                break;
            }
            self.now = self.now.max(at);
            // All that comes at one instant has happened before any of it is handled.
            while let Some(first) = self.later.first_entry().filter(|first| first.key().0 <= at) {
                match first.remove() {
                    Later::Timer { place, life, timer } => {
                        self.queue.push_back((place, life, Event::Timer(timer)));
                    }
                    Later::Crash(target, exit) => self.crash(target, exit),
                }
            }
            self.settle();
        }
        let last_ms = self.steps.last().map_or(0, |step| step.at_ms);
        let tree = self.tree();
        let end = match self.ended {
            Some((at, exit)) => Outcome::Ended { at_ms: at.0, exit },
            None if self.cut_off => Outcome::Undecided,
            None => Outcome::Survived,
        };
        Trace {
            steps: self.steps,
            end,
            last_ms,
            cut_off: self.cut_off,
            tree,
            reports: self.reports,
        }
    }

    pub(super) fn note(&mut self, place: usize, id: &str, what: What) {
        let Some(site) = self.sites.get(place) else { return };
        let path = site.path_of(id);
        self.note_path(path, what);
    }

    pub(super) fn note_path(&mut self, path: String, what: What) {
        if !self.booted {
            return;
        }
        if self.steps.len() >= MAX_STEPS {
            self.cut_off = true;
            return;
        }
        self.steps.push(Step { at_ms: self.now.0, path, what });
    }

    /// Begins a life of the supervisor at this place.
    pub(super) fn launch(&mut self, place: usize) {
        let seed = self.seed ^ (place as u64).rotate_left(32);
        let Some(site) = self.sites.get_mut(place) else { return };
        site.life += 1;
        site.up = false;
        let made = Supervisor::new(site.spec.flags(), site.spec.child_specs(), seed ^ site.life);
        let Ok(mut machine) = made else { return };
        for (id, last) in &site.last {
            machine.seed_incarnation(id.clone(), *last);
        }
        if site.life > 1 && site.spec.dynamic == Dynamic::Otp {
            // As OTP: they are lost with their supervisor.
            site.rows.clear();
        }
        site.machine = Some(machine);
        let life = site.life;
        self.queue.push_back((place, life, Event::Start));
    }

    /// Handles what has happened until nothing is left.
    fn settle(&mut self) {
        while let Some((place, life, event)) = self.queue.pop_front() {
            self.handled += 1;
            if self.handled > MAX_EVENTS {
                self.cut_off = true;
                return;
            }
            let now = self.now;
            let Some(site) = self.sites.get_mut(place).filter(|site| site.life == life) else {
                continue;
            };
            let Some(machine) = &mut site.machine else { continue };
            for order in machine.step(event, now) {
                self.obey(place, order);
            }
        }
        self.fallen();
    }

    /// Tells of those who ended at this instant and are not started again.
    fn fallen(&mut self) {
        for (place, id) in std::mem::take(&mut self.fallen) {
            let Some(site) = self.sites.get_mut(place) else { continue };
            let Some(machine) = &site.machine else { continue };
            let view = machine.child(&id);
            let state = view.as_ref().map(|view| view.state);
            if matches!(state, None | Some(ChildState::Undefined)) && machine.phase() == Phase::Up {
                if view.is_none() {
                    site.rows.remove(&id);
                }
                self.note(place, &id, What::NotRestarted);
            }
        }
    }
}
