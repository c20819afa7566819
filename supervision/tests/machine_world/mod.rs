//! A world for one supervisor: children that start, fail, hang or refuse to stop as told, a virtual
//! clock, and a log of what was ordered. It decides nothing.
#![allow(clippy::unwrap_used, missing_docs, dead_code, unreachable_pub)]

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use loket_supervision::machine::*;

/// How a start goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Works,
    Fails,
    Ignores,
    /// Nothing comes of it until it is killed.
    Hangs,
}

pub struct World {
    pub sup: Supervisor,
    pub now: u64,
    pub queue: VecDeque<Event>,
    /// Set and not yet due.
    pub timers: Vec<(u64, Timer)>,
    /// Living children: incarnation.
    pub alive: BTreeMap<String, u64>,
    /// `start a`, `stop a`, `kill a`, `up`, `exit CODE`, in the order they were ordered.
    pub log: Vec<String>,
    pub replies: BTreeMap<u64, Answer>,
    pub reports: Vec<Report>,
    pub exit: Option<Exit>,
    /// How the next starts of a child go; then it works.
    pub starts: HashMap<String, VecDeque<Start>>,
    /// Children that do not stop when asked.
    pub stubborn: BTreeSet<String>,
    next_tag: u64,
}

pub fn crash() -> Exit {
    Exit::crash(Cause::Panic, Blame::Guest, "boom")
}

pub fn child(id: &str) -> ChildSpec {
    ChildSpec::worker(id)
}

pub fn transient(id: &str) -> ChildSpec {
    ChildSpec { restart: Restart::Transient, ..child(id) }
}

pub fn temporary(id: &str) -> ChildSpec {
    ChildSpec { restart: Restart::Temporary, ..child(id) }
}

/// These flags allow any number of restarts.
pub fn lenient(strategy: Strategy) -> Flags {
    Flags { strategy, intensity: 1_000_000, period_ms: 5_000, ..Flags::default() }
}

impl World {
    /// Not started.
    pub fn new(flags: Flags, children: Vec<ChildSpec>) -> Self {
        Self {
            sup: Supervisor::new(flags, children, 7).unwrap(),
            now: 0,
            queue: VecDeque::new(),
            timers: Vec::new(),
            alive: BTreeMap::new(),
            log: Vec::new(),
            replies: BTreeMap::new(),
            reports: Vec::new(),
            exit: None,
            starts: HashMap::new(),
            stubborn: BTreeSet::new(),
            next_tag: 0,
        }
    }

    /// Started and up, with an empty log.
    pub fn up(flags: Flags, children: Vec<ChildSpec>) -> Self {
        let mut world = Self::new(flags, children);
        world.feed(Event::Start);
        world.run();
        assert_eq!(world.log.last().unwrap(), "up");
        world.log.clear();
        world.reports.clear();
        world
    }

    pub fn starts(&mut self, id: &str, how: &[Start]) {
        self.starts.insert(id.into(), how.iter().copied().collect());
    }

    pub fn feed(&mut self, event: Event) {
        self.queue.push_back(event);
    }

    /// Serves one waiting event; false if none waits.
    pub fn one(&mut self) -> bool {
        let Some(event) = self.queue.pop_front() else {
            return false;
        };
        for order in self.sup.step(event, Now(self.now)) {
            self.obey(order);
        }
        true
    }

    /// Serves the waiting events until none is left; time stands still.
    pub fn run(&mut self) {
        for _ in 0..1_000_000 {
            if !self.one() {
                return;
            }
        }
        panic!("does not come to rest: {:?}", &self.log[self.log.len() - 20..]);
    }

