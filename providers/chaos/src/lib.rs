//! The chaos provider: kills a random child on purpose, to show and to test that the fleet survives it.
//!
//! It kills only what the grant's scope names; the choice comes from the turn's seed, so that a re-run chooses the same.
#![forbid(unsafe_code)]

use loket_contract::{
    CallView, Flow, Operation, Performed, Provider, ScopeForm, ScopeKey, parse_args,
};
use loket_kernel::Scope;
use loket_runtime::TreeControl;
use loket_turn::{EffectClass, Failure};
use serde::Deserialize;
use std::sync::Arc;

/// What it serves.
pub const OPERATIONS: &[Operation] = &[Operation {
    capability: "chaos.kill",
    class: EffectClass::Keyed,
    scope: &[ScopeKey { name: "children", mandatory: true, form: ScopeForm::Names }],
    flow: Flow::NONE,
    tokens: false,
    summary: "kill a random living child within the scope",
}];

/// Reads the RON behind `Chaos`: nothing to set.
///
/// # Errors
/// What is wrong.
pub fn parse_config(ron: &str) -> Result<(), (String, Option<usize>)> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct ChaosConfig {}
    let parsed: Result<ChaosConfig, _> = ron::from_str(ron);
    parsed.map(|ChaosConfig {}| ()).map_err(|error| (error.code.to_string(), None))
}

/// The provider.
pub struct ChaosProvider {
    tree: Arc<dyn TreeControl>,
}

impl ChaosProvider {
    /// A provider that kills in this tree.
    pub fn new(tree: Arc<dyn TreeControl>) -> Self {
        Self { tree }
    }
}

/// A kill after its check.
#[derive(Debug)]
pub struct Prepared {
    scope: Arc<Scope>,
    caller: Arc<str>,
    draw: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {}

impl Provider for ChaosProvider {
    type Prepared = Prepared;

    fn operations(&self) -> &'static [Operation] {
        OPERATIONS
    }

    fn prepare(&mut self, call: &CallView<'_>) -> Result<Prepared, Failure> {
        let Args {} = parse_args(call)?;
        let Some(turn) = call.turn else {
            let text =
                "chaos.kill draws from a turn's seed; an operator names the child: `loket kill`";
            return Err(Failure::new("no_turn", text));
        };
        let draw =
            turn.seed().wrapping_add(u64::from(turn.call()).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Ok(Prepared { scope: Arc::clone(call.badge.scope()), caller: call.caller().clone(), draw })
    }

    fn perform(&mut self, prepared: Prepared) -> Performed {
        let Prepared { scope, caller, draw } = prepared;
        // Who asks would die before it has its answer, and ask again, for ever.
        let mut living: Vec<Arc<str>> = self
            .tree
            .living(&|place| *place.name() != caller && scope.allows("children", place.name()));
        living.sort_unstable();
        let count = living.len() as u64;
        let Some(chosen) = draw.checked_rem(count).and_then(|at| living.get(at as usize)) else {
            return Performed::json(&serde_json::json!({"killed": null}));
        };
        match self.tree.kill(chosen) {
            Ok(()) => Performed::json(&serde_json::json!({"killed": chosen})),
            Err(error) => Performed::failed(Failure::new(error.code(), error.to_string())),
        }
    }
}
