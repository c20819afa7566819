//! Dynamic children: rows of the ledger that become children of the tree (rule A6), at a spawn, when their supervisor comes up,
//! and after a restart of the process.

use super::metrics::brought_back_again;
use super::stopping::Stopping;
use super::walk;
use loket_runtime::{ChildKind, ControlError, DynamicSpec, TreeControl};
use loket_supervision::fleet::{AgentSpec, Dynamic, SupervisorSpec};
use loket_turn::{AgentName, DynamicChild, Enrol, Ledger, LedgerError};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

/// Tries to bring a supervisor's dynamic children back, all within some half a minute: what takes longer to mend takes a person.
const ROUNDS_MAX: u32 = 10;

/// Before the second try, milliseconds; doubled each time.
const AGAIN_AFTER_MS: u64 = 100;

/// Between two tries at most, milliseconds.
const AGAIN_AFTER_MAX_MS: u64 = 5_000;

/// The templates of the fleet's SimpleOneForOne supervisors.
#[derive(Debug, Default)]
pub(super) struct Templates {
    by_supervisor: RwLock<BySupervisor>,
}

/// The template, the bound on its children, and whether they are forgotten with the process (`dynamic: Otp`).
type BySupervisor = HashMap<String, (Arc<AgentSpec>, Option<u32>, bool)>;

impl Templates {
    pub(super) fn of(root: &SupervisorSpec) -> Self {
        let templates = Self::default();
        templates.replace(root);
        templates
    }

    /// Those of this tree from now on.
    pub(super) fn replace(&self, root: &SupervisorSpec) {
        let forgets = |pool: &SupervisorSpec| pool.dynamic == Dynamic::Otp;
        let by_supervisor = walk::templates(root)
            .map(|(pool, spec)| {
                (pool.id.clone(), (Arc::new(spec.clone()), pool.max_children, forgets(pool)))
            })
            .collect();
        *self.by_supervisor.write().unwrap_or_else(PoisonError::into_inner) = by_supervisor;
    }

    fn all(&self) -> RwLockReadGuard<'_, BySupervisor> {
        self.by_supervisor.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn knows(&self, supervisor: &str) -> bool {
        self.all().contains_key(supervisor)
    }

    /// Whether the children of this supervisor do not outlive the process (`dynamic: Otp`).
    fn forgets(&self, supervisor: &str) -> bool {
        self.all().get(supervisor).is_some_and(|(_, _, forgets)| *forgets)
    }

    /// Supervisor and bound, for the agent provider.
    pub(super) fn pools(&self) -> HashMap<Arc<str>, Option<u32>> {
        self.all().iter().map(|(name, (_, max, _))| (name.as_str().into(), *max)).collect()
    }

    /// The child of a row: its template, which all share that have no settings of their own to put over the template's.
    fn spec(&self, row: &DynamicChild) -> Option<Arc<AgentSpec>> {
        let template = Arc::clone(&self.all().get(&*row.under)?.0);
        let own: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&row.settings).unwrap_or_default();
        if own.is_empty() {
            return Some(template);
        }
        let mut spec = AgentSpec::clone(&template);
        spec.id = row.agent.to_string();
        for (key, value) in own {
            let text = match value {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            spec.settings.insert(key, text);
        }
        Some(Arc::new(spec))
    }
}

/// Brings rows to life.
#[derive(Clone)]
pub(super) struct Spawner {
    pub(super) templates: Arc<Templates>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) tree: Arc<dyn TreeControl>,
    pub(super) stopping: Arc<Stopping>,
}

impl Spawner {
    pub(super) fn new(
        templates: &Arc<Templates>,
        ledger: &Arc<dyn Ledger>,
        tree: Arc<dyn TreeControl>,
    ) -> Self {
        let (templates, ledger) = (Arc::clone(templates), Arc::clone(ledger));
        Self { templates, ledger, tree, stopping: Arc::default() }
    }

    /// All rows under a supervisor that has come up.
    pub(super) async fn bring_back(self, under: String) {
        if self.templates.knows(&under) {
            self.patiently(|row| *row.under == *under).await;
        }
    }

    /// All rows whose child does not run: the ledger may have got some that nobody was told of (rule J2).
    pub(super) async fn bring_back_all(self) {
        let templates = Arc::clone(&self.templates);
        self.patiently(|row| templates.knows(&row.under)).await;
    }

    /// Brings the rows back that `wanted` takes; what fails is tried again, as a supervisor does with its own children, but not
    /// for ever. Who has been removed meanwhile has no row any more.
    async fn patiently(&self, wanted: impl Fn(&DynamicChild) -> bool) {
        let mut failed: Option<HashSet<AgentName>> = None;
        let mut wait_ms = AGAIN_AFTER_MS;
        for round in 1..=ROUNDS_MAX {
            let there = match self.ledger.dynamic_children().await {
                Ok(rows) => {
                    let open = |row: &DynamicChild| {
                        failed.as_ref().is_none_or(|failed| failed.contains(&row.agent))
                    };
                    let rows = rows.into_iter().filter(|row| wanted(row) && open(row)).collect();
                    let left = self.clone().start(rows).await;
                    failed = Some(left.into_iter().map(|(agent, _)| agent).collect());
                    failed.as_ref().map_or(0, HashSet::len)
                }
                Err(error) => {
                    tracing::error!("dynamic children were not looked for: {error}");
                    1
                }
            };
            if there == 0 {
                return;
            }
            if round < ROUNDS_MAX {
                brought_back_again();
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                wait_ms = (wait_ms * 2).min(AGAIN_AFTER_MAX_MS);
            }
        }
        let left: Vec<_> = failed.into_iter().flatten().collect();
        tracing::error!(
            children = ?left,
            "dynamic children were not brought back in {ROUNDS_MAX} tries; the next start of their supervisor tries again"
        );
    }

