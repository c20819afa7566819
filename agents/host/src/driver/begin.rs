//! What a turn is run with: pinned in the ledger before a begin names it, found again for a re-run (rules B1, F1).

use super::end::Failed;
use super::modules::Loaded;
use super::seed::seed;
use super::{AgentPlan, HostServices};
use loket_kernel::{Grant, GrantId, GrantSet};
use loket_supervision::fleet::AgentSpec;
use loket_turn::simulation::{Mutation, broken, chance};
use loket_turn::{Begin, Blame, Hash, Ledger};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// Configurations that the agents of a lane share; beyond it each has its own.
const SHARED_MAX: usize = 1_024;

thread_local! {
    /// What the agents of this lane run, by the hashes of its parts: ten thousand children of one template run the same.
    static SHARED: RefCell<HashMap<[Hash; 3], Weak<Pinned>>> = RefCell::default();
}

/// Module, settings and grants of a turn, as values.
#[derive(Clone)]
pub(super) struct Pinned {
    pub(super) module: Loaded,
    pub(super) settings: Arc<str>,
    pub(super) settings_hash: Hash,
    pub(super) grants: Arc<GrantSet>,
    pub(super) grants_hash: Hash,
    grants_json: Arc<[u8]>,
}

impl Pinned {
    /// The agent's present module, settings and grants.
    pub(super) fn present(plan: &AgentPlan, module: Loaded) -> Result<Arc<Self>, Failed> {
        let grants = Arc::new(as_judged_again(&plan.grants));
        let json = serde_json::to_vec(&*grants)
            .map_err(|error| Failed::host("begin", format!("grants as JSON: {error}")))?;
        let pinned = Self {
            module,
            settings: plan.settings.clone(),
            settings_hash: Hash::of(plan.settings.as_bytes()),
            grants,
            grants_hash: Hash::of(&json),
            grants_json: json.into(),
        };
        Ok(pinned.shared())
    }

    /// The same, held once by all agents of the lane.
    fn shared(self) -> Arc<Self> {
        let key = [self.module.hash, self.settings_hash, self.grants_hash];
        SHARED.with_borrow_mut(|all| {
            if let Some(same) = all.get(&key).and_then(Weak::upgrade) {
                return same;
            }
            if all.len() >= SHARED_MAX {
                all.retain(|_, held| held.strong_count() > 0);
            }
            let own = Arc::new(self);
            if all.len() < SHARED_MAX {
                all.insert(key, Arc::downgrade(&own));
            }
            own
        })
    }

    /// The ledger has all three when this returns: a begin may name them.
    /// Asked when this is called: what is asked later comes behind it, and is mostly answered with it.
    pub(super) fn pin(
        &self,
        services: &HostServices,
    ) -> impl Future<Output = Result<(), Failed>> + use<> {
        let pins = [
            (self.module.hash, Arc::clone(&self.module.bytes)),
            (self.settings_hash, self.settings.as_bytes().into()),
            (self.grants_hash, Arc::clone(&self.grants_json)),
        ];
        let asked = pins.map(|(hash, bytes)| services.ledger.pin(hash, bytes));
        async move {
            for pinned in asked {
                pinned.await.map_err(|error| Failed::ledger(&error))?;
            }
            Ok(())
        }
    }

    /// What `begin` names: the present values where they are the same, otherwise those that the ledger kept.
    pub(super) async fn of(
        self: &Arc<Self>,
        services: &HostServices,
        begin: &Begin,
    ) -> Result<Arc<Self>, Failed> {
        if begin.pure_version != services.pure_version {
            // Rule E4: a brain that is behind cannot be brought up by a store that computes otherwise.
            let message = format!(
                "a turn of store version {} must be re-run, this is version {}: stop the fleet cleanly with the \
                 version that made it, then start this one",
                begin.pure_version, services.pure_version
            );
            let (cause, backtrace) = ("version", String::new());
            return Err(Failed { cause, blame: Blame::Config, message, backtrace, fatal: true });
        }
        let named = [begin.module, begin.settings, begin.grants];
        let same = named == [self.module.hash, self.settings_hash, self.grants_hash];
        if same || broken(Mutation::ModuleToday) {
            return Ok(Arc::clone(self));
        }
        let mut pinned = Self::clone(self);
        if begin.module != pinned.module.hash {
            pinned.module = match services.modules.kept(begin.module) {
                Some(loaded) => loaded,
                None => {
                    let bytes: Arc<[u8]> = fetch(&*services.ledger, begin.module).await?.into();
                    let work = move |modules: &super::Modules| modules.load(bytes);
                    let loaded = services.modules.apart(work).await;
                    loaded.map_err(|error| Failed::environment("module", error))?
                }
            };
        }
        if begin.settings != pinned.settings_hash {
            let bytes = fetch(&*services.ledger, begin.settings).await?;
            let text = String::from_utf8(bytes)
                .map_err(|_| Failed::environment("ledger", "pinned settings are not text"))?;
            (pinned.settings, pinned.settings_hash) = (text.into(), begin.settings);
        }
        if begin.grants != pinned.grants_hash {
            let bytes = fetch(&*services.ledger, begin.grants).await?;
            let grants = serde_json::from_slice(&bytes).map_err(|error| {
                Failed::environment("ledger", format!("pinned grants: {error}"))
            })?;
            (pinned.grants, pinned.grants_hash) = (Arc::new(grants), begin.grants);
        }
        Ok(Arc::new(pinned))
    }

    /// The begin of a new turn.
    pub(super) fn begin(&self, services: &HostServices, spec: &AgentSpec) -> Result<Begin, Failed> {
        let limits = &spec.limits;
        let seed = chance().map_or_else(seed, Ok);
        let seed = seed.map_err(|error| Failed::environment("entropy", error.to_string()))?;
        Ok(Begin {
            module: self.module.hash,
            settings: self.settings_hash,
            grants: self.grants_hash,
            memory_bytes: limits.memory_bytes,
            output_bytes: limits.output_bytes,
            calls_max: limits.calls_per_turn,
            pure_version: services.pure_version,
            time_ms: services.clock.now().0,
            // The ledger stores signed integers.
            seed: seed >> 1,
        })
    }
}

/// The grants that a re-run is judged by: without approvals, for what was approved was approved and what was denied has a record;
/// numbered by their places, so that all children of a template, and every start of the process, pin the same bytes.
fn as_judged_again(grants: &GrantSet) -> GrantSet {
    let plain = grants.iter().enumerate().map(|(at, grant)| {
        let (capability, scope) = (grant.capability().clone(), Arc::clone(grant.scope()));
        let id = GrantId(at as u64 + 1);
        Grant::new(capability, scope, grant.budget(), Vec::new(), grant.expires(), id)
    });
    // What made a set before makes one again; otherwise nothing is granted.
    GrantSet::new(plain.collect()).unwrap_or_default()
}

async fn fetch(ledger: &dyn Ledger, hash: Hash) -> Result<Vec<u8>, Failed> {
    match ledger.pinned(hash).await {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(Failed::host("ledger", format!("the ledger lost the bytes of {hash}"))),
        Err(error) => Err(Failed::ledger(&error)),
    }
}
