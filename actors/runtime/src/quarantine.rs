//! Threads that are stuck: taken out of service, so that what else was on them goes on elsewhere.
//!
//! A stuck thread cannot be ended. Its lane gets another one; the child that is stuck has ended with [`Exit::Hung`], the others with
//! [`Exit::LaneLost`], which is charged to nobody, and their supervisors start them on the new thread as new incarnations. What the old
//! thread still does, once it goes on, reaches nobody: its receivers are fenced, its cells are dropped, then it ends. Start reading at
//! [`Quarantine::take`].

use crate::lane::Arbiters;
use crate::runtime::{Run, RunState};
use crate::{Lane, Place, Registry, metrics};
use loket_supervision::machine::Exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Takes threads out of service. A clone is the same.
#[derive(Clone)]
pub(crate) struct Quarantine {
    pub(crate) registry: Arc<Registry>,
    pub(crate) system: Lane,
    pub(crate) arbiters: Arc<Arbiters>,
    pub(crate) run: Arc<Run>,
    /// Most threads that may be stuck at a time.
    pub(crate) max: usize,
    /// Threads that are.
    pub(crate) stuck: Arc<AtomicUsize>,
}

/// Counts a stuck thread for as long as it is one.
struct Stuck(Arc<AtomicUsize>, Lane);

impl Stuck {
    fn new(stuck: &Arc<AtomicUsize>, lane: &Lane) -> Self {
        metrics::stuck_threads(stuck.fetch_add(1, Ordering::AcqRel) + 1);
        Self(Arc::clone(stuck), lane.clone())
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        let left = self.0.fetch_sub(1, Ordering::AcqRel) - 1;
        metrics::stuck_threads(left);
        tracing::warn!(lane = ?self.1, left, "a thread that was stuck has let go");
    }
}

impl Quarantine {
    #[cfg(test)]
    pub(crate) fn of(lanes: &crate::Lanes, max: usize) -> Self {
        Self {
            registry: Arc::default(),
            system: lanes.system().clone(),
            arbiters: Arc::clone(&lanes.arbiters),
            run: Arc::default(),
            max,
            stuck: Arc::default(),
        }
    }

    /// Gives the lane that `culprit` keeps another thread. Past the bound, or where there is no other thread to be had, the node
    /// ends with [`Exit::Hung`].
    pub(crate) fn take(&self, culprit: &Arc<Place>) {
        let lane = culprit.lane.clone();
        let child = &*culprit.name;
        let Some(index) = lane.index() else {
            tracing::error!(child, "the system's thread is stuck; the process ends");
            return self.run.set(RunState::Ended(Exit::Hung));
        };
        if self.stuck.load(Ordering::Acquire) >= self.max {
            let max = self.max;
            tracing::error!(child, max, "more threads are stuck than may be; the process ends");
            return self.run.set(RunState::Ended(Exit::Hung));
        }
        tracing::error!(child, ?lane, "a thread is stuck: taken out of service");
        let (it, culprit) = (self.clone(), Arc::clone(culprit));
        self.system.spawn(move || async move { it.replace(index, &culprit) });
    }

    fn replace(&self, index: usize, culprit: &Place) {
        let lane = &culprit.lane;
        let old = lane.thread();
        match self.arbiters.renew(index) {
            Ok(arbiter) => lane.renew(arbiter),
            Err(error) => {
                tracing::error!("no thread in place of one that is stuck: {error}");
                return self.run.set(RunState::Ended(Exit::Hung));
            }
        }
        let stuck = Stuck::new(&self.stuck, lane);
        // It runs when the thread goes on, or is dropped with it.
        old.spawn(move || async move { drop(stuck) });
        old.stop();
        for place in self.registry.on_lane(lane) {
            if let Some(cell) = place.fence() {
                let hung = place.number == culprit.number;
                cell.abandon(if hung { Exit::Hung } else { Exit::LaneLost });
            }
        }
    }
}
