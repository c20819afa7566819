//! What every agent's driver shares, and what is an agent's own.

use super::{Handovers, Modules};
use loket_kernel::{GrantSet, Principal};
use loket_runtime::{
    Authority, CallEnvelope, Clock, Mailbox, ProviderWork, RunningGuests, Slots, StopAll, Waiters,
};
use loket_supervision::fleet::{AgentSpec, BudgetSpec, Node, SupervisorSpec};
use loket_turn::{AgentName, Allowance, Enrol, Ledger, Level, OpenTurns, Terms, Together, Unit};
use std::sync::{Arc, Mutex};

/// Shared by all agents of the node.
#[derive(Clone)]
pub struct HostServices {
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// What incarnations that ended by a failed turn leave to the next ones.
    pub handovers: Handovers,
    /// The note of open turns (rule B2).
    pub open_turns: Arc<dyn OpenTurns>,
    /// Instance slots (rule B3).
    pub slots: Slots,
    /// The kernel's table: a call that a person has approved gets its lease there.
    pub authority: Arc<Authority>,
    /// Who waits for which result.
    pub waiters: Arc<Waiters>,
    /// The node's clock.
    pub clock: Clock,
    /// Loaded modules.
    pub modules: Arc<Modules>,
    /// The kernel shard and store shard of each lane, by the lane's index.
    pub doors: Arc<Vec<LaneDoors>>,
    /// Guests that run at this moment: the watchdog ticks the epochs only while there is one.
    pub running_guests: RunningGuests,
    /// The emergency stop: no turn begins once it is raised, and none goes on.
    pub stop_all: StopAll,
    /// What its turns have spent of their supervisors' budgets.
    pub together: Arc<Mutex<Together>>,
    /// The store's pure version (rule E4).
    pub pure_version: u32,
}

/// The doors that an agent's calls go through: always those of its own lane.
#[derive(Debug, Clone)]
pub struct LaneDoors {
    /// The kernel shard.
    pub kernel: Mailbox<CallEnvelope>,
    /// The store shard that keeps the brains of this lane's agents.
    pub store: Mailbox<ProviderWork>,
}

/// One agent.
#[derive(Debug, Clone)]
pub struct AgentPlan {
    /// Its registered name.
    pub name: AgentName,
    /// Its place in the kernel's table.
    pub principal: Principal,
    /// Its spec; for a dynamic child the template's.
    pub spec: Arc<AgentSpec>,
    /// Its settings, a JSON object: the spec's, and over them a dynamic child's own.
    pub settings: Arc<str>,
    /// Its grants, as in the table.
    pub grants: Arc<GrantSet>,
    /// How it is made known to the ledger again: a child of the fleet file that had ended for good begins a new life when its
    /// supervisor is restarted (rule A4). `None` for a dynamic child, which comes back by its row only.
    pub enrol: Option<Box<Enrol>>,
}

/// What an incarnation keeps of its plan; the rest is in what it has pinned, which all share that run the same.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) name: AgentName,
    pub(super) principal: Principal,
    pub(super) spec: Arc<AgentSpec>,
    pub(super) enrol: Option<Box<Enrol>>,
}

impl From<AgentPlan> for Own {
    fn from(plan: AgentPlan) -> Self {
        let AgentPlan { name, principal, spec, enrol, settings: _, grants: _ } = plan;
        Self { name, principal, spec, enrol }
    }
}

impl Own {
    /// The budgets of its own, as the ledger is to keep them.
    pub(super) fn terms(&self) -> Vec<Terms> {
        let grants = self.spec.grants.iter();
        grants
            .filter_map(|grant| {
                let budget = grant.budget?;
                Some(terms(Level::grant(grant.cap.as_str()), &budget))
            })
            .chain(self.spec.per_message.as_deref().map(|budget| terms(Level::Message, budget)))
            .collect()
    }

    /// Whether nothing that it does is counted against a budget.
    pub(super) fn is_unbudgeted(&self) -> bool {
        self.terms().is_empty() && self.spec.draws_on.is_empty()
    }

    /// The supervisors above it whose budgets it draws on, the nearest first.
    pub(super) fn above(&self) -> Arc<[Arc<str>]> {
        self.spec.draws_on.iter().map(|id| Arc::from(id.as_str())).collect()
    }
}

/// The budgets of the supervisors at and below this one, as the ledger is to keep them.
pub fn allowances(root: &SupervisorSpec) -> Vec<Allowance> {
    let mut found = Vec::new();
    let mut open: Vec<(&SupervisorSpec, Option<Arc<str>>)> = vec![(root, None)];
    while let Some((supervisor, mut under)) = open.pop() {
        if let Some(budget) = &supervisor.budget {
            let id: Arc<str> = supervisor.id.as_str().into();
            let terms = terms(Level::supervisor(id.clone()), budget);
            found.push(Allowance { terms, under: under.replace(id) });
        }
        for child in &supervisor.children {
            if let Node::Supervisor(below) = child {
                open.push((below, under.clone()));
            }
        }
    }
    found
}

fn terms(level: Level, budget: &BudgetSpec) -> Terms {
    let all = [
        (Unit::Calls, budget.calls),
        (Unit::Tokens, budget.tokens),
        (Unit::Bytes, budget.bytes),
        (Unit::Money, budget.money),
    ];
    let limits = all.into_iter().filter_map(|(unit, most)| Some((unit, most?)));
    let soft = [
        (Unit::Calls, budget.soft.calls),
        (Unit::Tokens, budget.soft.tokens),
        (Unit::Bytes, budget.soft.bytes),
        (Unit::Money, budget.soft.money),
    ];
    let soft = soft.into_iter().filter_map(|(unit, most)| Some((unit, most?)));
    Terms { level, limits: limits.collect(), soft: soft.collect(), per_ms: budget.per_ms }
}
