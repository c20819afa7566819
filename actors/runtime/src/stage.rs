//! Lanes without threads, for a deterministic simulation: every future of a node is handed to a [`Stage`], which polls it when it
//! likes. Only in builds with the feature `simulation`.
//!
//! It changes who runs a node and nothing of what the node does: cells, mailboxes, supervisors, kernel shards and slots are the same.
//! There is no watchdog: nothing on a stage is ever stuck. Start reading at [`Node::staged`](crate::Node::staged).

use crate::lane::{Arbiters, Lane, Lanes};
use crate::runner::Runner;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A future on its way to a stage: made there, and never leaving it.
pub type Staged = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// Who runs the futures of a node.
pub trait Stage: Send + Sync + 'static {
    /// Takes a future of this lane (`None`: of the system arbiter); `false` when nothing is run any more.
    fn spawn(&self, lane: Option<usize>, make: Staged) -> bool;
}

impl Lanes {
    /// `count` lanes and a system arbiter on a stage.
    pub(crate) fn staged(count: usize, stage: &Arc<dyn Stage>) -> Self {
        let lane = |index| Lane::new(index, Runner::Stage(index, Arc::clone(stage)));
        let lanes = (0..count).map(|index| lane(Some(index))).collect();
        let (_, ended) = crossbeam_channel::bounded(1);
        let arbiters = Arc::<Arbiters>::default();
        Self { arbiters, lanes, system: lane(None), stop: None, ended, thread: None }
    }
}
