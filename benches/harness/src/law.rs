//! The kernel's table of a measured node: as full as a large fleet's, every agent with grants of its own.

use crate::BenchError;
use loket_kernel::{Bound, Capability, Grant, GrantId, GrantSet, Pattern, Scope};
use loket_runtime::PrincipalSpec;
use std::sync::Arc;

/// The capability that measured calls ask for.
pub(crate) const ECHO: &str = "bench.echo";

/// Makes grants that share nothing with each other.
#[derive(Debug, Default)]
pub(crate) struct Law {
    last: u64,
}

impl Law {
    /// `count` grants, of which one covers [`ECHO`] and one the brain.
    pub(crate) fn grants(&mut self, count: u32) -> Result<Arc<GrantSet>, BenchError> {
        let others = (2..count.max(2)).map(|n| format!("other{n}.kv"));
        let names = ["bench".to_owned(), "store.brain".to_owned()].into_iter().chain(others);
        let grants: Result<Vec<_>, BenchError> = names.map(|name| self.grant(&name)).collect();
        Ok(Arc::new(GrantSet::new(grants?).map_err(BenchError::setup)?))
    }

    fn grant(&mut self, name: &str) -> Result<Grant, BenchError> {
        self.last += 1;
        let capability = Capability::parse(name).map_err(BenchError::setup)?;
        let fast = Pattern::parse("fast").map_err(BenchError::setup)?;
        let mut scope = Scope::new();
        scope.insert("models", Bound::Names(vec![fast]));
        let id = GrantId(self.last);
        Ok(Grant::new(capability, Arc::new(scope), None, Vec::new(), None, id))
    }

    /// Agents that never call.
    pub(crate) fn crowd(
        &mut self,
        agents: u32,
        grants: u32,
    ) -> Result<Vec<PrincipalSpec>, BenchError> {
        let one = |n| {
            let name = format!("crowd/{n}").into();
            Ok(PrincipalSpec { name, grants: self.grants(grants)? })
        };
        (0..agents).map(one).collect()
    }
}