    /// Lets time pass, timer by timer.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        self.run();
        while let Some(next) = self.next_timer().filter(|&at| at <= end) {
            self.now = self.now.max(next);
            let (due, rest) = self.timers.drain(..).partition(|(at, _)| *at <= next);
            self.timers = rest;
            let due: Vec<(u64, Timer)> = due;
            self.queue.extend(due.into_iter().map(|(_, timer)| Event::Timer(timer)));
            self.run();
        }
        self.now = end;
    }

    pub fn next_timer(&self) -> Option<u64> {
        self.timers.iter().map(|(at, _)| *at).min()
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Start { id, incarnation } => {
                self.log.push(format!("start {id}"));
                let how = self.starts.get_mut(&*id).and_then(VecDeque::pop_front);
                let reason = Exit::crash(Cause::Start, Blame::Config, "no");
                match how.unwrap_or(Start::Works) {
                    Start::Works => {
                        self.alive.insert(id.to_string(), incarnation);
                        self.feed(Event::Started { id, incarnation });
                    }
                    Start::Fails => self.feed(Event::StartFailed { id, incarnation, reason }),
                    Start::Ignores => self.feed(Event::Ignored { id, incarnation }),
                    Start::Hangs => {
                        self.alive.insert(id.to_string(), incarnation);
                    }
                }
            }
            Order::Stop { id, incarnation } => {
                self.log.push(format!("stop {id}"));
                if !self.stubborn.contains(&*id) {
                    self.dies(&id, incarnation, Exit::Shutdown);
                }
            }
            Order::Kill { id, incarnation } => {
                self.log.push(format!("kill {id}"));
                self.dies(&id, incarnation, Exit::Killed);
            }
            Order::SetTimer { timer, at } if at.0 <= self.now => self.feed(Event::Timer(timer)),
            Order::SetTimer { timer, at } => self.timers.push((at.0, timer)),
            Order::Reply { tag, answer } => {
                assert!(self.replies.insert(tag, answer).is_none(), "answered twice");
            }
            Order::Report(report) => self.reports.push(report),
            Order::Up => self.log.push("up".into()),
            Order::Exit { reason } => {
                self.log.push(format!("exit {}", reason.code()));
                assert!(self.exit.replace(reason).is_none(), "exited twice");
            }
        }
    }

    fn dies(&mut self, id: &str, incarnation: u64, reason: Exit) {
        if self.alive.get(id) == Some(&incarnation) {
            self.alive.remove(id);
            self.feed(Event::Exited { id: id.into(), incarnation, reason });
        }
    }

    /// The child ends by itself; the supervisor has not heard of it yet.
    pub fn ends(&mut self, id: &str, reason: Exit) {
        let incarnation = self.alive[id];
        self.dies(id, incarnation, reason);
    }

    /// The child ends by itself, and all that follows.
    pub fn exits(&mut self, id: &str, reason: Exit) {
        self.ends(id, reason);
        self.run();
    }

    /// Posts a call behind the waiting events.
    pub fn post(&mut self, call: Call) -> u64 {
        self.next_tag += 1;
        let tag = self.next_tag;
        self.feed(Event::Call { tag, call });
        tag
    }

    /// Calls, serving all events first; the answer must have come by then.
    pub fn call(&mut self, call: Call) -> Answer {
        let tag = self.post(call);
        self.run();
        self.replies.remove(&tag).unwrap()
    }

    /// The error code of a call, or `ok`.
    pub fn code(&mut self, call: Call) -> &'static str {
        match self.call(call) {
            Answer::Error(error) => error.code(),
            _ => "ok",
        }
    }

    pub fn stop(&mut self) {
        self.feed(Event::Stop { reason: Exit::Shutdown });
        self.run();
    }

    pub fn state(&self, id: &str) -> Option<ChildState> {
        self.sup.child(id).map(|view| view.state)
    }

    /// OTP's words, newest first: `b:pid a:restarting`.
    pub fn which(&self) -> String {
        let word = |view: ChildView| {
            let state = match view.state {
                ChildState::Undefined => "undefined",
                ChildState::Restarting { .. } => "restarting",
                _ => "pid",
            };
            format!("{}:{state}", view.id)
        };
        self.sup.children().rev().map(word).collect::<Vec<_>>().join(" ")
    }

    pub fn counts(&self) -> [usize; 4] {
        let counts = self.sup.counts();
        [counts.specs, counts.active, counts.supervisors, counts.workers]
    }

    /// The log so far, which is emptied.
    pub fn took(&mut self) -> String {
        std::mem::take(&mut self.log).join(", ")
    }

    pub fn contexts(&self) -> Vec<Context> {
        self.reports.iter().map(|report| report.context).collect()
    }
}

pub fn id(id: &str) -> ChildId {
    id.into()
}
