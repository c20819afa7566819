//! What a fleet file says, with every default filled in: what the rest of Loket starts from.
//!
//! Plain data: it refers to the text it came from by [`Place`] only, and holds no type of a
//! provider. Start reading at [`Fleet`]; `docs/fleet-file.md` describes the fields for users.

use std::collections::BTreeMap;

use serde::Serialize;

pub use super::place::Place;
use super::policy::{
    AutoShutdown, Backoff, Budget, Charge, Dynamic, Escalation, Limits, Mailbox, Restart, Rule,
    Shutdown, Stop, Strategy, Watchdog, Window,
};
pub use super::rights::{BudgetSpec, GrantSpec, SoftSpec};
use crate::machine::{ChildSpec, Flags, Kind};

/// One fleet: a supervision tree with its data directory.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fleet {
    /// Version of the file's form; only 1 exists.
    pub version: u32,
    /// Name of the fleet, of the same characters as an id.
    pub name: String,
    /// Data directory, absolute or relative to the fleet file. Default `NAME.data`.
    pub data: String,
    /// What survives what. Default [`Durability::Power`].
    pub durability: Durability,
    /// Named values, after `--set`.
    pub params: BTreeMap<String, String>,
    /// What children fall back to.
    pub defaults: Defaults,
    /// Address of the HTTP door, such as `127.0.0.1:7878`; none: no door.
    pub listen: Option<String>,
    /// Lanes (threads with agents); none: one per core.
    pub lanes: Option<u32>,
    /// Instance slots of the whole process; none: the runtime chooses.
    pub slots: Option<u32>,
    /// Turns of each agent that are kept to be looked at.
    pub keep_turns: u32,
    /// Most threads that may be stuck at a time; one more and the process ends. Default 2.
    pub quarantine: u32,
    /// What the control socket's principal `@operator` may do.
    pub operator: Vec<GrantSpec>,
    /// Messages sent once per data directory, when the fleet first runs.
    pub opening: Vec<Opening>,
    /// The root of the tree.
    pub root: SupervisorSpec,
}

/// What an acknowledged message survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Durability {
    /// Power loss: accepted and completed work is on the disk.
    #[default]
    Power,
    /// The death of the process, but not of the machine.
    Process,
}

/// What workers fall back to where they are silent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Defaults {
    /// Restart type of workers.
    pub restart: Restart,
    /// Shutdown of workers.
    pub shutdown: Shutdown,
    /// Backoff of workers; none: restarts are immediate, as in OTP.
    pub backoff: Option<Backoff>,
    /// Mailbox of workers.
    pub mailbox: Mailbox,
    /// Limits of agents.
    pub limits: Limits,
    /// Attempts that a message gets before it is a dead letter.
    pub max_attempts: u32,
    /// How a crash is charged to the supervisor (rule G5).
    pub charge: Charge,
    /// How long a provider may take to start, in milliseconds.
    pub start_timeout_ms: u64,
    /// How long a turn waits in memory before it parks, in milliseconds.
    pub park_after_ms: u64,
    /// How long a turn is paused in all while providers that it calls are restarted, in milliseconds.
    pub pause_max_ms: u64,
    /// Upper bound of the bytes waiting in an agent's inbox.
    pub inbox_bytes: u64,
    /// Bounds of one piece of work of workers and of the fleet's own children; none: nobody looks.
    pub watchdog: Option<Watchdog>,
    /// What else than a restart follows from exits of workers.
    pub rules: Vec<Rule>,
}

/// A message that the fleet sends itself when it first runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Opening {
    /// Name of the agent: its id, or `SUPERVISOR/NAME`.
    pub to: String,
    /// The message's kind. Default `message`.
    pub kind: String,
    /// The body: a JSON string reaches the agent as that text, anything else as its JSON text.
    pub body: serde_json::Value,
    /// What `run` shows while the message is worked on.
    pub title: Option<String>,
    /// Where it stands.
    pub place: Place,
}

/// One child of the tree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Node {
    /// A supervisor with children of its own.
    Supervisor(SupervisorSpec),
    /// A child that serves capabilities.
    Provider(ProviderSpec),
    /// A child that runs a guest module.
    Agent(AgentSpec),
}