    /// Starts the children of these rows, with the inbox bounds of their template. Gives those that did not start, each with why;
    /// the log has been told.
    pub(super) async fn start(self, rows: Vec<DynamicChild>) -> Vec<(AgentName, String)> {
        let mut failed = Vec::new();
        for row in rows {
            let Some(spec) = self.templates.spec(&row) else {
                tracing::warn!(
                    child = &*row.agent,
                    under = &*row.under,
                    "no template in this fleet"
                );
                failed.push((row.agent, "no template in this fleet".to_owned()));
                continue;
            };
            let (rows, bytes) = (u64::from(spec.mailbox.capacity), spec.inbox_bytes);
            let bound = self.ledger.rebound(Arc::clone(&row.agent), rows, bytes).await;
            let last_incarnation = match bound {
                Ok(known) => known.incarnation,
                // It was removed meanwhile.
                Err(LedgerError::NoSuchAgent(_)) => continue,
                Err(error) => {
                    tracing::error!(child = &*row.agent, "not enrolled: {error}");
                    failed.push((row.agent, error.to_string()));
                    continue;
                }
            };
            let kind = Arc::new(ChildKind::Agent(spec));
            let child = DynamicSpec { name: row.agent.clone(), kind, last_incarnation };
            match self.start_one(&row.under, child).await {
                Ok(()) => {}
                Err(error) => {
                    tracing::error!(child = &*row.agent, "not started: {error}");
                    failed.push((row.agent, error.to_string()));
                }
            }
        }
        failed
    }

    async fn start_one(&self, under: &str, child: DynamicSpec) -> Result<(), ControlError> {
        let name = Arc::clone(&child.name);
        let mut started = self.tree.start_dynamic(under, child.clone()).await;
        if let Err(ControlError::Taken(_)) = started {
            if self.stopping.start_after(&name) {
                return Ok(());
            }
            // The one before may have ended between the two lines above; otherwise it came with its supervisor.
            started = self.tree.start_dynamic(under, child).await;
        }
        match started {
            Ok(_) => self.is_still_wanted(&name).await,
            Err(ControlError::Taken(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Whose removal came while it was started, before there was anybody to stop, is stopped now.
    async fn is_still_wanted(&self, child: &AgentName) {
        if let Err(LedgerError::NoSuchAgent(_)) =
            self.ledger.brain_standing(Arc::clone(child)).await
        {
            // Gone already, or going: as was asked.
            let _ = self.tree.stop_dynamic(child).await;
        }
    }

    /// The tree ends children that the ledger has removed; what of it is still to be waited for.
    pub(super) fn stop(&self, children: Vec<AgentName>) -> Vec<impl Future<Output = ()> + use<>> {
        children.into_iter().map(|child| self.clone().stop_one(child)).collect()
    }

    /// One that was spawned again under its name meanwhile comes after it.
    fn stop_one(self, child: AgentName) -> impl Future<Output = ()> + use<> {
        // At once, in the order in which the ledger tells: what is started later is not meant.
        self.stopping.begin(&child);
        let ended = self.tree.stop_dynamic(&child);
        async move {
            // One that is not there has ended already.
            let _ = ended.await;
            if self.stopping.end(&child) {
                self.patiently(|row| row.agent == child).await;
            }
        }
    }
}

/// Agents that the ledger knows and the fleet file no longer names: they are gone for good. What waited for them becomes dead
/// letters, and who waits for them is told (rule A4).
pub(super) async fn remove_unnamed(
    templates: &Templates,
    root: &SupervisorSpec,
    ledger: &dyn Ledger,
) -> Result<(), LedgerError> {
    let mut named: HashSet<Arc<str>> =
        walk::static_agents(root).map(|agent| agent.id.as_str().into()).collect();
    let rows = ledger.dynamic_children().await?;
    for row in rows {
        if templates.forgets(&row.under) {
            let reason = format!("its supervisor {} ended (dynamic: Otp)", row.under);
            match ledger.remove(Arc::clone(&row.agent), reason).await {
                Ok(_) | Err(LedgerError::NoSuchAgent(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if templates.knows(&row.under) {
            named.insert(row.agent);
        }
    }
    for inbox in ledger.inboxes().await? {
        if named.contains(&inbox.agent) {
            continue;
        }
        let reason = "the fleet file does not name it any more".to_owned();
        let removed = ledger.remove(Arc::clone(&inbox.agent), reason).await?;
        tracing::warn!(
            agent = &*inbox.agent,
            letters = removed.letters,
            "not in the fleet file any more: removed, what waited for it is dead letters"
        );
    }
    Ok(())
}

/// An agent's row for the ledger.
pub(super) fn enrol(agent: AgentName, spec: &AgentSpec, dynamic: Option<DynamicChild>) -> Enrol {
    Enrol {
        agent,
        inbox_rows: u64::from(spec.mailbox.capacity),
        inbox_bytes: spec.inbox_bytes,
        dynamic,
    }
}

/// The rows of all static agents.
pub(super) fn static_agents(root: &SupervisorSpec) -> Vec<Enrol> {
    walk::static_agents(root).map(|spec| enrol(spec.id.as_str().into(), spec, None)).collect()
}

#[cfg(test)]
mod tests;
