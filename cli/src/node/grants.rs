//! Grants of the fleet file as the kernel's.

use crate::exit::{self, CliError};
use loket_kernel::{BudgetRef, Grant, GrantId, GrantSet};
use loket_supervision::fleet::GrantSpec;
use loket_turn::budget_number;
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

/// The kernel's form of a list of grants.
pub(crate) fn grant_set(ids: &GrantIds, specs: &[GrantSpec]) -> Result<Arc<GrantSet>, CliError> {
    let grant = |spec: &GrantSpec| {
        let number = || BudgetRef(budget_number(spec.cap.as_str()));
        spec.grant(ids.next(), spec.budget.map(|_| number()))
    };
    set(specs.iter().map(grant).collect())
}

/// `check` has looked at them: a failure here is a bug of ours, told as one.
pub(crate) fn set(grants: Vec<Grant>) -> Result<Arc<GrantSet>, CliError> {
    GrantSet::new(grants).map(Arc::new).map_err(|error| {
        let text = format!("a grant that `check` passed is refused: {error}");
        CliError::new("internal", exit::BUG, text)
    })
}
