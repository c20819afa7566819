//! What a simulation tells: steps in order, how it ended, the tree as it stands then.

use std::fmt;

use serde::Serialize;

use crate::machine::{ChildId, Exit};
use crate::story::Row;

/// What happened to one child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[non_exhaustive]
pub enum What {
    /// It crashed, as planned.
    Crashed {
        /// Why.
        exit: Exit,
    },
    /// It was to crash, but does not run.
    Missed,
    /// It was started again.
    Restarted {
        /// Its new life.
        incarnation: u64,
    },
    /// It was stopped with its group, or because its supervisor ends.
    Stopped,
    /// It was killed with what is above it, or because its `shutdown` is `BrutalKill`.
    Killed,
    /// Its restart waits for its backoff.
    Waits {
        /// Until then, milliseconds since the beginning.
        until_ms: u64,
    },
    /// It ended and is not started again.
    NotRestarted,
    /// A supervisor gives up: one restart too many.
    GaveUp {
        /// Its exit.
        exit: Exit,
    },
    /// A supervisor ends by `auto_shutdown`.
    AutoShutdown {
        /// Its significant child that has ended.
        child: ChildId,
        /// Why that one ended.
        exit: Exit,
    },
    /// A supervisor has ended.
    Ended {
        /// Why.
        exit: Exit,
    },
    /// It was not started: its supervisor said no.
    Refused {
        /// Why.
        why: String,
    },
}

/// One line of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// When, milliseconds since the fleet was up.
    pub at_ms: u64,
    /// Whose path in the tree.
    pub path: String,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// How a simulation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The root supervisor still stands.
    Survived,
    /// The root supervisor has ended, and the fleet with it.
    Ended {
        /// When, milliseconds.
        at_ms: u64,
        /// Why.
        exit: Exit,
    },
    /// Too much happens: the simulation was cut off before anybody could know.
    Undecided,
}

/// A child in the tree at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Its id.
    pub id: String,
    /// `supervisor`, `agent` or `provider`.
    pub kind: &'static str,
    /// `running`, `restarting` or `stopped`.
    pub state: &'static str,
    /// Its present or last life.
    pub incarnation: u64,
    /// Restarts on its account, under its supervisor's present life.
    pub restarts: u64,
    /// Its last exit, in words.
    pub last_exit: Option<String>,
    /// What is below it.
    pub children: Vec<Shown>,
}

/// A whole simulation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// What happened, in order.
    pub steps: Vec<Step>,
    /// How it ended.
    #[serde(flatten)]
    pub end: Outcome,
    /// Milliseconds of the last thing that happened.
    pub last_ms: u64,
    /// Whether it was cut off: see [`MAX_EVENTS`](super::MAX_EVENTS) and [`MAX_STEPS`](super::MAX_STEPS).
    pub cut_off: bool,
    /// The tree at the end.
    pub tree: Shown,
    /// What the supervisors reported, as a node would keep it; the first [`MAX_STEPS`](super::MAX_STEPS).
    #[serde(skip)]
    pub reports: Vec<Row>,
}

impl Trace {
    /// Whether the root supervisor still stands.
    pub fn survived(&self) -> bool {
        self.end == Outcome::Survived
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crashed { exit } => write!(f, "crashes: {exit}"),
            Self::Missed => f.write_str("does not run, so it cannot crash"),
            Self::Restarted { incarnation } => write!(f, "is restarted, incarnation {incarnation}"),
            Self::Stopped => f.write_str("is stopped"),
            Self::Killed => f.write_str("is killed"),
            Self::Waits { until_ms } => {
                write!(f, "waits for its restart until {}", Millis(*until_ms))
            }
            Self::NotRestarted => f.write_str("is not restarted"),
            Self::GaveUp { exit } | Self::Ended { exit } => match (self, exit) {
                (Self::GaveUp { .. }, _) => write!(f, "{exit}"),
                (_, Exit::Escalated { .. }) => f.write_str("has ended: it gave up"),
                _ => write!(f, "has ended: {exit}"),
            },
            Self::AutoShutdown { child, exit } => {
                write!(f, "ends by auto_shutdown: significant child {child} ended ({exit})")
            }
            Self::Refused { why } => write!(f, "is not started: {why}"),
        }
    }
}

/// Milliseconds as people read them.
struct Millis(u64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}s", self.0 / 1_000, self.0 % 1_000)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9}  {}  {}", Millis(self.at_ms).to_string(), self.path, self.what)
    }
}
