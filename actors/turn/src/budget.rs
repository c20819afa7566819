//! Budgets: what may be spent, how a call is judged by all that bound it, and what a turn has counted.
//!
//! A call draws on up to three levels at once: the budget of its grant, the one that its message has, and those of the supervisors
//! above its agent. The ledger keeps them all. Calls with an intent are judged and charged by the ledger at every level in the step
//! that writes the intent. All others are counted in the turn's [`Purse`] and written with its next intent, or its end: none of
//! them costs a write. Start reading at [`Budget::afford`].

mod purse;
mod standing;
mod together;
mod units;

pub use purse::{Purse, Refused, Undrawn};
pub use standing::{Budget, Line, Short};
pub use together::Together;
pub use units::{Amounts, Unit, Used};

use crate::Hash;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The code of a refusal for want of budget.
pub const BUDGET_SPENT: &str = "budget_spent";

/// What a budget bounds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "level", rename_all = "lowercase")]
pub enum Level {
    /// What one agent spends through one grant, in one life.
    Grant {
        /// The granted capability.
        capability: Arc<str>,
    },
    /// What one message costs its agent, in all attempts at it. Its window is the turn: `since_ms` of its [`Budget`] is the turn's
    /// number.
    Message,
    /// What all agents below a supervisor spend together, whatever the capability.
    Supervisor {
        /// Its id.
        supervisor: Arc<str>,
    },
}

impl Level {
    /// The level of a grant.
    pub fn grant(capability: impl Into<Arc<str>>) -> Self {
        Self::Grant { capability: capability.into() }
    }

    /// The level of a supervisor.
    pub fn supervisor(id: impl Into<Arc<str>>) -> Self {
        Self::Supervisor { supervisor: id.into() }
    }

    /// The word in metric labels.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Grant { .. } => "grant",
            Self::Message => "message",
            Self::Supervisor { .. } => "supervisor",
        }
    }
}

/// A budget as the fleet file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// What it bounds.
    pub level: Level,
    /// The most of each unit that it bounds.
    pub limits: Vec<(Unit, u64)>,
    /// The amounts beyond which a person is asked.
    pub soft: Vec<(Unit, u64)>,
    /// The window after which it is full again, milliseconds; `None`: once and for all.
    pub per_ms: Option<u64>,
}

/// The budget of a supervisor as the fleet file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// Its terms, of [`Level::Supervisor`].
    pub terms: Terms,
    /// The next supervisor above it that has a budget, too.
    pub under: Option<Arc<str>>,
}

/// The number that a grant's badge carries for its budget: the same for every agent and start, whatever the order of the grants.
pub fn budget_number(capability: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = Hash::of(capability.as_bytes()).0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// The number of a grant that has no budget of its own, while its agent's messages or a supervisor above have one. It is no
/// capability's.
pub fn shared_number() -> u64 {
    budget_number("")
}

impl Terms {
    /// The amount of a unit beyond which a person is asked.
    pub fn soft_of(&self, unit: Unit) -> Option<u64> {
        self.soft.iter().find(|(of, _)| *of == unit).map(|(_, amount)| *amount)
    }
}

/// What an intent's call may need, for the ledger to judge and to charge at every level in the step that writes the intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The granted capability, if its grant has a budget of its own.
    pub grant: Option<Arc<str>>,
    /// The most that it needs. Calls and bytes are spent at once, tokens and money reserved until the result says how much it was.
    pub wants: Amounts,
}

/// What a turn has counted at one level and the ledger does not have yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// What was drawn on.
    pub level: Level,
    /// The window that it was counted in: of one that is over nothing is kept.
    pub since_ms: u64,
    /// What was spent.
    pub spent: Amounts,
}
