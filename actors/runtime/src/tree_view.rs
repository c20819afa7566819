//! The tree as it is shown: places with their state, in start order. Read only; nobody decides from it.

use crate::{Door, Place, PlaceState};
use serde::{Deserialize, Serialize};

/// A child and all below it, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeView {
    /// Its registered name.
    pub id: String,
    /// `supervisor`, `agent`, `provider` or `system`.
    pub kind: String,
    /// Its lane; none: the system arbiter.
    pub lane: Option<usize>,
    /// Where it is in its life.
    pub state: PlaceState,
    /// An operator has stopped it: it stays so until somebody, or its supervisor's restart, starts it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub terminated: bool,
    /// The provider that it waits for, while it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// The number of its present or last life.
    pub incarnation: u64,
    /// Restarts since its supervisor started it.
    pub restarts: u64,
    /// Its last exit, in words.
    pub last_exit: Option<String>,
    /// Its mailbox, if it has one.
    pub mailbox: Option<MailboxView>,
    /// Its children, in start order.
    pub children: Vec<TreeView>,
}

/// A mailbox, as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxView {
    /// Messages that wait.
    pub depth: usize,
    /// Most that may wait.
    pub capacity: usize,
    /// Most that ever waited, where that is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_water: Option<usize>,
}

impl MailboxView {
    fn of<M>(mailbox: &crate::Mailbox<M>) -> Self {
        Self {
            depth: mailbox.depth(),
            capacity: mailbox.capacity(),
            high_water: Some(mailbox.high_water()),
        }
    }
}

impl Place {
    /// This place and all below it.
    pub(crate) fn view(&self) -> TreeView {
        let mailbox = match &self.door {
            Door::Provider(mailbox) => Some(MailboxView::of(mailbox)),
            Door::Kernel(mailbox) => Some(MailboxView::of(mailbox)),
            Door::Native(mailbox) => Some(MailboxView::of(mailbox)),
            Door::Agent(_) | Door::Closed => None,
        };
        let (state, terminated, waits_for, restarts, last_exit) = {
            let status = self.status();
            let (state, waits_for) = (status.shown(), status.waits_for());
            (state, status.terminated, waits_for, status.restarts.into(), status.last_exit.clone())
        };
        let children = self.children();
        TreeView {
            id: self.name.to_string(),
            kind: self.kind().to_owned(),
            lane: self.lane.index(),
            state,
            terminated,
            waits_for,
            incarnation: self.incarnation(),
            restarts,
            last_exit: last_exit.map(|exit| exit.to_string()),
            mailbox,
            children: children.iter().map(|child| child.view()).collect(),
        }
    }
}
