//! The requests, one file per part of a turn's life. Each runs on the writer's thread inside its
//! own savepoint.

mod accept;
mod agents;
mod approvals;
pub(crate) mod brains;
pub(crate) mod budgets;
mod calls;
mod charges;
mod doubt;
mod end;
mod expiry;
mod fail;
mod groups;
pub(crate) mod history;
mod letters;
mod monitors;
mod next;
mod once;
mod places;
pub(crate) mod quarantine;
mod seen;
mod start;
pub(crate) mod timers;
mod waits;

pub(crate) use doubt::OnceCall;