impl Node {
    /// The child's id.
    pub fn id(&self) -> &str {
        match self {
            Self::Supervisor(s) => &s.id,
            Self::Provider(p) => &p.id,
            Self::Agent(a) => &a.id,
        }
    }

    /// The child's restart type.
    pub fn restart(&self) -> Restart {
        match self {
            Self::Supervisor(s) => s.restart,
            Self::Provider(p) => p.restart,
            Self::Agent(a) => a.restart,
        }
    }

    /// The child's shutdown.
    pub fn shutdown(&self) -> Shutdown {
        match self {
            Self::Supervisor(s) => s.shutdown,
            Self::Provider(p) => p.shutdown,
            Self::Agent(a) => a.shutdown,
        }
    }

    /// Whether the child is significant.
    pub fn significant(&self) -> bool {
        match self {
            Self::Supervisor(s) => s.significant,
            Self::Provider(p) => p.significant,
            Self::Agent(a) => a.significant,
        }
    }

    /// What else than a restart follows from its exits: its own rules, then its supervisor's.
    pub fn rules(&self) -> &[Rule] {
        match self {
            Self::Supervisor(s) => &s.rules,
            Self::Provider(p) => &p.rules,
            Self::Agent(a) => &a.rules,
        }
    }

    /// Notes a supervisor with a budget that is above it, farther than all that were noted before.
    pub(super) fn draw_on(&mut self, supervisor: &str) {
        match self {
            Self::Supervisor(s) => {
                s.children.iter_mut().for_each(|child| child.draw_on(supervisor))
            }
            Self::Provider(_) => {}
            Self::Agent(a) => a.draws_on.push(supervisor.to_owned()),
        }
    }

    /// Puts the rules of its supervisor behind its own.
    pub(super) fn inherit(&mut self, rules: &[Rule]) {
        match self {
            Self::Supervisor(s) => s.rules.extend_from_slice(rules),
            Self::Provider(p) => p.rules.extend_from_slice(rules),
            Self::Agent(a) => a.rules.extend_from_slice(rules),
        }
    }

    /// The child's spec for the supervisor machine.
    pub fn child_spec(&self) -> ChildSpec {
        let (kind, backoff, start_timeout_ms, budget, charge) = match self {
            Self::Supervisor(s) => (Kind::Supervisor, s.backoff, None, None, Charge::Exit),
            Self::Provider(p) => {
                (Kind::Worker, p.backoff, Some(p.start_timeout_ms), p.restarts, Charge::Exit)
            }
            Self::Agent(a) => (Kind::Worker, a.backoff, None, a.restarts, a.charge),
        };
        ChildSpec {
            id: self.id().into(),
            restart: self.restart(),
            significant: self.significant(),
            shutdown: self.shutdown(),
            kind,
            backoff,
            start_timeout_ms,
            budget,
            charge,
            rules: self.rules().to_vec(),
        }
    }

    /// Where the child stands.
    pub fn place(&self) -> Place {
        match self {
            Self::Supervisor(s) => s.place,
            Self::Provider(p) => p.place,
            Self::Agent(a) => a.place,
        }
    }
}

/// A supervisor, in OTP's terms.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SupervisorSpec {
    /// Name within the tree.
    pub id: String,
    /// Restart strategy.
    pub strategy: Strategy,
    /// Most restarts within the period.
    pub intensity: u32,
    /// The period, in milliseconds.
    pub period_ms: u64,
    /// Automatic shutdown.
    pub auto_shutdown: AutoShutdown,
    /// Most dynamic children, for `SimpleOneForOne`; none: no bound of its own, as in OTP.
    pub max_children: Option<u32>,
    /// The clock of the period; beyond OTP, `Exact` when absent.
    pub window: Window,
    /// Exit reason when it gives up; beyond OTP, `Distinct` when absent.
    pub escalation: Escalation,
    /// Whether its children are stopped one by one, as in OTP, or all at once.
    pub stop: Stop,
    /// How it is itself restarted by its supervisor.
    pub restart: Restart,
    /// How it is itself stopped. Default [`Shutdown::Infinity`].
    pub shutdown: Shutdown,
    /// Whether its end counts for its supervisor's automatic shutdown.
    pub significant: bool,
    /// Delays between its own restarts.
    pub backoff: Option<Backoff>,
    /// What becomes of dynamic children; beyond OTP, `Ledger` when absent.
    pub dynamic: Dynamic,
    /// What all agents below it may spend together; none: no bound of its own.
    pub budget: Option<BudgetSpec>,
    /// What else than a restart follows from its own exits: its supervisor's `on`.
    pub rules: Vec<Rule>,
    /// Its children, in start order.
    pub children: Vec<Node>,
    /// Where it stands.
    pub place: Place,
}

