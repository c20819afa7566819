//! The mechanism: lanes, mailboxes, cells, supervisors as actors, the kernel's shards, the clock.
//!
//! It carries out what the pure crates decide and knows no provider, no guest engine and no database: whoever assembles a node
//! plugs a [`ChildFactory`] in. Start reading at [`Node`], then [`TreeSpec`]; one child's life is in `cell`, one supervisor's in
//! `supervisor_actor`.
#![forbid(unsafe_code)]

#[cfg(panic = "abort")]
compile_error!("a panic must end one actor, not the process: build with panic = \"unwind\"");

mod adapter;
mod ask;
mod authority;
mod call;
mod cell;
mod child;
mod clock;
mod control;
mod forward;
mod history;
mod in_place;
mod kernel_actor;
mod ladder;
mod lane;
mod lane_thread;
mod ledger_events;
mod mailbox;
pub mod metrics;
mod node;
mod panic;
mod place_state;
mod poll_counter;
mod presence;
mod progress;
mod purse;
mod quarantine;
mod registry;
mod relations;
mod role;
mod runner;
mod runtime;
mod shared;
mod siblings;
mod signals;
mod slots;
#[cfg(feature = "simulation")]
mod stage;
mod stop_all;
mod supervisor_actor;
mod supervisor_handle;
mod tree;
mod tree_view;
mod waiters;
mod wake;
mod watchdog;

pub use adapter::{ActixEngine, EngineGone};
pub use ask::{
    Address, Asked, CALL_TIMEOUT_MS, CallError, Labelled, REQUESTS_MAX, Request, Requests, Slot,
    TooManyRequests, WAY_MAX, Way,
};
pub use authority::{Authority, AuthorityError, AuthorityReader, Lease, RouteTarget, ScopeHints};
pub use call::{
    AdmittedCall, BrainAction, BrainError, BrainRequest, BrainState, CallEnvelope, Cargo,
    ProviderWork, Reply, TurnCall, TurnContext,
};
pub use child::{
    Bell, Body, ChildContext, ChildFactory, ChildKind, ChildPlan, Control, Door, Links, Paused,
    Running,
};
pub use clock::Clock;
pub use control::{ControlError, DynamicSpec, TreeControl, TreeFuture};
pub use forward::{KERNEL_MAILBOX_CAPACITY, STORE_MAILBOX_CAPACITY};
pub use in_place::InPlace;
pub use kernel_actor::kernel_body;
pub use lane::{Lane, Lanes, LanesError};
pub use ledger_events::{DynamicChildren, LedgerEvents};
pub use mailbox::{Mailbox, Overloaded, Rejected, SendError};
pub use node::{Hooks, IN_PLACE, Node, NodeConfig, OnGone, OnReport, OnUp, StartError};
pub use place_state::PlaceState;
pub use poll_counter::PollCounter;
pub use presence::{Late, Presence};
pub use purse::TurnPurse;
pub use registry::{Place, Registry};
pub use relations::{
    Down, ExitSignal, ExitSignals, GROUPS_MAX, GroupError, LINKS_MAX, LISTENERS_MAX, LinkError,
    Listener, Listening, MEMBERS_MAX, MONITORS_MAX, Monitor, MonitorError, MonitorId, Relations,
    TooManyListeners,
};
pub use runtime::Runtime;
pub use slots::{SlotPermit, Slots};
#[cfg(feature = "simulation")]
pub use stage::{Stage, Staged};
pub use stop_all::StopAll;
pub use supervisor_handle::SupervisorHandle;
pub use tree::{
    DoorSpec, LaneChoice, NodeSpec, PrincipalSpec, Service, SupervisorNode, TreeError, TreeSpec,
    WorkerNode,
};
pub use tree_view::{MailboxView, TreeView};
pub use waiters::{TooManyWaiters, WAITERS_MAX, Waiters, Waiting};
pub use watchdog::{RunningGuest, RunningGuests, Watchdog, WatchdogConfig};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks whatever happened to an earlier holder: no state behind these locks is ever left half changed by a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
