//! What an agent may do and spend, as the file says it.

use std::sync::Arc;

use loket_kernel::{BudgetRef, Capability, Grant, GrantId, Moment, Scope};
use serde::Serialize;

use super::place::Place;

/// The right to a capability and all below it, as the file says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GrantSpec {
    /// The capability's name.
    pub cap: Capability,
    /// What narrows it.
    pub scope: Scope,
    /// What may be spent through it.
    pub budget: Option<BudgetSpec>,
    /// Capabilities below it that need an approval at each call.
    pub approve: Vec<Capability>,
    /// How long a call through it waits for a person, in milliseconds, before it is denied by itself; none: as long as it takes.
    pub approve_within_ms: Option<u64>,
    /// Unix time in milliseconds at which it ends.
    pub expires_ms: Option<u64>,
    /// Where it stands.
    pub place: Place,
}

impl GrantSpec {
    /// The kernel's grant; `budget` is the ledger's name for the budget, if it has one.
    pub fn grant(&self, id: GrantId, budget: Option<BudgetRef>) -> Grant {
        let (cap, scope) = (self.cap.clone(), Arc::new(self.scope.clone()));
        Grant::new(cap, scope, budget, self.approve.clone(), self.expires_ms.map(Moment), id)
    }
}

/// What may be spent: through a grant, by all agents below a supervisor, or for one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BudgetSpec {
    /// Calls.
    pub calls: Option<u64>,
    /// Tokens.
    pub tokens: Option<u64>,
    /// Bytes.
    pub bytes: Option<u64>,
    /// Money, in millionths of what prices are in.
    pub money: Option<u64>,
    /// The amounts beyond which a person is asked.
    pub soft: SoftSpec,
    /// The window after which it is full again, in milliseconds; none: once and for all.
    pub per_ms: Option<u64>,
}

/// Amounts of a budget beyond which a person is asked; none: up to the limit without a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SoftSpec {
    /// Calls.
    pub calls: Option<u64>,
    /// Tokens.
    pub tokens: Option<u64>,
    /// Bytes.
    pub bytes: Option<u64>,
    /// Money, in millionths of what prices are in.
    pub money: Option<u64>,
}
