//! Grants of the fleet file as the kernel's.

use crate::exit::{self, CliError};
use loket_kernel::{Bound, Capability, Grant, GrantId, GrantSet, Moment, Pattern, Scope};
use loket_supervision::fleet::{BoundSpec, GrantSpec};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers grants of this process.
#[derive(Debug, Default)]
pub(crate) struct GrantIds(AtomicU64);

impl GrantIds {
    fn next(&self) -> GrantId {
        GrantId(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// The kernel's form of a list of grants. `check` has looked at them: a failure here is a bug of ours, told as one.
pub(crate) fn grant_set(ids: &GrantIds, specs: &[GrantSpec]) -> Result<Arc<GrantSet>, CliError> {
    let mut grants = Vec::with_capacity(specs.len());
    for spec in specs {
        let mut scope = Scope::new();
        for (key, bound) in &spec.scope {
            let bound = match bound {
                BoundSpec::Names(names) => {
                    let patterns: Result<Vec<_>, _> =
                        names.iter().map(|name| Pattern::parse(name)).collect();
                    Bound::Names(patterns.map_err(bug)?)
                }
                BoundSpec::AtMost(limit) => Bound::AtMost(*limit),
            };
            scope.insert(key.clone(), bound);
        }
        let approve: Result<Vec<_>, _> =
            spec.approve.iter().map(|name| Capability::parse(name)).collect();
        grants.push(Grant::new(
            Capability::parse(&spec.cap).map_err(bug)?,
            Arc::new(scope),
            None,
            approve.map_err(bug)?,
            spec.expires_ms.map(Moment),
            ids.next(),
        ));
    }
    Ok(Arc::new(GrantSet::new(grants).map_err(bug)?))
}

fn bug(error: impl std::fmt::Display) -> CliError {
    CliError::new("internal", exit::BUG, format!("a grant that `check` passed is refused: {error}"))
}
