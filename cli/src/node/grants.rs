//! Grants of the fleet file as the kernel's.

use crate::exit::{self, CliError};
use loket_host::driver::allowances;
use loket_kernel::{BudgetRef, Grant, GrantId, GrantSet};
use loket_supervision::fleet::{AgentSpec, GrantSpec, SupervisorSpec};
use loket_turn::{Ledger, LedgerError, Pending, budget_number, shared_number};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers grants of this process: revoking goes by them, so none is given twice.
#[derive(Debug, Default)]
pub(crate) struct GrantIds(AtomicU64);

impl GrantIds {
    pub(crate) fn next(&self) -> GrantId {
        GrantId(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// The kernel's form of a list of grants, of who has no budgets beside theirs.
pub(crate) fn grant_set(ids: &GrantIds, specs: &[GrantSpec]) -> Result<Arc<GrantSet>, CliError> {
    numbered(ids, specs, false)
}

/// The kernel's form of an agent's grants.
pub(crate) fn grants_of(ids: &GrantIds, agent: &AgentSpec) -> Result<Arc<GrantSet>, CliError> {
    numbered(ids, &agent.grants, agent.shares_budgets())
}

/// `shared`: whoever has no budget of its own draws on one all the same.
fn numbered(ids: &GrantIds, specs: &[GrantSpec], shared: bool) -> Result<Arc<GrantSet>, CliError> {
    let number = |spec: &GrantSpec| match spec.budget {
        Some(_) => Some(budget_number(spec.cap.as_str())),
        None => shared.then(shared_number),
    };
    let grant = |spec: &GrantSpec| spec.grant(ids.next(), number(spec).map(BudgetRef));
    set(specs.iter().map(grant).collect())
}

/// Tells the ledger the budgets of supervisors.
pub(super) fn set_allowances(
    ledger: &dyn Ledger,
    root: &SupervisorSpec,
) -> Pending<Result<(), LedgerError>> {
    ledger.set_allowances(allowances(root))
}

/// `check` has looked at them: a failure here is a bug of ours, told as one.
pub(crate) fn set(grants: Vec<Grant>) -> Result<Arc<GrantSet>, CliError> {
    GrantSet::new(grants).map(Arc::new).map_err(|error| {
        let text = format!("a grant that `check` passed is refused: {error}");
        CliError::new("internal", exit::BUG, text)
    })
}
