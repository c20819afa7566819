//! The fleet file as it was applied last, and what of it was not done: the next reload takes a failed step again.
//!
//! Also a reload's answer. Pure: no clock, no I/O. Start reading at [`Applied::steps_to`].

use super::walk;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};

use loket_supervision::fleet::{self, Deed, Fleet, Node, Step, SupervisorSpec};

/// What the running fleet is, as far as reloads know.
pub(super) struct Applied {
    /// The file; a child whose end failed is still in it.
    pub(super) fleet: Fleet,
    /// Steps that failed, but ends: those follow from the file.
    open: Vec<Step>,
}

impl From<Fleet> for Applied {
    fn from(fleet: Fleet) -> Self {
        Self { fleet, open: Vec::new() }
    }
}

impl Applied {
    /// The steps to another file: those that [`fleet::diff`] lists, and those that failed and are still wanted.
    pub(super) fn steps_to(&self, next: &Fleet) -> Vec<Step> {
        let mut steps = fleet::diff(&self.fleet, next);
        let named = walk::by_id(&next.root);
        let wanted = |step: &Step| step.child == next.root.id || named.contains_key(&*step.child);
        let mut most: HashMap<String, Deed> = HashMap::new();
        for step in &steps {
            let deed = most.entry(step.path.clone()).or_insert(step.deed);
            *deed = step.deed.max(*deed);
        }
        // A new life brings a change along; a refusal stops them all.
        let missing = |open: &&Step| most.get(&open.path).is_none_or(|deed| *deed < open.deed);
        steps.extend(self.open.iter().filter(|step| wanted(step)).filter(missing).cloned());
        steps.sort_by_key(|step| step.deed);
        steps
    }

    /// Whether specs may not be those of the file: a change failed.
    pub(super) fn is_unsure(&self) -> bool {
        self.open.iter().any(|step| step.deed == Deed::Change)
    }

    /// What it is after these steps to a file; each has an outcome, which is why it failed.
    pub(super) fn after(&mut self, mut next: Fleet, steps: Vec<Step>, outcomes: &[Option<String>]) {
        let all = steps.into_iter().zip(outcomes);
        let failed = all.filter(|(_, outcome)| outcome.is_some()).map(|(step, _)| step);
        let (ends, open): (Vec<_>, Vec<_>) = failed.partition(|step| step.deed == Deed::End);
        let there = walk::by_id(&self.fleet.root);
        for end in ends {
            let above = end.path.rsplit('/').nth(1).unwrap_or_default();
            let node = there.get(&*end.child).copied();
            if let (Some(node), Some(above)) = (node, supervisor_of(&mut next.root, above)) {
                above.children.push(node.clone());
            }
        }
        (self.fleet, self.open) = (next, open);
    }
}

fn supervisor_of<'s>(root: &'s mut SupervisorSpec, id: &str) -> Option<&'s mut SupervisorSpec> {
    if root.id == id {
        return Some(root);
    }
    root.children.iter_mut().find_map(|child| match child {
        Node::Supervisor(below) => supervisor_of(below, id),
        _ => None,
    })
}

/// What became of the steps.
#[derive(Default)]
pub(super) struct Done {
    /// Why they failed.
    pub(super) outcomes: Vec<Option<String>>,
    /// Children that an operator has stopped: they stay so.
    pub(super) held: HashSet<String>,
}

/// A reload's answer.
pub(super) fn answer(
    ok: bool,
    steps: &[Step],
    done: &Done,
    warnings: &[fleet::Finding],
    applied: bool,
) -> Value {
    let steps: Vec<Value> = steps
        .iter()
        .enumerate()
        .map(|(index, step)| {
            let mut shown = json!(step);
            shown["text"] = step.to_string().into();
            shown["failed"] = json!(done.outcomes.get(index).and_then(Option::as_ref));
            if done.held.contains(&step.child) {
                shown["stays"] = "stopped".into();
            }
            shown
        })
        .collect();
    json!({"ok": ok, "findings": warnings, "steps": steps, "applied": applied})
}
