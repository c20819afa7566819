//! Ends and new lives of single children, for a reload. Waits for them: never to be called on a lane. Start reading at [`bring_up`].

use super::start::wait;
use loket_runtime::{ControlError, NodeSpec, SupervisorHandle, SupervisorNode};
use loket_supervision::fleet::Step;
use loket_supervision::machine::ApiError;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    pub(super) fn stop(&self, above: &SupervisorHandle, name: &str) -> Result<(), ControlError> {
        self.names().insert(name.to_owned());
        // Its supervisor has told of the end, if it does, before it answers.
        let stopped = wait(above.terminate_child(name));
        self.names().remove(name);
        ignore(stopped, &ApiError::NotFound)
    }
}

/// Starts a child that its supervisor's plan names and that does not run.
pub(super) fn bring_up(
    root: &SupervisorNode,
    above: &SupervisorHandle,
    id: &str,
) -> Result<(), ControlError> {
    let started = match wait(above.restart_child(id)) {
        // A Temporary child's spec goes with its life. The plan gives it back where it stands in start order, and so that the
        // supervisor starts with it and goes on counting its lives; `start_child` would put a new child behind all others.
        Err(ControlError::Refused(ApiError::NotFound)) => match supervisor_in(root, above.name()) {
            Some(plan) => {
                wait(above.change_to(plan.clone())).and_then(|()| wait(above.restart_child(id)))
            }
            None => Err(ApiError::NotFound.into()),
        },
        started => started,
    };
    match started {
        // Its supervisor was restarted meanwhile, and it with it.
        Err(ControlError::Refused(ApiError::Running | ApiError::Restarting)) => Ok(()),
        started => started.map(drop),
    }
}

/// Temporary siblings that are renewed at a time. Each time their supervisor's whole plan is given to it again, which is much for one
/// child of thousands; and so many are down at once.
const TOGETHER: usize = 64;

/// The steps to take with the first one: it alone, or its Temporary siblings that follow it, too.
pub(super) fn together(steps: &[Step], temporary: impl Fn(&Step) -> bool) -> &[Step] {
    let above = |step: &Step| step.path.rsplit_once('/').map(|(above, _)| above.to_owned());
    let first = steps.first().and_then(above);
    let alike = |step: &&Step| temporary(step) && above(step) == first;
    let count = steps.iter().take(TOGETHER).take_while(alike).count();
    steps.get(..count.max(1)).unwrap_or(steps)
}

/// Why a step failed. A supervisor that is down starts with the new plan: what was asked of it is done.
pub(super) fn failure(done: Result<(), ControlError>) -> Option<String> {
    match done {
        Ok(()) | Err(ControlError::NotRunning(_)) => None,
        Err(error) => Some(error.to_string()),
    }
}

/// Takes this refusal for what was asked.
pub(super) fn ignore<T>(
    done: Result<T, ControlError>,
    harmless: &ApiError,
) -> Result<(), ControlError> {
    match done {
        Ok(_) => Ok(()),
        Err(ControlError::Refused(error)) if error == *harmless => Ok(()),
        Err(error) => Err(error),
    }
}

/// What a planned child is called.
pub(super) fn id_of(node: &NodeSpec) -> &str {
    match node {
        NodeSpec::Supervisor(below) => &below.spec.id,
        NodeSpec::Worker(worker) => &worker.spec.id,
    }
}

fn supervisor_in<'n>(node: &'n SupervisorNode, id: &str) -> Option<&'n SupervisorNode> {
    if &*node.spec.id == id {
        return Some(node);
    }
    node.children.iter().find_map(|child| match child {
        NodeSpec::Supervisor(below) => supervisor_in(below, id),
        NodeSpec::Worker(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::{TOGETHER, together};
    use loket_supervision::fleet::{Deed, Step};

    fn step(path: &str) -> Step {
        let child = path.rsplit('/').next().unwrap_or_default().to_owned();
        let (deed, path) = (Deed::Restart, path.to_owned());
        Step { deed, path, child, kind: "agent", fields: Vec::new(), why: None }
    }

    #[test]
    fn temporary_siblings_are_renewed_some_at_a_time_and_all_others_one_by_one() {
        let steps = ["root/s/t1", "root/s/t2", "root/s/p", "root/s/t3", "root/t4"].map(step);
        let groups = |steps: &[Step]| {
            let (mut left, mut groups) = (steps, Vec::new());
            while !left.is_empty() {
                groups.push(together(left, |step| step.child.starts_with('t')).len());
                left = &left[groups.last().copied().unwrap_or(1)..];
            }
            groups
        };
        assert_eq!(groups(&steps), [2, 1, 1, 1]);
        let many: Vec<_> = (0..TOGETHER * 2 + 3).map(|n| step(&format!("root/s/t{n}"))).collect();
        assert_eq!(groups(&many), [TOGETHER, TOGETHER, 3]);
    }
}
