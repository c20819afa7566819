//! The world around one supervisor: it starts and stops children and calls; every decision is the
//! machine's. Start reading at [`World::settle`].

use std::collections::{BTreeMap, HashMap, VecDeque};

use loket_supervision::machine::{
    Answer, AutoShutdown, Blame, Call, Cause, ChildSpec, ChildState, Escalation, Event, Exit,
    Flags, Now, Order, Restart, Shutdown, Strategy, Supervisor, TimerKind, Window,
};

use super::{Preset, Scenario, Step};

/// Steps of the machine within one recorded step; more means that it would never come to rest.
const MAX_EVENTS: usize = 100_000;
/// The recorder's period and shutdown time, in milliseconds.
const PERIOD_MS: u64 = 3_600_000;
const SHUTDOWN_MS: u64 = 1_000;

/// What became of an operation: a word, or a call that is answered later.
enum Posted {
    Said(&'static str),
    Asked { tag: u64, starts: bool },
}

/// The children and callers around one supervisor.
pub(super) struct World {
    supervisor: Supervisor,
    queue: VecDeque<Event>,
    alive: BTreeMap<String, u64>,
    next_starts: HashMap<String, (String, u32)>,
    seen: Vec<String>,
    /// Of the calls of the present step, by their tags.
    answers: HashMap<u64, Answer>,
    tags: u64,
    up: bool,
    exit: Option<Exit>,
}

fn spec(id: &str, restart: &str, significant: bool) -> Result<ChildSpec, String> {
    let restart = match restart {
        "permanent" => Restart::Permanent,
        "transient" => Restart::Transient,
        "temporary" => Restart::Temporary,
        other => return Err(format!("unknown restart {other:?}")),
    };
    let shutdown = Shutdown::Timeout(SHUTDOWN_MS);
    Ok(ChildSpec { restart, significant, shutdown, ..ChildSpec::worker(id) })
}

fn flags(scenario: &Scenario) -> Result<Flags, String> {
    let strategy = match scenario.strategy.as_str() {
        "one_for_one" => Strategy::OneForOne,
        "one_for_all" => Strategy::OneForAll,
        "rest_for_one" => Strategy::RestForOne,
        "simple_one_for_one" => Strategy::SimpleOneForOne,
        other => return Err(format!("unknown strategy {other:?}")),
    };
    let auto_shutdown = match scenario.auto_shutdown.as_str() {
        "never" => AutoShutdown::Never,
        "any_significant" => AutoShutdown::AnySignificant,
        "all_significant" => AutoShutdown::AllSignificant,
        other => return Err(format!("unknown auto_shutdown {other:?}")),
    };
    Ok(Flags {
        strategy,
        auto_shutdown,
        intensity: scenario.intensity,
        period_ms: PERIOD_MS,
        window: Window::OtpSeconds,
        escalation: Escalation::AsOtp,
        ..Flags::default()
    })
}

fn failure() -> Exit {
    Exit::crash(Cause::Start, Blame::Guest, "error")
}

fn exit_of(word: &str) -> Result<Exit, String> {
    Ok(match word {
        "normal" => Exit::Normal,
        "shutdown" => Exit::Shutdown,
        "shutdown_term" => Exit::ShutdownTerm("term".into()),
        "killed" => Exit::Killed,
        "abnormal" => Exit::crash(Cause::Other, Blame::Guest, "abnormal"),
        other => return Err(format!("unknown reason {other:?}")),
    })
}

impl World {
    pub(super) fn new(scenario: &Scenario) -> Result<Self, String> {
        let children = scenario
            .children
            .iter()
            .map(|child| spec(&child.id, &child.restart, child.significant))
            .collect::<Result<_, _>>()?;
        let supervisor = Supervisor::new(flags(scenario)?, children, 0)
            .map_err(|error| format!("refused: {error}"))?;
        let preset = |p: &Preset| (p.id.clone(), (p.what.clone(), p.times));
        Ok(Self {
            supervisor,
            queue: VecDeque::new(),
            alive: BTreeMap::new(),
            next_starts: scenario.preset.iter().map(preset).collect(),
            seen: Vec::new(),
            answers: HashMap::new(),
            tags: 0,
            up: false,
            exit: None,
        })
    }

