//! The supervisor as a pure state machine: events in, orders out.
//!
//! It decides exactly as OTP's `supervisor` does (strategies, restart types, intensity, shutdown
//! order, significant children, the API) and adds, off or neutral when absent, what OTP's users
//! miss: backoff, start timeouts, budgets per child, `max_children`, parallel stop, blame, and an
//! escalation that does not look like a clean shutdown.
//!
//! It must never read a clock, start a thread, do I/O or wait: `now` is an argument, and starting
//! or stopping a child is an [`Order`] whose outcome comes back as an [`Event`]. What OTP would
//! leave in the supervisor's mailbox while it blocks is deferred here, in the same order; queries
//! are answered at once in any state.
//!
//! Start reading at [`Supervisor::step`]; the decision "restart or end" is in `decide`, the
//! stepping through a group restart in `job`, the API in `api`.

mod api;
mod backoff;
mod check;
mod child;
mod decide;
mod event;
mod exit;
mod job;
mod lifecycle;
mod policy;
mod report;
mod spec;
mod supervisor;
mod view;
mod window;

pub use event::{Answer, ApiError, Call, Change, Event, Now, Order, Timer, TimerKind};
pub use exit::{Blame, Cause, Exit};
pub use policy::{Action, Rule};
pub use report::{Context, Offender, Report};
pub use spec::{
    AutoShutdown, Backoff, Budget, Charge, ChildId, ChildSpec, Escalation, First, Flags, Kind,
    Restart, Shutdown, SpecError, Stop, Strategy, Window,
};
pub use supervisor::{MAX_DEFERRED_CALLS, Supervisor};
pub use view::{ChildState, ChildView, Counts, Phase};
