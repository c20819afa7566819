//! The fleet file as it was applied last, and what of it was not done: the next reload takes a failed step again.
//!
//! Pure: no clock, no I/O. Start reading at [`Applied::steps_to`].

use super::walk;
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
        let named = walk::children(&next.root);
        let wanted = |step: &Step| {
            step.child == next.root.id || named.iter().any(|(_, child)| child.id() == step.child)
        };
        for open in self.open.iter().filter(|step| wanted(step)) {
            // A new life brings a change along; a refusal stops them all.
            let there = steps.iter().any(|step| step.path == open.path && step.deed >= open.deed);
            if !there {
                steps.push(open.clone());
            }
        }
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
        for end in ends {
            let above = end.path.rsplit('/').nth(1).unwrap_or_default();
            let there = walk::children(&self.fleet.root);
            let node = there.into_iter().find(|(_, node)| node.id() == end.child);
            if let (Some((_, node)), Some(above)) = (node, supervisor_of(&mut next.root, above)) {
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
