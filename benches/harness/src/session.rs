//! Nodes that stay up while tiers are run one by one: for whoever lets them take turns with other systems.

use crate::beds::Beds;
use crate::tiers::{Load, Measured};
use crate::{BenchError, Options, Tier};

/// Tiers that are set up, each when it is first run.
pub struct Session {
    options: Options,
    beds: Beds,
    open: Vec<(Tier, Box<dyn Measured>)>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let open: Vec<_> = self.open.iter().map(|(tier, _)| tier).collect();
        f.debug_struct("Session").field("open", &open).finish_non_exhaustive()
    }
}

impl Session {
    /// A session with these options; their tiers do not matter.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options, beds: Beds::default(), open: Vec::new() }
    }

    /// Runs a tier for so many nanoseconds, with one or with many at once; gives the nanoseconds of one call or turn.
    ///
    /// # Errors
    /// [`BenchError`].
    pub fn run(&mut self, tier: Tier, many: bool, budget_ns: u64) -> Result<f64, BenchError> {
        let at = match self.open.iter().position(|(open, _)| *open == tier) {
            Some(at) => at,
            None => {
                self.open.push((tier, self.beds.tier(tier, &self.options)?));
                self.open.len() - 1
            }
        };
        let load = if many { Load::Many } else { Load::One };
        let ran = self.open[at].1.run(load, budget_ns, None)?;
        Ok(ran.ns as f64 / ran.counted.max(1) as f64)
    }
}
