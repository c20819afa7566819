//! A changed fleet file, applied to the running fleet: read and checked whole, then step by step as `loket diff` lists them.
//!
//! It decides nothing about rights (its call came through the kernel) and has no rules of its own: the steps are
//! [`loket_supervision::fleet::diff`]'s, each done by the supervisors. Nothing is touched before everything is checked. Start
//! reading at [`Reloader::run`].

use super::assemble::{self, names};
use super::catalog::FileCatalog;
use super::dynamic::{Spawner, static_agents};
use super::grants::{GrantIds, grant_set};
use super::metrics::reloaded;
use super::start::wait;
use super::ticks::Beats;
use super::{file, obituaries, walk};
use crate::exit::CliError;
use loket_agent::{Pools, Reload, ReloadFuture};
use loket_host::driver::Modules;
use loket_runtime::{
    Authority, ControlError, NodeSpec, SupervisorHandle, SupervisorNode, TreeControl,
};
use loket_supervision::fleet::{self, Deed, Fleet, Node, Step, SupervisorSpec};
use loket_supervision::machine::ApiError;
use loket_turn::{Failure, Ledger};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

/// Applies changed fleet files, one at a time.
pub(super) struct Reloader {
    /// The file that the fleet was started with; its folder is what relative paths are relative to.
    pub(super) file: PathBuf,
    pub(super) sets: Vec<(String, String)>,
    pub(super) modules: Arc<Modules>,
    pub(super) ids: Arc<GrantIds>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) tree: Arc<dyn TreeControl>,
    pub(super) authority: Arc<Authority>,
    pub(super) spawner: Spawner,
    pub(super) pools: Arc<Pools>,
    /// There once the fleet is up.
    pub(super) beats: OnceLock<Beats>,
    /// The file as it was applied last.
    pub(super) current: Mutex<Fleet>,
    /// See [`Renewing`].
    pub(super) renewing: Arc<Renewing>,
}

/// Children that are stopped only to be started again with another spec: they are not gone, and the ledger keeps what is theirs.
#[derive(Debug, Default)]
pub(super) struct Renewing(Mutex<HashSet<String>>);

impl Renewing {
    fn names(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this child will be back.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.names().contains(name)
    }

    /// Stops a child that will be back.
    fn stop(&self, above: &SupervisorHandle, name: &str) -> Result<(), ControlError> {
        self.names().insert(name.to_owned());
        // Its supervisor has told of the end, if it does, before it answers.
        let stopped = wait(above.terminate_child(name));
        self.names().remove(name);
        ignore(stopped, &ApiError::NotFound)
    }
}

/// The reloader as the agent provider calls it. Reading compiles modules, and applying waits for children: both on a thread of its
/// own, never on a lane.
pub(super) struct Reloads(pub(super) Arc<Reloader>);

impl Reload for Reloads {
    fn reload(&self, file: Option<String>, dry_run: bool) -> ReloadFuture {
        let reloader = Arc::clone(&self.0);
        let (reply, answer) = tokio::sync::oneshot::channel();
        let work = move || {
            let _ = reply.send(reloader.run(file, dry_run));
        };
        let thread = std::thread::Builder::new().name("reload".to_owned()).spawn(work);
        Box::pin(async move {
            thread.map_err(|error| Failure::retryable("no_thread", error.to_string(), None))?;
            let lost = |_| Err(Failure::new("internal", "the reload ended without an answer"));
            answer.await.unwrap_or_else(lost)
        })
    }
}