impl SupervisorSpec {
    /// The flags of the supervisor machine.
    pub fn flags(&self) -> Flags {
        Flags {
            strategy: self.strategy,
            intensity: self.intensity,
            period_ms: self.period_ms,
            auto_shutdown: self.auto_shutdown,
            window: self.window,
            max_children: self.max_children,
            escalation: self.escalation,
            stop: self.stop,
        }
    }

    /// The child specs of the supervisor machine, in start order.
    pub fn child_specs(&self) -> Vec<ChildSpec> {
        self.children.iter().map(Node::child_spec).collect()
    }
}

/// A provider.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProviderSpec {
    /// Name within the tree.
    pub id: String,
    /// The kind: `Llm` of `use: Llm(..)`.
    pub kind: String,
    /// Its configuration as RON, parentheses included: `(..)` of `use: Llm(..)`, `()` when bare.
    pub config: String,
    /// The names of the capabilities it serves, as the catalogue told.
    pub capabilities: Vec<String>,
    /// Restart type.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// Whether its end counts for its supervisor's automatic shutdown.
    pub significant: bool,
    /// Delays between restarts.
    pub backoff: Option<Backoff>,
    /// Its mailbox.
    pub mailbox: Mailbox,
    /// How long it may take to start, in milliseconds.
    pub start_timeout_ms: u64,
    /// A restart budget of its own, besides its supervisor's.
    pub restarts: Option<Budget>,
    /// Bounds of one piece of work.
    pub watchdog: Option<Watchdog>,
    /// What else than a restart follows from its exits: its own rules, then its supervisor's.
    pub rules: Vec<Rule>,
    /// Where it stands.
    pub place: Place,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgentSpec {
    /// Name within the tree.
    pub id: String,
    /// The module: a path relative to the fleet file, or `builtin:NAME`.
    pub module: String,
    /// Settings the guest reads: a string is itself, any other value its JSON text.
    pub settings: BTreeMap<String, String>,
    /// What it may do; nothing else.
    pub grants: Vec<GrantSpec>,
    /// What one message may cost, in all attempts at it; none: no bound of its own.
    pub per_message: Option<Box<BudgetSpec>>,
    /// The supervisors above it that have a budget, the nearest first: its calls draw on those, too.
    pub draws_on: Vec<String>,
    /// Restart type.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// Whether its end counts for its supervisor's automatic shutdown.
    pub significant: bool,
    /// Delays between restarts.
    pub backoff: Option<Backoff>,
    /// What a turn may use.
    pub limits: Limits,
    /// The inbox, in messages.
    pub mailbox: Mailbox,
    /// The inbox, in bytes.
    pub inbox_bytes: u64,
    /// Attempts that a message gets before it is a dead letter.
    pub max_attempts: u32,
    /// How a crash is charged.
    pub charge: Charge,
    /// A `tick` message every so many milliseconds.
    pub every_ms: Option<u64>,
    /// How long a turn waits in memory before it parks, in milliseconds.
    pub park_after_ms: u64,
    /// How long a turn is paused in all while providers that it calls are restarted, in milliseconds.
    pub pause_max_ms: u64,
    /// A restart budget of its own, besides its supervisor's.
    pub restarts: Option<Budget>,
    /// Bounds of one piece of work.
    pub watchdog: Option<Watchdog>,
    /// What else than a restart follows from its exits: its own rules, then its supervisor's.
    pub rules: Vec<Rule>,
    /// Where it stands.
    pub place: Place,
}

impl AgentSpec {
    /// The grant that decides about a call: the longest that covers it.
    pub fn grant_of(&self, capability: &str) -> Option<&GrantSpec> {
        let covers = self.grants.iter().filter(|grant| grant.cap.covers(capability));
        covers.max_by_key(|grant| grant.cap.as_str().len())
    }

    /// Whether each of its calls draws on a budget that is not its grant's.
    pub fn shares_budgets(&self) -> bool {
        self.per_message.is_some() || !self.draws_on.is_empty()
    }
}
