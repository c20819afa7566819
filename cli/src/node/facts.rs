//! What a benchmark takes of a fleet file: who would stand in the kernel's table, and on how many lanes. Runs nothing of it.

use super::grants::{GrantIds, grants_of};
use super::{file, start, walk};
use crate::exit::CliError;
use loket_kernel::GrantSet;
use std::path::Path;
use std::sync::Arc;

/// See the module head.
pub(crate) struct FleetFacts {
    /// The fleet's name.
    pub(crate) name: String,
    /// Lanes it would have on this machine.
    pub(crate) lanes: usize,
    /// Its agents with their grants.
    pub(crate) rows: Vec<(Arc<str>, Arc<GrantSet>)>,
}

/// The facts of a fleet file; its findings are printed.
pub(crate) fn facts(path: &Path, sets: &[String]) -> Result<FleetFacts, CliError> {
    let fleet = file::parse_fleet(path, sets, false)?;
    let ids = GrantIds::default();
    let rows = walk::static_agents(&fleet.root).map(|agent| {
        let grants = grants_of(&ids, agent)?;
        Ok((Arc::from(agent.id.as_str()), grants))
    });
    let rows = rows.collect::<Result<_, CliError>>()?;
    Ok(FleetFacts { lanes: start::lanes(&fleet), rows, name: fleet.name })
}