impl Reloader {
    /// Reads, checks, compares and, unless it is a dry run, applies.
    fn run(&self, given: Option<String>, dry_run: bool) -> Result<Value, Failure> {
        let mut current = match self.current.try_lock() {
            Ok(current) => current,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::retryable("busy", "a reload is under way", Some(1_000)));
            }
        };
        let path = given.map_or_else(|| self.file.clone(), PathBuf::from);
        let failed = |error: CliError| Failure::new(&error.code, error.message);
        let text = file::read_fleet(&path).map_err(failed)?;
        let name = path.display().to_string();
        let catalog = FileCatalog::with(&self.file, Arc::clone(&self.modules));
        let (next, warnings) = match fleet::parse(&text, &name, &self.sets, &catalog) {
            Ok(parsed) => parsed,
            Err(findings) => {
                reloaded("refused");
                return Ok(
                    json!({"ok": false, "findings": findings, "steps": [], "applied": false}),
                );
            }
        };
        let steps = fleet::diff(&current, &next);
        if steps.iter().any(|step| step.deed == Deed::Refuse) {
            reloaded("refused");
            return Ok(answer(false, &steps, &[], &warnings, false));
        }
        if dry_run {
            return Ok(answer(true, &steps, &[], &warnings, false));
        }
        let outcomes = self.apply(&current, &next, &steps).map_err(failed)?;
        *current = next;
        let ok = outcomes.iter().all(Option::is_none);
        reloaded(if ok { "done" } else { "failed" });
        tracing::info!(file = name, steps = steps.len(), ok, "the fleet file was reloaded");
        Ok(answer(ok, &steps, &outcomes, &warnings, true))
    }

    /// Takes the steps; gives for each why it failed.
    fn apply(
        &self,
        old: &Fleet,
        new: &Fleet,
        steps: &[Step],
    ) -> Result<Vec<Option<String>>, CliError> {
        let enrolled = wait(self.ledger.enrol(static_agents(&new.root))).map_err(|error| {
            CliError::new(error.code(), crate::exit::DATA, format!("the ledger: {error}"))
        })?;
        let last = enrolled.into_iter().map(|row| (row.agent, row.incarnation)).collect();
        let root = assemble::root(&self.ids, new, &last)?;
        let operator = grant_set(&self.ids, &new.operator)?;
        self.spawner.templates.replace(&new.root);
        self.pools.replace(self.spawner.templates.pools());
        if let Some(principal) = self.authority.principal(names::OPERATOR) {
            self.authority.set_grants(principal, operator);
        }
        let changed = self.change(&old.root, &root, &new.root);
        if let Some(beats) = self.beats.get() {
            beats.follow(&new.root);
        }
        let one = |step: &Step| match step.deed {
            Deed::Change | Deed::Refuse => changed.clone(),
            Deed::End => self.end(old, step),
            Deed::Restart if step.kind == "template" => self.renew_instances(step),
            Deed::Restart => self.renew(&root, step),
            Deed::Start => self.start(step),
        };
        // A step that follows a change that failed would be about a child that is not there.
        Ok(steps.iter().map(|step| changed.clone().or_else(|| one(step))).collect())
    }

    /// OTP's code change of every supervisor that is in both files, from the top down.
    fn change(
        &self,
        old: &SupervisorSpec,
        node: &SupervisorNode,
        new: &SupervisorSpec,
    ) -> Option<String> {
        if old != new {
            let handle = self.tree.supervisor(&new.id);
            let done =
                handle.and_then(|s| wait(s.change(node.flags.clone(), node.children.clone())));
            match done {
                // It starts with the new plan, which its own supervisor has.
                Ok(()) | Err(ControlError::NotRunning(_)) => {}
                Err(error) => return Some(format!("{}: {error}", new.id)),
            }
        }
        for (child, spec) in node.children.iter().zip(&new.children) {
            let was = old.children.iter().find(|was| was.id() == spec.id());
            if let (NodeSpec::Supervisor(child), Node::Supervisor(spec)) = (child, spec)
                && let Some(Node::Supervisor(was)) = was
                && let Some(failed) = self.change(was, child, spec)
            {
                return Some(failed);
            }
        }
        None
    }

    /// The supervisor above a step's child.
    fn above(&self, step: &Step) -> Result<SupervisorHandle, ControlError> {
        let above = step.path.rsplit('/').nth(1).unwrap_or_default();
        self.tree.supervisor(above)
    }

    /// Ends a child for good, and with it all agents below (rule A4).
    fn end(&self, old: &Fleet, step: &Step) -> Option<String> {
        let ended = self.above(step).and_then(|above| {
            ignore(wait(above.terminate_child(&step.child)), &ApiError::NotFound)?;
            ignore(wait(above.delete_child(&step.child)), &ApiError::NotFound)
        });
        if let Err(error) = ended {
            return Some(error.to_string());
        }
        let all = walk::children(&old.root);
        let gone = all.into_iter().find(|(_, child)| child.id() == step.child);
        for agent in gone.iter().flat_map(|(_, child)| self.agents_of(child)) {
            let why = "the fleet file does not name it any more".to_owned();
            wait(obituaries::remove(&*self.ledger, agent, why));
        }
        None
    }

    /// The agents at and below a child, dynamic ones as well.
    fn agents_of(&self, node: &Node) -> Vec<Arc<str>> {
        let below = match node {
            Node::Agent(agent) => return vec![agent.id.as_str().into()],
            Node::Provider(_) => return Vec::new(),
            Node::Supervisor(below) => below,
        };
        let mut found: Vec<Arc<str>> =
            walk::static_agents(below).map(|agent| agent.id.as_str().into()).collect();
        let pools: Vec<_> = walk::templates(below).map(|(pool, _)| pool.id.clone()).collect();
        match wait(self.ledger.dynamic_children()) {
            Ok(rows) => found.extend(
                rows.into_iter()
                    .filter(|row| pools.iter().any(|p| **p == *row.under))
                    .map(|row| row.agent),
            ),
            Err(error) => tracing::error!("dynamic children were not looked up: {error}"),
        }
        found
    }

    /// A new life with the new spec; a turn under way goes on with what it began with (rule G2).
    fn renew(&self, root: &SupervisorNode, step: &Step) -> Option<String> {
        let renewed = self.above(step).and_then(|above| {
            self.renewing.stop(&above, &step.child)?;
            match wait(above.restart_child(&step.child)) {
                // A Temporary child's spec goes with its life.
                Err(ControlError::Refused(ApiError::NotFound)) => {
                    match node_of(root, &step.child) {
                        Some(node) => wait(above.start_child(node)).map(drop),
                        None => Err(ApiError::NotFound.into()),
                    }
                }
                started => started.map(drop),
            }
        });
        renewed.err().map(|error| error.to_string())
    }

    /// All instances of a template, with the new one.
    fn renew_instances(&self, step: &Step) -> Option<String> {
        let rows = match wait(self.ledger.dynamic_children()) {
            Ok(rows) => rows,
            Err(error) => return Some(error.to_string()),
        };
        let rows: Vec<_> = rows.into_iter().filter(|row| *row.under == *step.child).collect();
        let handle = match self.tree.supervisor(&step.child) {
            Ok(handle) => handle,
            Err(error) => return Some(error.to_string()),
        };
        for row in &rows {
            if let Err(error) = self.renewing.stop(&handle, &row.agent) {
                return Some(format!("{}: {error}", row.agent));
            }
        }
        wait(self.spawner.clone().start(rows));
        None
    }

    fn start(&self, step: &Step) -> Option<String> {
        let started = self.above(step).and_then(|above| wait(above.restart_child(&step.child)));
        match started {
            // Its supervisor was restarted meanwhile, and it with it.
            Ok(_) | Err(ControlError::Refused(ApiError::Running | ApiError::Restarting)) => None,
            Err(error) => Some(error.to_string()),
        }
    }
}

fn ignore<T>(done: Result<T, ControlError>, harmless: &ApiError) -> Result<(), ControlError> {
    match done {
        Ok(_) => Ok(()),
        Err(ControlError::Refused(error)) if error == *harmless => Ok(()),
        Err(error) => Err(error),
    }
}

fn node_of(node: &SupervisorNode, id: &str) -> Option<NodeSpec> {
    node.children.iter().find_map(|child| match child {
        NodeSpec::Supervisor(below) => node_of(below, id),
        NodeSpec::Worker(worker) => (&*worker.spec.id == id).then(|| child.clone()),
    })
}

fn answer(
    ok: bool,
    steps: &[Step],
    outcomes: &[Option<String>],
    warnings: &[fleet::Finding],
    applied: bool,
) -> Value {
    let steps: Vec<Value> = steps
        .iter()
        .enumerate()
        .map(|(index, step)| {
            let mut shown = json!(step);
            shown["text"] = step.to_string().into();
            shown["failed"] = json!(outcomes.get(index).and_then(Option::as_ref));
            shown
        })
        .collect();
    json!({"ok": ok, "findings": warnings, "steps": steps, "applied": applied})
}
