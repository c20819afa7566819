//! A changed fleet file, applied to the running fleet: read and checked whole, then step by step as `loket diff` lists them.
//!
//! It decides nothing about rights (its call came through the kernel) and has no rules of its own: the steps are
//! [`loket_supervision::fleet::diff`]'s, each done by the supervisors. Nothing is touched before everything is checked. Start
//! reading at [`Reloader::run`].

use super::applied::{Applied, Done, answer};
use super::assemble::{self, names};
use super::catalog::FileCatalog;
use super::dynamic::{Spawner, static_agents};
use super::grants::{GrantIds, grant_set, set_allowances};
use super::lives::{Renewing, bring_up, failure, id_of, ignore, together};
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
use loket_supervision::fleet::{self, Deed, Fleet, Node, Step, Strategy, SupervisorSpec};
use loket_supervision::machine::{ApiError, ChildState, Restart};
use loket_turn::{Enrolled, Failure, Ledger, LedgerError};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, TryLockError};

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
    /// What was applied last.
    pub(super) current: Mutex<Applied>,
    /// See [`Renewing`].
    pub(super) renewing: Arc<Renewing>,
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
        let steps = current.steps_to(&next);
        if steps.iter().any(|step| step.deed == Deed::Refuse) {
            reloaded("refused");
            return Ok(answer(false, &steps, &Done::default(), &warnings, false));
        }
        let held = self.held(&steps);
        if dry_run {
            return Ok(answer(true, &steps, &Done { held, ..Done::default() }, &warnings, false));
        }
        let outcomes = self.apply(&current, &next, &steps, &held).map_err(failed)?;
        let ok = outcomes.iter().all(Option::is_none);
        reloaded(if ok { "done" } else { "failed" });
        tracing::info!(file = name, steps = steps.len(), ok, "the fleet file was reloaded");
        let done = Done { outcomes, held };
        let told = answer(ok, &steps, &done, &warnings, true);
        current.after(next, steps, &done.outcomes);
        Ok(told)
    }

    /// Takes the steps; gives for each why it failed.
    fn apply(
        &self,
        applied: &Applied,
        new: &Fleet,
        steps: &[Step],
        held: &HashSet<String>,
    ) -> Result<Vec<Option<String>>, CliError> {
        let old = &applied.fleet;
        let mut revived = self.revived(old, new, steps);
        // Who is held and is not Temporary any more has an inbox again, and no life.
        let known = |step: &&Step| match step.deed {
            Deed::Start => true,
            Deed::Restart => !held.contains(&step.child),
            _ => revived.contains(&step.child),
        };
        let live: Vec<_> = steps.iter().filter(known).map(|step| &*step.child).collect();
        let enrolled = self.enrol(old, new, &live).map_err(no_ledger)?;
        wait(set_allowances(&*self.ledger, &new.root)).map_err(no_ledger)?;
        revived.retain(|child| !held.contains(child));
        let last = enrolled.into_iter().map(|row| (row.agent, row.incarnation)).collect();
        let root = assemble::root(&self.ids, new, &last)?;
        let operator = grant_set(&self.ids, &new.operator)?;
        self.spawner.templates.replace(&new.root);
        self.pools.replace(self.spawner.templates.pools());
        if let Some(principal) = self.authority.principal(names::OPERATOR) {
            self.authority.set_grants(principal, operator);
        }
        let unsure = applied.is_unsure();
        let mut outcomes = vec![None; steps.len()];
        let ends = || steps.iter().enumerate().filter(|(_, step)| step.deed == Deed::End);
        let mut changed = None;
        if ends().next().is_some() {
            // First without what is new: a name or a capability may be one of those that the ends make free.
            changed = self.change(&old.root, &kept(&root, &old.root), &new.root, unsure);
            let there = walk::by_id(&old.root);
            for (index, step) in ends() {
                outcomes[index] = changed.clone().or_else(|| self.end(&there, step));
            }
        }
        let changed = changed.or_else(|| self.change(&old.root, &root, &new.root, unsure));
        if let Some(beats) = self.beats.get() {
            beats.follow(&new.root);
        }
        let lives = match &changed {
            None => self.lives(&root, new, steps, (&revived, held)),
            // A step that follows a change that failed would be about a child that is not there.
            Some(_) => vec![changed; steps.len()],
        };
        for ((step, outcome), life) in steps.iter().zip(&mut outcomes).zip(lives) {
            if step.deed != Deed::End {
                *outcome = life;
            }
        }
        Ok(outcomes)
    }

    /// New lives, for whom a step gives one; tells for each step why it failed.
    fn lives(
        &self,
        root: &SupervisorNode,
        new: &Fleet,
        steps: &[Step],
        (revived, held): (&HashSet<String>, &HashSet<String>),
    ) -> Vec<Option<String>> {
        let named = walk::by_id(&new.root);
        let temporary = |step: &Step| {
            let spec = named.get(&*step.child).map(|child| child.child_spec());
            spec.is_some_and(|spec| spec.restart == Restart::Temporary)
        };
        let renews = |step: &Step| {
            // Who is held has its new spec, for whenever it is started.
            step.deed == Deed::Restart && step.kind != "template" && !held.contains(&step.child)
        };
        let mut outcomes: Vec<Option<String>> = Vec::with_capacity(steps.len());
        while let Some(rest @ [step, ..]) = steps.get(outcomes.len()..) {
            match step.deed {
                _ if renews(step) => {
                    let together = together(rest, |step| renews(step) && temporary(step));
                    outcomes.extend(self.renew(root, together));
                }
                Deed::Restart if step.kind == "template" => {
                    outcomes.push(self.renew_instances(step));
                }
                Deed::Change if revived.contains(&step.child) => {
                    outcomes.push(self.start(root, step));
                }
                Deed::Start => outcomes.push(self.start(root, step)),
                Deed::Restart | Deed::Change | Deed::Refuse | Deed::End => outcomes.push(None),
            }
        }
        outcomes
    }

    /// Temporary children that have ended, and that the file wants up from now on: OTP's code change gives them their spec again,
    /// and no life.
    fn revived(&self, old: &Fleet, new: &Fleet, steps: &[Step]) -> HashSet<String> {
        let (before, after) = (walk::by_id(&old.root), walk::by_id(&new.root));
        let temporary = |all: &HashMap<&str, &Node>, id: &str| {
            all.get(id).is_some_and(|child| child.child_spec().restart == Restart::Temporary)
        };
        let ended = |step: &Step| {
            match self.above(step).and_then(|above| wait(above.which_child(&step.child))) {
                // An earlier reload has given it its spec.
                Ok(child) => child.state == ChildState::Undefined,
                Err(error) => error == ApiError::NotFound.into(),
            }
        };
        let changes = steps.iter().filter(|step| step.deed == Deed::Change);
        changes
            .filter(|step| temporary(&before, &step.child) && !temporary(&after, &step.child))
            .filter(|step| ended(step))
            .map(|step| step.child.clone())
            .collect()
    }

    /// Children that an operator has stopped: a reload does not start them again.
    fn held(&self, steps: &[Step]) -> HashSet<String> {
        let steps = steps.iter().filter(|step| matches!(step.deed, Deed::Restart | Deed::Change));
        let held = |step: &&Step| self.tree.view(&step.child).is_some_and(|place| place.terminated);
        steps.filter(held).map(|step| step.child.clone()).collect()
    }

    /// Enrols who is new or gets a new life (`live`), and tells the ledger the new bounds of who is there. Who has ended for good stays
    /// unknown to it (rule A4).
    fn enrol(&self, old: &Fleet, new: &Fleet, live: &[&str]) -> Result<Vec<Enrolled>, LedgerError> {
        let there = wait(self.ledger.inboxes())?.into_iter().map(|inbox| inbox.agent);
        let there: HashSet<Arc<str>> = there.collect();
        let before: HashSet<&str> = walk::static_agents(&old.root).map(|a| &*a.id).collect();
        let all = walk::by_id(&new.root);
        let live = live.iter().filter_map(|id| all.get(*id).copied());
        let live: HashSet<&str> = live.flat_map(walk::named).collect();
        let mut rows = static_agents(&new.root);
        rows.retain(|row| {
            let id = &*row.agent;
            !before.contains(id) || there.contains(id) || live.contains(id)
        });
        wait(self.ledger.enrol(rows))
    }

    /// OTP's code change of every supervisor that is in both files, from the top down.
    fn change(
        &self,
        old: &SupervisorSpec,
        node: &SupervisorNode,
        new: &SupervisorSpec,
        unsure: bool,
    ) -> Option<String> {
        if unsure || old != new {
            let handle = self.tree.supervisor(&new.id);
            let done = handle.and_then(|s| wait(s.change_to(node.clone())));
            match done {
                // It starts with the new plan, which its own supervisor has.
                Ok(()) | Err(ControlError::NotRunning(_)) => {}
                Err(error) => return Some(format!("{}: {error}", new.id)),
            }
        }
        let (before, after) = (walk::own(old), walk::own(new));
        for child in &node.children {
            let (was, spec) = (before.get(id_of(child)), after.get(id_of(child)));
            if let (NodeSpec::Supervisor(child), Some(Node::Supervisor(spec))) = (child, spec)
                && let Some(Node::Supervisor(was)) = was
                && let Some(failed) = self.change(was, child, spec, unsure)
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
    fn end(&self, there: &HashMap<&str, &Node>, step: &Step) -> Option<String> {
        let ended = self.above(step).and_then(|above| {
            ignore(wait(above.terminate_child(&step.child)), &ApiError::NotFound)?;
            ignore(wait(above.delete_child(&step.child)), &ApiError::NotFound)
        });
        if let Some(failed) = failure(ended) {
            return Some(failed);
        }
        let gone = there.get(&*step.child);
        for agent in gone.iter().flat_map(|child| self.agents_of(child)) {
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

    /// New lives with new specs; a turn under way goes on with what it began with (rule G2).
    fn renew(&self, root: &SupervisorNode, steps: &[Step]) -> Vec<Option<String>> {
        let stop = |step: &Step| {
            self.above(step).and_then(|above| {
                self.renewing.stop(&above, &step.child)?;
                Ok(above)
            })
        };
        let stopped: Vec<_> = steps.iter().map(stop).collect();
        let start = |(step, stopped): (&Step, Result<SupervisorHandle, ControlError>)| {
            failure(stopped.and_then(|above| bring_up(root, &above, &step.child)))
        };
        steps.iter().zip(stopped).map(start).collect()
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
            match self.renewing.stop(&handle, &row.agent) {
                Ok(()) => {}
                // It brings them back with the new template.
                Err(ControlError::NotRunning(_)) => return None,
                Err(error) => return Some(format!("{}: {error}", row.agent)),
            }
        }
        let failed = wait(self.spawner.clone().start(rows));
        let told: Vec<_> = failed.iter().map(|(agent, why)| format!("{agent}: {why}")).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    fn start(&self, root: &SupervisorNode, step: &Step) -> Option<String> {
        failure(self.above(step).and_then(|above| bring_up(root, &above, &step.child)))
    }
}

fn no_ledger(error: LedgerError) -> CliError {
    CliError::new(error.code(), crate::exit::DATA, format!("the ledger: {error}"))
}

/// A plan without the children that are new in it.
fn kept(node: &SupervisorNode, old: &SupervisorSpec) -> SupervisorNode {
    let mut kept = node.clone();
    if old.strategy == Strategy::SimpleOneForOne {
        return kept;
    }
    let was = walk::own(old);
    kept.children.retain(|child| was.contains_key(id_of(child)));
    for child in &mut kept.children {
        if let Some(Node::Supervisor(old)) = was.get(id_of(child))
            && let NodeSpec::Supervisor(below) = child
        {
            *below = self::kept(below, old);
        }
    }
    kept
}