    /// Feeds the machine until nothing is left to happen.
    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..MAX_EVENTS {
            let Some(event) = self.queue.pop_front() else {
                return Ok(());
            };
            for order in self.supervisor.step(event, Now(0)) {
                self.obey(order);
            }
        }
        Err("the machine does not come to rest".into())
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Start { id, incarnation } => {
                let event = match self.next_start(&id).as_deref() {
                    Some("fail") => {
                        self.seen.push(format!("start_failed:{id}:error"));
                        Event::StartFailed { id, incarnation, reason: failure() }
                    }
                    Some(_) => {
                        self.seen.push(format!("start_ignored:{id}:ignore"));
                        Event::Ignored { id, incarnation }
                    }
                    None => {
                        self.seen.push(format!("started:{id}"));
                        self.alive.insert(id.to_string(), incarnation);
                        Event::Started { id, incarnation }
                    }
                };
                self.queue.push_back(event);
            }
            Order::Stop { id, incarnation } => {
                // A child that is dead already cannot hear; its exit is in the queue.
                if self.alive.get(&*id) == Some(&incarnation) {
                    self.alive.remove(&*id);
                    self.seen.push(format!("stopped:{id}:shutdown"));
                    let reason = Exit::Shutdown;
                    self.queue.push_back(Event::Exited { id, incarnation, reason });
                }
            }
            Order::SetTimer { timer, .. } if timer.kind == TimerKind::Retry => {
                self.queue.push_back(Event::Timer(timer));
            }
            Order::Kill { id, .. } => self.seen.push(format!("killed:{id}")),
            // Children here stop at once, so that their shutdown timers never come.
            Order::SetTimer { .. } | Order::Report(_) => {}
            Order::Reply { tag, answer } => {
                self.answers.insert(tag, answer);
            }
            Order::Up => self.up = true,
            Order::Exit { reason } => self.exit = Some(reason),
        }
    }

    fn next_start(&mut self, id: &str) -> Option<String> {
        let (what, times) = self.next_starts.get_mut(id)?;
        *times = times.checked_sub(1)?;
        Some(what.clone())
    }

    /// Does one recorded operation; says what its caller sees.
    fn operate(&mut self, op: &str) -> Result<String, String> {
        match op {
            "start_link" => {
                self.queue.push_back(Event::Start);
                self.settle()?;
                return Ok(match self.exit.as_ref() {
                    Some(Exit::FailedToStart { child, .. }) => {
                        format!("failed_to_start_child:{child}")
                    }
                    Some(other) => format!("supervisor_exit:{}", other.code()),
                    None if self.up => "ok".into(),
                    None => "not up".into(),
                });
            }
            "shutdown" => {
                self.queue.push_back(Event::Stop { reason: Exit::Shutdown });
                self.settle()?;
                let code = self.exit.as_ref().map_or("none", Exit::code);
                return Ok(format!("supervisor_exit:{code}"));
            }
            "crash_all_at_once" => return self.crash_all(),
            _ => {}
        }
        // All that happens at once lies in the queue before the machine sees the first of it.
        let ops = op.strip_prefix("at_once:").unwrap_or(op).split('|');
        let posted = ops.map(|op| self.post(op)).collect::<Result<Vec<_>, _>>()?;
        self.settle()?;
        let said = posted.into_iter().map(|posted| match posted {
            Posted::Said(word) => word.into(),
            Posted::Asked { tag, starts } => self.answer(tag, starts),
        });
        Ok(said.collect::<Vec<_>>().join("|"))
    }

    /// Puts what an operation means for the machine into its queue.
    fn post(&mut self, op: &str) -> Result<Posted, String> {
        let words: Vec<&str> = op.split(':').collect();
        let call = match words.as_slice() {
            ["exit", id, reason] => {
                let Some(incarnation) = self.alive.remove(*id) else {
                    return Ok(Posted::Said("no_pid"));
                };
                self.seen.push(format!("quit:{id}:{reason}"));
                let (id, reason) = ((*id).into(), exit_of(reason)?);
                self.queue.push_back(Event::Exited { id, incarnation, reason });
                return Ok(Posted::Said("ok"));
            }
            ["fail_next_starts", id, times] => {
                let times = times.parse().map_err(|_| format!("bad count in {op:?}"))?;
                self.next_starts.insert((*id).into(), ("fail".into(), times));
                return Ok(Posted::Said("ok"));
            }
            ["terminate_child", id] => Call::TerminateChild((*id).into()),
            ["restart_child", id] => Call::RestartChild((*id).into()),
            ["delete_child", id] => Call::DeleteChild((*id).into()),
            ["start_child", id, restart] => Call::StartChild(spec(id, restart, false)?),
            ["start_child", id, restart, "significant"] => {
                Call::StartChild(spec(id, restart, true)?)
            }
            _ => return Err(format!("unknown operation {op:?}")),
        };
        let starts = matches!(call, Call::StartChild(_));
        self.tags += 1;
        self.queue.push_back(Event::Call { tag: self.tags, call });
        Ok(Posted::Asked { tag: self.tags, starts })
    }

    fn answer(&mut self, tag: u64, starts: bool) -> String {
        match self.answers.remove(&tag) {
            Some(Answer::Done) => "ok".into(),
            Some(Answer::Started(Some(_))) => "ok:pid".into(),
            Some(Answer::Started(None)) => "ok:undefined".into(),
            Some(Answer::Error(error)) => match error.code() {
                "start_failed" if starts => "error:start".into(),
                "start_failed" => "error:down".into(),
                // The caller of a supervisor that ends sees it go.
                "stopping" | "noproc" => "down".into(),
                code => format!("error:{code}"),
            },
            other => format!("{other:?}"),
        }
    }

    fn crash_all(&mut self) -> Result<String, String> {
        // The recorder leaves a lone child alone: its crash is `exit`'s business.
        if self.alive.len() < 2 {
            return Ok("no_pid".into());
        }
        for (id, incarnation) in std::mem::take(&mut self.alive) {
            let reason = Exit::Killed;
            self.queue.push_back(Event::Exited { id: id.into(), incarnation, reason });
        }
        self.settle()?;
        Ok("ok".into())
    }

    /// Does one recorded step; says what is seen, in the recorder's form.
    pub(super) fn step(&mut self, op: &str) -> Result<Step, String> {
        let mut result = self.operate(op)?;
        let mut events = std::mem::take(&mut self.seen);
        let op = op.to_string();
        // Instances are listed, and end, in no order; the recorder sorts them.
        let simple = self.supervisor.flags().strategy == Strategy::SimpleOneForOne;
        if let Some(exit) = &self.exit {
            if simple {
                events.sort();
            }
            if op != "start_link" && op != "shutdown" {
                result.push_str(&format!(" ; supervisor_exit:{}", exit.code()));
            }
            let supervisor = Some("dead".into());
            return Ok(Step { op, result, events, which_children: None, counts: None, supervisor });
        }
        let children = self.supervisor.children().rev().map(|child| {
            let state = match child.state {
                ChildState::Running => "pid",
                ChildState::Undefined => "undefined",
                ChildState::Restarting { .. } => "restarting",
                _ => "busy",
            };
            format!("{}:{state}", child.id)
        });
        let mut children: Vec<String> = children.collect();
        if simple {
            children.sort();
        }
        let which_children = Some(children);
        let count = self.supervisor.counts();
        let counts = Some([count.specs, count.active, count.supervisors, count.workers]);
        Ok(Step { op, result, events, which_children, counts, supervisor: None })
    }
}
